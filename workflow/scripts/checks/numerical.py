"""Say what the integrator's step and the softening do to summaries and posteriors."""

import jax
import numpy as np
import pandas as pd

from natal.assessment.numerical import biases, posterior_changes
from natal.campaign import plan
from natal.data.runs import read_runs
from natal.files.formats import write_csv, write_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.grid import answer_cases, make_grid
from natal.running.jobs import script
from natal.variables import BIRTH, SUMMARIES

with script(snakemake, cpu_devices=snakemake.threads) as log:
    config, files = snakemake.config, snakemake.input
    table = pd.read_csv(files.runs)
    found = biases(table, read_runs(files.train, "train"))
    write_csv(snakemake.output.table, found)

    likelihood = load_likelihood(files.ensemble, files.likelihood, plan.box(config))
    grid = make_grid(likelihood, plan.prior_box(config), config["inference"]["grid"])
    alive = ~table.dissolved.to_numpy(bool)
    x, y = (table.loc[alive, list(names)].to_numpy() for names in (BIRTH, SUMMARIES))
    wanted = ("summary", "truths")
    answers = answer_cases(jax.random.key(0), likelihood, grid, y, None, wanted=wanted, truth=x)
    columns = {"hpd_level": answers.truths.hpd_level, "log_density": answers.truths.log_density}
    for k, name in enumerate(BIRTH):
        columns |= {f"mean_{name}": answers.summary.mean[:, k], f"sd_{name}": answers.summary.sd[:, k]}
    for name, values in columns.items():
        table.loc[alive, name] = np.asarray(values, float)
    changes = posterior_changes(table)
    by_variant = table.groupby("variant")
    report = {
        "n_clusters": table.point_id.nunique(),
        "dissolved": by_variant.dissolved.sum().astype(int).to_dict(),
        "max_energy_error": by_variant.energy_error.max().to_dict(),
        "median_energy_error": by_variant.energy_error.median().to_dict(),
        "biases": found.to_dict("records"),
        "posteriors": changes,
    }
    write_json(snakemake.output.metrics, {"numerical": report})
    for row in found[found.third == "all"].itertuples():
        log.info("%s, %s: %+.3f ± %.3f scatters", row.variant, row.summary, row.bias, row.bias_se)
    for name, part in changes.items():
        shares = ", ".join(f"{100 * share:.1f} of {level} %" for level, share in part["coverage"].items())
        log.info("%s: log score %.3f, joint regions hold %s", name, part["log_score"], shares)
