"""Draw every figure of the campaign, as PNG and PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

import equinox as eqx
import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from natal import figures
from natal.assessment.cases import cases_along_q0
from natal.assessment.coverage import LEVELS
from natal.assessment.emulator_map import map_over_box
from natal.campaign import plan
from natal.data.runs import read_runs, replicate_means
from natal.emulator.network_files import DTYPE
from natal.figures.style import SYMBOLS
from natal.files.formats import read_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.grid import Grid, log_posterior, make_grid
from natal.progress import Progress
from natal.running import device
from natal.running.jobs import job
from natal.simulation.snapshots import nearest_points, read_cluster
from natal.variables import BIRTH, SUMMARIES

if TYPE_CHECKING:
    from snakemake.script import snakemake

# virial, warm and hot births
SNAPSHOTS_Q0 = (0.5, 0.9, 1.3)

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

    parts = {
        f"{SYMBOLS['q0']} {part['q0_min']:.2f} to {part['q0_max']:.2f}": part for part in recovery["by_q0_tercile"]
    }
    groups = {title: (by_level(part["coverage"]), part["n_cases"]) for title, part in parts.items()}
    errors = [by_level(part["coverage_se"]) for part in (recovery, *parts.values())]
    return figures.coverage(LEVELS, by_level(recovery["coverage"]), recovery["n_cases"], groups, errors)


def by_level(coverage: dict) -> dict[str, list[float]]:
    """{level: {region: share}} as {region: [share by level]}."""
    return {name: [found[name] for found in coverage.values()] for name in ("q0", "a_au", "joint")}


def calibration_figures(table: pd.DataFrame, report: dict) -> None:
    """Figures of the calibration draws, from calibration.csv and metrics.json's `calibration`."""
    sbc = {name: table[f"{name}_sbc"].to_numpy() for name in BIRTH}
    pit = {name: table[f"{name}_pit"].to_numpy() for name in BIRTH}
    save(figures.calibration.pit_differences(pit | {"joint": table.hpd_level.to_numpy()}, sbc), "calibration_pit")
    save(figures.calibration.rank_histograms(sbc, report["n_posterior_draws"]), "calibration_sbc")
    save(figures.calibration.tarp_curve(table.tarp.to_numpy()), "calibration_tarp")
    groups = {"all": report}
    for name, digits in (("q0", 2), ("a_au", 0)):
        for part in report[f"by_{name}_tercile"]:
            groups[f"{SYMBOLS[name]} {part[f'{name}_min']:.{digits}f} to {part[f'{name}_max']:.{digits}f}"] = part
    shares = {label: (part["n_cases"], by_level(part["coverage"])) for label, part in groups.items()}
    save(figures.calibration.coverage_by_third(LEVELS, shares), "calibration_coverage")


def brute_force_figure(table: str, posteriors: str) -> None:
    """Posteriors with and without the emulator."""
    with h5py.File(posteriors) as file:
        shares = {source: file[source][:] for source in figures.against_simulator.SOURCES}
        save(
            figures.against_simulator.brute_force(file["q0"][:], file["a_au"][:], shares, pd.read_csv(table)),
            "brute_force",
        )


def corner_figures(folder: str, table: pd.DataFrame, posteriors: str, chosen: np.ndarray, grid: Grid) -> None:
    """Corner plots of the chosen rows of a recovery table, saved as <folder>_0, <folder>_1, ..."""
    posterior_of = eqx.filter_jit(log_posterior)
    with xr.open_datatree(posteriors, engine="h5netcdf") as tree:
        posterior, data = tree["posterior"], tree["observed_data"]
        for k, row in enumerate(chosen):
            draws = np.column_stack([posterior[name][row].values.ravel() for name in BIRTH])
            y, error = (jnp.asarray([data[f"{name}{end}"][row] for name in SUMMARIES], DTYPE) for end in ("", "_err"))
            density = np.exp(posterior_of(grid, y, error if error.any() else None))
            on_grid = (np.asarray(grid.q0), np.asarray(grid.a_au), np.asarray(density, float))
            case = table.iloc[row]
            truth = case[["q0_true", "a_au_true"]].to_numpy(float) if "q0_true" in table else None
            save(figures.corner_case(draws, truth, prior, f"case {case.case}", on_grid), f"{folder}_{k}")


def save(figure: Figure, stem: str) -> None:
    path = Path(snakemake.params.folder) / stem
    path.parent.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "pdf"):
        # no creation date: the same data give the same file
        dated = {"CreationDate": None} if kind == "pdf" else None
        figure.savefig(path.with_suffix(f".{kind}"), dpi=150, metadata=dated)
    progress.advance()


with (
    job(snakemake.log[0], snakemake) as log,
    Progress(total=len(snakemake.output) // 2, label="draw", unit="figures") as progress,
):
    device.set_up(threads=snakemake.threads, cache_folder=snakemake.params.cache)
    config, files = snakemake.config, snakemake.input
    box, prior = plan.box(config), plan.prior_box(config)
    summaries = pd.read_csv(files.summaries)
    recovery = pd.read_csv(files.recovery)
    metrics = read_json(files.metrics)
    likelihood = load_likelihood(files.ensemble, files.likelihood, box)
    ensemble = likelihood.ensemble
    train, test = read_runs(files.train, "train"), read_runs(files.test, "test")
    sigma_total = np.array(list(metrics["sigma_total"].values()))

    design = pd.read_csv(files.design)
    # the first realization that survived: only those are test runs
    first = pd.DataFrame({"point_id": test.point_id, "q0": test.x[:, 0], "realization": test.realization})
    shown = nearest_points(first, SNAPSHOTS_Q0)
    realization = first.groupby("point_id").realization.min()
    clusters = [read_cluster(files.shards, point, int(realization[point])) for point in shown]
    save(figures.cluster_snapshots(clusters), "clusters")
    save(figures.design_coverage(design, box), "design")
    save(figures.summary_scatter(summaries), "summaries")
    save(figures.energy_errors(summaries, config["integration"]["max_energy_error"]), "energy_errors")
    with h5py.File(files.curves) as curves:
        loss = figures.loss_curves(curves["train_loss"][:], curves["validation_loss"][:], curves["best_epoch"][:])
        save(loss, "loss_curves")

    points, learned = replicate_means(test), replicate_means(train)
    save(figures.summary_map(map_over_box(jax.random.key(0), likelihood), {"training": learned, "test": points}), "map")
    predicted, predicted_points = (np.asarray(ensemble(x)[0], dtype=float) for x in (test.x, points.x))
    error = points.scatter / np.sqrt(points.n)[:, None]
    save(figures.predicted_vs_true(predicted, test.y, predicted_points, points.mean, error), "predicted_vs_true")
    save(figures.residuals(test.y - predicted, test.x, predicted, sigma_total), "residuals")
    save(figures.slices(ensemble, learned), "slices")

    save(figures.recovered_vs_true(recovery), "recovered_vs_true")
    save(coverage_figure(metrics["recovery"]), "coverage")
    save(figures.pit_histograms(recovery[["q0_pit", "a_au_pit"]].to_numpy()), "pit")
    save(figures.sampler_health(recovery), "sampler_health")
    if files.calibration:
        calibration_figures(pd.read_csv(files.calibration[0]), metrics["calibration"])
    save(figures.uncertainty_methods.comparison(pd.read_csv(files.uncertainty)), "uncertainty")
    save(
        figures.uncertainty_methods.widths(pd.read_csv(files.widths), test.x, test.y - predicted), "uncertainty_widths"
    )
    if files.brute_force:
        brute_force_figure(*files.brute_force)
    if files.posterior_predictive:
        save(
            figures.against_simulator.posterior_predictive(pd.read_csv(files.posterior_predictive[0])),
            "posterior_predictive",
        )
    speed = metrics["timing"]["speed"]
    save(figures.speed_bars({label: speed[key] for label, key in SPEED_LABELS.items()}), "speed")

    grid, n_corners = make_grid(likelihood, prior, tuple(config["inference"]["grid"])), config["report"]["corner_cases"]
    corner_figures("corner", recovery, files.posteriors, cases_along_q0(recovery.q0_true.to_numpy(), n_corners), grid)
    if files.observed:
        table, posteriors = files.observed
        observed = pd.read_csv(table)
        corner_figures("observed", observed, posteriors, np.arange(min(len(observed), n_corners)), grid)
    log.info("figures in %s", snakemake.params.folder)
