"""Units of natal: AU, solar mass, year; velocities in km/s in summaries and observables only.

G = 4 pi^2 AU^3 Msun^-1 yr^-2 is Kepler's third law for an orbit of 1 AU and 1 yr around 1 Msun. The astronomical unit
is exact (IAU 2012 Resolution B2) and the year is the Julian year of 365.25 d.

Examples:
    >>> f"1 AU/yr is {KMS_PER_AU_YR:.4f} km/s"
    '1 AU/yr is 4.7405 km/s'
    >>> earth_au_yr = math.sqrt(G_AU3_PER_MSUN_YR2 * 1.0 / 1.0)  # around the Sun: sqrt(G M / r)
    >>> f"{KMS_PER_AU_YR * earth_au_yr:.2f} km/s"
    '29.79 km/s'
"""

import math

G_AU3_PER_MSUN_YR2: float = 4.0 * math.pi**2
"""Newton's constant in AU^3 Msun^-1 yr^-2."""

AU_KM: float = 149_597_870.7
"""Kilometres in an astronomical unit."""
JULIAN_YEAR_S: float = 365.25 * 86_400.0
"""Seconds in a Julian year."""

KMS_PER_AU_YR: float = AU_KM / JULIAN_YEAR_S
"""One AU/yr in km/s."""
