"""Draw every figure of the campaign, as PNG and PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from natal import campaign, device, figures, figures_calibration, figures_checks
from natal.calibration import LEVELS
from natal.dataset import read_runs, replicate_means
from natal.design import INPUTS
from natal.emulator import load_ensemble
from natal.files import read_json
from natal.jobs import job
from natal.uncertainty import figures as uncertainty_figures

if TYPE_CHECKING:
    from snakemake.script import snakemake

SPEED_LABELS = {
    "simulation, alone": "simulation_alone_s",
    "simulation, batched": "simulation_batched_s",
    "emulator, alone": "emulator_alone_s",
    "likelihood and gradient, alone": "gradient_alone_s",
    "likelihood and gradient, batched": "gradient_batched_s",
    "emulator, batched": "emulator_batched_s",
}


def coverage_figure(recovery: dict) -> Figure:
    """Coverage over all cases and by tercile of the true Q0."""

    parts = {f"Q0 {part['q0_min']:.2f} to {part['q0_max']:.2f}": part for part in recovery["by_q0_tercile"]}
    groups = {title: (by_level(part["coverage"]), part["n_cases"]) for title, part in parts.items()}
    errors = [by_level(part["coverage_se"]) for part in (recovery, *parts.values())]
    return figures.coverage(LEVELS, by_level(recovery["coverage"]), recovery["n_cases"], groups, errors)


def by_level(coverage: dict) -> dict[str, list[float]]:
    """{level: {region: share}} as {region: [share by level]}."""
    return {name: [found[name] for found in coverage.values()] for name in ("q0", "a_au", "joint")}


def calibration_figures(table: pd.DataFrame, report: dict) -> None:
    """Figures of the calibration draws, from calibration.csv and metrics.json's `calibration`."""
    sbc = {name: table[f"{name}_sbc"].to_numpy() for name in INPUTS}
    pit = {name: table[f"{name}_pit"].to_numpy() for name in INPUTS}
    save(figures_calibration.pit_differences(pit | {"joint": table.hpd_level.to_numpy()}, sbc), "calibration_pit")
    save(figures_calibration.rank_histograms(sbc, report["n_posterior_draws"]), "calibration_sbc")
    save(figures_calibration.tarp_curve(table.tarp.to_numpy()), "calibration_tarp")
    groups = {"all": report}
    for name, symbol, digits in (("q0", "Q0", 2), ("a_au", "a", 0)):
        for part in report[f"by_{name}_tercile"]:
            groups[f"{symbol} {part[f'{name}_min']:.{digits}f} to {part[f'{name}_max']:.{digits}f}"] = part
    shares = {label: (part["n_cases"], by_level(part["coverage"])) for label, part in groups.items()}
    save(figures_calibration.coverage_by_third(LEVELS, shares), "calibration_coverage")


def brute_force_figure(table: str, posteriors: str) -> None:
    """Posteriors with and without the emulator."""
    with h5py.File(posteriors) as file:
        shares = {source: file[source][:] for source in figures_checks.SOURCES}
        save(figures_checks.brute_force(file["q0"][:], file["a_au"][:], shares, pd.read_csv(table)), "brute_force")


def corner_figures(folder: str, table: pd.DataFrame, posteriors: str, chosen: np.ndarray, box: dict) -> None:
    """Corner plots of the chosen rows of a recovery table, saved as <folder>_0, <folder>_1, ..."""
    with xr.open_datatree(posteriors, engine="h5netcdf") as tree:
        posterior = tree["posterior"]
        for k, row in enumerate(chosen):
            draws = np.column_stack([posterior[name][row].values.ravel() for name in INPUTS])
            case = table.iloc[row]
            truth = case[["q0_true", "a_au_true"]].to_numpy(float) if "q0_true" in table else None
            save(figures.corner_case(draws, truth, box, f"case {case.case}"), f"{folder}_{k}")


def save(figure: Figure, stem: str) -> None:
    path = Path(snakemake.params.folder) / stem
    path.parent.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "pdf"):
        # no creation date: the same data give the same file
        dated = {"CreationDate": None} if kind == "pdf" else None
        figure.savefig(path.with_suffix(f".{kind}"), dpi=150, metadata=dated)


with job(snakemake.log[0], snakemake) as log:
    device.set_up(threads=snakemake.threads, cache_folder=snakemake.params.cache)
    config, files = snakemake.config, snakemake.input
    box, prior = campaign.box(config), campaign.prior_box(config)
    summaries = pd.read_csv(files.summaries)
    recovery = pd.read_csv(files.recovery)
    metrics = read_json(files.metrics)
    ensemble = load_ensemble(files.ensemble, box=box)
    train, test = read_runs(files.train, "train"), read_runs(files.test, "test")
    sigma_total = np.array(list(metrics["sigma_total"].values()))

    save(figures.design_coverage(pd.read_csv(files.design), box), "design")
    save(figures.summary_scatter(summaries), "summaries")
    save(figures.energy_errors(summaries, config["integration"]["max_energy_error"]), "energy_errors")
    with h5py.File(files.curves) as curves:
        loss = figures.loss_curves(curves["train_loss"][:], curves["validation_loss"][:], curves["best_epoch"][:])
        save(loss, "loss_curves")

    points = replicate_means(test)
    predicted, predicted_points = (np.asarray(ensemble(x)[0], dtype=float) for x in (test.x, points.x))
    error = points.scatter / np.sqrt(points.n)[:, None]
    save(figures.predicted_vs_true(predicted, test.y, predicted_points, points.mean, error), "predicted_vs_true")
    save(figures.residuals(test.y - predicted, test.x, predicted, sigma_total), "residuals")
    save(figures.slices(ensemble, replicate_means(train)), "slices")

    save(figures.recovered_vs_true(recovery), "recovered_vs_true")
    save(coverage_figure(metrics["recovery"]), "coverage")
    save(figures.pit_histograms(recovery[["q0_pit", "a_au_pit"]].to_numpy()), "pit")
    save(figures.sampler_health(recovery), "sampler_health")
    if files.calibration:
        calibration_figures(pd.read_csv(files.calibration[0]), metrics["calibration"])
    save(uncertainty_figures.comparison(pd.read_csv(files.uncertainty)), "uncertainty")
    save(uncertainty_figures.widths(pd.read_csv(files.widths), test.x, test.y - predicted), "uncertainty_widths")
    if files.brute_force:
        brute_force_figure(*files.brute_force)
    if files.posterior_predictive:
        save(figures_checks.posterior_predictive(pd.read_csv(files.posterior_predictive[0])), "posterior_predictive")
    speed = metrics["timing"]["speed"]
    save(figures.speed_bars({label: speed[key] for label, key in SPEED_LABELS.items()}), "speed")

    # cases at even steps through the true virial ratios
    by_q0 = np.argsort(recovery.q0_true.to_numpy(), kind="stable")
    steps = np.linspace(0, len(by_q0) - 1, config["report"]["corner_cases"] + 2)[1:-1].round().astype(int)
    corner_figures("corner", recovery, files.posteriors, by_q0[steps], prior)
    if files.observed:
        table, posteriors = files.observed
        observed = pd.read_csv(table)
        shown = min(len(observed), config["report"]["corner_cases"])
        corner_figures("observed", observed, posteriors, np.arange(shown), prior)
    log.info("figures in %s", snakemake.params.folder)
