"""Scores every likelihood on the validation runs: the reason for the choice of the default."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from natal.assessment.coverage import LEVELS
from natal.data.runs import Runs
from natal.emulator.network_files import DTYPE
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import make_grid, summarise_truths
from natal.variables import Box

GRID_SHAPE = (96, 96)


def validation_scores(likelihoods: dict[str, Likelihood], validation: Runs, box: Box) -> dict[str, dict[str, Any]]:
    """Mean natural log posterior density at the truth (per unit Q0 and AU) and joint coverage, by likelihood.

    The posteriors are those of every validation run under a uniform prior on the design box, on a coarse grid. Widths
    and early stopping have seen the same runs, which favours them a little; the calibration draws are unseen.
    """
    x, y = (jnp.asarray(values, DTYPE) for values in (validation.x, validation.y))
    scores = {}
    for kind, likelihood in likelihoods.items():
        truths = summarise_truths(likelihood, make_grid(likelihood, box, GRID_SHAPE), x, y, None)
        levels = np.asarray(truths.hpd_level, float)
        scores[kind] = {
            "log_score": float(np.asarray(truths.log_density, float).mean()),
            "coverage": {f"{100 * level:.0f}": float((levels <= level).mean()) for level in LEVELS},
        }
    return scores
