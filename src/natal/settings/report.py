"""Section `report`."""

from natal.settings.base import Count, Section


class Report(Section):
    """What the report shows."""

    corner_cases: Count
    """test cases shown with a corner plot"""
