"""Births of clusters, with and without a departure from the campaign's model.

Whatever the departure, velocities are scaled by one factor so that K/|W| of the realization is Q0; and a is the scale
radius of the Plummer sphere with the same half-mass radius. Arrays have the shape (3, cluster, star) or (cluster,
star).
"""

import zlib
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp
from scipy.special import erf

from natal.nbody.plummer import initial_conditions, scale_to_virial_ratio, to_centre_of_mass
from natal.random import stage_key
from natal.settings.cluster import ClusterModel
from natal.studies.departures.names import stars_of
from natal.studies.departures.settings import Sizes
from natal.units import G_AU3_PER_MSUN_YR2

TRUNCATION = ClusterModel().truncation_radius
CUBE, N_GRID = 2, 512
"""A fractal's cells are halved; points of a King model's tables."""

PLUMMER = jax.jit(
    initial_conditions, static_argnames=("n_stars", "star_mass_msun", "imf", "imf_mass_range_msun", "softening_au")
)
"""Compiled: suites share it."""

Vectors = Float[np.ndarray, "3 cluster star"]
Scalars = Float[np.ndarray, " cluster"]


class Stars(NamedTuple):
    """Clusters at one time.

    Attributes:
        position_au: Positions.
        velocity_au_yr: Velocities.
        mass_msun: Masses.
    """

    position_au: Vectors
    velocity_au_yr: Vectors
    mass_msun: Float[np.ndarray, "cluster star"]


def draw_births(seed: int, n: int, q0: tuple[float, float], a_au: tuple[float, float]) -> tuple[Scalars, Scalars]:
    """Q0 and a of clusters, uniform.

    They are the first n of one sequence, so that all suites have the same births.

    Args:
        seed: The study's.
        n: Number of clusters.
        q0: Range of Q0.
        a_au: Range of a.
    """
    places = np.random.default_rng(seed).random((n, 2))
    return q0[0] + (q0[1] - q0[0]) * places[:, 0], a_au[0] + (a_au[1] - a_au[0]) * places[:, 1]


def make_births(
    suite: str,
    seed: int,
    q0: Scalars,
    a_au: Scalars,
    *,
    n_stars: int,
    mass_msun: float,
    softening_au: float,
    sizes: Sizes,
) -> Stars:
    """Clusters of one suite at t = 0.

    Args:
        suite: One of `names.DEPARTURES`, or n<k> for clusters of k stars.
        seed: The study's.
        q0: K/|W|, shape (cluster,); with binaries, that of their centres of mass.
        a_au: Scale radii, shape (cluster,).
        n_stars: Stars of the campaign's clusters; a binary has two.
        mass_msun: Mass of all stars of a cluster, in every suite.
        softening_au: Of the forces.
        sizes: How large departures are.

    Returns:
        Positions, velocities and masses, in the centre-of-mass frame.
    """
    key = stage_key(seed, f"births {suite}")
    rng = np.random.default_rng([seed, zlib.crc32(suite.encode())])
    n = stars_of(suite, n_stars)

    def plummer(n: int, **options: object) -> Stars:
        keys = jax.random.split(key, len(q0))
        drawn = PLUMMER(keys, jnp.asarray(q0), jnp.asarray(a_au), n_stars=n, softening_au=softening_au, **options)
        return Stars(*map(np.asarray, drawn))

    def settled(stars: Stars) -> Stars:
        return Stars(*map(np.asarray, _settle(*map(jnp.asarray, (*stars, q0)), softening_au=softening_au)))

    with jax.enable_x64(True):
        if suite == "kroupa":
            stars = plummer(n, imf="kroupa", imf_mass_range_msun=sizes.imf_mass_range_msun)
            return settled(stars._replace(mass_msun=stars.mass_msun * mass_msun / stars.mass_msun.sum(1)[:, None]))
        equal = np.full((len(q0), n), mass_msun / n)
        if suite == "binaries":
            n_pairs = pairs(n, sizes.binary_fraction)
            centres = plummer(n - n_pairs)
            mass = mass_msun / n * (1.0 + (np.arange(n - n_pairs) < n_pairs))
            centres = settled(centres._replace(mass_msun=np.broadcast_to(mass, (len(q0), n - n_pairs))))
            low, high = (float(np.log(end)) for end in sizes.binary_axes)
            axes = np.exp(rng.uniform(low, high, (len(q0), n_pairs))) * softening_au
            return split(rng, centres, axes, softening_au)
        if suite in ("king", "substructure"):
            if suite == "king":
                model = king_model(sizes.king_w0)
                drawn = [king(rng, model, n) for _ in q0]
            else:
                drawn = [fractal(rng, n, sizes.fractal_dimension) for _ in q0]
            position, velocity = (np.stack(vectors, axis=1) for vectors in zip(*drawn, strict=True))
            return settled(Stars(position * a_au[:, None] * half_mass_radius_of_plummer(), velocity, equal))
        stars = plummer(n, star_mass_msun=mass_msun / n)
        if suite == "radial":
            return settled(stars._replace(velocity_au_yr=stretched(*stars[:2], sizes.anisotropy)))
        return stars


@partial(jax.jit, static_argnames="softening_au")
def _settle(position: Array, velocity: Array, mass: Array, q0: Array, softening_au: float) -> tuple[Array, ...]:
    position, velocity = to_centre_of_mass(position, mass), to_centre_of_mass(velocity, mass)
    return position, scale_to_virial_ratio(position, velocity, mass, q0, softening_au), mass


def half_mass_radius_of_plummer() -> float:
    """Half-mass radius of a Plummer sphere that is cut off at `TRUNCATION`, in units of a.

    Examples:
        >>> 1.2 < half_mass_radius_of_plummer() < 1.31  # 1.305 without the cut
        True
    """
    half = 0.5 * (1.0 + TRUNCATION**-2) ** -1.5
    return float((half ** (-2.0 / 3.0) - 1.0) ** -0.5)


def pairs(n_stars: int, fraction: float) -> int:
    """How many pairs there are among n stars, if this fraction of systems are pairs.

    Args:
        n_stars: Stars, in pairs or alone.
        fraction: Pairs over pairs and single stars.

    Examples:
        >>> pairs(150, 0.5)  # 50 pairs and 50 single stars
        50
    """
    return round(n_stars * fraction / (1.0 + fraction))


def split(rng: np.random.Generator, centres: Stars, axis_au: Float[np.ndarray, "cluster pair"], eps_au: float) -> Stars:
    """Replace the first centres by two equal stars each, on circular orbits with random directions and phases.

    The orbit is that of the softened force: v^2 = G m d^2 / (d^2 + eps^2)^(3/2) for the relative motion, with m the
    pair's mass and d its separation.

    Args:
        rng: For directions and phases.
        centres: Stars, of which the first become pairs.
        axis_au: Separations.
        eps_au: Softening.

    Returns:
        Stars; those of pair k are stars k and n_centres + k.
    """
    n_pairs = axis_au.shape[1]
    along, other = rng.standard_normal((2, 3, *axis_au.shape))
    along /= np.linalg.norm(along, axis=0)
    other -= along * (along * other).sum(0)
    other /= np.linalg.norm(other, axis=0)
    position, velocity, mass = centres
    own = mass[:, :n_pairs]
    speed = np.sqrt(G_AU3_PER_MSUN_YR2 * own * axis_au**2 / (axis_au**2 + eps_au**2) ** 1.5)

    def parted(values: np.ndarray, apart: np.ndarray) -> np.ndarray:
        first = values[..., :n_pairs]
        return np.concatenate([first + apart / 2, values[..., n_pairs:], first - apart / 2], axis=-1)

    return Stars(
        parted(position, axis_au * along),
        parted(velocity, speed * other),
        np.concatenate([own / 2, mass[:, n_pairs:], own / 2], axis=1),
    )


def stretched(position: Vectors, velocity: Vectors, anisotropy: float) -> Vectors:
    """Isotropic velocities with the tangential part made smaller.

    Args:
        position: Positions about the centre.
        velocity: Isotropic velocities.
        anisotropy: beta = 1 - sigma_t^2 / sigma_r^2, at all radii.
    """
    outward = position / np.linalg.norm(position, axis=0)
    radial = outward * (outward * velocity).sum(0)
    shrunk: np.ndarray = radial + np.sqrt(1.0 - anisotropy) * (velocity - radial)
    return shrunk


def fractal(rng: np.random.Generator, n: int, dimension: float) -> tuple[np.ndarray, np.ndarray]:
    """Stars of a box fractal in a sphere, after Goodwin & Whitworth (2004, A&A 413, 929).

    Each cell is halved along its three axes. Each of its eight children survives with the probability 2^(D - 3); its
    place is blurred by half of its width. A child has its parent's velocity and a normal velocity whose variance is in
    proportion to its width (Larson 1981). Stars are drawn from the first generation that has four times as many cells
    in the sphere.

    Args:
        rng: For all draws.
        n: Number of stars.
        dimension: The fractal dimension D.

    Returns:
        Positions and velocities, shape (3, star); the half-mass radius is 1, and so is the velocity of the first
        generation.
    """
    corners = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3), axis=-1).reshape(-1, 3)
    while True:
        place, speed, width = np.zeros((1, 3)), np.zeros((1, 3)), 2.0
        while len(place):
            width /= CUBE
            place = (place[:, None] + width * corners).reshape(-1, 3)
            speed = np.repeat(speed, len(corners), axis=0)
            # all of the first generation survive, as in that paper: otherwise clusters are single clumps
            alive = (rng.random(len(place)) < CUBE ** (dimension - 3.0)) | (len(place) == len(corners))
            place, speed = place[alive], speed[alive]
            place = place + 0.5 * width * rng.uniform(-0.5, 0.5, place.shape)
            speed = speed + np.sqrt(width) * rng.standard_normal(place.shape)
            inside = np.linalg.norm(place, axis=1) <= 1.0
            if inside.sum() >= 4 * n:
                chosen = rng.permutation(np.flatnonzero(inside))[:n]
                position = place[chosen] - place[chosen].mean(0)
                half = np.median(np.linalg.norm(position, axis=1))
                return position.T / half, speed[chosen].T


class KingModel(NamedTuple):
    """A King model in tables.

    Attributes:
        radius: In units of the half-mass radius.
        potential: W at each radius.
        share: Share of the mass within each radius.
    """

    radius: np.ndarray
    potential: np.ndarray
    share: np.ndarray


def king_model(w0: float) -> KingModel:
    """The model of King (1966, AJ 71, 64): W'' + 2 W' / x = -9 rho(W) / rho(W0), out to W = 0.

    Args:
        w0: W at the centre.
    """

    def density(w: Any) -> Any:
        w = np.maximum(w, 0.0)
        return np.exp(w) * erf(np.sqrt(w)) - np.sqrt(4.0 * w / np.pi) * (1.0 + 2.0 * w / 3.0)

    def slope(x: float, state: np.ndarray) -> list[float]:
        # at the centre 2 W' / x is two thirds of the right-hand side
        right = -9.0 * density(state[0]) / density(w0)
        return [state[1], right - 2.0 * state[1] / x if x > 0 else right / 3.0]

    def edge(_: float, state: np.ndarray) -> float:
        return float(state[0])

    edge.terminal = True  # type: ignore[attr-defined]
    solved = solve_ivp(slope, (0.0, 1e4), np.array([w0, 0.0]), events=edge, dense_output=True, rtol=1e-8, atol=1e-10)
    x = np.concatenate([[0.0], np.geomspace(1e-3, solved.t[-1], N_GRID)])
    w, gradient = solved.sol(x)  # type: ignore[misc]
    mass = -(x**2) * gradient
    share = np.maximum.accumulate(mass / mass[-1])
    return KingModel(x / np.interp(0.5, share, x), np.maximum(w, 0.0), share)


def king(rng: np.random.Generator, model: KingModel, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Stars of a King model: f ~ exp(W - v^2 / 2) - 1 for v < sqrt(2 W), a lowered Maxwellian.

    Args:
        rng: For all draws.
        model: The model.
        n: Number of stars.

    Returns:
        Positions and velocities, shape (3, star).
    """
    radius = np.interp(rng.random(n), model.share, model.radius)
    w = np.interp(radius, model.radius, model.potential)
    share = np.linspace(0.0, 1.0, N_GRID)
    speed = np.sqrt(2.0 * w)[:, None] * share
    cumulative = np.cumsum(speed**2 * np.expm1(w[:, None] - speed**2 / 2), axis=1)
    drawn = rng.random(n) * cumulative[:, -1]
    value = np.array([np.interp(*row) for row in zip(drawn, cumulative, speed, strict=True)])
    directions = rng.standard_normal((2, 3, n))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return radius * directions[0], value * directions[1]
