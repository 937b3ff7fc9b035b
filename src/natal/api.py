"""A finished campaign in a notebook: what it predicts for a birth, and the birth of an observed cluster.

Examples:
    >>> from natal.cli.found import campaign_folder
    >>> campaign = load_campaign(campaign_folder("default"))  # comes with natal; your own: "results/<campaign>"
    >>> prediction = campaign.predict(q0=0.9, a_au=100.0)
    >>> prediction[["q0", "a_au", "output", "unit"]]
        q0   a_au       output  unit
    0  0.9  100.0      f_bound     1
    1  0.9  100.0  sigma_v_kms  km/s
    2  0.9  100.0       r_h_au    AU
    >>> answer = campaign.posterior(f_bound=0.8, sigma_v_kms=4.7, r_h_au=480.0, grid_shape=(64, 64))
    >>> f"Q0 from {answer.summary['q0_q02.5']:.1f} to {answer.summary['q0_q97.5']:.1f} (95 %)"
    'Q0 from 0.9 to 1.0 (95 %)'
    >>> answer.draws.shape
    (10000, 2)
"""

from dataclasses import dataclass, replace
from functools import cached_property
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from natal import figures
from natal.emulator.box import refuse_outside
from natal.emulator.ensemble import Ensemble, load_ensemble
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.files.formats import read_json
from natal.likelihood.joint import COUNT, Scale, draw_clusters, log_tau
from natal.likelihood.loading import load_likelihood
from natal.likelihood.protocols import Likelihood
from natal.observables.columns import KNOWN as ALL_COLUMNS
from natal.observables.columns import Column, checked, completed, contradiction, incomplete, understand
from natal.observables.declared import CIRCUMSTANCES, MEASURABLE
from natal.population.inference import PopulationAnswer, answer_population
from natal.posterior.catalogue import Law, answer_catalogue, clusters_table, load_law, refusals
from natal.posterior.flags import reasons_for_doubt
from natal.posterior.grid import QUANTILES
from natal.posterior.observed import answer_on_grid, recover_observed
from natal.settings.inference import NutsSettings
from natal.settings.population import Population
from natal.variables import BIRTH, SUMMARIES, Box, Variables, check_measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENSEMBLE = Path("emulator") / "ensemble.eqx"
"""Within a campaign's folder: the ensemble of networks."""
LIKELIHOOD = Path("emulator") / "likelihood.json"
"""Within a campaign's folder: the fitted likelihood."""
JOINT = Path("emulator") / "joint.eqx"
"""Within a campaign's folder: the law of observables."""

N_DRAWS = 10_000
"""Draws of a posterior on a grid."""

N_REALIZATIONS = 4000
"""Clusters drawn for a prediction: their sd is then known to 1 part in 90, and q02.5 and q97.5 to 0.04 sd."""

# births and summaries are given in the order of their declaration or by name, errors by name only
_GIVEN_BIRTH = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in BIRTH])
_MEASURED = Signature(
    [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in SUMMARIES]
    + [Parameter(name, Parameter.KEYWORD_ONLY, default=0.0) for name in SUMMARIES.errors]
)


@dataclass(frozen=True)
class Answer:
    """The posterior of (Q0, a) for one observed cluster."""

    summary: pd.Series
    """The row of observed.csv: mean, sd and quantiles of each parameter, diagnostics."""
    tree: xr.DataTree
    """As observed.nc: the groups `posterior` (case, chain, draw), `observed_data` and, after NUTS, `sample_stats`."""
    warnings: list[str]
    """Reasons not to trust the answer, in words; empty if there is none."""
    prior_box: Box
    """Range of each birth condition that the prior allows."""

    @property
    def draws(self) -> Float[np.ndarray, "draw birth"]:
        """All draws of (q0 as K/|W|, a_au in AU)."""
        return np.column_stack([self.tree[f"posterior/{name}"].to_numpy().ravel() for name in BIRTH])

    def corner(self, truth: tuple[float, float] | None = None) -> "Figure":
        """Draw a corner plot over the prior's box. Needs matplotlib and corner (`pip install natal[figures]`).

        Args:
            truth: True (q0, a_au) to mark, if it is known.

        Returns:
            The figure.
        """
        known = None if truth is None else np.asarray(truth, float)
        return figures.corner_case(self.draws, known, self.prior_box, str(self.summary["case"]))


@dataclass(frozen=True)
class TrainedCampaign:
    """What a finished campaign knows: its emulator and the likelihood that was chosen for it (`load_campaign`)."""

    folder: Path
    """The campaign's folder."""
    likelihood: Likelihood
    """The law of one cluster's summaries, given its birth."""
    spread_factor: Float[np.ndarray, " summary"]
    """By how much the members' disagreement must be multiplied to be the ensemble's error at held-out points."""

    @property
    def emulator(self) -> Ensemble:
        """The ensemble of networks."""
        return self.likelihood.ensemble

    @cached_property
    def box(self) -> Box:
        """The design box {'q0': (low, high), 'a_au': (low, high)}; q0 is K/|W|, a_au in AU."""
        return dict(zip(BIRTH, self.emulator.box, strict=True))

    @cached_property
    def observables(self) -> Law:
        """The law of all that can be observed.

        Raises:
            NatalError: It was not trained; the line says how to train it.
        """
        path = self.folder / JOINT
        if not path.is_file():
            raise NatalError(f"there is no {path}, the law of observables: snakemake --profile profiles/local {path}")
        return load_law(path)

    def predict(self, *birth: Any, extrapolate: bool = False, seed: int = 0, **by_name: Any) -> pd.DataFrame:
        """What one cluster born with given Q0 and a looks like at the end of the campaign's time, or at a given age.

        With Q0 and a alone, a row is a summary of a surviving cluster. Its columns are mean, sd and quantiles of single
        realizations under the campaign's likelihood, from `N_REALIZATIONS` draws; `members_sd`, the networks'
        disagreement about the mean; and `emulator_sd`, the ensemble's error of the mean. That error is the disagreement
        times a factor measured at held-out points (`natal.emulator.held_out`; 1 if the campaign has no replicates), and
        holds within the box only.

        With an age and a mass as well (`age_myr=2.0, mass_msun=300.0`) a row is an observable of a cluster that may
        have dissolved; `f_bound` then counts the few stars that are left bound.

        Args:
            birth: q0 (K/|W|) and a_au (AU), in this order: numbers or arrays that broadcast.
            extrapolate: Allow points outside the design box, where networks are untested.
            seed: Of the draws.
            by_name: The same by name; age and mass; also in other units by name (`a_pc`) or as astropy's quantities.

        Returns:
            One row for each point and output: `q0`, `a_au`, `output`, `unit` and the columns above.

        Raises:
            NatalError: A point is outside the design box, a number is none, or the age was not simulated: ages count in
                the cluster's own unit of time, sqrt(a^3 / (G M)).
        """
        if set(by_name) - set(BIRTH) or any(hasattr(value, "unit") for value in (*birth, *by_name.values())):
            return self._predict_at_age(dict(zip(BIRTH, birth, strict=False)) | by_name, seed)
        given = {
            name: _numbers(name, values) for name, values in _GIVEN_BIRTH.bind(*birth, **by_name).arguments.items()
        }
        points = np.column_stack([values.ravel() for values in np.broadcast_arrays(*given.values())])
        if not extrapolate:
            refuse_outside(points, self.emulator.box)
        _, spread = self.emulator(points, extrapolate=True)
        drawn = np.asarray(_realizations(jax.random.key(seed), self.likelihood, jnp.asarray(points, DTYPE)), float)
        columns: dict[str, Any] = {name: np.repeat(points[:, k], len(SUMMARIES)) for k, name in enumerate(BIRTH)}
        columns |= {
            "output": SUMMARIES.names * len(points),
            "unit": tuple(SUMMARIES[name].unit for name in SUMMARIES) * len(points),
        }
        columns |= {"mean": drawn.mean(1).ravel(), "sd": drawn.std(1, ddof=1).ravel()}
        columns |= {label: np.quantile(drawn, level, axis=1).ravel() for label, level in QUANTILES.items()}
        members_sd = np.asarray(spread, float)
        columns |= {"emulator_sd": (self.spread_factor * members_sd).ravel(), "members_sd": members_sd.ravel()}
        return pd.DataFrame(columns)

    def _predict_at_age(self, given: dict[str, Any], seed: int) -> pd.DataFrame:
        law = self.observables
        variables = Variables(*BIRTH.values(), *CIRCUMSTANCES.values())
        found = [_in_natals_units(name, value, variables) for name, value in given.items()]
        numbers = {column.variable.name + column.part: values for column, values in found}
        missing = [name for name in variables if name not in numbers]
        if missing:
            raise NatalError(f"predict needs {', '.join(variables)}, but {', '.join(missing)} is missing")
        points = np.column_stack(np.broadcast_arrays(*(numbers[name] for name in variables)))
        rows = []
        for k, (q0, a_au, age_yr, mass_msun) in enumerate(points):
            tau = float(log_tau(age_yr, mass_msun, a_au))
            for name, value, (low, high) in (
                ("q0", q0, law.reach.q0),
                ("ln t sqrt(G M / a^3)", tau, law.reach.log_tau),
            ):
                if not low <= value <= high:
                    raise NatalError(f"{name} = {value:.3g} is outside {low:.3g} to {high:.3g}, what was simulated")
            one = law.ensemble(jnp.asarray([q0, tau], DTYPE))
            laws = jax.tree.map(lambda leaf: jnp.repeat(leaf[..., None], N_REALIZATIONS, axis=-1), one)
            scale = Scale.of(jnp.asarray(a_au, DTYPE), jnp.asarray(mass_msun, DTYPE))
            drawn = draw_clusters(jax.random.fold_in(jax.random.key(seed), k), laws, scale)
            survived = np.asarray(drawn.survived)
            for name in law.names:
                values = np.asarray(drawn.share if name == COUNT else drawn.values[name], float)
                if name in SUMMARIES and name != COUNT:
                    values = values[survived]
                row = dict(zip(variables, points[k], strict=True)) | {"output": name, "unit": MEASURABLE[name].unit}
                row |= {"mean": values.mean(), "sd": values.std(ddof=1)} if len(values) > 1 else {}
                rows.append(row | {q: np.quantile(values, level) for q, level in QUANTILES.items() if len(values)})
        return pd.DataFrame(rows)

    def posterior(
        self,
        *summaries: Any,
        name: str = "observed",
        prior_box: Box | None = None,
        nuts: NutsSettings | None = None,
        grid_shape: tuple[int, int] = (256, 256),
        seed: int = 0,
        **measured: Any,
    ) -> Answer:
        """The posterior of (Q0, a) for one observed cluster.

        The three summaries (docs/explanation/physics.md) are answered by the campaign's likelihood, exactly on a grid.
        Any other set of observables, with age and mass, is answered by the law of observables
        (docs/explanation/observables.md). The prior is uniform.

        Args:
            summaries: Summaries in the order of `natal.variables.SUMMARIES`.
            name: What the cluster is called in the answer.
            prior_box: Range of each birth condition that the prior allows; None: the design box.
            nuts: Sample by NUTS as well, as for observed.csv: half a minute for the same posterior. None: the grid
                alone.
            grid_shape: Points of the grid along q0 and a.
            seed: Of the draws.
            measured: Summaries by name (`r_h_au=450.0`), and their standard deviations (`r_h_au_err=20.0`; 0 if not
                given); or any observables by the names that columns of tables may have (`r_hp_pc=0.3, age_myr=2.0,
                age_myr_err=0.5`), or as astropy's quantities (`r_hp=0.3 * u.pc`).

        Returns:
            Summary, draws, and reasons for doubt.

        Raises:
            NatalError: A number cannot be, or the prior leaves the design box.
        """
        by_name = dict(zip(SUMMARIES, summaries, strict=False)) | measured
        if not set(SUMMARIES) <= set(by_name) <= {*SUMMARIES, *SUMMARIES.errors} or any(
            hasattr(value, "unit") for value in by_name.values()
        ):
            return self._posterior_of_any(by_name, name, prior_box, nuts, seed)
        bound = _MEASURED.bind(*summaries, **measured)
        bound.apply_defaults()
        numbers = {}
        for column, value in bound.arguments.items():
            given = _numbers(column, value)
            if np.ndim(value):
                raise NatalError(f"{column} = {value!r} must be one number")
            numbers[column] = float(given[0])
            try:
                check_measured(column, numbers[column])
            except ValueError as error:
                raise NatalError(f"{column} = {numbers[column]:g} {error}") from error
        if not isinstance(name, str):
            raise NatalError(f"name = {name!r} must be text")
        observed = pd.DataFrame([{"name": name} | numbers])
        prior = prior_box or self.box
        if nuts is None:
            table, tree = answer_on_grid(seed, self.likelihood, prior, observed, grid_shape, N_DRAWS)
        else:
            table, tree = recover_observed(seed, self.likelihood, prior, observed, nuts, grid_shape)
            tree.attrs["virial_convention"] = "K/|W|"
        row = table.iloc[0]
        return Answer(row, tree, reasons_for_doubt(row, prior), prior)

    def _posterior_of_any(
        self, given: dict[str, Any], name: str, prior_box: Box | None, nuts: NutsSettings | None, seed: int
    ) -> Answer:
        law = replace(self.observables, prior=prior_box)
        row = _row_of(name, given)
        clusters = clusters_table([row])
        for said in refusals(law, clusters).values():
            raise NatalError(said)
        table, tree = answer_catalogue(seed, law, clusters, nuts, int(nuts is not None))
        answer = table.iloc[0]
        a_au = float(answer["prior_a_au_low"]), float(answer["prior_a_au_high"])
        prior = {"q0": law.q0, "a_au": a_au}
        return Answer(answer, tree, [said for said in str(answer["remarks"]).split("; ") if said], prior)

    def population(
        self, clusters: pd.DataFrame, *, prior_box: Box | None = None, settings: Population | None = None, seed: int = 0
    ) -> PopulationAnswer:
        """The distribution of births behind some clusters (docs/explanation/population.md).

        Args:
            clusters: A row a cluster: `name`, and any of the observables, their errors and limits, age and mass, under
                the names and in the units of docs/howto/own_clusters.md (`r_hp_pc`, `sigma_los_kms_err`). Missing: NaN.
            prior_box: Box of births, {'q0': (low, high), 'a_au': (low, high)}; None: as for single clusters.
            settings: Selection, hyperprior and sampler; None: the default ones.
            seed: Of the chains.

        Returns:
            `law`, a table of parameters; `clusters`, a table of each cluster alone and in the light of the others;
            `tree`, all draws; `remarks`.

        Raises:
            NatalError: A column or number cannot be, a cluster has no answer, or fewer than three clusters can be used.
        """
        law = replace(self.observables, prior=prior_box)
        if "name" not in clusters or clusters.columns.has_duplicates:
            raise NatalError("clusters must have a column name, and no two columns of one name")
        if clusters.empty:
            raise NatalError("clusters must have rows")
        names = clusters["name"]
        for k in np.flatnonzero(names.isna() | names.duplicated())[:1]:
            raise NatalError(f"clusters, row {k + 1}: name = {names.iloc[k]!r} must be there, and in no row before")
        if prior_box is not None and not all(
            name in prior_box and 0 < prior_box[name][0] < prior_box[name][1] < np.inf for name in BIRTH
        ):
            raise NatalError(f"prior_box = {prior_box!r} must give a range (low, high) of {' and '.join(BIRTH)}")
        rows = []
        for k, record in enumerate(clusters.to_dict("records")):
            given = {str(key): _read(value) for key, value in record.items() if key != "name" and not pd.isna(value)}
            try:
                rows.append(_row_of(str(record["name"]), given))
            except NatalError as error:
                raise NatalError(f"clusters, row {k + 1}: {error}") from error
        table = clusters_table(rows)
        for place, said in refusals(law, table).items():
            raise NatalError(f"clusters, row {place + 1}, {said}")
        return answer_population(seed, law, table, settings or Population())


def _read(value: Any) -> Any:
    """A cell's number: one word in a column makes pandas take all its numbers for words."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def load_campaign(folder: str | Path) -> TrainedCampaign:
    """Load the emulator and the chosen likelihood of a finished campaign.

    Args:
        folder: `results/<campaign>`.

    Returns:
        The campaign, ready to predict and to answer.

    Raises:
        NatalError: The folder or a file of it is missing, or does not fit; the line names it.
    """
    folder = Path(folder)
    ensemble = load_emulator(folder)
    fitted = _present(folder, LIKELIHOOD)
    box = dict(zip(BIRTH, ensemble.box, strict=True))
    try:
        likelihood = load_likelihood(folder / ENSEMBLE, fitted, box)
        spread = read_json(fitted)["members_spread"]
        factor = np.array([float(spread[name]["factor"]) for name in SUMMARIES])
    except (ValueError, KeyError, TypeError) as error:
        raise NatalError(f"{fitted} is not a natal likelihood ({error!r}): run the campaign again") from error
    return TrainedCampaign(folder, likelihood, factor)


def load_emulator(folder: str | Path) -> Ensemble:
    """Load the networks of a finished campaign.

    Args:
        folder: `results/<campaign>`, or the path of an `ensemble.eqx`.

    Returns:
        The ensemble: called with births (point, birth) it returns mean and spread of the summaries, (point, summary)
        each.

    Raises:
        NatalError: The folder or file is missing, or does not fit; the line names it.
    """
    folder = Path(folder)
    return load_ensemble(folder if folder.is_file() else _present(folder, ENSEMBLE))


def _present(folder: Path, part: Path) -> Path:
    if not folder.is_dir():
        others = sorted(path.parents[1].name for path in folder.parent.glob(f"*/{ENSEMBLE}"))
        known = f"; {folder.parent} holds {', '.join(others)}" if others else ""
        raise NatalError(f"there is no folder {folder}{known}: give results/<campaign> of a finished campaign")
    if not (folder / part).is_file():
        raise NatalError(f"{folder} holds no {part}: run the campaign to its end")
    return folder / part


def _row_of(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A row for `clusters_table` from observables by any name and in any unit. Raises `NatalError` naming one."""
    parts: dict[str, dict[str, float]] = {}
    keys: dict[tuple[str, str], str] = {}
    for key, value in given.items():
        column, numbers = _in_natals_units(key, value, ALL_COLUMNS)
        if np.ndim(getattr(value, "value", value)):
            raise NatalError(f"{key} = {value!r} must be one number")
        variable, part = column.variable, column.part
        if other := keys.get((variable.name, part)):
            raise NatalError(f"{other} and {key} give the same: leave one of the two out")
        keys[variable.name, part] = key
        try:
            parts.setdefault(variable.name, {})[part] = checked(variable, part, float(numbers[0]))
        except ValueError as error:
            raise NatalError(f"{key} = {value} {error}") from error
    row: dict[str, Any] = {"name": name}
    for variable_name, found in parts.items():
        if wrong := contradiction(found):
            part, said = wrong
            key = keys[variable_name, part]
            raise NatalError(f"{key} = {given[key]} {said}")
        row |= {variable_name + part: value for part, value in completed(found).items()}
    if missing := incomplete({key: value for key, value in row.items() if key != "name"}):
        variable_name, part, said = missing
        raise NatalError(f"{keys[variable_name, part]}: {said}")
    return row


def _numbers(argument: str, values: Any) -> Float[np.ndarray, "..."]:
    """An argument as an array of at least one dimension. Raises `NatalError` naming it if it holds no numbers."""
    try:
        found = np.atleast_1d(values)
        # text, True and None must not become numbers, and units must not be lost
        if found.dtype.kind in "iuf" and not hasattr(values, "unit"):
            return found.astype(float)
    except (TypeError, ValueError):
        pass
    raise NatalError(f"{argument} = {values!r} must be a number")


def _in_natals_units(key: str, value: Any, known: Variables) -> tuple[Column, Float[np.ndarray, "..."]]:
    """What an argument means, and its numbers. Raises `NatalError` naming it."""
    unit = getattr(value, "unit", None)
    try:
        column = understand(key, None if unit is None else str(unit), known)
    except ValueError as error:
        raise NatalError(f"{key} {error}") from error
    if column is None:
        raise NatalError(f"{key} is not known; known are {', '.join(known)}, in any unit, and their _err and limits")
    numbers = _numbers(key, value if unit is None else value.value)
    return column, column.factor * numbers


@eqx.filter_jit
def _realizations(
    key: PRNGKeyArray, likelihood: Likelihood, x: Float[Array, "point birth"]
) -> Float[Array, "point realization summary"]:
    """Clusters drawn from the likelihood's law at each point."""

    def one(key: PRNGKeyArray, x: Float[Array, " birth"]) -> Float[Array, "realization summary"]:
        drawn: Array = likelihood.conditional(x).observed().sample(key, (N_REALIZATIONS,))
        return drawn

    return jax.vmap(one)(jax.random.split(key, len(x)), x)
