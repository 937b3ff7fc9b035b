"""What each summary says of (Q0, a) by itself, beside all of them together: likelihoods over the prior's box."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import log_mass
from natal.variables import BIRTH, SUMMARIES, Box

CELLS = 128
"""In Q0 and in a: contours show no cells, and the laws of all take seconds."""


class SingleSummaries(NamedTuple):
    """Shares of posteriors in equal cells, under a uniform prior: likelihoods that add up to one."""

    q0: Float[np.ndarray, " nq"]
    """Centres of cells."""
    a_au: Float[np.ndarray, " na"]
    """Centres of cells."""
    alone: Float[np.ndarray, "case summary nq na"]
    """Given one summary and that the cluster survived."""
    together: Float[np.ndarray, "case nq na"]
    """Given all of them."""


def single_summaries(
    likelihood: Likelihood, prior: Box, y: Float[np.ndarray, "case summary"], n_cells: int = CELLS
) -> SingleSummaries:
    """Tabulate the likelihood of each summary by itself, and of all together, exactly from the likelihood's laws.

    Args:
        likelihood: Whose laws can be asked for one summary alone.
        prior: The box.
        y: Summaries of clusters, observed without error.
        n_cells: Cells in each direction.

    Returns:
        Shares of cells.
    """
    place = (np.arange(n_cells) + 0.5) / n_cells
    q0, a_au = (low + (high - low) * place for low, high in (prior[name] for name in BIRTH))
    x = jnp.asarray(np.stack(np.meshgrid(q0, a_au, indexing="ij"), axis=-1), DTYPE)
    alone, together = _log_likelihoods(likelihood, x, jnp.asarray(y, DTYPE))
    shares = [
        np.asarray(jnp.exp(values), float)
        for values in (jax.vmap(jax.vmap(log_mass))(alone), jax.vmap(log_mass)(together))
    ]
    return SingleSummaries(q0, a_au, *shares)


@eqx.filter_jit
def _log_likelihoods(
    likelihood: Likelihood, x: Float[Array, "nq na birth"], y: Float[Array, "case summary"]
) -> tuple[Float[Array, "case summary nq na"], Float[Array, "case nq na"]]:
    def at(x: Array) -> tuple[Array, Array]:
        law = likelihood.conditional(x)
        alone = [jax.vmap(partial(law.log_prob_alone, k))(y[:, k]) for k in range(len(SUMMARIES))]
        return jnp.stack(alone, axis=1), jax.vmap(law.observed().log_prob)(y)

    # row by row: laws of all cells at once need not fit into memory
    alone, together = lax.map(jax.vmap(at), x)
    return jnp.moveaxis(alone, (0, 1), (2, 3)), jnp.moveaxis(together, (0, 1), (1, 2))


def held_share(shares: Float[np.ndarray, "nq na"], level: float) -> float:
    """The share of the box inside the region of highest density that holds `level` of the mass.

    Args:
        shares: Of equal cells; they add up to one.
        level: Mass that the region holds.

    Examples:
        >>> held_share(np.array([[0.7, 0.1], [0.1, 0.1]]), 0.68)
        0.25
    """
    ordered = np.sort(shares, axis=None)[::-1]
    return float(np.searchsorted(np.cumsum(ordered), level) + 1) / shares.size
