"""Nothing leaves without a warning that is not finite, did not converge or says nothing; nothing else is warned of."""

import math

import pandas as pd
import pytest
from closed_form import BOX

from natal.posterior.flags import reasons_for_doubt

# an answer as good as it gets; a uniform prior's standard deviations are 0.29 and 43
GOOD = {"case": "Orion", "f_bound": 0.8, "q0_mean": 0.9, "q0_sd": 0.05, "a_au_mean": 120.0, "a_au_sd": 25.0}
GOOD |= {"rhat": 1.004, "ess_bulk": 2300.0, "chi2_best": 1.7, "mahalanobis_p": 0.3, "at_edge": False}
GOOD |= {"edge_mass_q0": 0.0, "edge_mass_a_au": 0.01}


def doubts(changes):
    """Of a row of a table, and of the same row as an answer has it."""
    table = pd.DataFrame([GOOD | changes])
    found = reasons_for_doubt(next(table.itertuples()), BOX)
    assert found == reasons_for_doubt(table.iloc[0], BOX)
    return found


def test_a_good_answer_is_not_doubted():
    """With and without chains."""
    assert doubts({}) == []
    without = {name: value for name, value in GOOD.items() if name not in ("rhat", "ess_bulk")}
    assert reasons_for_doubt(pd.Series(without), BOX) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chi2_best": 40.0, "mahalanobis_p": 0.001, "rhat": 5e15}, "nothing in the prior's box comes near"),
        ({"chi2_best": math.inf}, "nothing in the prior's box comes near"),
        ({"chi2_best": math.nan}, "not all numbers of the answer are finite"),
        ({"q0_mean": math.nan, "rhat": math.nan, "mahalanobis_p": 0.001}, "not all numbers of the answer are finite"),
        ({"a_au_sd": math.inf}, "not all numbers of the answer are finite"),
        ({"rhat": math.nan}, "not all numbers of the answer are finite"),
        ({"rhat": 1.021}, "the chains did not find the posterior (R-hat = 1.021, at most 1.02 is allowed)"),
        ({"rhat": 5e15}, "the chains did not find the posterior (R-hat = 5e+15"),
        ({"q0_sd": 0.28, "a_au_sd": 43.3}, "the answer is the prior (standard deviations are 97 % in q0 and 100 %"),
        ({"mahalanobis_p": 0.004}, "outside the prior predictive (Mahalanobis p = 0.004)"),
        ({"at_edge": True, "edge_mass_q0": 0.3}, "the posterior is cut by the prior's box (30.0 %"),
    ],
)
def test_each_doubt_has_its_line(changes, said):
    """One, with the cluster's name; where nothing explains it, the rest is not worth saying."""
    (line,) = doubts(changes)
    assert line.startswith(f"Orion: {said}")
    assert "\n" not in line


def test_one_parameter_that_is_not_recovered_is_no_reason():
    """Summaries that hold Q0 and not a are an answer."""
    assert doubts({"a_au_sd": 43.3}) == []
