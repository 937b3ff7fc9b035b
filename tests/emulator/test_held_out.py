"""How far the emulator is off where it has not learned, and what its members' spread says of that."""

from dataclasses import replace

import numpy as np
import pytest
from closed_form import blank_ensemble, make_runs

from natal.emulator.held_out import (
    AVERAGED,
    ERROR,
    error_of_the_mean,
    gain_of_averaging,
    held_out_errors,
    spread_calibration,
)

N_POINTS, N_REALIZATIONS = 150, 4


@pytest.fixture(scope="module")
def emulator():
    """Five untrained networks: their mean and spread are some functions of (q0, a_au)."""
    return blank_ensemble(5)


def about(emulator, error, scatter, seed, n_realizations=N_REALIZATIONS, n_points=N_POINTS):
    """Validation runs of a simulator whose mean is off the emulator's by `error` spreads, drawn for each point."""
    runs = make_runs("validation", n_points, n_realizations, seed=seed)
    mean, spread = (np.asarray(part, float) for part in emulator(runs.x))
    rng = np.random.default_rng(seed)
    off = rng.standard_normal((n_points, 3))[runs.point_id]
    noise = np.multiply(scatter, spread) * rng.standard_normal(runs.y.shape)
    return replace(runs, y=mean + error * spread * off + noise)


def held_out(emulator, runs, train=None):
    """Errors at the points of `runs`, their variance from `train` or from the same."""
    return held_out_errors(emulator, train or runs, runs)


def test_the_squared_error_is_that_of_the_mean_without_the_scatter(emulator):
    """Unbiased where the error is half a scatter and where there is none; negative at many points, then."""
    for error in (0.0, 1.0):
        found = held_out(emulator, about(emulator, error, scatter=2.0, seed=1))
        ratio = found.squared_error / found.squared_spread
        # variance of the squared distance and of the noise 2^2 / 4 = 1 that is taken off it
        se = np.sqrt((2 * (error**2 + 1) ** 2 + 2 / 3) / N_POINTS)
        np.testing.assert_allclose(ratio.mean(0), error**2, atol=4 * se)
    assert (held_out(emulator, about(emulator, 0.0, 2.0, seed=1)).squared_error < 0).mean() > 0.3


def test_the_scatter_is_taken_off_to_a_few_per_cent(emulator):
    """No error, a noise of the replicate means as large as the spread: of 40,000 points 5 % of it are six sigma."""
    found = held_out(emulator, about(emulator, 0.0, scatter=2.0, seed=4, n_points=40_000))
    ratio = found.squared_error / found.squared_spread
    np.testing.assert_allclose(ratio.mean(0), 0.0, atol=4 * np.sqrt((2 + 2 / 3) / 40_000))


def test_a_member_errs_as_their_mean_and_their_spread(emulator):
    """The decomposition is exact; by how much averaging helps follows from what members do not share."""
    runs = about(emulator, 1.0, scatter=2.0, seed=5, n_points=4000)
    found, points = gain_of_averaging(emulator, runs), held_out(emulator, runs)
    for k, part in enumerate(found.values()):
        total = part["mean_variance"] + part["spread_variance"]
        assert part["member_variance"] == pytest.approx(total, rel=1e-4)
        # the same error as elsewhere; variances of five members with n in place of n - 1
        assert part["mean_variance"] == pytest.approx(points.squared_error[:, k].mean(), rel=1e-4)
        assert part["spread_variance"] == pytest.approx(0.8 * points.squared_spread[:, k].mean(), rel=1e-4)
        # an error of one spread: 0.8 of 1.8 is not shared
        assert part["removed"] == pytest.approx(0.8 / 1.8, rel=0.1)
        squares = np.square(part["rmse_members"])
        assert squares.mean() == pytest.approx(part["rmse"] ** 2 + 0.8 * points.squared_spread[:, k].mean(), rel=1e-3)
        assert len(squares) == 5


def test_averaging_without_replicates(emulator):
    """Only errors against single runs are known; where errors are lost in the scatter no share is named."""
    single = gain_of_averaging(emulator, about(emulator, 1.0, 1.0, seed=6, n_realizations=1))
    for part in single.values():
        assert {name for name, value in part.items() if value is None} == set(AVERAGED)
    lost = gain_of_averaging(emulator, about(emulator, 0.0, scatter=100.0, seed=7, n_points=20))
    assert any(part["removed"] is None for part in lost.values())


def test_a_small_error_has_a_limit_and_a_large_one_bars(emulator):
    """Both agree with the truth; the standard errors are those of many repetitions."""
    small = [error_of_the_mean(held_out(emulator, about(emulator, 0.0, 5.0, seed))) for seed in range(40)]
    for name in small[0]:
        variances = np.array([found[name]["emulator_variance"] for found in small])
        errors = np.array([found[name]["emulator_variance_se"] for found in small])
        # a standard deviation of 40 is good to 11 %
        assert variances.std(ddof=1) == pytest.approx(errors.mean(), rel=0.45)
        assert abs(variances.mean()) < 4 * errors.mean() / np.sqrt(40)
        assert any(found[name]["emulator"] == 0.0 for found in small)
    for found in error_of_the_mean(held_out(emulator, about(emulator, 10.0, 1.0, seed=2))).values():
        assert found["emulator"] == pytest.approx(np.sqrt(found["emulator_variance"]))
        assert found["emulator_se"] == pytest.approx(found["emulator_variance_se"] / (2 * found["emulator"]))
        assert found["emulator"] < found["emulator_limit"] < found["emulator"] + 3 * found["emulator_se"]


@pytest.mark.parametrize("error", [1.0, 3.0])
def test_the_factor_is_the_error_over_the_spread(emulator, error):
    """Within its own standard error; also where the scatter is ten times the spread for one output."""
    scatter = np.array([1.0, 2.0, 10.0])
    points = held_out(emulator, about(emulator, error, scatter, seed=5), about(emulator, 0.0, scatter, seed=4))
    found = spread_calibration(points)
    spread = np.sqrt(points.squared_spread.mean(0))
    for k, part in enumerate(found.values()):
        assert part["spread"] == pytest.approx(spread[k])
        # normal errors of the supposed factor: those of a larger one have a larger variance
        assert abs(part["squared_factor"] - error**2) < 4 * max(1, error / 2) ** 2 * part["squared_factor_se"]
        assert part["factor"] >= 1
    assert found["f_bound"]["factor"] == pytest.approx(error, rel=0.25)


def test_an_output_that_is_lost_in_the_scatter_takes_the_others_factor(emulator):
    """Its own would be anything."""
    scatter = np.array([0.5, 0.5, 100.0])
    train, validation = about(emulator, 0.0, scatter, seed=6), about(emulator, 3.0, scatter, seed=7)
    found = spread_calibration(held_out(emulator, validation, train))
    assert found["r_h_au"]["squared_factor_se"] > 100
    assert found["r_h_au"]["factor"] == pytest.approx(3, rel=0.25)


@pytest.mark.parametrize("single", ["train", "validation"])
def test_without_replicates_the_spread_stays_as_it_is(emulator, single):
    """In either split; nothing else is known."""
    runs = {split: about(emulator, 3.0, 1.0, seed=8) for split in ("train", "validation")}
    runs[single] = about(emulator, 3.0, 1.0, seed=8, n_realizations=1)
    points = held_out(emulator, runs["validation"], runs["train"])
    for part in spread_calibration(points).values():
        assert part == {"spread": None, "factor": 1.0, "squared_factor": None, "squared_factor_se": None}
    known = single == "train"
    assert all((part != dict.fromkeys(ERROR)) == known for part in error_of_the_mean(points).values())
