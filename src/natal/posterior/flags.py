"""When an answer should not be trusted, and why, in words."""

import math
from collections.abc import Iterator
from typing import Any

from natal.variables import BIRTH, Box

CHI2_UNEXPLAINED = 16.0
"""Squared distance from every law of the prior's box beyond which an observation counts as unexplained (4 sigma)."""

P_OUTSIDE = 0.01
"""p-value below which an observation counts as outside the prior predictive: one in a hundred that is not."""

EDGE_WIDTH = 0.02
"""How near to an edge of the prior's box posterior mass counts as at the edge, in widths of the box."""

EDGE_FLAG = 5 * EDGE_WIDTH
"""Posterior mass at one edge above which a case is flagged: five times that of a posterior which is the prior."""

MAX_RHAT = 1.02
"""R-hat above which a case counts as not converged."""

DIAGNOSTICS = ("rhat", "ess_bulk", "divergences", "tv_grid")
"""Columns of the sampler's health: empty for a cluster that was answered from the grid alone."""

PRIOR_SD = 0.95
"""Standard deviation of every parameter, in units of its prior's, above which a posterior counts as the prior."""


def reasons_for_doubt(row: Any, prior_box: Box) -> list[str]:
    """Why the posterior in a row of observed.csv may mean less than it seems, one sentence each."""
    return [str(doubt) for doubt in _doubts(row, prior_box)]


def _width(limits: tuple[float, float]) -> float:
    return limits[1] - limits[0]


def _doubts(row: Any, prior_box: Box) -> Iterator[UserWarning]:
    if row.chi2_best > CHI2_UNEXPLAINED:
        yield UserWarning(
            f"{row.case}: nothing in the prior's box comes near this observation (chi2_best = {row.chi2_best:.3g}, 3 "
            "numbers): its posterior means nothing; check the units, f_bound, sigma_v_kms and r_h_au"
        )
        return
    values = row._asdict() if hasattr(row, "_asdict") else dict(row)
    # the grid's answer has no chains
    unasked = DIAGNOSTICS if math.isnan(values.get("ess_bulk", math.nan)) else ()
    if any(isinstance(v, float) and not math.isfinite(v) for name, v in values.items() if name not in unasked):
        yield UserWarning(f"{row.case}: not all numbers of the answer are finite: it means nothing")
        return
    if (rhat := values.get("rhat", 1.0)) > MAX_RHAT:
        yield UserWarning(
            f"{row.case}: the chains did not find the posterior (R-hat = {rhat:.4g}, at most {MAX_RHAT:g} is allowed): "
            "do not use its draws, mean and quantiles"
        )
    # a uniform prior's is its width over the root of 12
    shares = {name: getattr(row, f"{name}_sd") * math.sqrt(12) / _width(prior_box[name]) for name in BIRTH}
    if min(shares.values()) > PRIOR_SD:
        said = " and ".join(f"{100 * share:.0f} % in {name}" for name, share in shares.items())
        yield UserWarning(
            f"{row.case}: the answer is the prior (standard deviations are {said} of the prior's): with such errors "
            "the observation says nothing about its birth"
        )
    if row.mahalanobis_p < P_OUTSIDE:
        yield UserWarning(
            f"{row.case}: outside the prior predictive (Mahalanobis p = {row.mahalanobis_p:.3f}): of clusters drawn "
            "from the prior this share is as far from its nearest (Q0, a); do not trust its posterior without a reason "
            "for that"
        )
    if row.at_edge:
        yield UserWarning(
            f"{row.case}: the posterior is cut by the prior's box ({100 * row.edge_mass_q0:.1f} % of it within "
            f"{100 * EDGE_WIDTH:g} % of an edge in Q0, {100 * row.edge_mass_a_au:.1f} % in a): the answer is a limit"
        )
