"""Section `resources`: what a simulate job may take."""

from natal.settings.base import Count, Positive, Section


class Resources(Section):
    """Memory, time."""

    max_memory_gb: Positive
    """GB (1e9 bytes) that a simulate job may use; a job that needs more says so before it starts, and what to lower"""
    gint_per_s: Positive | None
    """speed of a simulate job, 1e9 pair interactions a second, from which its time limit on a cluster follows; `null`:
    the lowest that this campaign's finished shards reached"""
    max_runtime_min: Count
    """the longest time limit to ask for, your queue's for instance. A job that is cut goes on from its last snapshot"""
