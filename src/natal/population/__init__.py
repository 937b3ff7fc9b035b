"""The distribution of births behind a table of clusters (`docs/explanation/population.md`)."""
