"""Suites of clusters, each with one departure from the campaign's model."""

import re

CONTROL = "control"
DEPARTURES = {
    CONTROL: "the campaign's own model",
    "kroupa": "Kroupa masses",
    "binaries": "binaries",
    "substructure": "fractal substructure",
    "king": "King profile",
    "radial": "radial velocities",
    "tide": "tidal field",
    "field": "field stars",
}
OTHER_NUMBER = re.compile(r"n([1-9][0-9]*)")
FIGURES = ("table", "laws")


def stars_of(suite: str, n_stars: int) -> int:
    """Stars of a suite's clusters: `n_stars`, or k if it is called n<k>.

    Args:
        suite: The suite's name.
        n_stars: Stars of a cluster in all suites that do not say another number.

    Examples:
        >>> stars_of("king", 100), stars_of("n200", 100)
        (100, 200)
    """
    found = OTHER_NUMBER.fullmatch(suite)
    return int(found[1]) if found else n_stars


def label(suite: str) -> str:
    """What a suite is called in figures."""
    return DEPARTURES.get(suite) or f"{suite[1:]} stars"
