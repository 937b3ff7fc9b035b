"""The report of one uncertainty method on the test runs: errors, honesty of its posteriors, cost."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax import lax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from natal.assessment.accuracy import root_mean_square
from natal.assessment.coverage import LEVELS, calibration_report, contraction, terciles
from natal.assessment.speed import BATCH, seconds_per_call
from natal.assessment.uncertainty.conformal import Calibrated, laws_at, region_shares, run_scores
from natal.data.runs import Runs
from natal.emulator.network_files import DTYPE
from natal.likelihood.kinds import untempered
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import answer_cases, make_grid
from natal.variables import SUMMARIES, Box

N_SAMPLES = 4000
"""Number of draws that represent a law."""


def likelihood_report(
    key: PRNGKeyArray, likelihood: Likelihood, test: Runs, prior_box: Box, grid_shape: tuple[int, int]
) -> dict[str, Any]:
    """Errors and interval coverage of summaries, calibration and size of grid posteriors, seconds per evaluation.

    Args:
        key: For draws from the laws.
        likelihood: The method's.
        test: Runs of the test split.
        prior_box: The uniform prior's ranges.
        grid_shape: Number of cells in Q0 and in a.

    Returns:
        `rmse`, of single runs about the law's mean, in physical units (a law without a mean in closed form has that of
        its draws). `outputs.coverage`, the share of single runs inside intervals between quantiles of draws; a draw
        equal to the run counts as below by chance. `outputs.log_score`, the mean ln of the joint density of the three
        summaries (per km/s and AU), with the probability to survive if the law knows it. `area`, the mean share of the
        box inside the highest-density region of each level. All of `calibration_report`. `evaluation_s`.
    """
    x, y = jnp.asarray(test.x, DTYPE), jnp.asarray(test.y, DTYPE)
    mean, pit, log_density = (np.asarray(v, dtype=float) for v in _predict(key, untempered(likelihood), x, y))
    grid = make_grid(likelihood, prior_box, grid_shape)
    wanted = ("summary", "areas", "truths")
    answers = answer_cases(key, likelihood, grid, y, None, wanted=wanted, levels=LEVELS, truth=x)
    truths = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=float), answers.truths)
    inside = np.isfinite(truths.log_density)
    area, sd = (np.asarray(v, dtype=float)[inside] for v in (answers.areas, answers.summary.sd))
    return {
        "rmse": root_mean_square(mean - test.y),
        "outputs": {
            "coverage": {_percent(level): _by_output((np.abs(pit - 0.5) <= level / 2).mean(0)) for level in LEVELS},
            "log_score": float(log_density.mean()),
        },
        **calibration_report(
            test.x[inside],
            test.point_id[inside],
            truths.pit[inside],
            truths.hpd_level[inside],
            truths.log_density[inside],
            contraction(sd, prior_box),
        ),
        "area": dict(zip(map(_percent, LEVELS), area.mean(0).tolist(), strict=True)),
        "evaluation_s": evaluation_seconds(likelihood, test),
    }


def conformal_report(method: Calibrated, test: Runs, prior_box: Box, grid_shape: tuple[int, int]) -> dict[str, Any]:
    """The same for conformal intervals and for the regions in (Q0, a) that follow from them, which are no densities.

    Args:
        method: A calibrated predictor.
        test: Runs of the test split.
        prior_box: The uniform prior's ranges.
        grid_shape: Number of cells in Q0 and in a.

    Returns:
        As `likelihood_report`, with these differences: `coverage` has only joint regions; `half_width` is the mean half
        width of intervals, in physical units; `empty` is the share of observations that no (Q0, a) explains at a level.
    """
    scores = run_scores(method.predictor, test)
    laws = laws_at(method.predictor, test.x)
    sigma = np.asarray(laws.sigma, dtype=float)
    bounds = {_percent(level): method.bounds(level) for level in LEVELS}
    joint = np.array([method.joint_bound(level) for level in LEVELS])
    grid = make_grid(method.predictor, prior_box, grid_shape)
    shares = np.asarray(region_shares(grid, jnp.asarray(test.y, DTYPE), jnp.asarray(joint, DTYPE)), dtype=float)
    held = scores.max(1)[:, None] <= joint

    def report(cases: np.ndarray) -> dict[str, Any]:
        shares_held, errors = share_and_error(held[cases], test.point_id[cases])
        return {
            "n_cases": len(cases),
            "coverage": {level: {"joint": share} for level, share in zip(bounds, shares_held.tolist(), strict=True)},
            "coverage_se": {level: {"joint": error} for level, error in zip(bounds, errors.tolist(), strict=True)},
        }

    return {
        "rmse": root_mean_square(np.asarray(laws.mean, dtype=float) - test.y),
        "outputs": {
            "coverage": {level: _by_output((scores <= bound).mean(0)) for level, bound in bounds.items()},
            "half_width": {level: _by_output((bound * sigma).mean(0)) for level, bound in bounds.items()},
        },
        **report(np.arange(len(test))),
        "by_q0_tercile": [report(cases) for cases in terciles(test.x[:, 0], test.point_id)],
        "area": dict(zip(bounds, shares.mean(0).tolist(), strict=True)),
        "empty": dict(zip(bounds, (shares == 0).mean(0).tolist(), strict=True)),
        "evaluation_s": evaluation_seconds(method.predictor, test),
    }


def share_and_error(held: Bool[np.ndarray, "case level"], point_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of cases that are inside, with standard errors for cases that depend on others of their point.

    The errors are those of Liang & Zeger (1986), with a point as a cluster of cases.

    Args:
        held: Whether a case is inside, for each level.
        point_id: The design point of each case.
    """
    share = held.mean(0)
    excess = pd.DataFrame(held - share).groupby(point_id).sum().to_numpy()
    return share, np.sqrt((excess**2).sum(0)) / len(held)


def evaluation_seconds(likelihood: Likelihood, test: Runs) -> float:
    """Seconds of a log likelihood with its gradient in (Q0, a), per point in a batch of `speed.BATCH`.

    Args:
        likelihood: The likelihood of a method.
        test: Test runs, which are evaluated.
    """
    chosen = np.arange(BATCH) % len(test)
    x, y = jnp.asarray(test.x[chosen], DTYPE), jnp.asarray(test.y[chosen], DTYPE)

    def log_likelihood(x: Array, y: Array) -> Array:
        log_density: Array = likelihood.conditional(x).observed().log_prob(y)
        return log_density

    return seconds_per_call(jax.jit(jax.vmap(jax.value_and_grad(log_likelihood))), x, y) / BATCH


@eqx.filter_jit
def _predict(
    key: PRNGKeyArray, likelihood: Likelihood, x: Float[Array, "run birth"], y: Float[Array, "run summary"]
) -> tuple[Float[Array, "run summary"], Float[Array, "run summary"], Float[Array, " run"]]:
    """Each run's predicted mean, the share of draws below its value, and the log density of its value."""

    def one(run: tuple[PRNGKeyArray, Array, Array]) -> tuple[Array, Array, Array]:
        key, x, y = run
        key_draws, key_ties = jax.random.split(key)
        law = likelihood.conditional(x).observed()
        draws = law.sample(key_draws, (N_SAMPLES,))
        try:
            mean = law.mean
        except NotImplementedError:
            # a mixture has none in closed form
            mean = draws.mean(0)
        # shares of counted stars are quotients: one that was rounded twice may differ in its last digit
        equal = jnp.abs(draws - y) <= 2 * jnp.finfo(y.dtype).eps * jnp.abs(y)
        # ties are broken by chance: otherwise no interval of a discrete law has the coverage of its level
        share = jax.random.uniform(key_ties, y.shape)
        below = ((draws < y) & ~equal).mean(0) + share * equal.mean(0)
        return mean, below, law.log_prob(y)

    predicted: tuple[Float[Array, "run summary"], Float[Array, "run summary"], Float[Array, " run"]] = lax.map(
        one, (jax.random.split(key, len(x)), x, y)
    )
    return predicted


def _percent(level: float) -> str:
    return f"{100 * level:.0f}"


def _by_output(values: Float[np.ndarray, " summary"]) -> dict[str, float]:
    return dict(zip(SUMMARIES, values.tolist(), strict=True))
