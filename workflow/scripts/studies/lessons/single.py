"""Learning rates, symmetry, likelihood, hinges and a sine: one network each."""

import pandas as pd

from natal.files.formats import write_csv, write_json
from natal.random import stage_key
from natal.running.jobs import script
from natal.studies.lessons import single

with script(snakemake, cpu_devices=1) as log:
    config, files = snakemake.config, snakemake.output
    keys = {name: stage_key(config["seed"], name) for name in ("rates", "symmetry", "likelihood", "hinges", "sine")}
    steps = config["steps"]
    rates = single.learning_rates(keys["rates"], tuple(config["learning_rates"]), steps)
    symmetry, symmetry_curves = single.symmetry(keys["symmetry"], steps)
    numbers, lines = single.likelihood(keys["likelihood"])
    hinges = single.hinges(keys["hinges"], tuple(config["hinges"]), tuple(config["trained_hinges"]), steps)
    sine_errors, sine_curves = single.sine(keys["sine"], steps)
    tables: dict[str, pd.DataFrame] = {
        "learning_rates": rates,
        "symmetry": symmetry,
        "symmetry_curves": symmetry_curves,
        "likelihood": lines,
        "hinges": hinges,
        "sine_errors": sine_errors,
        "sine_curves": sine_curves,
    }
    for name, table in tables.items():
        write_csv(files[name], table)
    ends = rates.groupby("rate").loss.last()
    last = sine_errors.rms_error.iloc[-1]
    write_json(
        files.metrics,
        {
            "last_loss_by_rate": {str(rate): loss for rate, loss in ends.items()},
            "symmetry": symmetry.to_dict("records"),
            "likelihood": numbers,
            "hinges": hinges.astype(object).where(hinges.notna(), None).to_dict("records"),
            "sine_rms_error": {"first": sine_errors.rms_error.iloc[0], "last": last},
        },
    )
    log.info("the sine is learned to %.4f", last)
