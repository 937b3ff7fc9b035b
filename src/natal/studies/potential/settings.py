"""Configuration of the study `potential`. Nothing heavy is imported: the Snakefile reads it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from natal.settings.base import Count, Different, FolderName, Listed, Positive, Section, Seed
from natal.settings.mistakes import Allowed

Term = Literal["potential", "force", "potential_force", "potential_poisson", "all"]
Points = Annotated[int, Field(ge=100, le=1_000_000)]
Vector = Annotated[tuple[float, float, float], Listed]


class Cluster(Section):
    """The particles: one cluster, simulated to `t_end_yr`."""

    n_stars: Annotated[int, Field(ge=50, le=100_000)]
    star_mass_msun: Positive
    q0: Positive
    a_au: Positive
    softening_au: Positive
    t_end_yr: Positive
    dt_yr: Positive
    max_energy_error: Positive


class SamplePoints(Section):
    """Where fields are known, in units of a."""

    radius: Positive
    displacement: Positive
    train: Points
    test: Points
    test_radius: Positive


class PotentialSettings(Section):
    """Networks and their training."""

    terms: Annotated[tuple[Term, ...], *Different, Field(min_length=1)] = ("all",)
    seeds: Annotated[int, Field(ge=2, le=100)] = 3
    steps: Annotated[int, Field(ge=100, multiple_of=100)] = 3000
    batch_size: Count = 64
    learning_rate: Positive = 7.0e-3


class Start(Section):
    """Position in a, velocity in sqrt(G M / a)."""

    model_config = ConfigDict(json_schema_extra={"allowed": "a mapping of position and velocity"})

    position: Vector
    velocity: Vector


class Orbits(Section):
    """Orbits in the fields."""

    time: Positive
    dt: Positive
    snapshots: Annotated[int, Field(ge=2)]
    starts: Annotated[
        dict[str, Start],
        Field(min_length=1),
        Allowed(text="a mapping of orbit names to a position and a velocity each"),
    ]


class Potential(Section):
    """Configuration of the study `potential`."""

    name: FolderName
    seed: Seed
    cluster: Cluster
    softenings_au: Annotated[tuple[Positive, ...], *Different]
    points: SamplePoints
    training: PotentialSettings
    orbits: Orbits
