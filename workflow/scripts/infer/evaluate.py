"""Evaluate the emulator and its baselines on the test runs."""

import numpy as np

from natal.assessment.accuracy import evaluate
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.emulator.baselines import fit_baselines
from natal.emulator.ensemble import load_ensemble
from natal.emulator.held_out import error_of_the_mean, gain_of_averaging, held_out_errors, spread_calibration
from natal.files.formats import write_json
from natal.running.jobs import script

with script(snakemake, cpu_devices=1) as log:
    ensemble = load_ensemble(snakemake.input.ensemble, box=plan.box(snakemake.config))
    train = read_runs(snakemake.input.train, "train")
    baselines = fit_baselines(train)
    test = read_runs(snakemake.input.test, "test")
    report = evaluate(lambda x: np.asarray(ensemble(x)[0], dtype=float), baselines, test)
    points = held_out_errors(ensemble, train, test)
    report["emulator"] |= {
        "error_of_the_mean": error_of_the_mean(points),
        "members_spread": spread_calibration(points),
        "averaging": gain_of_averaging(ensemble, test),
    }
    write_json(snakemake.output[0], report)
    for name, skill in report["emulator"]["skill_vs_linear"].items():
        best = report["emulator"]["best_baseline"][name]
        verdict = "beats every baseline" if report["emulator"]["beats_every_baseline"][name] else f"LOSES to {best}"
        log.info("%s: skill against linear %.3f, %s", name, skill, verdict)
