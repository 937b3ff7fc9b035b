"""When an answer should not be trusted, and why, in words."""

from collections.abc import Iterator
from typing import Any

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


def reasons_for_doubt(row: Any) -> list[str]:
    """Why the posterior in a row of observed.csv may mean less than it seems, one sentence each."""
    return [str(doubt) for doubt in _doubts(row)]


def _doubts(row: Any) -> Iterator[UserWarning]:
    if row.chi2_best > CHI2_UNEXPLAINED:
        yield UserWarning(
            f"{row.case}: nothing in the prior's box comes near this observation (chi2_best = {row.chi2_best:.3g}, 3 "
            "numbers): its posterior means nothing; check the units, f_bound, sigma_v_kms and r_h_au"
        )
        return
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
