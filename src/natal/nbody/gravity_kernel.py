"""Forces on an NVIDIA GPU in one kernel: every thread keeps its stars' sums in registers (Pallas with Triton).

XLA's own kernels write the sums to memory after every few sources and are bound by that; this one is bound by the
arithmetic (docs/explanation/speed.md).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float

from natal.units import G_AU3_PER_MSUN_YR2

STARS_PER_WARP = 64
"""Stars whose forces one warp sums, two a thread: the fastest of 32, 64, 128 and 256, measured on an H100."""

SOURCES_PER_TURN = 4
"""Sources that one turn of the loop handles."""


def accelerations_by_kernel(
    position_au: Float[Array, "3 batch star"],
    mass_msun: Float[Array, "batch star"],
    softening_au: float,
    *,
    interpret: bool = False,
) -> Float[Array, "3 batch star"]:
    """Accelerations by a sum of differences over all sources in turn: nothing cancels, no sum is written to memory.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU, above 0.
        interpret: Run the kernel's own operations on any processor, slowly, for tests.

    Returns:
        Accelerations in AU/yr^2.
    """
    n_batch, n_stars = mass_msun.shape
    # what fills up the last warp has no mass
    missing = -n_stars % STARS_PER_WARP
    position = jnp.pad(position_au, ((0, 0), (0, 0), (0, missing)))
    mass = jnp.pad(mass_msun, ((0, 0), (0, missing)))
    n_columns = n_stars + missing
    force = pl.pallas_call(
        partial(_sum_over_sources, n_turns=-(-n_stars // SOURCES_PER_TURN), softening2=softening_au**2),
        out_shape=jax.ShapeDtypeStruct(position.shape, position.dtype),
        grid=(n_batch, n_columns // STARS_PER_WARP),
        in_specs=[
            pl.BlockSpec((3, 1, n_columns), lambda cluster, _: (0, cluster, 0)),
            pl.BlockSpec((1, n_columns), lambda cluster, _: (cluster, 0)),
        ],
        out_specs=pl.BlockSpec((3, 1, STARS_PER_WARP), lambda cluster, block: (0, cluster, block)),
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
        interpret=interpret,
    )
    acceleration: Array = G_AU3_PER_MSUN_YR2 * force(position, mass)[..., :n_stars]
    return acceleration


def _sum_over_sources(position: Any, mass: Any, force: Any, *, n_turns: int, softening2: float) -> None:
    mine = pl.ds(pl.program_id(1) * STARS_PER_WARP, STARS_PER_WARP)
    stars = [position[k, 0, mine] for k in range(3)]

    def add(turn: Array, sums: list[Array]) -> list[Array]:
        for k in range(SOURCES_PER_TURN):
            source = turn * SOURCES_PER_TURN + k
            differences = [position[axis, 0, source] - stars[axis] for axis in range(3)]
            inverse = lax.rsqrt(sum(d * d for d in differences) + softening2)
            weight = mass[0, source] * (inverse * inverse * inverse)
            sums = [s + weight * d for s, d in zip(sums, differences, strict=True)]
        return sums

    for k, total in enumerate(lax.fori_loop(0, n_turns, add, [jnp.zeros_like(stars[0])] * 3)):
        force[k, 0, :] = total
