"""When an answer should not be trusted, and the sentences that say so."""

import math
from collections.abc import Iterator
from typing import Any

from natal.variables import BIRTH, Box

CHI2_UNEXPLAINED = 16.0
"""An observation farther than this from every law of the prior's box is unexplained: a squared distance (4 sigma)."""

P_OUTSIDE = 0.01
"""p-value below which an observation is outside the prior predictive. One in a hundred clusters of the prior is."""

EDGE_WIDTH = 0.02
"""Posterior mass this near to an edge of the prior's box is at the edge; in widths of the box."""

EDGE_FLAG = 5 * EDGE_WIDTH
"""A case is flagged if it has more posterior mass than this at one edge: five times the mass of a flat posterior."""

MAX_RHAT = 1.02
"""R-hat above which chains have not converged."""

DIAGNOSTICS = ("rhat", "ess_bulk", "divergences", "tv_grid")
"""Columns of the sampler's health; empty for a cluster that was answered on the grid."""

PRIOR_SD = 0.95
"""A posterior is no more than the prior if every standard deviation is above this share of the prior's."""


def reasons_for_doubt(row: Any, prior_box: Box) -> list[str]:
    """Why a posterior may mean less than it seems.

    Args:
        row: A row of observed.csv.
        prior_box: The uniform prior's ranges.

    Returns:
        One sentence for each reason; empty if there is none.

    Examples:
        >>> from types import SimpleNamespace
        >>> row = SimpleNamespace(case="A", chi2_best=25.0)
        >>> reasons_for_doubt(row, {})[0][:54]
        "A: nothing in the prior's box comes near this observat"
    """
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
    # an answer on the grid has no chains
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
            "from the prior only this share is as far from its nearest (Q0, a); do not trust its posterior unless you "
            "know a reason"
        )
    if row.at_edge:
        yield UserWarning(
            f"{row.case}: the posterior is cut by the prior's box ({100 * row.edge_mass_q0:.1f} % of it within "
            f"{100 * EDGE_WIDTH:g} % of an edge in Q0, {100 * row.edge_mass_a_au:.1f} % in a): the answer is a limit"
        )
