"""Draw the simulations: clusters through time, design, summaries, energy errors."""

import pandas as pd

from natal.campaign import plan
from natal.data.runs import read_runs
from natal.figures.clusters import cluster_snapshots
from natal.figures.save import save_figures
from natal.figures.simulations import design_coverage, energy_errors, summary_scatter
from natal.running.jobs import script
from natal.simulation.snapshots import nearest_points, read_cluster

# births in virial equilibrium, warm and hot
SNAPSHOTS_Q0 = (0.5, 0.9, 1.3)

with script(snakemake, cpu_devices=1):
    config, files = snakemake.config, snakemake.input
    test, summaries = read_runs(files.test, "test"), pd.read_csv(files.summaries)
    # the first realization that survived: test runs are survivors only
    runs = pd.DataFrame({"point_id": test.point_id, "q0": test.x[:, 0], "realization": test.realization})
    realization = runs.groupby("point_id").realization.min()
    shown = nearest_points(runs, SNAPSHOTS_Q0)
    drawn = {
        "clusters": cluster_snapshots([read_cluster(files.shards, point, int(realization[point])) for point in shown]),
        "design": design_coverage(pd.read_csv(files.design), plan.box(config)),
        "summaries": summary_scatter(summaries),
        "energy_errors": energy_errors(summaries, config["integration"]["max_energy_error"]),
    }
    save_figures(snakemake.output, drawn)
