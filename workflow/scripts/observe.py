"""Recover (Q0, a) of the user's own clusters."""

from typing import TYPE_CHECKING

import pandas as pd

from natal import campaign, device
from natal.calibration import CHI2_UNEXPLAINED, EDGE_WIDTH, P_OUTSIDE
from natal.files import write_csv
from natal.inputs import load_likelihood, nuts_settings
from natal.jobs import job
from natal.keys import stage_key
from natal.novelty import mahalanobis_p
from natal.recovery import recover, recovery_table, write_posteriors

if TYPE_CHECKING:
    from snakemake.script import snakemake

with job(snakemake.log[0], snakemake) as log:
    device.set_up(threads=snakemake.threads, cpu_devices=snakemake.threads, cache_folder=snakemake.params.cache)
    config = snakemake.config
    likelihood = load_likelihood(snakemake.input.ensemble, snakemake.input.likelihood, campaign.box(config))
    observed = pd.DataFrame(campaign.read_observations(snakemake.input.observations))
    y = observed[list(campaign.OBSERVED_COLUMNS)].to_numpy()
    error = observed[[f"{column}_err" for column in campaign.OBSERVED_COLUMNS]].to_numpy()
    recovered = recover(
        stage_key(config["seed"], "observe"),
        likelihood,
        campaign.prior_box(config),
        y,
        error,
        nuts_settings(config),
        tuple(config["inference"]["grid"]),
    )
    table = recovery_table(observed.rename(columns={"name": "case"}), recovered, truths=None)
    key = stage_key(config["seed"], "prior predictive")
    p_values = mahalanobis_p(key, likelihood, campaign.prior_box(config), y, error)
    table.insert(table.columns.get_loc("chi2_best") + 1, "mahalanobis_p", p_values)
    write_csv(snakemake.output.table, table)
    attributes = {
        "digest": snakemake.params.digest,
        "likelihood": config["likelihood"],
        "virial_convention": "K/|W|",
    }
    write_posteriors(snakemake.output.posteriors, table.case.tolist(), recovered, y, error, None, attributes)
    for row in table.itertuples():
        log.info(
            "%s: Q0 %.3f +- %.3f, a %.1f +- %.1f AU",
            row.case,
            row.q0_mean,
            row.q0_sd,
            row.a_au_mean,
            row.a_au_sd,
        )
        if row.chi2_best > CHI2_UNEXPLAINED:
            log.warning(
                "%s: nothing in the prior's box comes near this observation (chi2_best = %.3g, 3 numbers): "
                "its posterior means nothing; check the units, f_bound, sigma_v_kms and r_h_au",
                row.case,
                row.chi2_best,
            )
            continue
        if row.mahalanobis_p < P_OUTSIDE:
            log.warning(
                "%s: outside the prior predictive (Mahalanobis p = %.3f): of clusters drawn from the prior this share "
                "is as far from its nearest (Q0, a); do not trust its posterior without a reason for that",
                row.case,
                row.mahalanobis_p,
            )
        if row.at_edge:
            log.warning(
                "%s: the posterior is cut by the prior's box (%.1f %% of it within %g %% of an edge in Q0, %.1f %% in "
                "a): the answer is a limit",
                row.case,
                100 * row.edge_mass_q0,
                100 * EDGE_WIDTH,
                100 * row.edge_mass_a_au,
            )
