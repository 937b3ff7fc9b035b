"""Laws of one cluster's summaries given its birth."""
