"""Likelihoods are compared by what their posteriors say of validation runs."""

import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, SIGMA, LinearLikelihood, make_runs

from natal.assessment.likelihood_choice import validation_scores


@pytest.fixture(scope="module")
def scores():
    """The simulator's own law, and one that is half as wide, on 600 validation runs of as many points."""
    runs = make_runs("validation", 600, 1, seed=4)
    laws = {"honest": LinearLikelihood(), "sure": LinearLikelihood(sigma=jnp.asarray(SIGMA / 2, "float32"))}
    return validation_scores(laws, runs, BOX)


def test_an_honest_law_covers_each_parameter(scores):
    """Intervals of Q0 and a, and joint regions, hold their level; those of a law that is too sure do not."""
    honest, sure = scores["honest"], scores["sure"]
    assert honest["log_score"] > sure["log_score"]
    for level, shares in honest["coverage_by_parameter"].items():
        assert list(shares) == ["q0", "a_au", "joint"]
        for name, share in shares.items():
            # a standard error of 2 % at 50 %, and what cells of a hundredth of the box leave
            error = honest["coverage_by_parameter_se"][level][name]
            assert error == pytest.approx(np.sqrt(share * (1 - share) / 600), rel=0.01)
            assert abs(share - float(level) / 100) < 4 * error + 0.01
            assert share > sure["coverage_by_parameter"][level][name]


def test_joint_regions_are_covered_as_ever(scores):
    """The older key is the newer one's joint part."""
    for part in scores.values():
        assert part["coverage"] == {level: shares["joint"] for level, shares in part["coverage_by_parameter"].items()}
