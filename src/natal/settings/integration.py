"""Section `integration`: how a cluster is followed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from natal.settings.base import Count, Positive, RuleError, Section

if TYPE_CHECKING:
    import numpy as np

MAX_STEPS = 1e9
"""Most leapfrog steps of a run."""


class Integration(Section):
    """How a cluster is followed: leapfrog with a fixed step, and what is stored.

    Examples:
        >>> how = Integration(t_end_yr=100.0, dt_yr=0.1, snapshots=3)
        >>> how.n_steps, how.time_yr.tolist()
        (1000, [0.0, 50.0, 100.0])
    """

    section: ClassVar[str] = "integration"

    t_end_yr: Positive = 500.0
    """age at which clusters are observed, the same for all. May grow: simulations go on from their last stored state"""
    dt_yr: Positive = 0.05
    """leapfrog step; must fit a whole number of times between snapshots"""
    snapshots: Annotated[int, Field(ge=2)] = 11
    """number of stored times, t = 0 and the end included"""
    precision: Literal["float64", "float32"] = "float64"
    """precision of positions and velocities"""
    max_energy_error: Positive = 1.0e-3
    """largest allowed abs(E_T − E_0)/abs(W_0); a job with a worse run fails and says so"""
    clusters_per_batch: Count | None = None
    """clusters that one core or GPU takes through their steps together; `null`: by the number of stars and the device.
    Another number changes results in their last digits, by rounding (`docs/howto/gpu.md`)"""

    def rules(self) -> Iterator[RuleError]:
        """A whole number of steps, and not too many, fits between snapshots."""
        # compared as a product: a quotient may overflow
        if self.t_end_yr > MAX_STEPS * self.dt_yr:
            said = f"it must not fit more than {MAX_STEPS:.0e} times into t_end_yr = {self.t_end_yr:g} yr"
            yield RuleError("dt_yr", said)
            return
        between = self.t_end_yr / (self.snapshots - 1)
        steps = between / self.dt_yr
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-9 * steps:
            said = f"it must fit a whole number of times between snapshots, t_end_yr / (snapshots - 1) = {between:g} yr"
            yield RuleError("dt_yr", said)

    @property
    def steps_per_snapshot(self) -> int:
        """Steps between snapshots."""
        return round(self.t_end_yr / (self.snapshots - 1) / self.dt_yr)

    @property
    def n_steps(self) -> int:
        """Steps of a whole run."""
        return self.steps_per_snapshot * (self.snapshots - 1)

    @property
    def time_yr(self) -> "np.ndarray":
        """Snapshot times in years, the first 0, shape (time,)."""
        import numpy as np  # not loaded in planning

        return np.linspace(0.0, self.t_end_yr, self.snapshots)
