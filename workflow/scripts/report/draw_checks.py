"""Draw the checks of posteriors against the simulator."""

import h5py

from natal.figures.against_simulator import SOURCES, brute_force, posterior_predictive
from natal.figures.save import save_figures
from natal.files.formats import read_csv
from natal.running.jobs import script

with script(snakemake):
    files, drawn = dict(snakemake.input.items()), {}
    if "brute_force" in files:
        with h5py.File(files["posteriors"]) as file:
            shares = {source: file[source][:] for source in SOURCES}
            table = read_csv(files["brute_force"])
            drawn["brute_force"] = brute_force(file["q0"][:], file["a_au"][:], shares, table)
    if "posterior_predictive" in files:
        drawn["posterior_predictive"] = posterior_predictive(read_csv(files["posterior_predictive"]))
    save_figures(snakemake.output, drawn)
