"""From tables of runs to what networks learn from: splits, normalisation, outcomes."""
