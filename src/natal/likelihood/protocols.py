"""What inference needs of a likelihood: a law of one cluster's summaries for each birth (Q0, a), in physical units.

Every likelihood answers `conditional(x)`, the law of one realization's summaries at a point. That law answers
`observed(error)`, a NumPyro distribution of (f_bound, sigma_v_kms, r_h_au) as measured with those errors. NUTS and
the grid use nothing else.
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
        """The same with independent Gaussian measurement errors (standard deviations; `None` is faster than zeros)."""
        ...

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None = None) -> Float[Array, ""]:
        """Squared Mahalanobis distance of measured summaries from the law's mean."""
        ...

    def tabulated(self) -> "LawTable":
        """What densities need of the law: many such, laid out along a last axis, are evaluated at once."""
        ...

    def from_afar(self) -> "DistanceTable":
        """What distances need of the law, as `tabulated`."""
        ...


@runtime_checkable
class LawTable(Protocol):
    """Laws laid out along the last axis of every leaf, for densities."""

    def log_prob(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        """ln of the density of measured summaries under each law."""
        ...


@runtime_checkable
class DistanceTable(Protocol):
    """Laws laid out along the last axis of every leaf, for distances."""

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        """Squared Mahalanobis distance of measured summaries from each law's mean."""
        ...


class PlainTable(eqx.Module):
    """A table of laws that need no preparation."""

    laws: Conditional

    def log_prob(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        log_densities: Array = jax.vmap(lambda law: law.observed(error).log_prob(y), in_axes=-1)(self.laws)
        return log_densities

    def distance2(self, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> Float[Array, " law"]:
        distances: Array = jax.vmap(lambda law: law.distance2(y, error), in_axes=-1)(self.laws)
        return distances


class PlainLaw(eqx.Module):
    """A law that tables hold as it is: a base for laws that write out `observed` and `distance2` alone."""

    def tabulated(self: Conditional) -> PlainTable:
        return PlainTable(self)

    def from_afar(self: Conditional) -> PlainTable:
        return PlainTable(self)


@runtime_checkable
class Likelihood(Protocol):
    """What inference needs of a likelihood model; the ensemble knows the box."""

    ensemble: Ensemble

    def conditional(self, x: Float[Array, " birth"]) -> Conditional:
        """The law of the summaries at x = (q0, a_au)."""
        ...
