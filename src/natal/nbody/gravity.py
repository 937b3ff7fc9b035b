"""Softened self-gravity of small clusters by direct summation.

Forces (Plummer softening, Aarseth 1963): a_i = G sum_j m_j (x_j - x_i) / (|x_j - x_i|^2 + eps^2)^(3/2). Positions and
velocities have shape (3, batch, star), masses (batch, star): a batch is many clusters of as many stars.
"""

from collections.abc import Callable
from functools import partial
from itertools import combinations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from natal.nbody.gravity_kernel import accelerations_by_kernel
from natal.units import G_AU3_PER_MSUN_YR2

VECTOR_BYTES = 64
"""A vector register of a CPU: eight numbers of double precision."""

PAIRS_PER_BLOCK = 2**17
"""Most pair weights that the CPU form holds at once: 1 MB in double precision, about a second-level cache."""

TILE = 16
"""Sources that one kernel of the form for accelerators handles at once."""

FEW_STARS = 4
"""Up to this many stars, forces are summed pair by pair: for three stars ten times faster than matrix products."""

Coordinates = Float[Array, "3 batch star"]
"""One vector a star: axis (x, y, z), cluster of the batch, star."""
Masses = Float[Array, "batch star"]
"""One number a star: cluster of the batch, star."""
Column = Float[Array, "batch 1"]


def accelerations(position_au: Coordinates, mass_msun: Masses, softening_au: float) -> Coordinates:
    """Softened accelerations, by the form that is fastest for this number of stars on this processor.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening eps in AU.

    Returns:
        Accelerations in AU/yr^2, in the precision of the positions.

    Examples:
        >>> two_stars = jnp.array([[[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]]])  # 1 AU apart along x
        >>> a = accelerations(two_stars, jnp.ones((1, 2)), softening_au=0.0)
        >>> [f"{a_x:.2f}" for a_x in a[0, 0].tolist()]  # G Msun / AU^2, towards each other
        ['39.48', '-39.48']
    """
    if mass_msun.shape[-1] <= FEW_STARS:
        return accelerations_by_pairs(position_au, mass_msun, softening_au)
    acceleration: Coordinates = lax.platform_dependent(
        position_au,
        mass_msun,
        cpu=partial(accelerations_by_product, softening_au=softening_au),
        cuda=partial(accelerations_by_kernel, softening_au=softening_au),
        default=partial(accelerations_by_differences, softening_au=softening_au),
    )
    return acceleration


def accelerations_by_product(position_au: Coordinates, mass_msun: Masses, softening_au: float) -> Coordinates:
    """Accelerations by matrix products, the fastest form on a CPU.

    With w_ij = (r_ij^2 + eps^2)^(-3/2) the sum splits into sum_j w_ij m_j x_j - x_i sum_j w_ij m_j. That is one product
    of a (4, source) and a (source, star) matrix, several times faster than a sum over differences. The difference of
    the two terms loses about |x| / |x_j - x_i| in relative rounding, harmless in float64. Sources are taken in blocks
    whose weights stay in the cache.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU, above 0.

    Returns:
        Accelerations in AU/yr^2.
    """
    n_batch, n_stars = mass_msun.shape
    # rows are padded to whole vectors: at 100 stars a scalar remainder took a seventh of the time
    lanes = VECTOR_BYTES // mass_msun.dtype.itemsize
    n_columns = -(-n_stars // lanes) * lanes
    n_sources = _block_size(n_stars, at_most=max(lanes, PAIRS_PER_BLOCK // (n_batch * n_columns)))
    targets = jnp.pad(position_au, ((0, 0), (0, 0), (0, n_columns - n_stars)))
    column = jnp.arange(n_columns)

    def add_block(
        sums: Float[Array, "batch 4 column"], block: tuple[Array, ...]
    ) -> tuple[Float[Array, "batch 4 column"], None]:
        first, *places, mass = block
        x, y, z = (place[:, :, None] - target[:, None, :] for place, target in zip(places, targets, strict=True))
        r2 = x * x + y * y + z * z + softening_au**2
        # a star's own term is left out, so that its two sums cancel better: w_ii = eps^-3 is the largest weight of all
        itself = (first + jnp.arange(n_sources))[:, None] == column
        # 1/r from the processor's estimate, good to the last digit or two, where XLA uses one: a third faster than a
        # division and a root
        inverse = lax.rsqrt(r2)
        weight = jnp.where(itself, 0.0, inverse * inverse * inverse)
        # the layout (batch, 4, source), with one sum a coordinate, saves a transposition: 2.5 times faster
        sources = jnp.stack([*(place * mass for place in places), mass], axis=1)
        # explicit precision: accelerators would otherwise multiply in reduced precision (TF32)
        return sums + jnp.einsum("bkj,bji->bki", sources, weight, precision=lax.Precision.HIGHEST), None

    nothing = jnp.zeros((n_batch, 4, n_columns), mass_msun.dtype)
    sums, _ = lax.scan(add_block, nothing, _blocks_of_sources(n_sources, position_au, mass_msun))
    sums = sums[..., :n_stars]
    return G_AU3_PER_MSUN_YR2 * jnp.stack([sums[:, k] - position_au[k] * sums[:, 3] for k in range(3)])


def accelerations_by_differences(position_au: Coordinates, mass_msun: Masses, softening_au: float) -> Coordinates:
    """Accelerations by a sum of differences over tiles of sources, the form for other accelerators; nothing cancels.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU, above 0.

    Returns:
        Accelerations in AU/yr^2.
    """

    def pull(mass: Column, differences: list[Masses], _: Bool[Array, " star"]) -> list[Masses]:
        r2 = sum(d * d for d in differences) + softening_au**2
        weight = mass / (r2 * jnp.sqrt(r2))
        return [weight * d for d in differences]

    return G_AU3_PER_MSUN_YR2 * jnp.stack(_sum_over_tiles(pull, 3, position_au, mass_msun))


def accelerations_by_pairs(position_au: Coordinates, mass_msun: Masses, softening_au: float) -> Coordinates:
    """Accelerations with the term of every pair written out, the form for binaries and triples.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU; may be 0.

    Returns:
        Accelerations in AU/yr^2.
    """
    stars = range(mass_msun.shape[-1])
    pull = [jnp.zeros_like(position_au[..., 0]) for _ in stars]
    for i, j in combinations(stars, 2):
        separation = position_au[..., j] - position_au[..., i]
        r2 = (separation * separation).sum(0) + softening_au**2
        weighted = separation / (r2 * jnp.sqrt(r2))
        pull[i] += mass_msun[:, j] * weighted
        pull[j] -= mass_msun[:, i] * weighted
    return G_AU3_PER_MSUN_YR2 * jnp.stack(pull, axis=-1)


def specific_potential(position_au: Coordinates, source_mass_msun: Masses, softening_au: float) -> Masses:
    """Potential -G sum_{j != i} m_j / sqrt(r_ij^2 + eps^2) at every star i.

    Args:
        position_au: Positions in AU.
        source_mass_msun: Masses in Msun of the stars as sources; 0 leaves a star out of all sums.
        softening_au: Plummer softening in AU.

    Returns:
        Energy a mass, in AU^2/yr^2, negative.
    """

    def deepen(mass: Column, differences: list[Masses], itself: Bool[Array, " star"]) -> list[Masses]:
        distance = jnp.sqrt(sum(d * d for d in differences) + softening_au**2)
        return [jnp.where(itself, 0.0, -mass / distance)]

    return G_AU3_PER_MSUN_YR2 * _sum_over_tiles(deepen, 1, position_au, source_mass_msun)[0]


def _sum_over_tiles(
    term: Callable[[Column, list[Masses], Bool[Array, " star"]], list[Masses]],
    n_sums: int,
    position_au: Coordinates,
    source_mass_msun: Masses,
) -> tuple[Masses, ...]:
    """Sum `term(source mass, differences x_j - x_i, whether i is j)` over sources j, for every star i.

    Each tile is one element-wise kernel that keeps its pairs in registers: no array of pairs reaches the device's
    memory (XLA would write one for a plain sum over pairs, and for a matrix product), and no product has reduced
    precision.
    """
    star = jnp.arange(source_mass_msun.shape[-1])

    def add_tile(sums: tuple[Masses, ...], tile: tuple[Array, ...]) -> tuple[tuple[Masses, ...], None]:
        first, *places, mass = tile
        for k in range(TILE):
            differences = [place[:, k, None] - c for place, c in zip(places, position_au, strict=True)]
            terms = term(mass[:, k, None], differences, star == first + k)
            sums = tuple(s + t for s, t in zip(sums, terms, strict=True))
        return sums, None

    nothing = (jnp.zeros_like(source_mass_msun),) * n_sums
    sums, _ = lax.scan(add_tile, nothing, _blocks_of_sources(TILE, position_au, source_mass_msun))
    return sums


def _block_size(n_stars: int, at_most: int) -> int:
    """The size of equal blocks, as few as possible: a block cut at `at_most` may leave an almost empty last one."""
    n_blocks = -(-n_stars // at_most)
    return -(-n_stars // n_blocks)


def _blocks_of_sources(size: int, position_au: Coordinates, mass_msun: Masses) -> tuple[Array, ...]:
    """Cut sources into blocks of `size` stars: the number of each block's first star, x, y, z, and masses."""
    n_batch, n_stars = mass_msun.shape
    n_blocks = -(-n_stars // size)

    def blocks(values: Masses) -> Float[Array, "block batch source"]:
        # sources that fill up the last block have no mass
        filled = jnp.pad(values, ((0, 0), (0, n_blocks * size - n_stars)))
        return jnp.moveaxis(filled.reshape(n_batch, n_blocks, size), 1, 0)

    return size * jnp.arange(n_blocks), *(blocks(c) for c in position_au), blocks(mass_msun)


def potential_energy(position_au: Coordinates, mass_msun: Masses, softening_au: float) -> Float[Array, " batch"]:
    """Potential energy W = -G sum_{i<j} m_i m_j / sqrt(r_ij^2 + eps^2) of each cluster.

    Args:
        position_au: Positions in AU.
        mass_msun: Masses in Msun.
        softening_au: Plummer softening in AU.

    Returns:
        Energies in Msun AU^2/yr^2, negative.
    """
    return 0.5 * (mass_msun * specific_potential(position_au, mass_msun, softening_au)).sum(-1)


def kinetic_energy(velocity_au_yr: Coordinates, mass_msun: Masses) -> Float[Array, " batch"]:
    """Kinetic energy K = sum_i m_i |v_i|^2 / 2 of each cluster.

    Args:
        velocity_au_yr: Velocities in AU/yr.
        mass_msun: Masses in Msun.

    Returns:
        Energies in Msun AU^2/yr^2.
    """
    return 0.5 * (mass_msun * (velocity_au_yr**2).sum(0)).sum(-1)
