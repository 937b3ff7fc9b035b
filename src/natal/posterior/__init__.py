"""Births given summaries: on a grid, by NUTS, for test clusters and for observed ones."""
