"""Names of the study's fields and files. Nothing heavy is imported: the Snakefile reads them."""

from collections.abc import Sequence

PLUMMER, CLUMPS = "plummer", "clumps"
WEIGHTS = ("alpha", "beta", "gamma")
"""Weights of potential, force and Poisson's equation in the loss."""

ALL = "all"
"""The combination of all terms of the loss."""

TABLES = ("accuracy", "profiles", "orbits", "line")


def field_name(softening_au: float) -> str:
    """The name of the field of particles with this softening.

    Examples:
        >>> field_name(50.0)
        'particles_50au'
    """
    return f"particles_{softening_au:g}au"


def field_names(softenings_au: Sequence[float]) -> list[str]:
    """All fields of the study: the analytic sphere, then the particles with each softening."""
    return [PLUMMER, *map(field_name, softenings_au)]


def figure_names(fields: Sequence[str]) -> list[str]:
    """The study's figures."""
    whole = ["accuracy", "profiles", "line", "curves", "weights", "expansions"]
    return [*whole, *(f"{kind}_{f}" for f in fields for kind in ("tracks", "orbits"))]
