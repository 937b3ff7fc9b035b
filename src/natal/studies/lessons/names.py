"""Names of the study's files. Loads nothing heavy."""

FIGURES = (
    "leakage",
    "overfitting",
    "learning_rates",
    "symmetry",
    "likelihood",
    "hinges",
    "sine",
    "activations",
    "network",
)
