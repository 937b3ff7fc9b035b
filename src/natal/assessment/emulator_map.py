"""The emulator over its whole box: mean summaries, and the scatter of single clusters about them."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.variables import BIRTH


class EmulatorMap(NamedTuple):
    """The emulator on a grid over its box, in physical units.

    Attributes:
        q0: Q0 of the grid's points.
        a_au: a of the grid's points.
        mean: Mean summaries.
        scatter: Standard deviations of single surviving clusters.
    """

    q0: Float[np.ndarray, " nq"]
    a_au: Float[np.ndarray, " na"]
    mean: Float[np.ndarray, "nq na summary"]
    scatter: Float[np.ndarray, "nq na summary"]


def map_over_box(
    key: PRNGKeyArray, likelihood: Likelihood, shape: tuple[int, int] = (41, 41), n_draws: int = 2000
) -> EmulatorMap:
    """The ensemble's mean, and the standard deviation of single surviving clusters under the likelihood.

    Not every law has a standard deviation in closed form, so it is that of draws. They are made with the same key at
    all points, so that their noise (2 % with 2000) does not vary from point to point.

    Args:
        key: For the draws.
        likelihood: Gives the law at each point.
        shape: Number of points in Q0 and in a; they fill the emulator's box, edges included.
        n_draws: Draws at each point.
    """
    q0, a_au = (np.linspace(*limits, n) for limits, n in zip(likelihood.ensemble.box, shape, strict=True))
    x = jnp.asarray(np.stack(np.meshgrid(q0, a_au, indexing="ij"), axis=-1), DTYPE)
    mean, scatter = _mean_and_scatter(key, likelihood, x, n_draws)
    return EmulatorMap(q0, a_au, np.asarray(mean, float), np.asarray(scatter, float))


class SpreadBeyond(NamedTuple):
    """The members' spread along lines across each edge of the box.

    Attributes:
        distance: From the edge, in widths of the box; negative inside.
        spread: Spread in physical units by edge, such as "q0 above 1.5".
    """

    distance: Float[np.ndarray, " n"]  # from the edge, in the box's widths; negative inside
    spread: dict[str, Float[np.ndarray, "n summary"]]  # by edge, such as "q0 above 1.5"


def spread_beyond_box(ensemble: Ensemble, reach: float = 0.3, n: int = 25, n_lines: int = 21) -> SpreadBeyond:
    """How the members' spread grows from inside the box to outside: its root mean square over lines across each edge.

    Args:
        ensemble: The emulator; it is asked for points outside its box.
        reach: How far lines go on either side of an edge, in widths of the box.
        n: Points along a line.
        n_lines: Lines across each edge, evenly spaced.

    Returns:
        One curve for each edge; nan where a birth condition would not be positive.
    """
    distance = np.linspace(-reach, reach, n)
    found = {}
    for k, name in enumerate(BIRTH):
        low, high = ensemble.box[k]
        for where, edge, outwards in (("below", low, -1), ("above", high, 1)):
            x = np.zeros((n, n_lines, len(BIRTH)))
            for j, limits in enumerate(ensemble.box):
                x[..., j] = np.linspace(*limits, n_lines)
            x[..., k] = (edge + outwards * (high - low) * distance)[:, None]
            _, spread = ensemble(x.reshape(-1, len(BIRTH)), extrapolate=True)
            variance = np.asarray(spread, float).reshape(n, n_lines, -1) ** 2
            possible = (x[:, 0, k] > 0)[:, None]
            found[f"{name} {where} {edge:g}"] = np.where(possible, np.sqrt(variance.mean(1)), np.nan)
    return SpreadBeyond(distance, found)


@eqx.filter_jit
def _mean_and_scatter(
    key: PRNGKeyArray, likelihood: Likelihood, x: Float[Array, "nq na birth"], n_draws: int
) -> tuple[Array, Array]:
    def one(x: Float[Array, " birth"]) -> tuple[Array, Array]:
        draws = likelihood.conditional(x).observed().sample(key, (n_draws,))
        return likelihood.ensemble.mean(x), draws.std(0)

    # row by row, so that the draws of all points need not fit into memory
    mean_and_scatter: tuple[Array, Array] = lax.map(jax.vmap(one), x)
    return mean_and_scatter
