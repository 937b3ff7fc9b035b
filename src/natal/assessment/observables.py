"""What observables are worth, and whether answers from them can be trusted.

Cases are calibration clusters, which no network was trained on. First they are taken as they are, for each subset of
observables. Then they are rescaled to other ages and masses, and seen with errors and gaps, as real clusters are.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import PRNGKeyArray

from natal.assessment.trust import coverage_by_region
from natal.emulator.network_files import DTYPE
from natal.likelihood.joint import log_tau, speed_kms
from natal.observables.declared import MEASURABLE, OBSERVABLES
from natal.observables.projected import LINES
from natal.posterior.catalogue import Law, clusters_table, grouped
from natal.posterior.joint_grid import answer_joint
from natal.simulation.lines_of_sight import LinesOfSight
from natal.units import G_AU3_PER_MSUN_YR2
from natal.variables import BIRTH, SUMMARIES

AGES_YR = (5e5, 5e6)
MASSES_MSUN = (50.0, 1000.0)
"""Ranges of the measured ages and masses of mock clusters, which are log-uniform."""

AGE_ERRORS, MASS_ERRORS = (0.1, 0.4), (0.1, 0.3)
"""Ranges of standard errors, as shares of the measured value; uniform."""

VALUE_ERRORS = (0.05, 0.15)
"""Range of observables' errors, as shares of the value; for outward motion, as shares of sqrt(G M / a)."""

GAP = 1 / 3
"""Share of mock clusters that lack one of the observables."""

BOUND = tuple(SUMMARIES)


def subsets(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The subsets of observables that are compared, by name.

    Args:
        names: All observables of the law.
    """
    projected = tuple(name for name in OBSERVABLES if name in names)
    told: dict[str, tuple[str, ...]] = {"summaries": BOUND}
    told |= {f"summaries without {name}": tuple(n for n in BOUND if n != name) for name in BOUND}
    told |= {f"{name} alone": (name,) for name in (*BOUND, *projected)}
    told["all projected"] = projected
    told |= {f"projected without {name}": tuple(n for n in projected if n != name) for name in projected}
    told["sigma_los_kms and r_hp_au"] = ("sigma_los_kms", "r_hp_au")
    told["everything"] = tuple(names)
    return told


def observed_rows(seen: LinesOfSight, names: Iterable[str], line: np.ndarray) -> pd.DataFrame:
    """Exact measurements of clusters at the end of their run.

    Args:
        seen: The clusters.
        names: What is measured.
        line: For each cluster the number of the line of sight.

    Returns:
        A table for `natal.posterior.catalogue`.
    """
    each = np.arange(len(seen.point_id))
    rows: dict[str, Any] = {"name": each.astype(str)}
    for name in names:
        if name in SUMMARIES:
            rows[name] = seen.summaries[:, -1, SUMMARIES.names.index(name)]
        else:
            rows[name] = seen.observables[each, -1, line, OBSERVABLES.names.index(name)].astype(float)
    records: Any = pd.DataFrame(rows).to_dict("records")
    return clusters_table(records)


def worth(key: PRNGKeyArray, law: Law, seen: LinesOfSight) -> pd.DataFrame:
    """What each subset of observables is worth.

    Args:
        key: Has no influence: posteriors are on a grid.
        law: What the campaign knows.
        seen: Surviving clusters drawn from the prior.

    Returns:
        One row for each subset: `subset`; `n`; `contraction_q0` and `contraction_a_au`, means of 1 - posterior variance
        / prior variance; `log_score`, the mean ln posterior density at the truth, and its standard error; `joint_68`
        and `joint_95`, shares of truths inside joint regions, also by third of the recovered Q0.
    """
    line = np.arange(len(seen.point_id)) % len(LINES)
    rows = []
    for label, names in subsets(law.names).items():
        clusters = observed_rows(seen, names, line)
        found = locate(key, law, clusters, seen.birth)
        rows.append({"subset": label} | score(found))
    return pd.DataFrame(rows)


def locate(key: PRNGKeyArray, law: Law, clusters: pd.DataFrame, truth: np.ndarray) -> pd.DataFrame:
    """Where true births lie in the clusters' posteriors, and the moments of these.

    Args:
        key: For the posteriors.
        law: What the campaign knows.
        clusters: A table of `natal.posterior.catalogue`.
        truth: True (q0, a_au), shape (case, 2).

    Returns:
        One row a cluster.
    """
    parts = []
    for group in grouped(law, clusters):
        found = answer_joint(
            key,
            law.table(group.pattern, group.cells[0]),
            group.cases,
            group.pattern,
            group.cells[1],
            group.n_nodes,
            truth=jnp.asarray(truth[group.rows], DTYPE),
        )
        widths = [np.full(len(group.rows), law.q0[1] - law.q0[0]), np.diff(group.cases.a_au, axis=1)[:, 0]]
        columns: dict[str, Any] = {"row": group.rows, "hpd_level": np.asarray(found.truths.hpd_level, float)}
        columns |= {"log_density": np.asarray(found.truths.log_density, float)}
        columns |= {"entropy": np.asarray(found.summary.entropy, float)}
        for k, name in enumerate(BIRTH):
            columns |= {f"{name}_mean": found.summary.mean[:, k], f"{name}_sd": found.summary.sd[:, k]}
            columns |= {f"{name}_pit": found.truths.pit[:, k], f"{name}_width": widths[k]}
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts).sort_values("row", ignore_index=True)


def score(found: pd.DataFrame) -> dict[str, Any]:
    """The numbers of `worth`, from the rows of `locate`."""
    inside = np.isfinite(found.log_density)
    recovered = found[[f"{name}_mean" for name in BIRTH]].to_numpy(float)
    regions = coverage_by_region(recovered, found.hpd_level.to_numpy())
    density = found.log_density[inside]
    numbers: dict[str, Any] = {"n": len(found)}
    for name in BIRTH:
        numbers[f"contraction_{name}"] = float((1 - 12 * found[f"{name}_sd"] ** 2 / found[f"{name}_width"] ** 2).mean())
    numbers |= {"log_score": float(density.mean()), "log_score_se": float(density.std() / np.sqrt(len(density)))}
    numbers["log_score_promised"] = float(-found.entropy.mean())
    for level in (68, 95):
        numbers[f"joint_{level}"] = float(regions[f"share_{level}"].iloc[0])
        thirds = regions[regions.by == "q0"]
        numbers |= {f"joint_{level}_{row.third}_q0": row[f"share_{level}"] for _, row in thirds.iterrows()}
    return numbers


class Pool:
    """Snapshots that stand for clusters of any age and mass, since gravity has no scale.

    Args:
        law: What the campaign knows.
        seen: Clusters at several times.
    """

    def __init__(self, law: Law, seen: LinesOfSight) -> None:
        self.law, self.seen = law, seen
        birth = np.repeat(seen.birth[:, None], len(seen.time_yr), axis=1).reshape(-1, 2)
        self.q0, self._a_au = birth.T
        self._mass = np.repeat(seen.mass_msun, len(seen.time_yr))
        self._log_tau = log_tau(np.tile(seen.time_yr, len(seen.point_id)), self._mass, self._a_au)
        self._widths = np.array([np.ptp(law.reach.q0), np.ptp(law.reach.log_tau)])
        self._places = np.column_stack([self.q0, self._log_tau]) / self._widths
        self.projected = [name for name in OBSERVABLES if name in law.names]

    def nearest(self, q0: float, tau: float, without: Sequence[int] = ()) -> int:
        """The snapshot that is nearest to this Q0 and ln tau.

        Args:
            q0: Virial ratio at birth, K/|W|.
            tau: ln of the age in the cluster's own units, t sqrt(G M / a^3).
            without: Numbers of clusters whose snapshots are passed over.

        Returns:
            The snapshot's number.
        """
        distance2 = ((self._places - np.array([q0, tau]) / self._widths) ** 2).sum(1)
        distance2.reshape(len(self.seen.point_id), -1)[list(without)] = np.inf
        return int(distance2.argmin())

    def cluster(self, snapshot: int) -> int:
        """The number of the cluster that a snapshot belongs to.

        Args:
            snapshot: The snapshot's number.
        """
        return snapshot // len(self.seen.time_yr)

    def a_au(self, snapshot: int, age_yr: float, mass_msun: float) -> float:
        """The scale radius (AU) at which a cluster of this age and mass looks like the snapshot.

        Args:
            snapshot: The snapshot's number.
            age_yr: The cluster's age.
            mass_msun: Its mass.
        """
        own_time = np.exp(self._log_tau[snapshot])
        return float((age_yr / own_time) ** (2 / 3) * (G_AU3_PER_MSUN_YR2 * mass_msun) ** (1 / 3))

    def survived(self, snapshot: int) -> bool:
        """Whether the snapshot's cluster has not dissolved."""
        return not self.seen.dissolved.reshape(-1)[snapshot]

    def summaries(self, snapshot: int, a_au: float, mass_msun: float) -> dict[str, float]:
        """Exact summaries of a cluster that looks like the snapshot and has this size and mass.

        Args:
            snapshot: The snapshot's number.
            a_au: The cluster's scale radius.
            mass_msun: Its mass.

        Returns:
            Values by name, in AU and km/s.
        """
        cluster, time = divmod(snapshot, len(self.seen.time_yr))
        factors = self._factors(snapshot, a_au, mass_msun)
        values = self.seen.summaries[cluster, time].astype(float)
        pairs = zip(SUMMARIES.values(), values, strict=True)
        return {variable.name: factors.get(variable.unit, 1.0) * float(value) for variable, value in pairs}

    def _factors(self, snapshot: int, a_au: float, mass_msun: float) -> dict[str, float]:
        """Factors by unit, from the snapshot's values to those of a cluster of this size and mass."""
        own = float(speed_kms(self._mass[snapshot], self._a_au[snapshot]))
        return {"km/s": float(speed_kms(mass_msun, a_au)) / own, "AU": a_au / self._a_au[snapshot]}

    def measured(
        self, rng: np.random.Generator, snapshot: int, a_au: float, mass_msun: float, names: Iterable[str]
    ) -> dict[str, float]:
        """Observables along a random line, with errors (`VALUE_ERRORS`), of a cluster that looks like the snapshot.

        Args:
            rng: For the line and the errors.
            snapshot: The snapshot's number.
            a_au: The cluster's scale radius.
            mass_msun: The cluster's mass.
            names: What is measured.
        """
        cluster, time = divmod(snapshot, len(self.seen.time_yr))
        values = self.seen.observables[cluster, time, rng.integers(len(LINES))].astype(float)
        speed = float(speed_kms(mass_msun, a_au))
        factors = self._factors(snapshot, a_au, mass_msun)
        row: dict[str, float] = {}
        for name in names:
            variable = MEASURABLE[name]
            value = factors.get(variable.unit, 1.0) * values[OBSERVABLES.names.index(name)]
            error = rng.uniform(*VALUE_ERRORS) * (speed if variable.transform == "none" else value)
            row |= {name: value + error * rng.standard_normal(), f"{name}_err": error}
        return row


def possible(row: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether all measured sizes and dispersions are positive.

    Args:
        row: Values by name of the column.
        names: Columns to look at; one that the row lacks is no fault.

    Examples:
        >>> possible({"r_hp_au": -3.0}, ["r_hp_au"])
        False
    """
    return all(row.get(name, 1) > 0 for name in names if MEASURABLE[name].transform != "none")


def mock_catalogue(rng: np.random.Generator, law: Law, seen: LinesOfSight, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Clusters as an observer's catalogue has them, with their true births.

    A mock has a measured age and mass, with errors. Its true ones are drawn from these, and its birth from natal's
    prior for this age and mass. It looks like the snapshot of `seen` that is nearest to its Q0 and ln tau, and takes
    over that snapshot's own Q0 and tau as true values. It is seen along a random line: projected observables have
    errors, one of them is missing in a share `GAP` of the mocks; f_bound, and what needs bound stars, is always
    missing.

    Args:
        rng: For all draws.
        law: What the campaign knows.
        seen: Clusters that no network was trained on.
        n: Number of mocks.

    Returns:
        A table of `natal.posterior.catalogue`, and the true (q0, a_au), shape (mock, 2).
    """
    reach, pool = law.reach, Pool(law, seen)
    age, mass = (low * (high / low) ** rng.random(n) for low, high in (AGES_YR, MASSES_MSUN))
    age_err, mass_err = age * rng.uniform(*AGE_ERRORS, n), mass * rng.uniform(*MASS_ERRORS, n)
    size = (age / reach.t_end_yr) ** (2 / 3) * (mass / reach.mass_msun) ** (1 / 3)
    rows, truth = [], np.empty((n, 2))
    for k in range(n):
        while True:
            true_age, true_mass = rng.normal(age[k], age_err[k]), rng.normal(mass[k], mass_err[k])
            if min(true_age / age[k], true_mass / mass[k]) < 1e-3:
                continue
            q0, a_au = rng.uniform(*reach.q0), size[k] * rng.uniform(*reach.a_au)
            tau = float(log_tau(true_age, true_mass, a_au))
            if not reach.log_tau[0] <= tau <= reach.log_tau[1]:
                continue
            snapshot = pool.nearest(q0, tau)
            truth[k] = pool.q0[snapshot], pool.a_au(snapshot, true_age, true_mass)
            row = {"name": f"mock {k}", "age_yr": age[k], "age_yr_err": age_err[k]}
            row |= {"mass_msun": mass[k], "mass_msun_err": mass_err[k]}
            row |= pool.measured(rng, snapshot, truth[k, 1], true_mass, pool.projected)
            if rng.random() < GAP:
                del row[rng.choice(pool.projected)]
            if possible(row, pool.projected):
                rows.append(row)
                break
    return clusters_table(rows), truth


def trust_in_observables(key: PRNGKeyArray, law: Law, seen: LinesOfSight, n_mocks: int, seed: int) -> dict[str, Any]:
    """Both checks of observables.

    Args:
        key: For the posteriors.
        law: What the campaign knows.
        seen: Clusters that no network was trained on.
        n_mocks: Number of mock clusters.
        seed: For the mocks.

    Returns:
        `worth`, a table of subsets over surviving clusters; `mocks`, the same numbers for mock clusters; `located`, one
        row a mock.
    """
    alive = seen.at(~seen.dissolved[:, -1] & np.isfinite(seen.summaries[:, -1]).all(1))
    clusters, truth = mock_catalogue(np.random.default_rng(seed), law, seen, n_mocks)
    located = locate(jax.random.fold_in(key, 1), law, clusters, truth)
    table = worth(key, law, alive)
    return {"worth": table, "mocks": score(located), "located": located}
