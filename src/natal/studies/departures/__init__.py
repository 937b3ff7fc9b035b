"""Clusters that the simulations do not know: what answers from observables are worth then (`docs/departures.md`)."""
