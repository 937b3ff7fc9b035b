"""Names of the study's files. Loads nothing heavy."""

SPLITS = ("train", "validation", "test")
LABELS = ("unstable", "chaotic")
CHECKS = ("finer_step", "neighbour")
FIGURES = ("stability_map", "reliability", "roc", "inclination", "energy_errors", "checks", "training", "chaos")
