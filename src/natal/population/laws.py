"""Two laws of births in a population, on cells of Q0 and ln a, and their priors.

In both, ln a has a normal law, cut to the box. In `normal` Q0 has such a law, too. In `binned` the density of Q0 is
constant in each of several equal bins; its logarithm makes a random step from each bin to the next. Where the two laws
disagree, the answer depends on the assumption that Q0 is normal.
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
"""Added in quadrature to a standard deviation, as a share of a cell: cells cannot resolve a narrower law."""

FLOOR = 1e-30
"""Added to a likelihood that is divided by its largest value: its logarithm stays finite."""


class Shares(NamedTuple):
    """A population: the share of births in each cell of Q0 and in each cell of ln a, which are independent."""

    q0: Float[Array, " nq"]
    ln_a: Float[Array, " na"]


def normal_shares(edges: Float[Array, " edge"], location: Array, scale: Array) -> Float[Array, " cell"]:
    """The share of a normal law in each cell, after it is cut to the range of all cells.

    Args:
        edges: Edges of equal cells.
        location: The law's mean.
        scale: Its standard deviation. It is widened a little where it is narrower than a cell (`NARROWEST`).

    Examples:
        >>> edges = jnp.array([-2.0, -1.0, 0.0, 1.0, 2.0])
        >>> [f"{share:.2f}" for share in normal_shares(edges, location=jnp.array(0.0), scale=jnp.array(1.0))]
        ['0.15', '0.35', '0.35', '0.15']
    """
    width = jnp.sqrt(scale**2 + (NARROWEST * (edges[1] - edges[0])) ** 2)
    z = (edges - location) / width
    low, high = z[:-1], z[1:]
    # the nearer tail loses no digits
    above = low > 0
    shares = ndtr(jnp.where(above, -low, high)) - ndtr(jnp.where(above, -high, low))
    return shares / shares.sum()


def law_of_a(terms: Terms, prior: Any) -> Float[Array, " na"]:
    """Sample the law of ln a (in a NumPyro model): a uniform prior on its mean, a half-normal one on its deviation.

    Args:
        terms: Its cells.
        prior: Scales of the hyperprior (`natal.settings.population.Hyperprior`).

    Returns:
        Shares of the cells of ln a.
    """
    edges = jnp.asarray(terms.ln_a)
    location = numpyro.sample("ln_a_location", dist.Uniform(edges[0], edges[-1]))
    scale = numpyro.sample("ln_a_scale", dist.HalfNormal(prior.ln_a_scale))
    return normal_shares(edges, location, scale)


def normal(terms: Terms, prior: Any, bins: int) -> Shares:
    """Sample a population with a normal law of Q0 (in a NumPyro model).

    Args:
        terms: Its cells.
        prior: Scales of the hyperprior.
        bins: Not used.
    """
    edges = jnp.asarray(terms.q0)
    location = numpyro.sample("q0_location", dist.Uniform(edges[0], edges[-1]))
    scale = numpyro.sample("q0_scale", dist.HalfNormal(prior.q0_scale))
    return Shares(normal_shares(edges, location, scale), law_of_a(terms, prior))


def binned(terms: Terms, prior: Any, bins: int) -> Shares:
    """Sample a population with a density of Q0 in bins (in a NumPyro model).

    Args:
        terms: Its cells.
        prior: Scales of the hyperprior.
        bins: Number of bins of Q0.
    """
    n = len(terms.q0) - 1
    roughness = numpyro.sample("roughness", dist.HalfNormal(prior.roughness))
    steps = numpyro.sample("steps", dist.Normal().expand([bins - 1]).to_event(1))
    of_bin = jax.nn.log_softmax(jnp.concatenate([jnp.zeros(1), roughness * jnp.cumsum(steps)]))
    # a cell on the border of two bins belongs to both in part
    place = (jnp.arange(n * bins) // n).reshape(n, bins)
    shares = jnp.exp(of_bin)[place].sum(1) / n
    return Shares(shares, law_of_a(terms, prior))


LAWS: dict[str, Callable[[Terms, Any, int], Shares]] = {"normal": normal, "binned": binned}

CENTRES = {"q0_location": "q0", "ln_a_location": "ln_a"}
"""Parameters with a uniform prior, and the axis that each belongs to."""


def log_likelihood(terms: Terms, shares: Shares) -> Float[Array, ""]:
    """ln of the probability of a table, given that its clusters are in one (Mandel, Farr & Gair 2019, eq. 7).

    It has one factor for each cluster: its likelihood, averaged over the population, divided by the share of the
    population that would be in the table at the cluster's age and mass.

    Args:
        terms: What the clusters say.
        shares: The population.
    """
    # one product over all cells reads each matrix once, from its beginning to its end
    of_cell = jnp.outer(shares.q0, shares.ln_a).ravel()
    each, share = (
        jnp.asarray(cells).reshape(-1, len(of_cell)) @ of_cell for cells in (terms.likelihood, terms.in_table)
    )
    total: Array = jnp.log(each + FLOOR).sum() - jnp.log(share + FLOOR)[jnp.asarray(terms.kind)].sum()
    return total


def model(law: str, *, terms: Terms, prior: Any, bins: int) -> None:
    """The NumPyro model that NUTS samples.

    Args:
        law: "normal" or "binned".
        terms: What the clusters say.
        prior: Scales of the hyperprior.
        bins: Number of bins of Q0 in the law "binned".
    """
    shares = LAWS[law](terms, prior, bins)
    numpyro.factor("clusters", log_likelihood(terms, shares))
    numpyro.deterministic("share_q0", shares.q0)
    numpyro.deterministic("share_ln_a", shares.ln_a)
