"""The defects that checks are said to see: they see them four times in five, and no others are said."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import chi2, ncx2

from natal.assessment.power import N_SIMULATED, POWER, would_see
from natal.assessment.sbc import check_log_score
from natal.assessment.uniformity import check_uniform, places

LEVEL = 0.05 / 12
DRAWS = 50
N = 120
REPEATS = 300


def width_holding(share, dimensions):
    """The factor by which widths are too small of which 68 % regions hold a share."""
    return np.sqrt(chi2.ppf(0.68, dimensions) / chi2.ppf(share, dimensions))


def pit(rng, bias):
    return ndtr(rng.standard_normal(N) + bias)


def ranked(rng, probability):
    return (rng.binomial(DRAWS, probability) + rng.random(N)) / (DRAWS + 1)


def discs(rng, share, sd=0.05):
    """Ranks of distances from random points of a unit square, of normal posteriors there: nothing is far off."""
    mean, point = rng.random((2, N, 2))
    truth = mean + sd * width_holding(share, 2) * rng.standard_normal((N, 2))
    reach2, offset2 = (((place - point) ** 2).sum(1) / sd**2 for place in (truth, mean))
    return ranked(rng, ncx2.cdf(reach2, 2, offset2))


DEFECTIVE = {
    "pit_q0": pit,
    "sbc_a_au": lambda rng, bias: ranked(rng, pit(rng, bias)),
    "coverage_q0": lambda rng, share: 2 * np.abs(ndtr(width_holding(share, 1) * rng.standard_normal(N)) - 0.5),
    "coverage_joint_high_q0": lambda rng, share: 1 - np.exp(-(width_holding(share, 2) ** 2) * rng.exponential(size=N)),
    "tarp": discs,
}


def share_that_fails(check, size):
    rng = np.random.default_rng(1)
    if check == "log_score":
        # widths too small by a factor promise factor^2 - 1 too much
        surprises = 1 - (1 + size) * rng.exponential(size=(REPEATS, N))
        return np.mean([not check_log_score(one, np.zeros(N), LEVEL)["passed"] for one in surprises])
    return np.mean([not check_uniform(DEFECTIVE[check](rng, size), LEVEL)["passed"] for _ in range(REPEATS)])


@pytest.mark.parametrize("check", [*DEFECTIVE, "log_score"])
def test_a_stated_defect_is_seen_four_times_in_five(check):
    """Of 300 campaigns; four of their standard errors, with those of the simulated ones behind the number."""
    size = would_see(check, N, DRAWS, LEVEL)["detects"]
    error = np.sqrt(POWER * (1 - POWER) * (1 / REPEATS + 1 / N_SIMULATED))
    assert share_that_fails(check, size) == pytest.approx(POWER, abs=4 * error)


def test_more_cases_see_less():
    """Four times as many see half the bias; the thirds see less than the whole."""
    few, many = (would_see("pit_q0", n, DRAWS, LEVEL)["detects"] for n in (150, 600))
    assert few / many == pytest.approx(2, rel=0.05)
    whole, third = (would_see("coverage_joint", n, DRAWS, LEVEL)["detects"] for n in (600, 200))
    assert 0.68 > whole > third + 0.02


def test_fewer_draws_see_less():
    """Ranks among ten draws are blurred; among thousands they are the probabilities themselves."""
    few, many = (would_see("sbc_q0", N, n_draws, LEVEL)["detects"] for n_draws in (10, 3000))
    assert few > 1.03 * many
    assert many == pytest.approx(would_see("pit_q0", N, 10, LEVEL)["detects"], rel=0.01)


def test_too_few_cases_see_nothing():
    """Three cases at one end are no surprise at a level of 0.004: 2 / 4^3."""
    assert 2 / 4 ** len(places(3)) > LEVEL
    assert would_see("pit_q0", 3, DRAWS, LEVEL) == {"detects": None, "would_see": "nothing: n is too small"}


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("pit_q0", "a bias of 0.40 sd"),
        ("coverage_a_au", "68 % intervals that hold 55.0 %"),
        ("coverage_joint_low_q0", "joint 68 % regions that hold 54.0 %"),
        ("log_score", "a log score 0.50 below the promised one"),
    ],
)
def test_the_words_hold_the_number(check, words):
    """In per cent where it is a share."""
    found = would_see(check, N, DRAWS, LEVEL)
    template = "".join("#" if c.isdigit() else c for c in words)
    assert "".join("#" if c.isdigit() else c for c in found["would_see"]) == template
    number = found["detects"] * (100 if "%" in words else 1)
    assert f"{number:.1f} %" in found["would_see"] or f" {number:.2f} " in found["would_see"]
