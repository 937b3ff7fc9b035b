"""What inference needs of a likelihood: a law of one cluster's summaries for each birth (Q0, a), in physical units.

Every likelihood has `conditional(x)`, which gives the law of one realization's summaries at a point. Every law has
`observed(error)`, which gives a NumPyro distribution of (f_bound, sigma_v_kms, r_h_au) as measured with those errors.
NUTS and the grid use nothing else.
"""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import numpyro.distributions as dist
from jaxtyping import Array, Float

from natal.emulator.ensemble import Ensemble


@runtime_checkable
class Conditional(Protocol):
    """The law of one realization's summaries at one (Q0, a)."""

    def observed(self, error: Float[Array, " summary"] | None = None) -> dist.Distribution:
        """The distribution of summaries that are measured with independent Gaussian errors.

        Args:
            error: Standard deviations, in the units of the summaries. None means no errors, and is faster than zeros.
        """
        ...

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries from the law's mean.

        Args:
            y: Measured summaries, in physical units.
            error: Standard deviations of the measurements, which widen the law; None means no errors.
        """
        ...

    def log_prob_alone(self, k: int, value: Float[Array, ""]) -> Float[Array, ""]:
        """ln of the density of one summary of a surviving cluster, whatever the others are, observed without error.

        Args:
            k: Which summary.
            value: Its value, in its unit.
        """
        ...

    def tabulated(self) -> "LawTable":
        """What is needed of this law to evaluate densities.

        Many of these, stacked along a last axis, are evaluated at once.
        """
        ...

    def from_afar(self) -> "DistanceTable":
        """What is needed of this law to evaluate distances, in the same form."""
        ...


@runtime_checkable
class LawTable(Protocol):
    """Many laws, stacked along the last axis of every leaf, whose densities are evaluated at once."""

    def log_prob(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        """ln of the density of measured summaries under each law, per physical unit of each summary.

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        ...


@runtime_checkable
class DistanceTable(Protocol):
    """Many laws, stacked along the last axis of every leaf, from which distances are evaluated at once."""

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        """Squared Mahalanobis distance of measured summaries from each law's mean.

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        ...


class PlainTable(eqx.Module):
    """A table of laws that are stored as they are."""

    laws: Conditional

    def log_prob(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        """ln of the density of measured summaries under each law, per physical unit of each summary.

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        log_densities: Array = jax.vmap(lambda law: law.observed(error).log_prob(y), in_axes=-1)(self.laws)
        return log_densities

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        """Squared Mahalanobis distance of measured summaries from each law's mean.

        Args:
            y: Measured summaries, in physical units.
            error: Their standard errors; None: exact.
        """
        distances: Array = jax.vmap(lambda law: law.distance2(y, error), in_axes=-1)(self.laws)
        return distances


class PlainLaw(eqx.Module):
    """A base class for laws that only define `observed` and `distance2`; tables store them as they are."""

    def tabulated(self: Conditional) -> PlainTable:
        """This law, in a table for densities."""
        return PlainTable(self)

    def from_afar(self: Conditional) -> PlainTable:
        """This law, in a table for distances."""
        return PlainTable(self)


@runtime_checkable
class Likelihood(Protocol):
    """What inference needs of a likelihood.

    Attributes:
        ensemble: The emulator, which knows the box of birth conditions.
    """

    ensemble: Ensemble

    def conditional(self, x: Float[Array, " birth"]) -> Conditional:
        """The law of the summaries at x = (q0, a_au)."""
        ...
