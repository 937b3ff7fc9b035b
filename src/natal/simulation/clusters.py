"""Simulated clusters in memory: all runs at one time, and all runs through time."""

from dataclasses import dataclass, field

import numpy as np

from natal.variables import SUMMARIES, SURVIVAL

ENERGIES = ("kinetic_energy", "potential_energy")


def snapshot_type(n_runs: int, n_stars: int, precision: str) -> np.dtype:
    """The type of a snapshot: state, energies and summaries of all runs at one time, and the seconds spent so far.

    Args:
        n_runs: Clusters.
        n_stars: Stars of each.
        precision: `float32` or `float64`.

    Returns:
        A NumPy structured type; one value of it is one snapshot.
    """
    real, vectors = np.dtype(precision), (n_runs, n_stars, 3)
    return np.dtype(
        [
            ("position_au", real, vectors),
            ("velocity_au_yr", real, vectors),
            ("mass_msun", real, (n_runs, n_stars)),
            *((name, real, n_runs) for name in (*ENERGIES, *SUMMARIES)),
            ("n_bound", np.int32, n_runs),
            ("dissolved", np.bool_, n_runs),
            ("elapsed_s", np.float64),
        ],
        align=True,
    )


class SummaryTracks(dict[str, np.ndarray]):
    """Summaries against time, by name: `SUMMARIES`, `n_bound`, `dissolved`; `tracks.f_bound` is `tracks["f_bound"]`."""

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no summary is called {name!r}; there are {', '.join(self)}") from None


@dataclass(frozen=True)
class SimulatedClusters:
    """Finished runs as NumPy arrays; clusters are in the order asked for.

    With a checkpoint the arrays are views of its file.
    """

    time_yr: np.ndarray
    """Of the snapshots, shape (time,)."""
    position_au: np.ndarray
    """Shape (cluster, time, star, 3)."""
    velocity_au_yr: np.ndarray
    """Shape (cluster, time, star, 3)."""
    mass_msun: np.ndarray
    """Shape (cluster, star)."""
    kinetic_energy: np.ndarray
    """In Msun AU^2/yr^2, shape (cluster, time)."""
    potential_energy: np.ndarray
    """Of softened gravity, in Msun AU^2/yr^2, shape (cluster, time)."""
    summaries: SummaryTracks
    """Shape (cluster, time) each."""
    timing_s: dict[str, float] = field(default_factory=dict)
    """Seconds to `compile` and to `integrate`."""

    @classmethod
    def from_snapshots(cls, snapshots: np.ndarray, time_yr: np.ndarray, compile_time_s: float) -> "SimulatedClusters":
        """Arrange snapshots by cluster; nothing is copied.

        Args:
            snapshots: Shape (time,), of `snapshot_type`.
            time_yr: Their times.
            compile_time_s: What compiling took.

        Returns:
            The clusters through time.
        """

        def through_time(*names: str) -> dict[str, np.ndarray]:
            return {name: np.swapaxes(snapshots[name], 0, 1) for name in names}

        return cls(
            time_yr=time_yr,
            mass_msun=snapshots["mass_msun"][0],
            **through_time("position_au", "velocity_au_yr", *ENERGIES),
            summaries=SummaryTracks(through_time(*SUMMARIES, *SURVIVAL)),
            timing_s={"compile": compile_time_s, "integrate": float(snapshots["elapsed_s"][-1])},
        )

    @property
    def energy_error(self) -> np.ndarray:
        """|E_T - E_0| / |W_0| of each run, shape (cluster,)."""
        total = self.kinetic_energy + self.potential_energy
        return np.asarray(np.abs(total[:, -1] - total[:, 0]) / np.abs(self.potential_energy[:, 0]))

    @property
    def virial_ratio(self) -> np.ndarray:
        """K/|W| of all stars (bound or not) against time, shape (cluster, time)."""
        return np.asarray(self.kinetic_energy / np.abs(self.potential_energy))
