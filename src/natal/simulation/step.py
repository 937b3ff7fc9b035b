"""Which leapfrog step a design needs; docs/explanation/time_step.md has the derivation and measured energy errors.

Plain arithmetic without JAX, so that the workflow can say it before anything runs.
"""

import math
from dataclasses import dataclass

from natal.settings.cluster import KROUPA_BREAK_MSUN, ClusterModel
from natal.settings.integration import Integration
from natal.units import G_AU3_PER_MSUN_YR2

ENCOUNTER_ERROR = 0.4
"""Energy error of a pair in units of (dt / its time)^2 and of its energy: measured 0.1 to 0.5; of a harmonic oscillator
1/4.
"""

CLUSTER_ERROR = 0.1
"""Energy error of a whole cluster in units of (dt / crossing time)^2 and of |W_0|: twice the largest measured one."""

LONGEST_FOR_ENCOUNTERS = 0.2
"""Longest step in units of a pair's time: from 0.4 on, errors grow as the fourth power of the step and do not cancel
after the encounter.
"""

LONGEST_FOR_CLUSTERS = 0.1
"""Longest step in units of the crossing time, for the same reason."""

LARGEST_PAIR_SHARE = 0.25
"""Most of |W_0| that a pair can bind: the rest of the cluster takes up that energy, and is unbound before."""

PLUMMER_POTENTIAL = 3 * math.pi / 32
"""|W| a / (G M^2) of a Plummer sphere (Binney & Tremaine 2008, section 2.2)."""

KROUPA_SLOPES = (1.3, 2.3)
"""As in `natal.nbody.plummer`, which needs JAX."""


@dataclass(frozen=True)
class NeededStep:
    """What a design's densest corner asks of the step."""

    dt_yr: float
    """longest step with which energy errors are expected to stay below the limit"""
    encounter_yr: float
    """t_eps = sqrt(eps^3 / (G (m1 + m2))) of the two heaviest stars: how fast softened pairs turn"""
    crossing_yr: float
    """t_c = sqrt(a^3 / (G M))"""


def needed_step(cluster: ClusterModel, a_au: float, q0: float, max_energy_error: float) -> NeededStep:
    """The longest step for clusters born with a given size and virial ratio.

    dt <= f^(3/2) min(eta_e t_eps, eta_c t_c).

    - eta_e = min(0.2, sqrt(error / (0.4 x))), x = min(1/4, G m1 m2 / (eps |W_0|)) being the share of |W_0| that the
      heaviest pair may hold;
    - eta_c = min(0.1, sqrt(error / 0.1));
    - f = 1 / (2 (1 - Q0)) below Q0 = 1/2, else 1: a cold cluster shrinks by it until it is in equilibrium (virial
      theorem).

    Args:
        cluster: Stars and softening; with a mass function the two heaviest stars are of its largest mass.
        a_au: Smallest Plummer scale radius of the design in AU.
        q0: Smallest virial ratio of the design, K/|W|.
        max_energy_error: `integration.max_energy_error`.

    Returns:
        The step, and the times that it follows from.

    Examples:
        >>> from natal.settings.cluster import ClusterModel
        >>> needed = needed_step(ClusterModel(), a_au=50.0, q0=0.5, max_energy_error=0.01)
        >>> f"{needed.dt_yr:.2g} yr; pairs {needed.encounter_yr:.2g} yr, crossing {needed.crossing_yr:.2g} yr"
        '0.064 yr; pairs 0.32 yr, crossing 5.6 yr'
    """
    mean, heaviest = _masses_msun(cluster)
    mass, softening = cluster.n_stars * mean, cluster.softening_au
    encounter = math.sqrt(softening**3 / (G_AU3_PER_MSUN_YR2 * 2 * heaviest))
    crossing = math.sqrt(a_au**3 / (G_AU3_PER_MSUN_YR2 * mass))
    share = min(LARGEST_PAIR_SHARE, heaviest**2 / softening / (PLUMMER_POTENTIAL * mass**2 / a_au))
    of_encounter = min(LONGEST_FOR_ENCOUNTERS, math.sqrt(max_energy_error / (ENCOUNTER_ERROR * share)))
    of_crossing = min(LONGEST_FOR_CLUSTERS, math.sqrt(max_energy_error / CLUSTER_ERROR))
    shrinking = 1 / (2 * (1 - q0)) if q0 < 0.5 else 1.0
    dt = shrinking**1.5 * min(of_encounter * encounter, of_crossing * crossing)
    return NeededStep(dt, encounter, crossing)


def step_that_fits(integration: Integration, longest_yr: float) -> float:
    """Find a step that fits a whole number of times between snapshots, and has few digits if one such step does.

    Args:
        integration: When snapshots are wanted.
        longest_yr: The longest step allowed.

    Returns:
        The step in years.

    Examples:
        >>> from natal.settings.integration import Integration
        >>> step_that_fits(Integration(t_end_yr=500.0, snapshots=11), longest_yr=0.0523)
        0.05
    """
    between = integration.t_end_yr / (integration.snapshots - 1)
    power = 10.0 ** (math.floor(math.log10(longest_yr)) - 2)
    for digits in range(int(longest_yr / power), 99, -1):
        steps = between / (digits * power)
        if steps >= 1 and abs(steps - round(steps)) < 1e-9 * steps:
            return float(f"{digits * power:.3g}")
    return between / math.ceil(between / longest_yr)


def _masses_msun(cluster: ClusterModel) -> tuple[float, float]:
    """Mean and largest mass of a star."""
    if cluster.imf == "equal":
        return cluster.star_mass_msun, cluster.star_mass_msun
    low, high = cluster.imf_mass_range_msun
    number, mass = (_kroupa_integral(low, high, power) for power in (0, 1))
    return mass / number, high


def _kroupa_integral(low: float, high: float, power: int) -> float:
    """Integral of m^power dN/dm, with dN/dm = (m / break)^-slope."""
    parts = ((low, KROUPA_BREAK_MSUN), (KROUPA_BREAK_MSUN, high))
    total = 0.0
    for (start, end), slope in zip(parts, KROUPA_SLOPES, strict=True):
        exponent = power + 1 - slope
        total += KROUPA_BREAK_MSUN**slope * (end**exponent - start**exponent) / exponent
    return total
