"""What a shard file holds, for those who write and read it. Standard library only: planning reads shards, too."""

from natal.variables import BIRTH, SUMMARIES, SURVIVAL

FORMAT = "natal-simulations-2"
"""Name of this format, in every file's seal."""

EARLIER = ".h5.earlier"
"""End of the name of a shard that a new job goes on from: it ends sooner than wanted, or has other times."""

SUMMARY_DATASETS = {name: f"summaries/{name}" for name in (*SUMMARIES, *SURVIVAL)}
"""Summary -> dataset (point, realization, time)."""

DATASETS = {
    "position_au": "position_au",
    "velocity_au_yr": "velocity_au_yr",
    "kinetic_energy": "energy/kinetic",
    "potential_energy": "energy/potential",
    **SUMMARY_DATASETS,
}
"""What changes with time: field of a snapshot -> dataset (point, realization, time, ...)."""

UNITS = {
    **{name: variable.unit for name, variable in BIRTH.items()},
    "position_au": "AU",
    "velocity_au_yr": "AU/yr",
    "mass_msun": "Msun",
    "time_yr": "yr",
    # energies are those of the whole cluster
    "energy/kinetic": "Msun AU^2/yr^2",
    "energy/potential": "Msun AU^2/yr^2",
    "energy_error": "|E_T - E_0|/|W_0|",
    "virial_ratio_final": "K/|W|",
    **{SUMMARY_DATASETS[name]: variable.unit for name, variable in SUMMARIES.items()},
}
"""Dataset -> unit; "1" for all that are not listed."""
