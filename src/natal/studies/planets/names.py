"""Names of the study's files. Loads nothing heavy."""

SPLITS = ("train", "validation", "test")
FIGURES = ("spacing", "scores")
