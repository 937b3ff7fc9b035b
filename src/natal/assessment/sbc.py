"""Simulation-based calibration: are posteriors honest for clusters that were drawn from the prior?

Suppose that (Q0, a) come from the prior and the data from the likelihood. Then the posterior probability of any region
with the truth at its edge is uniform over cases. Every check here is one such probability, with a band that honest
posteriors leave with a known probability. The numbers are those of calibration.csv, one row a cluster.

Only clusters that survive can be used. Their prior is prior x P(survive | Q0, a), and all holds as well if the
likelihood has that factor. Without it the laws differ in total variation by the share of dissolved clusters, and no
coverage is wrong by more than that.
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
"""Largest share of honest campaigns in which any check fails (Bonferroni: checks are far from independent)."""

MIN_CASES = 3
"""Fewest cases that can be cut into thirds."""

THINNING = 10
"""NUTS iterations between two draws that are used for ranks; so these are nearly independent."""


def rank_shares(
    key: PRNGKeyArray, truth: Float[np.ndarray, "case birth"], draws: Float[np.ndarray, "case draw birth"]
) -> Float[np.ndarray, "case birth"]:
    """The truth's rank among its posterior draws as a number between 0 and 1: (draws below + u) / (draws + 1).

    u is uniform. So the number is uniform, and not discrete, if truth and draws come from one distribution (Talts et
    al. 2018, arXiv:1804.06788).

    Args:
        key: For u.
        truth: True births.
        draws: Independent draws of each posterior.
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
    """Posterior probability of the disc around a random point that reaches to the truth.

    This is TARP, tests of accuracy with random points (Lemos et al. 2023, arXiv:2302.03026). It is uniform for honest
    posteriors. Unlike marginal ranks it also sees a wrong correlation.

    Args:
        key: For the points, uniform in the prior's box.
        truth: True births.
        draws: Independent draws of each posterior.
        prior_box: The prior's ranges; distances are in units of their widths.
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
    """The sampler's settings with as many iterations as `n_draws` thinned draws of a case take.

    Args:
        settings: The sampler's settings.
        n_draws: Thinned draws that a case shall have, over all chains.
    """
    return settings.model_copy(update={"draws": THINNING * -(-n_draws // settings.chains)})


def posterior_draws(recovered: Recovered, n: int) -> Float[np.ndarray, "case draw birth"]:
    """`n` draws of each case, `THINNING` iterations apart, in equal parts from all chains.

    Args:
        recovered: Posteriors that NUTS has sampled.
        n: Draws of each case; fewer come back if there are fewer.

    Returns:
        Draws of (Q0, a in AU).
    """
    thinned = recovered.nuts.draws[:, :, THINNING - 1 :: THINNING].astype(float)
    # sorted by draw, then chain: the first n come from all chains alike
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
    """One row for each case within the prior's box: its truth, its posterior, and where in it the truth lies.

    mean, sd, contraction, pit, hpd_level, log_density and entropy come from the grid; sbc and tarp from the draws of
    NUTS. log_density and entropy are natural logarithms, per unit Q0 and AU.

    Args:
        key: For ranks and random points.
        point_id: The design point of each case.
        truth: True births.
        recovered: Posteriors.
        truths: Where the truths lie in the grid posteriors.
        draws: Independent draws of the first cases; the others have nan for sbc, tarp and the sampler's health.
        prior_box: The prior's ranges.
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
    """Compare the log score with what the posteriors promise, the mean of minus their entropies; a t test.

    Args:
        log_density: ln of the posterior density at the truth, per unit Q0 and AU.
        entropy: Minus the posterior's mean ln density.
        false_alarm: Probability with which honest posteriors fail.

    Returns:
        `n`; `statistic`, the mean of log_density + entropy, which is 0 for honest posteriors, negative if they are
        overconfident and positive if they are too wide; `band`, its allowed range; `p_value`; `passed`.
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
    """All checks of calibration.csv.

    Honest posteriors fail any of them with a probability of at most `FALSE_ALARM`. `pit` and `coverage` (central
    intervals of one parameter and joint highest-density regions, at all levels) test the likelihood by the grid; `sbc`
    and `tarp` test the sampler, too. Thirds are cut by the posterior mean of Q0. This is a function of the data, so
    honest posteriors are honest within each third; a cut by the truth would not leave them so.

    Args:
        table: The rows of calibration.csv.

    Returns:
        By name of the check: n, statistic, band, p_value, passed (`check_uniform`).
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
    """What metrics.json says of the calibration.

    Args:
        table: The rows of `calibration_table`.
        n_draws: Posterior draws from which each rank is counted.

    Returns:
        Coverage with binomial bands, over all cases and by thirds of the true and the recovered Q0 and a; scores; the
        curve of TARP; all checks with what they would see; and `verdict`, in words what a reader can rely on.
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
        # counts nan as well
        "n_high_rhat": int((~(sampled.rhat <= MAX_RHAT)).sum()),
        "verdicts": judged,
        "failed": [name for name, check in judged.items() if not check["passed"]],
        "false_alarm": FALSE_ALARM,
        "power": POWER,
    }


def binomial_bands(n: int) -> dict[str, list[float]]:
    """Central 95 % range of the coverage of `n` independent honest cases, by level.

    Examples:
        >>> binomial_bands(100)["50"]
        [0.4, 0.6]
    """
    return {f"{100 * level:.0f}": [float(k / n) for k in binomial_range(0.95, n, level)] for level in LEVELS}
