"""Units of natal: AU, solar mass, year; velocities in km/s only in the summaries.

G = 4 pi^2 AU^3 Msun^-1 yr^-2 is Kepler's third law for a 1 Msun star and a 1 AU, 1 yr orbit; the astronomical
unit is exact (IAU 2012 Resolution B2) and the year is the Julian year of 365.25 d.
"""

import math

G_AU3_PER_MSUN_YR2: float = 4.0 * math.pi**2

AU_KM: float = 149_597_870.7
JULIAN_YEAR_S: float = 365.25 * 86_400.0

KMS_PER_AU_YR: float = AU_KM / JULIAN_YEAR_S
