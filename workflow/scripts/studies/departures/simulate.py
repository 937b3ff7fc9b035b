"""Simulate the suites of clusters with equally many stars, and observe each cluster along one line of sight."""

import numpy as np
import pandas as pd

from natal.files.formats import write_csv
from natal.likelihood.joint_network import load_joint
from natal.running import device
from natal.running.jobs import script
from natal.studies.departures.births import draw_births, make_births
from natal.studies.departures.motion import follow, orbital_frequency
from natal.studies.departures.names import OTHER_NUMBER
from natal.studies.departures.observing import observe_each
from natal.studies.departures.settings import Sizes

with script(snakemake, cpu_devices=1) as log:
    config, stars = snakemake.config, snakemake.wildcards.stars
    ensemble, reach, header = load_joint(snakemake.input.law)
    sizes, integration = Sizes(**config["sizes"]), config["integration"]
    log.info("on %s", device.describe())
    parts = []
    for suite, n in config["suites"].items():
        if stars != (suite if OTHER_NUMBER.fullmatch(suite) else "own"):
            continue
        q0, a_au = draw_births(config["seed"], n, reach.q0, reach.a_au)
        born = make_births(
            suite,
            config["seed"],
            q0,
            a_au,
            n_stars=header.n_stars,
            mass_msun=reach.mass_msun,
            softening_au=integration["softening_au"],
            sizes=sizes,
        )
        jacobi_radius = sizes.tidal_radius * a_au if suite == "tide" else np.full(n, np.inf)
        end, energy_error = follow(
            born, orbital_frequency(reach.mass_msun, jacobi_radius), t_end_yr=reach.t_end_yr, **integration
        )
        field = (sizes.field_share, sizes.field_dispersion) if suite == "field" else None
        seen = observe_each(end, header.aperture, field, config["seed"])
        parts.append(
            pd.DataFrame({"suite": suite, "q0": q0, "a_au": a_au}).join(seen.assign(energy_error=energy_error))
        )
        log.info("%s: %d clusters, energy errors up to %.1e", suite, n, energy_error.max())
    write_csv(snakemake.output[0], pd.concat(parts, ignore_index=True))
