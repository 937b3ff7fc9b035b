"""Draw the study's figures, as PNG and PDF."""

import pandas as pd

from natal.figures.save import save_figures
from natal.running.jobs import script
from natal.studies.lessons import figures

with script(snakemake, cpu_devices=1):
    tables = {name: pd.read_csv(path) for name, path in snakemake.input.items()}
    drawn = {
        "leakage": figures.leakage(tables["leakage"]),
        "overfitting": figures.overfitting(tables["overfitting"], tables["overfitting_curves"]),
        "learning_rates": figures.learning_rates(tables["learning_rates"]),
        "symmetry": figures.symmetry(tables["symmetry"], tables["symmetry_curves"]),
        "likelihood": figures.likelihood(tables["likelihood"]),
        "hinges": figures.hinges(tables["hinges"]),
        "sine": figures.sine(tables["sine_errors"], tables["sine_curves"]),
        "activations": figures.activations(),
        "network": figures.network(),
    }
    save_figures(snakemake.output, drawn)
