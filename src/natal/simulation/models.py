"""What is simulated and how: the sections `cluster` and `integration` of the configuration."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from natal.errors import NatalError


@dataclass(frozen=True)
class ClusterModel:
    """What a cluster is made of (config section `cluster`)."""

    n_stars: int = 100
    star_mass_msun: float = 1.0
    imf: Literal["equal", "kroupa"] = "equal"
    imf_mass_range_msun: tuple[float, float] = (0.08, 50.0)
    softening_au: float = 2.0
    truncation_radius: float = 10.0

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "ClusterModel":
        """Build from a validated config section (its list becomes a tuple: models are hashable)."""
        low, high = section["imf_mass_range_msun"]
        return cls(**(section | {"imf_mass_range_msun": (low, high)}))


@dataclass(frozen=True)
class Integration:
    """How a cluster is followed (config section `integration`)."""

    t_end_yr: float = 500.0
    dt_yr: float = 0.05
    snapshots: int = 11
    precision: Literal["float64", "float32"] = "float64"
    max_energy_error: float = 1.0e-3

    @classmethod
    def from_config(cls, section: dict[str, Any]) -> "Integration":
        """Build from a validated config section."""
        return cls(**section)

    @property
    def steps_per_snapshot(self) -> int:
        """Steps between snapshots; raises `NatalError` unless a whole number of steps fits."""
        steps = self.t_end_yr / (self.snapshots - 1) / self.dt_yr
        if not math.isclose(steps, round(steps), rel_tol=1e-9) or round(steps) < 1:
            raise NatalError(
                f"integration.dt_yr = {self.dt_yr} does not divide the time between snapshots, "
                f"t_end_yr / (snapshots - 1) = {self.t_end_yr / (self.snapshots - 1):g} yr: "
                "choose a dt_yr that fits a whole number of times"
            )
        return round(steps)

    @property
    def n_steps(self) -> int:
        """Steps of a whole run."""
        return self.steps_per_snapshot * (self.snapshots - 1)

    @property
    def time_yr(self) -> np.ndarray:
        """Snapshot times, the first 0, shape (time,)."""
        return np.linspace(0.0, self.t_end_yr, self.snapshots)
