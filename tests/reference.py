"""An independent N-body experiment in plain NumPy and REBOUND, sharing no code with natal.

Positions and velocities have shape (star, 3), in AU and AU/yr; masses in Msun; G = 4 pi^2. Sums run over pairs
in Python loops with exactly rounded summation, so that they can serve as the truth of natal's fast kernels.
"""

import math
from itertools import combinations

import numpy as np

G = 4 * math.pi**2
KMS_PER_AU_YR = 149_597_870.7 / (365.25 * 86_400)


def accelerations(position, mass, softening):
    """G sum_j m_j (x_j - x_i) / (r_ij^2 + eps^2)^(3/2), star by star, each sum rounded once."""
    terms = [[[], [], []] for _ in mass]
    for i, j in combinations(range(len(mass)), 2):
        d = position[j] - position[i]
        weight = G / (d @ d + softening**2) ** 1.5
        for k in range(3):
            terms[i][k].append(mass[j] * weight * d[k])
            terms[j][k].append(-mass[i] * weight * d[k])
    return np.array([[math.fsum(component) for component in star] for star in terms])


def potential_energy(position, mass, softening):
    """W = -G sum over pairs of m_i m_j / sqrt(r_ij^2 + eps^2)."""
    pairs = combinations(range(len(mass)), 2)
    return math.fsum(-G * mass[i] * mass[j] / math.hypot(*(position[j] - position[i]), softening) for i, j in pairs)


def specific_potential(position, mass, softening):
    """-G sum over all others of m_j / sqrt(r_ij^2 + eps^2), star by star."""
    stars = list(zip(position, mass, range(len(mass)), strict=True))
    return np.array(
        [math.fsum(-G * m / math.hypot(*(x - here), softening) for x, m, j in stars if j != i) for here, _, i in stars]
    )


def kinetic_energy(velocity, mass):
    """K = sum of m v^2 / 2."""
    return math.fsum(0.5 * m * (v @ v) for m, v in zip(mass, velocity, strict=True))


def bound_set(position, velocity, mass, softening, max_passes=None):
    """Sorted indices of the bound stars: all members of non-negative energy leave at the end of each pass."""
    members = list(range(len(mass)))
    passes = 0
    while members and passes != max_passes:
        passes += 1
        centre = np.average(velocity[members], axis=0, weights=mass[members])
        stay = []
        for i in members:
            energy = 0.5 * ((velocity[i] - centre) ** 2).sum()
            for j in members:
                if j != i:
                    energy -= G * mass[j] / math.hypot(*(position[j] - position[i]), softening)
            if energy < 0:
                stay.append(i)
        if stay == members:
            break
        members = stay
    return members


def summaries(position, velocity, mass, softening):
    """(f_bound, sigma_v in km/s, r_h in AU); the last two are nan with fewer than 5 bound stars."""
    members = bound_set(position, velocity, mass, softening)
    m = mass[members]
    f_bound = m.sum() / mass.sum()
    if len(members) < 5:
        return f_bound, math.nan, math.nan
    x = position[members] - np.average(position[members], axis=0, weights=m)
    v = velocity[members] - np.average(velocity[members], axis=0, weights=m)
    sigma = math.sqrt((m * (v**2).sum(1)).sum() / (3 * m.sum()))
    radius = np.linalg.norm(x, axis=1)
    r_h = min(r for r in radius if m[radius <= r].sum() >= 0.5 * m.sum() * (1 - 1e-9))
    return f_bound, KMS_PER_AU_YR * sigma, r_h


def _by_rejection(rng, n, density, upper, ceiling):
    """Draw `n` numbers in [0, upper] from an unnormalised `density` that stays below `ceiling`."""
    found = np.empty(0)
    while len(found) < n:
        candidate = rng.uniform(0, upper, 20 * n)
        found = np.append(found, candidate[rng.uniform(0, ceiling, 20 * n) < density(candidate)])
    return found[:n]


def _directions(rng, n):
    cosine, angle = rng.uniform(-1, 1, n), rng.uniform(0, 2 * math.pi, n)
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=1)


def newborn_cluster(rng, n, q0, a, softening):
    """Equal 1 Msun stars of a Plummer sphere cut at 10 a, at rest as a whole, with K/|W| = q0."""
    mass = np.ones(n)
    # both ceilings lie just above the maxima, 0.186 at r = 0.816 and 0.0925 at q = 0.471
    radius = a * _by_rejection(rng, n, lambda r: r**2 * (1 + r**2) ** -2.5, 10, 0.19)
    share = _by_rejection(rng, n, lambda q: q**2 * (1 - q**2) ** 3.5, 1, 0.1)
    escape_speed = np.sqrt(2 * G * n) * (radius**2 + a**2) ** -0.25
    position = radius[:, None] * _directions(rng, n)
    velocity = (share * escape_speed)[:, None] * _directions(rng, n)
    position -= position.mean(0)
    velocity -= velocity.mean(0)
    w, k = potential_energy(position, mass, softening), kinetic_energy(velocity, mass)
    return position, velocity * math.sqrt(q0 * abs(w) / k), mass


def rebound_leapfrog(position, velocity, mass, softening, dt, n_steps):
    """`n_steps` drift-kick-drift steps of REBOUND's leapfrog."""
    import rebound

    simulation = rebound.Simulation()
    simulation.G = G
    simulation.integrator = "leapfrog"
    simulation.gravity = "basic"
    simulation.softening = softening
    simulation.dt = dt
    for m, x, v in zip(mass, position, velocity, strict=True):
        simulation.add(m=m, x=x[0], y=x[1], z=x[2], vx=v[0], vy=v[1], vz=v[2])
    simulation.steps(n_steps)
    stars = simulation.particles
    return np.array([p.xyz for p in stars]), np.array([p.vxyz for p in stars])


def one_run(task):
    """One cluster from birth to its end: (seed, n, q0, a, eps, dt, n_steps) -> (f_bound, sigma_v, r_h)."""
    seed, n, q0, a, softening, dt, n_steps = task
    position, velocity, mass = newborn_cluster(np.random.default_rng(seed), n, q0, a, softening)
    position, velocity = rebound_leapfrog(position, velocity, mass, softening, dt, n_steps)
    return summaries(position, velocity, mass, softening)
