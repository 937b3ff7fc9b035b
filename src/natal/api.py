"""A finished campaign in a notebook: what it predicts for a birth, and the birth of an observed cluster.

>>> campaign = load_campaign("results/default")  # doctest: +SKIP
>>> campaign.predict(q0=0.9, a_au=100.0)  # doctest: +SKIP
>>> campaign.posterior(f_bound=0.8, sigma_v_kms=4.7, r_h_au=480.0).summary  # doctest: +SKIP
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
from natal.likelihood.joint_network import load_joint
from natal.likelihood.loading import load_likelihood
from natal.likelihood.protocols import Likelihood
from natal.observables.columns import KNOWN as ALL_COLUMNS
from natal.observables.columns import understand
from natal.observables.declared import CIRCUMSTANCES, MEASURABLE
from natal.population.inference import PopulationAnswer, answer_population
from natal.posterior.catalogue import Law, answer_catalogue, clusters_table, refusals
from natal.posterior.flags import reasons_for_doubt
from natal.posterior.grid import QUANTILES
from natal.posterior.observed import answer_on_grid, recover_observed
from natal.settings.inference import NutsSettings
from natal.settings.population import Population
from natal.variables import BIRTH, SUMMARIES, Box, Variables, check_measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENSEMBLE = Path("emulator") / "ensemble.eqx"
LIKELIHOOD = Path("emulator") / "likelihood.json"
JOINT = Path("emulator") / "joint.eqx"

N_DRAWS = 10_000
"""Draws of a grid posterior."""

N_REALIZATIONS = 4000
"""Clusters drawn at a point for a prediction: its sd is known to 1 in 90, q02.5 and q97.5 to 0.04 sd."""

# what is given in the order of the declaration or by name; errors by name only
_GIVEN_BIRTH = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in BIRTH])
_MEASURED = Signature(
    [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in SUMMARIES]
    + [Parameter(name, Parameter.KEYWORD_ONLY, default=0.0) for name in SUMMARIES.errors]
)


@dataclass(frozen=True)
class Answer:
    """The posterior of (Q0, a) for one observed cluster."""

    summary: pd.Series  # the row of observed.csv: mean, sd and quantiles of each parameter, diagnostics
    tree: xr.DataTree  # as observed.nc: posterior (case, chain, draw), observed_data, with NUTS sample_stats
    warnings: list[str]  # why not to trust it, in words; empty if there is no reason
    prior_box: Box

    @property
    def draws(self) -> Float[np.ndarray, "draw birth"]:
        """All draws of (q0, a_au)."""
        return np.column_stack([self.tree[f"posterior/{name}"].to_numpy().ravel() for name in BIRTH])

    def corner(self, truth: tuple[float, float] | None = None) -> "Figure":
        """Corner plot over the prior's box, with the true (q0, a_au) if it is known; matplotlib draws it."""
        known = None if truth is None else np.asarray(truth, float)
        return figures.corner_case(self.draws, known, self.prior_box, str(self.summary["case"]))


@dataclass(frozen=True)
class TrainedCampaign:
    """What a finished campaign knows: its emulator and the likelihood that was chosen for it."""

    folder: Path
    likelihood: Likelihood
    spread_factor: Float[np.ndarray, " summary"]  # held-out error over the members' spread

    @property
    def emulator(self) -> Ensemble:
        """The ensemble of networks."""
        return self.likelihood.ensemble

    @cached_property
    def box(self) -> Box:
        """The design box {'q0': (low, high), 'a_au': (low, high)}, q0 as K/|W|."""
        return dict(zip(BIRTH, self.emulator.box, strict=True))

    @cached_property
    def observables(self) -> Law:
        """The law of all that can be observed. Raises `NatalError` if it was not trained."""
        path = self.folder / JOINT
        if not path.is_file():
            raise NatalError(f"there is no {path}, the law of observables: snakemake --profile profiles/local {path}")
        ensemble, reach, _ = load_joint(path)
        return Law(ensemble, reach)

    def predict(self, *birth: Any, extrapolate: bool = False, seed: int = 0, **by_name: Any) -> pd.DataFrame:
        """What one surviving cluster born with Q0 = K/|W| and scale radius a looks like: one row an output.

        With an age and a mass (`age_myr=2.0, mass_msun=300.0`, in any unit by name or as a Quantity; a by `a_pc`, too)
        the outputs are all that can be observed, of a cluster that may have dissolved (f_bound then counts the few
        stars that are left). Raises `NatalError` for a time in the cluster's own units that was not simulated.

        `q0` and `a_au`, by name or in this order: scalars or arrays that broadcast. Columns: q0, a_au, output, unit;
        mean, sd and quantiles of single realizations under the campaign's likelihood, from `N_REALIZATIONS` draws;
        members_sd, the networks' disagreement about the mean; emulator_sd, the ensemble's error of the mean, which is
        that disagreement times the factor that held-out points ask for (`natal.emulator.held_out`; 1 if the campaign
        has no replicates, and within the box only). Raises `NatalError` for a point outside the design box unless
        `extrapolate`.
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
        numbers = dict(_in_natals_units(name, value, variables) for name, value in given.items())
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
        """The posterior of (Q0, a) for one observed cluster, exact on a grid; with `nuts`, as observed.csv has it.

        The summaries are those of docs/physics.md, by name (`r_h_au=450.0`) or in the order of
        `natal.variables.SUMMARIES`; `r_h_au_err` and its like are their standard deviations. Any other set of
        observables, with age and mass, is answered by the law of observables (docs/observables.md): by the names that
        columns of tables may have (`r_hp_pc=0.3, age_myr=2.0, age_myr_err=0.5`), or as astropy's quantities (`r_hp=0.3
        * u.pc`). The prior is uniform on
        `prior_box` (default: the design box). NUTS takes half a minute and shows the same posterior. Raises
        `NatalError` for an impossible number or a prior that leaves the design box.
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
        """The distribution of births behind some clusters (docs/population.md).

        Args:
            clusters: A row a cluster: `name`, and any of the observables, their errors and limits, age and mass, under
                the names and in the units of docs/catalogues.md (`r_hp_pc`, `sigma_los_kms_err`). Missing: NaN.
            prior_box: Box of births, {'q0': (low, high), 'a_au': (low, high)}; None: as for single clusters.
            settings: Selection, hyperprior and sampler; None: the default ones.
            seed: Of the chains.

        Returns:
            `law`, a table of parameters; `clusters`, one of all clusters alone and in the light of the others; `tree`,
            all draws; `remarks`.

        Raises:
            NatalError: For a column or number that cannot be, a cluster without an answer, or fewer than three that can
                be used.
        """
        law = replace(self.observables, prior=prior_box)
        if "name" not in clusters or clusters.columns.has_duplicates:
            raise NatalError("clusters must have a column name, and no two columns of one name")
        if clusters.empty or clusters["name"].isna().any() or clusters["name"].duplicated().any():
            raise NatalError("clusters must have rows with a name each, no two the same")
        if prior_box is not None and not all(
            name in prior_box and 0 < prior_box[name][0] < prior_box[name][1] < np.inf for name in BIRTH
        ):
            raise NatalError(f"prior_box = {prior_box!r} must give a range (low, high) of {' and '.join(BIRTH)}")
        rows = []
        for k, record in enumerate(clusters.to_dict("records")):
            given = {str(key): value for key, value in record.items() if key != "name" and not pd.isna(value)}
            try:
                rows.append(_row_of(str(record["name"]), given))
            except NatalError as error:
                raise NatalError(f"clusters, row {k + 1}: {error}") from error
        table = clusters_table(rows)
        for place, said in refusals(law, table).items():
            raise NatalError(f"clusters, row {place + 1}, {said}")
        return answer_population(seed, law, table, settings or Population())


def load_campaign(folder: str | Path) -> TrainedCampaign:
    """Load the emulator and the chosen likelihood from `results/<campaign>`.

    Raises `NatalError` naming the folder or file that is missing or does not fit.
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
    """Load the emulator of `results/<campaign>`, or an `ensemble.eqx` by its path.

    Raises `NatalError` naming the folder or file that is missing or does not fit.
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
    row: dict[str, Any] = {"name": name}
    for key, value in given.items():
        column, numbers = _in_natals_units(key, value, ALL_COLUMNS)
        if np.ndim(getattr(value, "value", value)):
            raise NatalError(f"{key} = {value!r} must be one number")
        variable = next(known for known in (*MEASURABLE, *CIRCUMSTANCES, "n_stars") if column.startswith(known))
        try:
            if "_err" in column and numbers[0] < 0:
                raise ValueError("must not be negative")
            if "_err" not in column and variable != "n_stars":
                ALL_COLUMNS[variable].check_measured(float(numbers[0]))
        except ValueError as error:
            raise NatalError(f"{key} = {value} {error}") from error
        row[column] = float(numbers[0])
    return row


def _numbers(argument: str, values: Any) -> Float[np.ndarray, "..."]:
    """An argument as an array of one dimension at least; raises `NatalError` naming it if it holds no numbers."""
    try:
        found = np.atleast_1d(values)
        # text, true and None would become numbers; units would be lost
        if found.dtype.kind in "iuf" and not hasattr(values, "unit"):
            return found.astype(float)
    except (TypeError, ValueError):
        pass
    raise NatalError(f"{argument} = {values!r} must be a number")


def _in_natals_units(key: str, value: Any, known: Variables) -> tuple[str, Float[np.ndarray, "..."]]:
    """An argument's variable with its part (`_err` and so on), and its numbers. Raises `NatalError` naming it."""
    unit = getattr(value, "unit", None)
    try:
        column = understand(key, None if unit is None else str(unit), known)
    except ValueError as error:
        raise NatalError(f"{key} {error}") from error
    if column is None:
        raise NatalError(f"{key} is not known; known are {', '.join(known)}, in any unit, and their _err and limits")
    numbers = _numbers(key, value if unit is None else value.value)
    return column.variable.name + column.part, column.factor * numbers


@eqx.filter_jit
def _realizations(
    key: PRNGKeyArray, likelihood: Likelihood, x: Float[Array, "point birth"]
) -> Float[Array, "point realization summary"]:
    """Clusters drawn from the likelihood's law at each point."""

    def one(key: PRNGKeyArray, x: Float[Array, " birth"]) -> Float[Array, "realization summary"]:
        drawn: Array = likelihood.conditional(x).observed().sample(key, (N_REALIZATIONS,))
        return drawn

    return jax.vmap(one)(jax.random.split(key, len(x)), x)
