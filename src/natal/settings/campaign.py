"""The whole configuration of a campaign, and the rules across its sections."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from natal.settings.adaptive import Adaptive
from natal.settings.base import Count, FolderName, Positive, RuleError, Section, Seed, TableFile
from natal.settings.checks import Checks
from natal.settings.cluster import ClusterModel
from natal.settings.density import Density
from natal.settings.design import Design
from natal.settings.emulator import Emulator
from natal.settings.inference import Inference
from natal.settings.integration import Integration
from natal.settings.likelihood import Kind
from natal.settings.observables import Observables
from natal.settings.population import Population
from natal.settings.sweep import SweepSettings
from natal.settings.uncertainty import UncertaintySettings
from natal.variables import BIRTH


class Resources(Section):
    """Memory and time that a simulate job may take."""

    max_memory_gb: Positive
    """GB (1e9 bytes) that a simulate job may use; a job that needs more says so before it starts, and what to lower"""
    gint_per_s: Positive | None
    """speed of a simulate job, 1e9 pair interactions a second, from which its time limit on a cluster follows; `null`:
    the lowest that this campaign's finished shards reached"""
    max_runtime_min: Count
    """the longest time limit to ask for, your queue's for instance. A job that is cut goes on from its last snapshot"""
    allow_cpu: bool
    """whether a simulating job to which Slurm gave a GPU may compute on a CPU if JAX finds no GPU; else it fails at
    once"""


class Report(Section):
    """What the report shows."""

    corner_cases: Count
    """test cases shown with a corner plot"""


class Campaign(Section):
    """Configuration of a natal campaign."""

    campaign: FolderName
    """name of the folder under `results/`; campaigns share nothing but compiled programs"""
    seed: Seed
    """all random numbers follow from it: designs, stars, initial weights, chains"""
    cluster: ClusterModel
    integration: Integration
    design: Design
    adaptive: Adaptive
    emulator: Emulator
    sweep: SweepSettings
    density: Density
    likelihood: Kind
    """law of one cluster's summaries (`docs/explanation/likelihoods.md`)"""
    tempering: Annotated[float, Field(ge=0, le=5)] = 0.5
    """of `mixture`: posteriors of clusters that kept a share f of their stars are widened, by raising the likelihood to
    the power 1/(1 + tempering * (0.65 − f)) where f is below 0.65; 0: none (`docs/measurements/training_runs.md`)"""
    inference: Inference
    uncertainty: UncertaintySettings
    checks: Checks
    observations: TableFile | None
    """table of your own clusters (`docs/howto/own_clusters.md`)"""
    observables: Observables
    population: Population
    resources: Resources
    report: Report

    def rules(self) -> Iterator[RuleError]:
        """A prior lies within the box that the emulator learns."""
        names = BIRTH.names if self.inference.prior else ()
        for name in names:
            low, high = getattr(self.inference.prior, name)
            box_low, box_high = getattr(self.design.box, name)
            if low < box_low or high > box_high:
                within = f"design.box.{name} = [{box_low:g}, {box_high:g}]"
                said = f"it must lie within {within}, outside of which the emulator is untested"
                yield RuleError(f"inference.prior.{name}", said)
