"""Clusters in time from a law that is known and has no scale, for the tests of the study `evolution`."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import expit

from natal.data.outcomes import Outcomes
from natal.emulator.network_files import DTYPE
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts

N_STARS = 50
COUNTS = Counts(N_STARS, 0)
TIMES = (50.0, 100.0, 200.0, 400.0)
BOX = ((0.5, 1.5), (50.0, 200.0), (50.0, 400.0))
RANGES = {"q0": BOX[0], "a_au": BOX[1]}
# t a^(-3/2) in the middle of the box, in logarithms
MIDDLE = np.log(140.0) - 1.5 * np.log(100.0)


def parameters(x, xp=np):
    """Means and triangle of (ln sigma_v, ln r_h, z) and log odds to survive at x = (q0, a_au, t_yr)."""
    q0, log_a = x[..., 0], xp.log(x[..., 1])
    tau = xp.log(x[..., 2]) - 1.5 * log_a - MIDDLE
    mean = xp.stack([4.0 - 0.5 * log_a - 0.3 * tau * q0, log_a + 0.4 * tau * q0, 7 * (1.0 - q0) - 0.5 * tau], -1)
    width = 0.06 + 0.1 * q0
    zero = 0 * width
    rows = [[width, zero, zero], [-width, width, zero], [2 * width, zero, 0.4 + zero]]
    return mean, xp.stack([xp.stack(row, -1) for row in rows], -2), 12 * (1.5 - q0)


def true_law(x):
    """The law as natal's mixtures are."""
    mean, factor, odds = parameters(x, jnp)
    return Mixture(jax.nn.log_sigmoid(odds)[None], mean[None], factor[None], COUNTS)


def draw(x, rng):
    """One cluster at each x (row, 3)."""
    mean, factor, odds = parameters(x)
    independent = rng.standard_normal((len(x), 3))
    drawn = mean + np.einsum("nij,nj->ni", factor, independent)
    count = np.clip(np.floor((N_STARS + 1) * expit(drawn[:, 2])), 0, N_STARS)
    survived = rng.random(len(x)) < expit(odds)
    y = np.column_stack([count / N_STARS, np.exp(drawn[:, :2])])
    return Outcomes(x, np.where(survived[:, None], y, np.nan), survived)


def places(n, rng):
    """Points (q0, a_au) uniform in the box, shape (n, 2)."""
    low, high = np.array(BOX[:2]).T
    return low + (high - low) * rng.random((n, 2))


def snapshots(n_points, n_realizations, split, first, rng):
    """Tracks of a campaign, but for times that know nothing of each other."""
    born = np.repeat(places(n_points, rng), n_realizations * len(TIMES), axis=0)
    times = np.tile(TIMES, n_points * n_realizations)
    found = draw(np.column_stack([born, times]), rng)
    f_bound, sigma_v, r_h = found.y.T
    f_bound = np.where(found.survived, f_bound, 0.04)
    return pd.DataFrame(
        {
            "point_id": first + np.repeat(np.arange(n_points), n_realizations * len(TIMES)),
            "q0": born[:, 0],
            "a_au": born[:, 1],
            "realization": np.tile(np.repeat(np.arange(n_realizations), len(TIMES)), n_points),
            "t_yr": times,
            "dissolved": ~found.survived,
            "f_bound": f_bound,
            "n_bound": np.round(f_bound * N_STARS).astype(int),
            "r_h_au": r_h,
            "sigma_v_kms": sigma_v,
            "split": split,
        }
    )


def campaign(seed=0):
    """A whole campaign's tracks."""
    rng = np.random.default_rng(seed)
    parts = [("train", 400, 2), ("validation", 100, 2), ("test", 60, 4), ("calibration", 150, 1)]
    return pd.concat(
        [snapshots(n, m, split, 10_000 * k, rng) for k, (split, n, m) in enumerate(parts)], ignore_index=True
    )


def true_log_scores(found):
    """ln of the true density of outcomes, as `natal.studies.evolution.evaluation.log_scores` has it."""

    def one(x, y, survived):
        law = true_law(x)
        return jnp.where(survived, law.observed().log_prob(y), jnp.log(-jnp.expm1(law.log_weight[0])))

    y = np.where(found.survived[:, None], found.y, [0.5, 1.0, 100.0])
    arrays = jnp.asarray(found.x, DTYPE), jnp.asarray(y, DTYPE), jnp.asarray(found.survived)
    return np.asarray(jax.vmap(one)(*arrays), dtype=float)
