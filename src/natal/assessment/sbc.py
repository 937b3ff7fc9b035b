"""Simulation-based calibration: are posteriors of clusters that were drawn from the prior honest?

If (Q0, a) come from the prior and the data from the likelihood, then the probability that a posterior assigns to any
region with the truth at its edge is uniform over cases. Every check here is one such probability with the band that
honest posteriors leave with a stated probability. Numbers are those of calibration.csv, one row a cluster.

The condition holds for survivors, whose prior is prior x P(survive | Q0, a), if the likelihood carries that factor.
Without it the laws differ in total variation by the share of dissolved clusters, and no coverage by more than that.
"""

from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray
from scipy.special import stdtr, stdtrit

from natal.assessment.coverage import LEVELS, calibration_report, contraction, terciles
from natal.assessment.power import POWER, would_see
from natal.assessment.trust import THIRDS, coverage_by_region, verdict
from natal.assessment.uniformity import binomial_range, check_uniform, ecdf, simultaneous_band
from natal.posterior.flags import MAX_RHAT
from natal.posterior.grid import TruthSummary
from natal.posterior.recovery import Recovered
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, Box

FALSE_ALARM = 0.05
"""Share of honest campaigns of which any check fails, at most (Bonferroni: the checks are far from independent)."""

MIN_CASES = 3
"""Fewer make no thirds."""

THINNING = 10
"""NUTS iterations between two draws that ranks are counted over, so that they are nearly independent."""


def rank_shares(
    key: PRNGKeyArray, truth: Float[np.ndarray, "case birth"], draws: Float[np.ndarray, "case draw birth"]
) -> Float[np.ndarray, "case birth"]:
    """The truth's rank among its posterior draws as a number in (0, 1): (draws below + u) / (draws + 1).

    With u uniform a rank's share is uniform, not discrete, if truth and draws come from one distribution (Talts et
    al. 2018, arXiv:1804.06788).
    """
    below = (draws < truth[:, None]).sum(1)
    shares: np.ndarray = (below + np.asarray(jax.random.uniform(key, truth.shape), float)) / (draws.shape[1] + 1)
    return shares


def tarp_shares(
    key: PRNGKeyArray,
    truth: Float[np.ndarray, "case birth"],
    draws: Float[np.ndarray, "case draw birth"],
    prior_box: Box,
) -> Float[np.ndarray, " case"]:
    """Posterior probability of the disc about a random point that reaches to the truth, by case.

    Tests of accuracy with random points (TARP; Lemos et al. 2023, arXiv:2302.03026): points are uniform in the prior's
    box, distances count in its widths. Uniform for honest posteriors, also where both marginals are right but their
    correlation is not.
    """
    key_point, key_rank = jax.random.split(key)
    low, high = np.array([prior_box[name] for name in BIRTH]).T
    point = np.asarray(jax.random.uniform(key_point, truth.shape), float)
    reach = np.linalg.norm((truth - low) / (high - low) - point, axis=-1)
    distance = np.linalg.norm((draws - low) / (high - low) - point[:, None], axis=-1)
    closer = (distance < reach[:, None]).sum(1)
    shares: np.ndarray = (closer + np.asarray(jax.random.uniform(key_rank, reach.shape), float)) / (draws.shape[1] + 1)
    return shares


def thinned_settings(settings: NutsSettings, n_draws: int) -> NutsSettings:
    """The same sampler with as many iterations as `n_draws` thinned draws from all its chains take."""
    return settings.model_copy(update={"draws": THINNING * -(-n_draws // settings.chains)})


def posterior_draws(recovered: Recovered, n: int) -> Float[np.ndarray, "case draw birth"]:
    """`n` draws of each case, `THINNING` iterations apart, from all chains."""
    thinned = recovered.nuts.draws[:, :, THINNING - 1 :: THINNING].astype(float)
    # draw by draw, so that every chain has its share
    return thinned.swapaxes(1, 2).reshape(len(thinned), -1, len(BIRTH))[:, :n]


def calibration_table(
    key: PRNGKeyArray,
    point_id: np.ndarray,
    truth: Float[np.ndarray, "case birth"],
    recovered: Recovered,
    truths: TruthSummary,
    draws: Float[np.ndarray, "sampled draw birth"],
    prior_box: Box,
) -> pd.DataFrame:
    """One row a case within the prior's box: its truth, its posterior and where in it the truth lies.

    pit, hpd_level, log_density and entropy are the grid's, and so are mean, sd and contraction; sbc and tarp count
    the NUTS draws. Where there are none (`draws` are the first cases') these, R-hat and its like are nan. log_density
    and entropy are natural logarithms, per unit Q0 and AU.
    """
    key_rank, key_tarp = jax.random.split(key)
    summary = recovered.grid_summary
    mean, sd = np.asarray(summary.mean, float), np.asarray(summary.sd, float)
    n, n_sampled = len(truth), len(draws)
    ranks, tarp = (
        rank_shares(key_rank, truth[:n_sampled], draws),
        tarp_shares(key_tarp, truth[:n_sampled], draws, prior_box),
    )
    shrunk = contraction(sd, prior_box)

    def filled(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, np.full(n - n_sampled, np.nan)])

    columns: dict[str, Any] = {"point_id": point_id}
    for k, name in enumerate(BIRTH):
        columns |= {
            f"{name}_true": truth[:, k],
            f"{name}_mean": mean[:, k],
            f"{name}_sd": sd[:, k],
            f"{name}_contraction": shrunk[:, k],
            f"{name}_pit": truths.pit[:, k],
            f"{name}_sbc": filled(ranks[:, k]),
        }
    columns |= {
        "hpd_level": truths.hpd_level,
        "tarp": filled(tarp),
        "log_density": truths.log_density,
        "entropy": np.asarray(summary.entropy, float),
        "rhat": filled(recovered.rhat.max(1)),
        "ess_bulk": filled(recovered.ess_bulk.min(1)),
        "divergences": filled(recovered.nuts.diverging.sum((1, 2))),
    }
    table = pd.DataFrame(columns).astype({"divergences": "Int64"})
    within: pd.DataFrame = table[np.isfinite(table.log_density)].reset_index(drop=True)
    return within


def check_log_score(
    log_density: Float[np.ndarray, " case"], entropy: Float[np.ndarray, " case"], false_alarm: float
) -> dict[str, Any]:
    """Compare the log score with what the posteriors promise, the mean of minus their entropies: a t test.

    The mean of `statistic` = log density at the truth + entropy is 0 for honest posteriors; below it they are
    overconfident, above it too wide.
    """
    surprise = log_density + entropy
    n = len(surprise)
    error = surprise.std(ddof=1) / np.sqrt(n)
    reach = float(-stdtrit(n - 1, false_alarm / 2) * error)
    p_value = float(2 * stdtr(n - 1, -abs(surprise.mean()) / error))
    return {
        "n": n,
        "statistic": float(surprise.mean()),
        "band": [-reach, reach],
        "p_value": p_value,
        "passed": p_value > false_alarm,
    }


def verdicts(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Every check of the rows of calibration.csv: name -> n, statistic, band, p_value, passed (`check_uniform`).

    Honest posteriors fail any of them with a probability of at most `FALSE_ALARM`. `pit` and `coverage` (central
    intervals of one parameter, joint highest-density regions, at all levels) test the likelihood through the grid,
    `sbc` and `tarp` the sampler as well. The thirds are cut by the posterior mean of Q0: being a function of the
    data it leaves honest posteriors honest within each of them, which a cut by the truth does not.
    """
    uniform = {f"pit_{name}": table[f"{name}_pit"] for name in BIRTH}
    uniform |= {f"coverage_{name}": 2 * (table[f"{name}_pit"] - 0.5).abs() for name in BIRTH}
    uniform["coverage_joint"] = table.hpd_level
    groups = terciles(table.q0_mean.to_numpy(), table.point_id.to_numpy())
    for third, cases in zip(THIRDS, groups, strict=False):
        uniform[f"coverage_joint_{third}_q0"] = table.hpd_level.iloc[cases]
    uniform |= {f"sbc_{name}": table[f"{name}_sbc"] for name in BIRTH}
    uniform["tarp"] = table.tarp
    each = FALSE_ALARM / (len(uniform) + 1)
    judged = {name: check_uniform(values.dropna().to_numpy(float), each) for name, values in uniform.items()}
    judged["log_score"] = check_log_score(table.log_density.to_numpy(), table.entropy.to_numpy(), each)
    return judged


def sbc_report(table: pd.DataFrame, n_draws: int) -> dict[str, Any]:
    """What metrics.json says of the calibration: coverage with binomial bands, scores, TARP's curve, verdicts.

    `table` is `calibration_table`'s, `n_draws` the posterior draws behind a rank. Coverage is given over all cases and
    by third of the true Q0, the true a and their posterior means; `verdict` says in words what that allows to rely on.
    """
    truth, sd = ((table[[f"{name}_{what}" for name in BIRTH]].to_numpy()) for what in ("true", "contraction"))
    pit = table[[f"{name}_pit" for name in BIRTH]].to_numpy()
    arrays = truth, table.point_id.to_numpy(), pit, table.hpd_level.to_numpy(), table.log_density.to_numpy(), sd
    numbers = calibration_report(*arrays)
    recovered = table[[f"{name}_mean" for name in BIRTH]].to_numpy()
    by_recovered = calibration_report(recovered, *arrays[1:])
    numbers |= {f"by_recovered_{name}_tercile": by_recovered[f"by_{name}_tercile"] for name in BIRTH}
    thirds = [part for by in ("by", "by_recovered") for name in BIRTH for part in numbers[f"{by}_{name}_tercile"]]
    for part in (numbers, *thirds):
        part["coverage_band"] = binomial_bands(part["n_cases"])
    sampled = table[table.tarp.notna()]
    tarp = sampled.tarp.to_numpy()
    level, band = np.arange(0.05, 1, 0.05), simultaneous_band(len(tarp))
    judged = verdicts(table)
    for name, check in judged.items():
        check |= would_see(name, check["n"], n_draws, FALSE_ALARM / len(judged))
    return numbers | {
        "n_posterior_draws": n_draws,
        "log_score_promised": float(-table.entropy.mean()),
        "tarp": {
            "credibility": level,
            "expected_coverage": ecdf(tarp, level),
            "band": np.column_stack([np.interp(level, band.place, edge) for edge in (band.low, band.high)]),
            "max_deviation": float(np.abs(ecdf(tarp, band.place) - band.place).max()),
        },
        "verdict": verdict(coverage_by_region(recovered, table.hpd_level.to_numpy())),
        "n_sampled": len(sampled),
        "max_rhat": float(sampled.rhat.max()),
        # true, too, where it is not a number
        "n_high_rhat": int((~(sampled.rhat <= MAX_RHAT)).sum()),
        "verdicts": judged,
        "failed": [name for name, check in judged.items() if not check["passed"]],
        "false_alarm": FALSE_ALARM,
        "power": POWER,
    }


def binomial_bands(n: int) -> dict[str, list[float]]:
    """Central 95 % range of the coverage of `n` independent honest cases, by level."""
    return {f"{100 * level:.0f}": [float(k / n) for k in binomial_range(0.95, n, level)] for level in LEVELS}
