"""Names of the study's files, and mistakes in its configuration that a schema cannot see. Loads nothing heavy."""

from typing import Any

SPLITS = ("train", "validation", "test")
CHECKS = ("finer_step", "neighbour")
FIGURES = ("stability_map", "reliability", "roc", "inclination", "energy_errors", "checks", "training")


def mistakes(config: dict[str, Any]) -> list[str]:
    """One line for each range that is reversed or empty, and for checks of more triples than there are."""
    lines = [
        f"config: prior.{key} = [{low}, {high}] is not allowed: the first value must be below the second"
        for key, (low, high) in config["prior"].items()
        if not low < high
    ]
    n, n_all = config["checks"]["triples"], config["triples"]["train"]
    if n > n_all:
        lines.append(f"config: checks.triples = {n} is not allowed: at most triples.train = {n_all}, which are checked")
    return lines
