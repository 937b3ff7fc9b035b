"""What is known of a cluster's age before it is observed: a range, and perhaps a normal law within it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpyro.distributions as dist
from scipy.stats import truncnorm, uniform

from natal.errors import NatalError
from natal.studies.evolution.tracks import Range


@dataclass(frozen=True)
class AgePrior:
    """A prior of the age: uniform in a range, or normal and cut to the range.

    Attributes:
        range_yr: Lowest and highest age.
        mean_yr: Mean of the normal law; None: uniform.
        sigma_yr: Its standard deviation; None: uniform.
    """

    range_yr: Range
    mean_yr: float | None = None
    sigma_yr: float | None = None

    def distribution(self) -> dist.Distribution:
        """The prior as a NumPyro distribution."""
        low, high = self.range_yr
        if self.mean_yr is None or self.sigma_yr is None:
            return dist.Uniform(low, high)
        return dist.TruncatedNormal(self.mean_yr, self.sigma_yr, low=low, high=high)

    def mass(self, edges_yr: np.ndarray) -> np.ndarray:
        """Probability of each cell.

        Args:
            edges_yr: Edges of the cells, which span the range, shape (cell + 1,).

        Examples:
            >>> AgePrior((1e6, 5e6)).mass(np.array([1e6, 2e6, 5e6])).tolist()
            [0.25, 0.75]
        """
        return np.diff(self._law().cdf(edges_yr))

    def sd_yr(self) -> float:
        """Standard deviation of the prior."""
        return float(self._law().std())

    def _law(self) -> Any:
        low, high = self.range_yr
        if self.mean_yr is None or self.sigma_yr is None:
            return uniform(low, high - low)
        ends = ((end - self.mean_yr) / self.sigma_yr for end in self.range_yr)
        return truncnorm(*ends, loc=self.mean_yr, scale=self.sigma_yr)


def read_age_prior(name: str, section: dict[str, Any], stored: Range) -> AgePrior:
    """One entry of the configuration's `age_priors`.

    Args:
        name: Of the entry.
        section: The entry.
        stored: The range of stored times.

    Raises:
        NatalError: If the range is not within the stored times or is reversed, or if only one of mean and sigma is
            given.
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
    """Draw ages from the prior, each of them a stored time.

    Each stored time stands for all ages to which it is nearest. If a range ends half-way between stored times, no age
    is at its end, where a draw from the prior would not be either.

    Args:
        prior: The prior.
        times_yr: The stored times.
        n: How many ages.
        rng: For the draws.
    """
    low, high = prior.range_yr
    inside = times_yr[(times_yr >= low) & (times_yr <= high)]
    edges = np.concatenate([[low], (inside[1:] + inside[:-1]) / 2, [high]])
    mass = prior.mass(edges)
    return rng.choice(inside, n, p=mass / mass.sum())
