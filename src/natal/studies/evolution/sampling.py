"""NUTS with the age as a third parameter, compared with the grid posterior of the same clusters."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
from jaxtyping import PRNGKeyArray

from natal.assessment.coverage import coverage
from natal.emulator.network_files import DTYPE
from natal.likelihood.cholesky import cholesky
from natal.likelihood.density import DensityEnsemble
from natal.posterior import mixing
from natal.posterior.coordinates import Affine
from natal.posterior.nuts import NutsResult, Priors, sample_posteriors
from natal.settings.inference import NutsSettings
from natal.studies.evolution import grid
from natal.studies.evolution.age import AgePrior
from natal.studies.evolution.recovery import Recovered, data
from natal.studies.evolution.tracks import BIRTH_AND_AGE, Range


def sample(
    key: PRNGKeyArray,
    ensemble: DensityEnsemble,
    ranges: tuple[Range, Range],
    prior: AgePrior,
    cases: pd.DataFrame,
    recovered: Recovered,
    settings: NutsSettings,
) -> NutsResult:
    """NUTS draws of (q0, a_au, t_yr).

    Chains walk in coordinates in which the grid posterior's mean is 0 and its covariance the unit matrix.

    Args:
        key: For the chains.
        ensemble: The networks.
        ranges: Of the uniform prior in q0 and in a_au.
        prior: Of the age.
        cases: The first of those `recovered`.
        recovered: Grid posteriors.
        settings: Of the sampler.
    """
    priors: Priors = {name: dist.Uniform(*limits) for name, limits in zip(BIRTH_AND_AGE[:2], ranges, strict=True)}
    priors["t_yr"] = prior.distribution()
    n, unknown = len(cases), recovered.unknown
    root = cholesky(jnp.asarray(unknown.unconstrained_cov[:n], DTYPE))
    coordinates = Affine(jnp.asarray(unknown.unconstrained_mean[:n], DTYPE), root)
    return sample_posteriors(key, ensemble, priors, data(cases), None, coordinates, settings)


def nuts_table(cases: pd.DataFrame, recovered: Recovered, result: NutsResult) -> pd.DataFrame:
    """The sampler's results, one row a case.

    Args:
        cases: The first of those `recovered`.
        recovered: Grid posteriors.
        result: Draws.

    Returns:
        Rank-normalised split R-hat and bulk ESS (the worst of three parameters), divergences, the distance from the
        grid posterior on 27 blocks; for each parameter mean, standard deviation and probability below the truth.
    """
    n_cases = len(result.draws)
    chains = np.moveaxis(result.draws, 0, 2)
    flat = result.draws.reshape(n_cases, -1, len(BIRTH_AND_AGE)).astype(float)
    y, log_prior_t = data(cases), jnp.asarray(recovered.log_prior_t)
    distances = []
    for case in range(n_cases):
        values = np.asarray(grid.log_mass(recovered.laws, log_prior_t, y[case]), dtype=float)
        distances.append(grid.total_variation_of_cells(recovered.edges, values, flat[case]))
    columns: dict[str, Any] = {
        "point_id": cases.point_id.to_numpy(),
        "realization": cases.realization.to_numpy(),
        "rhat": mixing.rhat(chains).max(1),
        "ess_bulk": mixing.ess_bulk(chains).min(1),
        "divergences": result.diverging.sum((1, 2)),
        "tv_grid": distances,
    }
    truth = cases[list(BIRTH_AND_AGE)].to_numpy()
    for k, name in enumerate(BIRTH_AND_AGE):
        columns[f"{name}_mean"], columns[f"{name}_sd"] = flat[..., k].mean(1), flat[..., k].std(1, ddof=1)
        columns[f"{name}_pit"] = (flat[..., k] < truth[:, k, None]).mean(1)
    return pd.DataFrame(columns)


def nuts_report(table: pd.DataFrame, recovered: Recovered, result: NutsResult) -> dict[str, Any]:
    """The sampler's health over all cases.

    Args:
        table: What `nuts_table` gives.
        recovered: Grid posteriors.
        result: Draws.

    Returns:
        Numbers by name. `tv_noise` is the distance from the grid that exact, independent draws of the median effective
        size would have. `mean_z_rms` is the root mean square of (NUTS mean - grid mean) over its Monte Carlo error,
        about 1 if both agree.
    """
    n = len(table)
    z = [
        (table[f"{name}_mean"] - recovered.unknown.mean[:n, k]) / (table[f"{name}_sd"] / np.sqrt(table.ess_bulk))
        for k, name in enumerate(BIRTH_AND_AGE)
    ]
    pit = table[[f"{name}_pit" for name in BIRTH_AND_AGE]].to_numpy()
    shares = coverage(pit[:, :2], recovered.unknown.hpd_level[:n])
    return {
        "n_cases": n,
        "max_rhat": table.rhat.max(),
        "min_ess_bulk": table.ess_bulk.min(),
        "median_ess_bulk": table.ess_bulk.median(),
        "divergences": int(table.divergences.sum()),
        "cases_with_divergence": int((table.divergences > 0).sum()),
        "leapfrog_steps_per_draw": float(result.n_steps.mean()),
        "tv_grid_median": table.tv_grid.median(),
        "tv_grid_max": table.tv_grid.max(),
        "tv_noise": grid.expected_total_variation(float(table.ess_bulk.median())),
        "mean_z_rms": float(np.sqrt(np.mean(np.square(z)))),
        "coverage": {
            level: {name: by_region[name] for name in BIRTH_AND_AGE[:2]} for level, by_region in shares.items()
        },
        "seconds": result.timing_s["sample"],
        "compile_seconds": result.timing_s["compile"],
    }
