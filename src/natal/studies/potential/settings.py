"""Configuration of the study `potential`. Nothing heavy is imported: the Snakefile reads it."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from natal.settings.base import Count, Different, FolderName, Listed, Positive, RuleError, Section, Seed
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


class Weights(Section):
    """Weights of the loss's terms; each term is 1 for a network that says nothing."""

    alpha: Positive = 1.0
    """Of the potential."""

    beta: Positive = 1.0
    """Of the force."""

    gamma: Positive = 1.0
    """Of Poisson's equation."""


class PotentialSettings(Section):
    """Networks and their training."""

    terms: Annotated[tuple[Term, ...], *Different, Field(min_length=1)] = ("all",)
    seeds: Annotated[int, Field(ge=2, le=100)] = 3
    steps: Annotated[int, Field(ge=100, multiple_of=100)] = 3000
    batch_size: Count = 64
    learning_rate: Positive = 7.0e-3
    weights: Weights = Weights()


class Sweep(Section):
    """Weights of the loss multiplied one at a time, in the loss with all terms."""

    fields: Annotated[tuple[Literal["plummer", "clumps"], ...], *Different, Field(min_length=1)]
    weights: Annotated[tuple[Literal["alpha", "beta", "gamma"], ...], *Different, Field(min_length=1)]
    factors: Annotated[tuple[Positive, ...], *Different, Field(min_length=1)]
    seeds: Count


class Clumps(Section):
    """An irregular field: Plummer spheres of one radius, in units of a."""

    number: Annotated[int, Field(ge=2, le=1000)]
    radius: Positive
    extent: Annotated[tuple[Positive, Positive, Positive], Listed]
    mass_ratio: Annotated[float, Field(ge=1)]


class Expansions(Section):
    """Multipole expansions of the irregular field, and the networks beside them."""

    terms: Annotated[tuple[Term, ...], *Different, Field(min_length=1)]
    degrees: Annotated[tuple[Annotated[int, Field(ge=0, le=24)], ...], *Different, Field(min_length=1)]
    radial: Annotated[int, Field(ge=0, le=24)]


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
    clumps: Clumps
    expansions: Expansions
    sweep: Sweep

    def rules(self) -> Iterator[RuleError]:
        """No sweep has more seeds than there are networks with equal weights."""
        if self.sweep.seeds > self.training.seeds:
            yield RuleError("sweep.seeds", f"it must be at most training.seeds = {self.training.seeds}")
