"""Clusters that the simulations do not know: what answers are worth then (`docs/explanation/departures.md`)."""
