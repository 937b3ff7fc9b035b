"""Section `checks`: posteriors against the simulator itself."""

from typing import Annotated

from pydantic import Field

from natal.settings.base import Listed, Section
from natal.settings.mistakes import Allowed

GridPoints = Annotated[int, Field(ge=4, le=300)]


class BruteForce(Section):
    """Posteriors without an emulator."""

    cases: Annotated[int, Field(ge=0)]
    """test clusters whose posterior is also computed without an emulator
    (`docs/explanation/simulator_checks.md`); 0: no such check"""
    grid: Annotated[tuple[GridPoints, GridPoints], Listed, Allowed(text="{}, points in q0 and a")]
    """points of a grid over the prior's range"""
    realizations: Annotated[int, Field(ge=2), Allowed(text="{}, as runs are halved")]
    """clusters simulated at each of these points"""


class PosteriorPredictive(Section):
    """Clusters born as the posteriors say."""

    cases: Annotated[int, Field(ge=0, le=100_000)]
    """test clusters with this check; 0: no such check"""
    draws: Annotated[int, Field(ge=20)]
    """posterior draws simulated for each of them"""


class Trust(Section):
    """How far posteriors can be trusted."""

    draws: Annotated[int, Field(ge=30, le=100_000)]
    """fresh clusters drawn from the prior that the target check_trust simulates; nothing else waits for it"""


class Numerical(Section):
    """What step and softening do."""

    draws: Annotated[int, Field(ge=30, le=100_000)]
    """fresh clusters that the target numerical follows with the campaign's step and softening and with half of them;
    nothing else waits for it"""


class Checks(Section):
    """Checks against the simulator: at test clusters at even steps through Q0 and, on demand, at fresh clusters."""

    brute_force: BruteForce
    posterior_predictive: PosteriorPredictive
    trust: Trust
    numerical: Numerical
