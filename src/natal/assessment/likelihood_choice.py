"""Scores every likelihood on the validation runs: the reason why the default was chosen."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from natal.assessment.coverage import LEVELS, clustered_errors, coverage
from natal.data.runs import Runs
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import make_grid, summarise_truths
from natal.variables import Box

GRID_SHAPE = (96, 96)


def validation_scores(likelihoods: dict[str, Likelihood], validation: Runs, box: Box) -> dict[str, dict[str, Any]]:
    """Log score and joint coverage of every likelihood, over the posteriors of all validation runs.

    Widths and early stopping have used the same runs, which makes scores a little too good. Calibration draws are
    unseen.

    Args:
        likelihoods: Likelihoods by name.
        validation: Runs of the validation split.
        box: Ranges of the uniform prior.

    Returns:
        By likelihood: `log_score`, the mean ln posterior density at the truth (per unit Q0 and AU); `coverage` of
        joint regions by level; `coverage_by_parameter`, of central intervals of each parameter and of joint regions,
        by level, with its standard errors `coverage_by_parameter_se`, which take design points as independent.
        Posteriors are on a coarse grid.
    """
    x, y = (jnp.asarray(values, DTYPE) for values in (validation.x, validation.y))
    scores = {}
    for kind, likelihood in likelihoods.items():
        truths = summarise_truths(likelihood, make_grid(likelihood, box, GRID_SHAPE), x, y, None)
        levels, pit = (np.asarray(part, float) for part in (truths.hpd_level, truths.pit))
        scores[kind] = {
            "log_score": float(np.asarray(truths.log_density, float).mean()),
            "coverage": {f"{100 * level:.0f}": float((levels <= level).mean()) for level in LEVELS},
            "coverage_by_parameter": coverage(pit, levels),
            "coverage_by_parameter_se": clustered_errors(pit, levels, validation.point_id),
        }
    return scores
