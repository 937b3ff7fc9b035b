"""The user's own clusters: a table of the campaign's three summaries alone, or one of anything else that is seen."""

from functools import cache
from typing import Any, NamedTuple

from natal.campaign.tables import has_summaries_alone, read_observations


class OwnClusters(NamedTuple):
    """Rows of a table, and which law answers them."""

    is_catalogue: bool
    """Whether the joint law of observables answers them, rather than the campaign's likelihood."""
    rows: list[dict[str, Any]]
    """A mapping from columns to values for each cluster."""


@cache
def read_own_clusters(path: str) -> OwnClusters:
    """Read a table; once in a process.

    Args:
        path: The file.

    Returns:
        Its clusters.

    Raises:
        NatalError: As `read_observations` or `read_catalogue`, whichever reads such a table.
    """
    if has_summaries_alone(path):
        return OwnClusters(False, read_observations(path))
    # astropy takes a second to start
    from natal.campaign.catalogues import read_catalogue

    clusters = read_catalogue(path).clusters
    rows: Any = clusters.astype(object).where(clusters.notna(), None).to_dict("records")
    return OwnClusters(True, rows)
