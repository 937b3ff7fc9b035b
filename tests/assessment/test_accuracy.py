"""The numbers a campaign reports, each against its definition; a network that loses is called so."""

import numpy as np
import pandas as pd
import pytest
from closed_form import OFFSET, SIGMA, linear_mean, make_runs

from natal.assessment.accuracy import evaluate, root_mean_square
from natal.assessment.metrics import simulation_report, speed_report
from natal.data.runs import Runs
from natal.emulator.baselines import fit_baselines

SUMMARIES = ("f_bound", "sigma_v_kms", "r_h_au")


@pytest.fixture(scope="module")
def baselines(runs):
    """Baselines of the linear simulator: the linear one has the right form."""
    return fit_baselines(runs.train)


def by_output(values):
    """Numbers by the name of their output."""
    return pytest.approx(dict(zip(SUMMARIES, values, strict=True)), rel=1e-12)


def test_root_mean_square_by_hand():
    """Over rows, each output by itself."""
    assert root_mean_square(np.array([[3.0, 1.0, 0.0], [-4.0, 1.0, 2.0]])) == by_output(
        [np.sqrt(12.5), 1.0, np.sqrt(2.0)]
    )


def test_every_error_by_hand():
    """Two points of two runs, one prediction off by a known amount."""
    x = np.array([[0.6, 80.0], [0.6, 80.0], [1.2, 150.0], [1.2, 150.0], [1.4, 60.0]])
    y = np.array([[0.9, 6.0, 200.0], [0.7, 8.0, 240.0], [0.4, 3.0, 500.0], [0.2, 5.0, 700.0], [0.1, 1.0, 900.0]])
    test = Runs("test", x, y, np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 0]), 1)
    prediction = np.array([0.5, 6.0, 400.0])
    found = evaluate(lambda x: np.tile(prediction, (len(x), 1)), {"linear": lambda x: np.zeros((len(x), 3))}, test)
    emulator = found["emulator"]
    assert (emulator["n_test_points"], emulator["n_test_runs"]) == (3, 5)
    assert emulator["rmse"] == by_output(np.sqrt(((prediction - y) ** 2).mean(0)))
    # the lone survivor of the third point is its own mean, and has no scatter
    means = np.array([[0.8, 7.0, 220.0], [0.3, 4.0, 600.0], [0.1, 1.0, 900.0]])
    assert emulator["rmse_mean"] == by_output(np.sqrt(((prediction - means) ** 2).mean(0)))
    assert emulator["bias"] == by_output((prediction - means).mean(0))
    scatter = np.array([[0.2, 2.0, 40.0], [0.2, 2.0, 200.0]]) / np.sqrt(2)
    assert emulator["scatter"] == by_output(np.sqrt((scatter**2).mean(0)))
    assert emulator["noise_of_means"] == by_output(np.sqrt((scatter**2).mean(0) / 2))
    linear = np.sqrt((means**2).mean(0))
    assert found["baselines"]["linear"]["rmse_mean"] == by_output(linear)
    skill = 1 - ((prediction - means) ** 2).mean(0) / linear**2
    assert emulator["skill_vs_linear"] == by_output(skill)


def test_a_network_that_loses_is_called_so(baselines, runs):
    """A constant in the place of the network, on a linear simulator: every output goes to the linear baseline."""
    found = evaluate(lambda x: np.tile(OFFSET, (len(x), 1)), baselines, runs.test)["emulator"]
    assert found["beats_every_baseline"] == dict.fromkeys(SUMMARIES, False)
    assert all(skill < 0 for skill in found["skill_vs_linear"].values())


def test_losing_on_one_output_is_not_hidden_by_the_others(baselines, runs):
    """A perfect prediction but for a shift of r_h by its scatter."""
    found = evaluate(lambda x: linear_mean(x) + SIGMA * [0, 0, 1], baselines, runs.test)["emulator"]
    # 1600 training runs leave the linear fit an error of sigma sqrt(3 / 1600), the perfect prediction none
    assert found["beats_every_baseline"]["r_h_au"] is False
    assert found["best_baseline"]["r_h_au"] in ("linear", "quadratic")
    assert found["skill_vs_linear"]["r_h_au"] < 0


def test_the_best_baseline_is_the_one_to_beat(runs):
    """An emulator between the best and the second baseline loses, and the best is named."""

    def shifted(shift):
        return lambda x: linear_mean(x) + shift * SIGMA

    baselines = {"linear": shifted(3.0), "nearest": shifted(-1.0), "mean": shifted(9.0)}
    found = evaluate(shifted(2.0), baselines, runs.test)["emulator"]
    assert found["best_baseline"] == dict.fromkeys(SUMMARIES, "nearest")
    assert found["beats_every_baseline"] == dict.fromkeys(SUMMARIES, False)
    assert all(skill > 0 for skill in found["skill_vs_linear"].values())
    found = evaluate(shifted(0.1), baselines, runs.test)["emulator"]
    assert found["beats_every_baseline"] == dict.fromkeys(SUMMARIES, True)


def test_a_perfect_emulator_reaches_the_noise(runs):
    """Against single runs it errs by the scatter, against replicate means by their noise."""
    found = evaluate(linear_mean, {"linear": lambda x: linear_mean(x) + 1.0}, runs.test)["emulator"]
    n_points, n_runs = 40, 320
    for name, sigma in zip(SUMMARIES, SIGMA, strict=True):
        # a root mean square of n normal deviates has a relative error of 1 / sqrt(2 n); 5 sigma.
        # n = 320 runs, 40 means, and 280 degrees of freedom of the scatter
        assert found["rmse"][name] == pytest.approx(sigma, rel=5 / np.sqrt(2 * n_runs))
        assert found["rmse_mean"][name] == pytest.approx(sigma / np.sqrt(8), rel=5 / np.sqrt(2 * n_points))
        assert found["scatter"][name] == pytest.approx(sigma, rel=5 / np.sqrt(2 * (n_runs - n_points)))
        assert found["noise_of_means"][name] == pytest.approx(found["scatter"][name] / np.sqrt(8), rel=1e-12)


def test_one_realization_a_point_says_nothing_of_the_scatter():
    """Each run is then its own replicate mean; scatter and noise are missing, not zero."""
    train, test = (make_runs(split, 20, 1, seed=k) for k, split in enumerate(("train", "test")))
    found = evaluate(linear_mean, fit_baselines(train), test)
    for part in (found["emulator"], *found["baselines"].values()):
        assert part["rmse_mean"] == part["rmse"]
    assert np.all(np.isnan([*found["emulator"]["scatter"].values(), *found["emulator"]["noise_of_means"].values()]))
    # the nearest point answers with its only run
    np.testing.assert_array_equal(fit_baselines(train)["nearest"](train.x), train.y)


def test_counts_and_costs_of_the_simulations():
    """Dissolved runs by split, the worst point, energy errors and interactions a second."""
    summaries = pd.DataFrame(
        {
            "point_id": [0, 0, 1, 1, 100_000, 100_000, 200_000, 200_000, 300_000, 300_001],
            "split": ["train"] * 4 + ["validation"] * 2 + ["test"] * 2 + ["calibration"] * 2,
            "dissolved": [False, False, True, False, False, False, True, False, False, True],
            "energy_error": [1e-6, 3e-6, 2e-6, 5e-6, 4e-6, 7e-6, 6e-6, 8e-6, 4e-6, 5e-6],
        }
    )
    costs = pd.DataFrame(
        {
            "threads": [1.0, 2.0],
            "started_unix_s": [100.0, 102.0],
            "integrate_time_s": [2.0, 6.0],
            "compile_time_s": [1.0, 0.5],
            "wall_time_s": [4.0, 7.0],
            "interactions": [4e9, 12e9],
        }
    )
    found = simulation_report(summaries, costs)
    assert found["simulation"] == {
        "n_points": 6,
        "n_runs": 10,
        "max_energy_error": 8e-6,
        "median_energy_error": pytest.approx(4.5e-6),
        "dissolved": {
            "train": {"n": 1, "share": 0.25},
            "validation": {"n": 0, "share": 0.0},
            "test": {"n": 1, "share": 0.5},
            "calibration": {"n": 1, "share": 0.5},
        },
        # a single realization has no share
        "max_dissolved_share_of_a_point": 0.5,
        "dissolved_share_by_point": {"1": 0.5, "200000": 0.5},
    }
    assert found["timing"]["simulate"] == {
        "jobs": 2,
        "compile_s": 1.5,
        "integrate_s": 8.0,
        "jobs_s": 11.0,
        # from 100 to 104 and from 102 to 109
        "stage_wall_s": 9.0,
        # 2 s on one core and 6 s on two, for 10 runs and 16e9 interactions
        "core_s_per_run": 1.4,
        "gint_per_core_s": pytest.approx(16 / 14),
    }


def test_what_direct_inference_would_have_cost():
    """One simulation a gradient: hours a case, days for all."""
    measured = {
        "device": "x",
        "simulation_alone_s": 0.1,
        "simulation_batched_s": 0.02,
        "emulator_alone_s": 1e-4,
        "emulator_batched_s": 1e-6,
        "gradient_alone_s": 2e-4,
        "gradient_batched_s": 4e-6,
    }
    metrics = {"nuts": {"gradients_per_case": 36_000.0}, "recovery": {"n_cases": 120}}
    found = speed_report(measured, metrics)
    assert measured.items() <= found.items()
    assert found["speedup_alone"] == pytest.approx(1000.0)
    assert found["speedup_batched"] == pytest.approx(20_000.0)
    assert found["speedup_gradient_batched"] == pytest.approx(5000.0)
    assert found["direct_inference_core_hours_per_case"] == pytest.approx(0.2)
    assert found["direct_inference_core_days_all_cases"] == pytest.approx(1.0)
