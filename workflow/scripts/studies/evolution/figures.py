"""Draw the figures of the study `evolution`, as PNG and PDF."""

import numpy as np
import pandas as pd
import xarray as xr

from natal.figures.save import save_figures
from natal.random import stage_key
from natal.running.jobs import script
from natal.simulation.snapshots import nearest_points
from natal.studies.evolution import figures, figures_recovery, network
from natal.studies.evolution.evaluation import band_quantiles, predictive_draws
from natal.studies.evolution.tracks import read_tracks, snapshots, time_range

N_TIMES = 40
"""Ages at which a band is drawn: more than are stored."""

with script(snakemake, cpu_devices=1):
    config = snakemake.config
    table = read_tracks(snakemake.input.tracks, config["n_stars"], config["box"])
    ensemble = network.load(snakemake.input.ensemble)
    test = snapshots(table, "test")
    key, n_draws = stage_key(config["seed"], "figures"), config["bands"]["draws"]
    times = np.geomspace(*time_range(table), N_TIMES)

    def bands(q0: float, a_au: float, t_yr: np.ndarray) -> np.ndarray:
        """Quantiles (time, level, output) of the predicted summaries."""
        x = np.column_stack([np.full_like(t_yr, q0), np.full_like(t_yr, a_au), t_yr])
        draws = predictive_draws(key, ensemble, x, n_draws, alike=True)
        return np.quantile(draws, band_quantiles(), axis=1).swapaxes(0, 1)

    shown_q0 = config["bands"]["shown_q0"]
    shown = [test[test.point_id == point] for point in nearest_points(test, shown_q0)]
    predicted = [bands(one.q0.iloc[0], one.a_au.iloc[0], times) for one in shown]
    mass_msun = config["n_stars"] * config["star_mass_msun"]
    middle_au = float(np.sqrt(np.prod(config["box"]["a_au"])))
    lines = [bands(q0, middle_au, times) for q0 in shown_q0]
    recovered = dict(zip(config["age_priors"], map(pd.read_csv, snakemake.input.recovery), strict=True))
    with xr.open_dataset(snakemake.input.posteriors, engine="h5netcdf") as draws:
        posteriors = figures_recovery.posteriors(next(iter(recovered.values())), draws, shown_q0)
    drawn = {
        "tracks": figures.tracks(shown, times, predicted),
        "scaling": figures.scaling(table, shown_q0, middle_au, times, lines, mass_msun),
        "coverage": figures.coverage(pd.read_csv(snakemake.input.coverage)),
        "coordinates": figures.coordinates(pd.read_csv(snakemake.input.scores)),
        "primer": figures.primer(pd.read_csv(snakemake.input.primer)),
        "posteriors": posteriors,
        "widths": figures_recovery.widths(recovered),
        "calibration": figures_recovery.calibration(recovered),
    }
    save_figures(snakemake.output, drawn)
