"""Names of the study's files. Loads nothing heavy."""

SPLITS = ("train", "validation", "test")
CHECKS = ("finer_step", "neighbour")
FIGURES = ("stability_map", "reliability", "roc", "inclination", "energy_errors", "checks", "training")
