"""Laws of births in a population, on cells of Q0 and ln a, and their prior.

Both have a normal law of ln a. `normal` has a normal law of Q0 as well, both cut to the box and renormalised; `binned`
has free densities in equal bins of Q0, whose logarithms walk at random from a bin to the next: beside the first it
shows what that assumes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from natal.population.terms import Terms

NARROWEST = 0.3
"""Of a cell, added in quadrature to a standard deviation: a narrower law would lie between likelihoods."""

FLOOR = 1e-30
"""A likelihood over its largest: its logarithm is finite."""


class Shares(NamedTuple):
    """A population: the share of births in each cell of Q0 and of ln a, which are independent."""

    q0: Float[Array, " nq"]
    ln_a: Float[Array, " na"]


def normal_shares(edges: Float[Array, " edge"], location: Array, scale: Array) -> Float[Array, " cell"]:
    """Shares of a normal law, cut to the edges."""
    width = jnp.sqrt(scale**2 + (NARROWEST * (edges[1] - edges[0])) ** 2)
    z = (edges - location) / width
    low, high = z[:-1], z[1:]
    # of the nearer tail, which keeps its digits
    above = low > 0
    shares = ndtr(jnp.where(above, -low, high)) - ndtr(jnp.where(above, -high, low))
    return shares / shares.sum()


def law_of_a(terms: Terms, prior: Any) -> Float[Array, " na"]:
    """Sample the law of ln a."""
    edges = jnp.asarray(terms.ln_a)
    location = numpyro.sample("ln_a_location", dist.Uniform(edges[0], edges[-1]))
    scale = numpyro.sample("ln_a_scale", dist.HalfNormal(prior.ln_a_scale))
    return normal_shares(edges, location, scale)


def normal(terms: Terms, prior: Any, bins: int) -> Shares:
    """Sample a population with a normal law of Q0."""
    edges = jnp.asarray(terms.q0)
    location = numpyro.sample("q0_location", dist.Uniform(edges[0], edges[-1]))
    scale = numpyro.sample("q0_scale", dist.HalfNormal(prior.q0_scale))
    return Shares(normal_shares(edges, location, scale), law_of_a(terms, prior))


def binned(terms: Terms, prior: Any, bins: int) -> Shares:
    """Sample a population with densities of Q0 in bins."""
    n = len(terms.q0) - 1
    roughness = numpyro.sample("roughness", dist.HalfNormal(prior.roughness))
    steps = numpyro.sample("steps", dist.Normal().expand([bins - 1]).to_event(1))
    of_bin = jax.nn.log_softmax(jnp.concatenate([jnp.zeros(1), roughness * jnp.cumsum(steps)]))
    # a cell on the border of two bins is shared
    place = (jnp.arange(n * bins) // n).reshape(n, bins)
    shares = jnp.exp(of_bin)[place].sum(1) / n
    return Shares(shares, law_of_a(terms, prior))


LAWS: dict[str, Callable[[Terms, Any, int], Shares]] = {"normal": normal, "binned": binned}

CENTRES = {"q0_location": "q0", "ln_a_location": "ln_a"}
"""Parameters with a uniform prior, and of which axis."""


def log_likelihood(terms: Terms, shares: Shares) -> Float[Array, ""]:
    """ln of the probability of a table, given that its clusters are in one (Mandel, Farr & Gair 2019, eq. 7).

    For each cluster the likelihood integrated over the population, over the share of the population that would be in
    the table at that cluster's age and mass.
    """
    likelihood, in_table = jnp.asarray(terms.likelihood), jnp.asarray(terms.in_table)
    each = jnp.einsum("cqa,a,q->c", likelihood, shares.ln_a, shares.q0)
    share = jnp.einsum("kqa,a,q->k", in_table, shares.ln_a, shares.q0)
    total: Array = jnp.log(each + FLOOR).sum() - jnp.log(share + FLOOR)[jnp.asarray(terms.kind)].sum()
    return total


def model(law: str, *, terms: Terms, prior: Any, bins: int) -> None:
    """The model that NUTS samples."""
    shares = LAWS[law](terms, prior, bins)
    numpyro.factor("clusters", log_likelihood(terms, shares))
    numpyro.deterministic("share_q0", shares.q0)
    numpyro.deterministic("share_ln_a", shares.ln_a)
