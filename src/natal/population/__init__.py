"""The distribution of births behind a table of clusters (`docs/population.md`)."""
