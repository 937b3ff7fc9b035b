"""Births of observed clusters, whatever is known of each: from a table's rows to answers.

The prior is uniform in Q0 and a. If the campaign simulated its own range of a at the cluster's age and mass, that is
the prior's range. Otherwise the range is multiplied by (t / t_end)^(2/3) (M / M_c)^(1/3), where t and M are the
cluster's age and mass, t_end and M_c the campaign's. Two clusters that differ by this factor look the same to gravity.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.joint import COUNT, Measured, Pattern, Scale, draw_clusters, log_tau
from natal.likelihood.joint_network import JointEnsemble, Range, Reach, load_joint
from natal.observables.declared import CIRCUMSTANCES, MEASURABLE
from natal.posterior import circumstances, mixing
from natal.posterior.flags import EDGE_FLAG, EDGE_WIDTH, MAX_RHAT, P_OUTSIDE, PRIOR_SD
from natal.posterior.grid import QUANTILES, total_variation_of_draws
from natal.posterior.joint_grid import JointAnswers, JointCase, JointTable, answer_joint, make_table, prior_predictive_p
from natal.posterior.nuts import NutsResult, sample_potentials
from natal.posterior.recovery import posterior_dataset
from natal.posterior.tables import write_answers
from natal.random import stage_key
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH

CELLS = (48, 48)
"""Cells of the grid in Q0 and in a."""

CELLS_SUMMED = (32, 32)
"""The same if ages or masses are summed over, which makes posteriors wider."""

N_NODES = (8, 6)
"""Number of ages and of masses that are summed over if they are not known exactly."""

N_DRAWS = 2000

STARS_FACTOR = 2.0
"""A remark is made for a cluster with this many times more or fewer stars: the scatter goes as 1 / sqrt(N)."""

WALL = 50.0
"""How steeply ln density falls for NUTS, per unit of ln tau, outside of what was simulated (the grid ends there)."""

MIN_SIMULATED = 0.9
"""Share of the prior, over ages and masses, that must have been simulated for an answer without a remark."""

PARAMETERS = (*BIRTH, *CIRCUMSTANCES)
"""Names of what the posterior's draws hold."""

SUFFIXES = ("", "_err_low", "_err_high", "_lower", "_upper")


@dataclass(frozen=True)
class Law:
    """What a campaign knows of observables.

    Attributes:
        ensemble: Networks of the joint law.
        reach: What was simulated.
        prior: Ranges of the prior for all clusters; None: each cluster has its own (see the module).
    """

    ensemble: JointEnsemble
    reach: Reach
    prior: Mapping[str, Range] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All that may be observed: the share of bound stars, then sizes."""
        return (COUNT, *self.ensemble.latents.sizes)

    @property
    def q0(self) -> Range:
        """The prior's range of Q0."""
        return self.prior["q0"] if self.prior is not None else self.reach.q0

    def sizes(self, pattern: Pattern) -> tuple[str, ...]:
        """Names of a pattern's sizes, in the law's order; the count is no size."""
        return tuple(n for n in self.ensemble.latents.sizes if n in (*pattern.measured, *pattern.limited))

    def table(self, pattern: Pattern, n_q0: int = CELLS[0]) -> JointTable:
        """Laws of a pattern's sizes over the prior's Q0 and all ln tau that were simulated.

        Args:
            pattern: What is known of a cluster.
            n_q0: Number of cells in Q0.
        """
        return make_table(self.ensemble, self.sizes(pattern), self.q0, n_q0, self.reach.log_tau)


def load_law(path: str | Path, prior: Mapping[str, Range] | None = None) -> Law:
    """Load the law of observables that a campaign trained.

    Args:
        path: The file emulator/joint.eqx.
        prior: Ranges of the prior for all clusters; None: as the module says.

    Returns:
        The law.

    Raises:
        NatalError: The file is something else or damaged.
    """
    ensemble, reach, _ = load_joint(path)
    return Law(ensemble, reach, prior)


Row = Mapping[str, Any]
"""A cluster, as a row of `clusters_table`."""


class Group(NamedTuple):
    """Clusters of which the same columns are known.

    Attributes:
        pattern: What is known of them.
        n_nodes: Number of ages and of masses that are summed over.
        rows: Their places in the table.
        cases: Their numbers, leaves with a leading axis.
    """

    pattern: Pattern
    n_nodes: tuple[int, int]
    rows: np.ndarray
    cases: JointCase

    @property
    def cells(self) -> tuple[int, int]:
        """Cells of the grid in Q0 and in a."""
        return CELLS if self.n_nodes == (1, 1) else CELLS_SUMMED


def clusters_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A table with all columns that answers need, from rows that have some of them.

    Args:
        rows: Each has a `name`; it may have `n_stars`, and for each of `MEASURABLE` and `CIRCUMSTANCES` a value, `_err`
            or `_err_low` and `_err_high`, `_lower` and `_upper`, in natal's units.

    Returns:
        One row a cluster. Errors that were not given are 0, all other missing numbers nan.

    Examples:
        >>> table = clusters_table([{"name": "A", "age_yr": 5e6, "age_yr_err": 1e6}])
        >>> table[["age_yr", "age_yr_err_low", "age_yr_err_high", "age_yr_upper"]].to_numpy().tolist()
        [[5000000.0, 1000000.0, 1000000.0, nan]]
    """
    filled = []
    for row in rows:
        whole: dict[str, Any] = {"name": row["name"], "n_stars": row.get("n_stars", np.nan)}
        for name in (*MEASURABLE, *CIRCUMSTANCES):
            value, error = row.get(name, np.nan), row.get(f"{name}_err", 0.0)
            whole |= {name: value}
            whole |= {f"{name}{end}": row.get(f"{name}{end}", error) for end in SUFFIXES[1:3]}
            whole |= {f"{name}{end}": row.get(f"{name}{end}", np.nan) for end in SUFFIXES[3:]}
        filled.append(whole)
    return pd.DataFrame(filled)


def refusals(law: Law, clusters: pd.DataFrame) -> dict[int, str]:
    """Which rows have no answer, and why.

    Args:
        law: What the campaign knows.
        clusters: A table as `clusters_table` makes it.

    Returns:
        By the row's place in the table a sentence, which names the column.
    """
    found: dict[int, str] = {}
    for index, row in enumerate(_rows(clusters)):
        known = [name for name in MEASURABLE if not np.isnan(_known(row, name)).all()]
        usable = [name for name in known if name in law.names]
        if not usable:
            lacking = f"; this campaign does not know {', '.join(known)}" if known else ""
            found[index] = str(NatalError(f"there is no observable among {', '.join(law.names)}{lacking}"))
        elif not np.less(*_prior_a(law, row)):
            low, high = np.exp(law.reach.log_tau)
            said = f"at this age and mass the prior's a has t sqrt(G M / a^3) outside {low:.3g} to {high:.3g}"
            found[index] = str(NatalError(f"column age_yr: {said}, what was simulated"))
    return found


def without_refused(law: Law, clusters: pd.DataFrame, path: str, said: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a table that have answers, and a line for each row that has none.

    Args:
        law: What the campaign knows.
        clusters: The rows that could be read, with the column `row`, their number in the file.
        path: The file's name, for the lines.
        said: Lines of the rows that could not be read.

    Returns:
        The rows with answers, and `said` with a line for each row without.

    Raises:
        NatalError: If no row is left.
    """
    refused = refusals(law, clusters)
    said = said + [f"{path}, row {clusters.row.iloc[k]}, {text}" for k, text in refused.items()]
    left = clusters.drop(index=clusters.index[list(refused)]).reset_index(drop=True)
    if left.empty:
        raise NatalError(f"{said[0]} (none of {len(said)} rows can be answered)" if len(said) > 1 else said[0])
    return left, said


def answer_to_files(
    seed: int,
    law: Law,
    clusters: pd.DataFrame,
    refused: list[str],
    source: str,
    settings: NutsSettings,
    n_nuts: int,
    files: tuple[str | Path, str | Path],
    made_by: Mapping[str, str],
) -> tuple[pd.DataFrame, list[str]]:
    """Answer a table of clusters, but for the rows that have no answer, and write what comes out.

    Args:
        seed: The campaign's.
        law: What the campaign knows.
        clusters: The rows that could be read, with the column `row`, their number in the file.
        refused: Lines of the rows that could not.
        source: The table's file, for lines.
        settings: Of NUTS.
        n_nuts: How many clusters NUTS samples, the first ones.
        files: What to write: observed.csv and observed.nc.
        made_by: What these shall say of their making.

    Returns:
        The rows of observed.csv, and a line for each row that was left out.

    Raises:
        NatalError: No row has an answer.
    """
    left, said = without_refused(law, clusters, source, refused)
    table, tree = answer_catalogue(seed, law, left, settings, n_nuts)
    write_answers(*files, table, tree, {**made_by, "likelihood": "joint"})
    return table, said


def _rows(clusters: pd.DataFrame) -> list[Row]:
    # of ten thousand clusters pandas' own rows would take a minute
    rows: Any = clusters.to_dict("records")
    return list(rows)


def _known(row: Row, name: str) -> np.ndarray:
    return np.array([row[name], row[f"{name}_lower"], row[f"{name}_upper"]], float)


def _middle(row: Row, name: str, own: float) -> float:
    """The age or mass that a prior's range is chosen for: the value, the middle of limits, or the campaign's own."""
    value, lower, upper = _known(row, name)
    if not np.isnan(value):
        return float(value)
    return own if np.isnan([lower, upper]).any() else float(0.5 * (lower + upper))


def _prior_a(law: Law, row: Row) -> Range:
    """The range of a: the module's rule, or what the user gave, cut to what was simulated at this age and mass."""
    reach = law.reach
    age, mass = _middle(row, "age_yr", reach.t_end_yr), _middle(row, "mass_msun", reach.mass_msun)
    at_one = float(log_tau(age, mass, 1.0))
    if law.prior is not None:
        low, high = law.prior["a_au"]
        ends = [np.exp((at_one - end) / 1.5) for end in reversed(reach.log_tau)]
        # an uncertain age may reach more than its middle does: cut only what no age near this one reaches
        return max(low, ends[0] / 1.5), min(high, ends[1] * 1.5)
    low, high = reach.a_au
    ends = np.clip([at_one - 1.5 * np.log(a) for a in (high, low)], *reach.log_tau)
    if ends[1] - ends[0] >= 0.5 * 1.5 * np.log(high / low):
        return low, high
    size = float((age / reach.t_end_yr) ** (2 / 3) * (mass / reach.mass_msun) ** (1 / 3))
    return low * size, high * size


def grouped(law: Law, clusters: pd.DataFrame) -> Iterator[Group]:
    """Groups of clusters of which the same columns are known; each group is one compiled program.

    Args:
        law: What the campaign knows.
        clusters: A row a cluster, as `natal.campaign.catalogues` reads them.

    Returns:
        Groups in the order in which their columns first appear.
    """
    rows = _rows(clusters)
    keys = [_pattern(law, row) for row in rows]
    for pattern, n_nodes in dict.fromkeys(keys):
        places = np.array([k for k, key in enumerate(keys) if key == (pattern, n_nodes)])
        cases = [_case(law, pattern, rows[k]) for k in places]
        yield Group(pattern, n_nodes, places, jax.tree.map(lambda *leaves: np.stack(leaves), *cases))


def _pattern(law: Law, row: Row) -> tuple[Pattern, tuple[int, int]]:
    sizes = law.ensemble.latents.sizes
    measured = tuple(name for name in sizes if not np.isnan(row[name]))
    limited = tuple(n for n in sizes if n not in measured and not np.isnan(_known(row, n)).all())
    errors = [row[f"{name}{end}"] for name in measured for end in SUFFIXES[1:3]]
    count = ""
    if not np.isnan(row[COUNT]):
        count = "measured" if row[f"{COUNT}_err_low"] or row[f"{COUNT}_err_high"] else "exact"
    elif not np.isnan(_known(row, COUNT)).all():
        count = "limited"
    exact = []
    for name in CIRCUMSTANCES:
        value, *errors_of = (row[f"{name}{end}"] for end in SUFFIXES[:3])
        known = np.isnan(_known(row, name)).all() or (not np.isnan(value) and not any(errors_of))
        exact.append(known)
    n_age, n_mass = (1 if known else n for known, n in zip(exact, N_NODES, strict=True))
    return Pattern(measured, limited, count, not any(errors)), (n_age, n_mass)


def _case(law: Law, pattern: Pattern, row: Row) -> JointCase:
    def numbers(names: tuple[str, ...], end: str, missing: float) -> Any:
        return np.nan_to_num(np.array([row[f"{name}{end}"] for name in names], float), nan=missing).astype(DTYPE)

    lower = numbers(pattern.limited, "_lower", -np.inf)
    for k, name in enumerate(pattern.limited):
        # the logarithm of a limit below 0 does not exist
        lower[k] = max(lower[k], 0.0) if MEASURABLE[name].transform != "none" else lower[k]
    if pattern.counted == "limited":
        share, error = (np.nan_to_num(row[f"{COUNT}{end}"], nan=none) for end, none in (("_lower", 0), ("_upper", 1)))
    else:
        share, error = row[COUNT], 0.5 * (row[f"{COUNT}_err_low"] + row[f"{COUNT}_err_high"])
    value, low, high = (numbers(pattern.measured, end, np.nan) for end in SUFFIXES[:3])
    count: list[Any] = [np.asarray(np.nan_to_num(number), DTYPE) for number in (share, error)]
    seen = Measured(value, low, high, lower, numbers(pattern.limited, "_upper", np.inf), *count)
    tables: list[Any] = []
    for name, own in zip(CIRCUMSTANCES, (law.reach.t_end_yr, law.reach.mass_msun), strict=True):
        given = [float(row[f"{name}{end}"]) for end in SUFFIXES]
        if np.isnan(given[0]) and np.isnan(given[3:]).any():
            given = [own, 0.0, 0.0, np.nan, np.nan]
        tables.append(circumstances.quantiles(*given).astype(DTYPE))
    a_au: Any = np.asarray(_prior_a(law, row), DTYPE)
    return JointCase(seen, a_au, *tables)


def answer_catalogue(
    seed: int, law: Law, clusters: pd.DataFrame, settings: NutsSettings | None = None, n_nuts: int = 0
) -> tuple[pd.DataFrame, xr.DataTree]:
    """The posterior of (Q0, a) of every cluster, its age and mass integrated over.

    Args:
        seed: The campaign's seed.
        law: What the campaign knows.
        clusters: A table as `clusters_table` makes it, without rows that `refusals` names.
        settings: Of NUTS; None if no cluster is sampled.
        n_nuts: How many clusters NUTS samples: the first ones. All others are answered on the grid.

    Returns:
        The rows of observed.csv, and the groups posterior and observed_data of observed.nc. Columns: `case`; what was
        observed; mean, sd and quantiles of q0, a_au and `sfe` (0.5 / Q0: the star formation efficiency of a cluster in
        equilibrium that loses its gas at once); mean, sd and quantiles of the age and the mass; the prior's range in a;
        `used`, the observables; `prior_predictive_p`; posterior mass at the prior's edges; `simulated`, the share of
        the prior whose tau was simulated; `remarks`, sentences.
    """
    columns: list[tuple[np.ndarray, pd.DataFrame]] = []
    n_draws = settings.chains * settings.draws if settings is not None and n_nuts else N_DRAWS
    n_chains = settings.chains if settings is not None and n_nuts else 1
    draws = np.empty((len(clusters), n_chains, n_draws // n_chains, len(PARAMETERS)))
    for k, group in enumerate(grouped(law, clusters)):
        table = law.table(group.pattern, group.cells[0])
        key_grid, key_p, key_nuts = jax.random.split(jax.random.fold_in(stage_key(seed, "catalogue"), k), 3)
        sampled = group.rows < n_nuts
        wanted = ("draws", *(["coordinates"] if sampled.any() else []))
        found = answer_joint(
            key_grid, table, group.cases, group.pattern, group.cells[1], group.n_nodes, n_draws=n_draws, wanted=wanted
        )
        p = prior_predictive_p(key_p, table, group.cases, group.pattern)
        part = _answers(found, group, p, law.q0)
        draws[group.rows] = found.draws.reshape(len(group.rows), n_chains, -1, len(PARAMETERS))
        if sampled.any():
            assert settings is not None
            # the first rows of a group
            n = int(sampled.sum())
            cases, coordinates, quarters = _first(n, (group.cases, found.coordinates, found.quarters))
            result = sample_joint(key_nuts, law, cases, coordinates, group.pattern, settings)
            draws[group.rows[:n]] = result.draws
            part = _with_nuts(part, n, result, quarters)
        columns.append((group.rows, part))
    answers = pd.concat([part.set_index(rows) for rows, part in columns]).sort_index()
    observed = clusters.rename(columns={"name": "case"}).drop(columns="row", errors="ignore").reset_index(drop=True)
    # columns that nobody filled are left out
    given = [c for c in observed if c == "case" or (observed[c].fillna(0) != 0).any()]
    whole = pd.concat([observed[given], answers.reset_index(drop=True), _efficiencies(draws[..., 0])], axis=1)
    pairs = zip(_rows(whole), _rows(clusters), strict=True)
    whole["remarks"] = ["; ".join(remarks(law, row, cluster)) for row, cluster in pairs]
    cases = whole["case"].tolist()
    seen = xr.Dataset({c: ("case", observed[c].to_numpy()) for c in given if c != "case"}, coords={"case": cases})
    posterior = posterior_dataset(draws[..., : len(BIRTH)], cases)
    for k, name in list(enumerate(PARAMETERS))[len(BIRTH) :]:
        posterior[name] = ("case", "chain", "draw"), draws[..., k], {"unit": CIRCUMSTANCES[name].unit}
    return whole, xr.DataTree.from_dict({"posterior": posterior, "observed_data": seen})


def _answers(found: JointAnswers, group: Group, p: np.ndarray, q0: Range) -> pd.DataFrame:
    summary = found.summary
    columns: dict[str, Any] = {}
    for k, name in enumerate(BIRTH):
        columns |= {f"{name}_{part}": np.asarray(getattr(summary, part), float)[:, k] for part in ("mean", "sd")}
        quantiles = np.asarray(summary.quantiles, float)[:, k].T
        columns |= {f"{name}_{label}": values for label, values in zip(QUANTILES, quantiles, strict=True)}
    for name, values in (("age_yr", found.age_yr), ("mass_msun", found.mass_msun)):
        labels = ("mean", "sd", "q16", "q50", "q84")
        columns |= {f"{name}_{label}": np.asarray(values, float)[:, k] for k, label in enumerate(labels)}
    edge_mass = np.asarray(summary.edge_mass, float).max(2)
    columns |= {
        "prior_a_au_low": group.cases.a_au[:, 0].astype(float),
        "prior_a_au_high": group.cases.a_au[:, 1].astype(float),
        "used": " ".join(used(group.pattern)),
        "prior_predictive_p": np.asarray(p, float),
        **{f"edge_mass_{name}": edge_mass[:, k] for k, name in enumerate(BIRTH)},
        "at_edge": (edge_mass > EDGE_FLAG).any(1),
        "simulated": np.asarray(found.simulated, float),
        "at_tau_edge": np.asarray(found.at_tau_edge, float).max(1),
        **{f"{name}_contraction": 1 - 12 * columns[f"{name}_sd"] ** 2 / _width(name, group, q0) ** 2 for name in BIRTH},
    }
    return pd.DataFrame(columns)


def _efficiencies(q0: np.ndarray) -> pd.DataFrame:
    """Moments and quantiles of 0.5 / Q0, at most 1, of draws (case, chain, draw)."""
    sfe = np.minimum(0.5 / q0.reshape(len(q0), -1), 1.0)
    columns = {"sfe_mean": sfe.mean(1), "sfe_sd": sfe.std(1, ddof=1)}
    return pd.DataFrame(
        columns | {f"sfe_{label}": np.quantile(sfe, level, axis=1) for label, level in QUANTILES.items()}
    )


def _width(name: str, group: Group, q0: Range) -> Any:
    return q0[1] - q0[0] if name == "q0" else group.cases.a_au[:, 1] - group.cases.a_au[:, 0]


def predicted(seed: int, law: Law, draws: np.ndarray) -> pd.DataFrame:
    """Draw clusters that are born and aged as posterior draws say.

    Args:
        seed: The campaign's seed.
        law: What the campaign knows.
        draws: Q0, a (AU), age (yr) and mass (Msun), shape (draw, 4).

    Returns:
        One row a draw with all observables, in physical units.
    """
    q0, a_au, age, mass = draws.T
    x = jnp.asarray(np.column_stack([q0, np.clip(log_tau(age, mass, a_au), *law.reach.log_tau)]), DTYPE)
    laws = eqx.filter_jit(lambda ensemble, x: jax.vmap(ensemble, out_axes=-1)(x))(law.ensemble, x)
    drawn = draw_clusters(stage_key(seed, "predicted"), laws, Scale.of(*(jnp.asarray(k, DTYPE) for k in (a_au, mass))))
    return pd.DataFrame({COUNT: drawn.share, **drawn.values}).astype(float)


def used(pattern: Pattern) -> list[str]:
    """Names of a pattern's observables."""
    return [*([COUNT] if pattern.counted else []), *pattern.measured, *pattern.limited]


def sample_joint(
    key: PRNGKeyArray, law: Law, cases: JointCase, coordinates: Any, pattern: Pattern, settings: NutsSettings
) -> NutsResult:
    """Sample (Q0, a, age, mass) with NUTS for clusters of one pattern.

    Chains walk in the grid's coordinates of (Q0, a), and for age and mass in the standard normal numbers of
    `natal.posterior.circumstances`.

    Args:
        key: For the chains.
        law: What the campaign knows.
        cases: Numbers of the clusters, leaves with a leading axis.
        coordinates: Coordinates in which each posterior of (Q0, a) is nearly normal, from the grid.
        pattern: What is known of all of them.
        settings: Of the sampler.
    """
    low_tau, high_tau = law.reach.log_tau

    def parameters(case: Any, v: Array) -> tuple[Array, Array, Array]:
        one, along = case
        unconstrained, log_jacobian = along(v[:2])
        share = jax.nn.sigmoid(unconstrained)
        low, high = jnp.stack([jnp.asarray(law.q0, DTYPE), one.a_au]).T
        age, mass = circumstances.at(one.age_yr, v[2]), circumstances.at(one.mass_msun, v[3])
        log_prior = jax.nn.log_sigmoid(unconstrained).sum() + jax.nn.log_sigmoid(-unconstrained).sum()
        return jnp.concatenate([low + (high - low) * share, jnp.stack([age, mass])]), log_jacobian, log_prior

    def potential(case: Any, v: Array) -> Array:
        (birth_q0, a_au, age, mass), log_jacobian, log_prior = parameters(case, v)
        tau = log_tau(age, mass, a_au, log=jnp.log)
        joint = law.ensemble(jnp.stack([birth_q0, jnp.clip(tau, low_tau, high_tau)])).reduced(law.sizes(pattern))
        # a wall around what was simulated
        outside = jnp.maximum(low_tau - tau, 0.0) + jnp.maximum(tau - high_tau, 0.0)
        log_density = joint.log_prob(case[0].seen, pattern, Scale.of(a_au, mass)) - WALL * outside
        energy: Array = -log_density - log_prior - log_jacobian + 0.5 * (v[2:] ** 2).sum()
        return energy

    def physical(case: Any, v: Array) -> Array:
        return parameters(case, v)[0]

    return sample_potentials(key, (cases, coordinates), potential, physical, 4, settings)


def _first(n: int, tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[:n], tree)


def _with_nuts(part: pd.DataFrame, n: int, result: NutsResult, quarters: Any) -> pd.DataFrame:
    """Give the first n clusters the draws' moments and quantiles in place of the grid's, and the sampler's health."""
    chains = np.moveaxis(result.draws[..., :2], 0, 2)
    flat = result.draws.reshape(len(result.draws), -1, 4).astype(float)
    part = part.assign(rhat=np.nan, ess_bulk=np.nan, divergences=np.nan, tv_grid=np.nan)
    place = np.arange(n)
    for k, name in enumerate(PARAMETERS):
        part.loc[place, f"{name}_mean"] = flat[..., k].mean(1)
        part.loc[place, f"{name}_sd"] = flat[..., k].std(1, ddof=1)
        for label, level in QUANTILES.items():
            if f"{name}_{label}" in part:
                part.loc[place, f"{name}_{label}"] = np.quantile(flat[..., k], level, axis=1)
    part.loc[place, "rhat"] = mixing.rhat(chains).max(1)
    part.loc[place, "ess_bulk"] = mixing.ess_bulk(chains).min(1)
    part.loc[place, "divergences"] = result.diverging.sum((1, 2))
    part.loc[place, "tv_grid"] = total_variation_of_draws(quarters, flat[..., :2])
    return part


def remarks(law: Law, row: Row, cluster: Row) -> list[str]:
    """Why an answer may mean less than it seems.

    Args:
        law: What the campaign knows.
        row: The cluster's row of observed.csv.
        cluster: The cluster's row of `clusters_table`.

    Returns:
        One sentence for each reason; empty if there is none.
    """
    return [str(remark) for remark in _remarks(law, row, cluster)]


def _remarks(law: Law, row: Row, cluster: Row) -> Iterator[UserWarning]:
    numbers = [row[f"{name}_{part}"] for name in BIRTH for part in ("mean", "sd", "q50")]
    if not np.isfinite(numbers).all():
        yield UserWarning("not all numbers of the answer are finite: it means nothing")
        return
    if row.get("rhat", 1.0) > MAX_RHAT:
        yield UserWarning(f"the chains did not find the posterior (R-hat = {row['rhat']:.4g}): do not use its draws")
    if row["prior_predictive_p"] < P_OUTSIDE:
        yield UserWarning(
            f"unlike anything that the campaign makes at this age and mass (prior predictive p = "
            f"{row['prior_predictive_p']:.3f}): check units and membership, do not trust the answer without a reason"
        )
    left = {name: np.sqrt(1 - min(row[f"{name}_contraction"], 1.0)) for name in BIRTH}
    prior_like = [name for name, share in left.items() if share > PRIOR_SD]
    if prior_like:
        said = " and ".join(f"{name} (sd {100 * left[name]:.0f} % of the prior's)" for name in prior_like)
        yield UserWarning(f"nearly the prior in {said}: little follows from {row['used'].replace(' ', ', ')} alone")
    if row["at_edge"]:
        yield UserWarning(
            f"cut by the prior's box ({100 * row['edge_mass_q0']:.0f} % of it within {100 * EDGE_WIDTH:g} % of an edge "
            f"in Q0, {100 * row['edge_mass_a_au']:.0f} % in a): a limit"
        )
    if row["simulated"] < MIN_SIMULATED or row["at_tau_edge"] > EDGE_FLAG:
        low, high = np.exp(law.reach.log_tau)
        yield UserWarning(
            f"at the edge of what was simulated (t sqrt(G M / a^3) from {low:.3g} to {high:.3g}): "
            f"{100 * row['simulated']:.0f} % of the prior's sizes, ages and masses are within"
        )
    own = law.ensemble.latents.counts.n_stars
    if not np.isnan(stars := cluster["n_stars"]) and not own / STARS_FACTOR <= stars <= own * STARS_FACTOR:
        yield UserWarning(
            f"{stars:g} stars, where the campaign's clusters have {own}: widths of its laws go as 1 / sqrt(N)"
        )
    unknown = [name for name in MEASURABLE if name not in law.names and not np.isnan(_known(cluster, name)).all()]
    if unknown:
        yield UserWarning(f"{', '.join(unknown)} not used: this campaign's stars have one mass")
