"""Observables and circumstances of a real cluster, declared as the campaign's own variables are (`natal.variables`).

They stand apart because simulations do not depend on them: they follow from stored snapshots. Standard library only.
"""

from natal.variables import SUMMARIES, Variable, Variables

OBSERVABLES = Variables(
    Variable(
        "sigma_los_kms",
        "km/s",
        "log",
        observable=True,
        symbol=r"$\sigma_{\rm los}$",
        meaning="dispersion of line-of-sight velocities in the aperture",
    ),
    Variable(
        "sigma_pm_kms",
        "km/s",
        "log",
        observable=True,
        symbol=r"$\sigma_{\rm pm}$",
        meaning="one-dimensional dispersion of the two velocities in the plane of the sky, in the aperture",
    ),
    Variable(
        "r_hp_au",
        "AU",
        "log",
        observable=True,
        symbol=r"$r_{\rm hp}$",
        meaning="projected radius that holds half of the stars in the aperture",
    ),
    Variable(
        "v_out_kms",
        "km/s",
        support="real",
        observable=True,
        symbol=r"$v_{\rm out}$",
        meaning="mean outward motion in the plane of the sky, in the aperture",
    ),
    Variable(
        "lambda_msr",
        "1",
        "log",
        observable=True,
        symbol=r"$\Lambda_{\rm MSR}$",
        meaning="mass segregation ratio (Allison et al. 2009)",
    ),
)
"""Of all stars in an aperture along one line of sight (`natal.observables.projected`)."""

MEASURABLE = Variables(*SUMMARIES.values(), *OBSERVABLES.values())
"""All that can be said of a cluster: the campaign's summaries, then the observables."""

CIRCUMSTANCES = Variables(
    Variable("age_yr", "yr", "log", observable=True, symbol=r"$t$", meaning="age"),
    Variable("mass_msun", "Msun", "log", observable=True, symbol=r"$M$", meaning="mass of all stars at birth"),
)
"""What a cluster's answer depends on besides: known with errors, and integrated over."""
