"""Draw the emulator: its map, its training, its predictions of test runs and what they cost."""

import h5py
import jax
import numpy as np

from natal.assessment.emulator_map import map_over_box, spread_beyond_box
from natal.campaign import plan
from natal.data.runs import read_runs, replicate_means
from natal.emulator.held_out import held_out_errors
from natal.figures.cost import speed_bars
from natal.figures.emulator import loss_curves, predicted_vs_true, residuals, slices
from natal.figures.emulator_map import summary_map
from natal.figures.held_out import spread_and_error
from natal.figures.save import save_figures
from natal.files.formats import read_json, write_json
from natal.likelihood.in_page import joint_law_of_page, law_of_page
from natal.likelihood.joint_network import load_joint
from natal.likelihood.loading import load_likelihood
from natal.running.jobs import script
from natal.variables import SPLITS

SPEED_LABELS = {
    "simulation, alone": "simulation_alone_s",
    "simulation, batched": "simulation_batched_s",
    "emulator, alone": "emulator_alone_s",
    "likelihood and gradient, alone": "gradient_alone_s",
    "likelihood and gradient, batched": "gradient_batched_s",
    "emulator, batched": "emulator_batched_s",
}

with script(snakemake, cpu_devices=1):
    files = snakemake.input
    likelihood = load_likelihood(files.ensemble, files.likelihood, plan.box(snakemake.config))
    ensemble = likelihood.ensemble
    train, validation, test = (read_runs(files[split], split) for split in SPLITS)
    learned, points = replicate_means(train), replicate_means(test)
    predicted, predicted_points = (np.asarray(ensemble(x)[0], dtype=float) for x in (test.x, points.x))
    error = points.scatter / np.sqrt(points.n)[:, None]
    fitted = read_json(files.likelihood)
    sigma_total = np.array(list(fitted["sigma_total"].values()))
    factor = np.array([part["factor"] for part in fitted["members_spread"].values()])
    held_out = {runs.split: held_out_errors(ensemble, train, runs) for runs in (validation, test)}
    speed = read_json(files.speed)
    with h5py.File(files.curves) as curves:
        losses = [curves[name][:] for name in ("train_loss", "validation_loss", "best_epoch")]
    drawn = {
        "map": summary_map(map_over_box(jax.random.key(0), likelihood), {"training": learned, "test": points}),
        "loss_curves": loss_curves(*losses),
        "predicted_vs_true": predicted_vs_true(predicted, test.y, predicted_points, points.mean, error),
        "residuals": residuals(test.y - predicted, test.x, predicted, sigma_total),
        "spread_and_error": spread_and_error(held_out, factor, spread_beyond_box(ensemble)),
        "slices": slices(ensemble, learned),
        "speed": speed_bars({label: speed[key] for label, key in SPEED_LABELS.items()}),
    }
    laws = {
        "summaries": law_of_page(likelihood.density, test.y, likelihood.tempering)
        if hasattr(likelihood, "density")
        else None,
        "observables": joint_law_of_page(*load_joint(files.joint[0])[:2]) if files.joint else None,
    }
    write_json(snakemake.output.page, laws)
    save_figures((path for path in snakemake.output if path != snakemake.output.page), drawn)
