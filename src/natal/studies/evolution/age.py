"""What is known about a cluster's age before it is observed: a range, and in it perhaps a normal law."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpyro.distributions as dist
from scipy.stats import truncnorm, uniform

from natal.errors import NatalError
from natal.studies.evolution.tracks import Range


@dataclass(frozen=True)
class AgePrior:
    """Uniform in `range_yr`, or with `mean_yr` and `sigma_yr` normal and cut to it."""

    range_yr: Range
    mean_yr: float | None = None
    sigma_yr: float | None = None

    def distribution(self) -> dist.Distribution:
        """The prior as NumPyro takes it."""
        low, high = self.range_yr
        if self.mean_yr is None or self.sigma_yr is None:
            return dist.Uniform(low, high)
        return dist.TruncatedNormal(self.mean_yr, self.sigma_yr, low=low, high=high)

    def mass(self, edges_yr: np.ndarray) -> np.ndarray:
        """Probability of each cell between `edges_yr` (cell + 1,), which span the range."""
        return np.diff(self._law().cdf(edges_yr))

    def sd_yr(self) -> float:
        """Its standard deviation."""
        return float(self._law().std())

    def _law(self) -> Any:
        low, high = self.range_yr
        if self.mean_yr is None or self.sigma_yr is None:
            return uniform(low, high - low)
        ends = ((end - self.mean_yr) / self.sigma_yr for end in self.range_yr)
        return truncnorm(*ends, loc=self.mean_yr, scale=self.sigma_yr)


def read_age_prior(name: str, section: dict[str, Any], stored: Range) -> AgePrior:
    """One entry of the config's `age_priors`.

    Raises `NatalError` if the range leaves the stored times, is reversed, or mean and sigma do not come together.
    """
    low, high = section["range_yr"]
    if not stored[0] <= low < high <= stored[1]:
        raise NatalError(
            f"config: age_priors.{name}.range_yr = [{low}, {high}] is not allowed: two times, the lower first, within "
            f"those that the campaign kept, [{stored[0]:g}, {stored[1]:g}] yr"
        )
    if (section["mean_yr"] is None) != (section["sigma_yr"] is None):
        raise NatalError(f"config: age_priors.{name}: mean_yr and sigma_yr must both be numbers, or both null")
    return AgePrior((float(low), float(high)), section["mean_yr"], section["sigma_yr"])


def draw_ages(prior: AgePrior, times_yr: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` of the stored times as ages from the prior, shape (n,): each stands for what is nearest to it.

    A range that ends half-way between stored times keeps ages off its ends, where no draw from the prior would be.
    """
    low, high = prior.range_yr
    inside = times_yr[(times_yr >= low) & (times_yr <= high)]
    edges = np.concatenate([[low], (inside[1:] + inside[:-1]) / 2, [high]])
    mass = prior.mass(edges)
    return rng.choice(inside, n, p=mass / mass.sum())
