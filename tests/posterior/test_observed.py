"""Own clusters: the first by NUTS, the others by the grid, in one table and one file."""

import numpy as np
import pandas as pd
import pytest
from closed_form import BOX

from natal.posterior.flags import DIAGNOSTICS, reasons_for_doubt
from natal.posterior.observed import answer_on_grid, recover_observed
from natal.posterior.tables import write_posteriors
from natal.settings.inference import NutsSettings
from natal.variables import SUMMARIES

SHAPE = (32, 32)
SETTINGS = NutsSettings(chains=2, draws=50, cases_per_batch=2)


@pytest.fixture(scope="module")
def observed(runs):
    """Five clusters with errors."""
    errors = dict(zip(SUMMARIES.errors, (0.02, 0.05, 10.0), strict=True))
    table = pd.DataFrame(runs.test.y[:40:8], columns=list(SUMMARIES)).assign(**errors)
    table.insert(0, "name", [f"c{k}" for k in range(5)])
    return table


@pytest.fixture(scope="module")
def both(fitted_likelihood, observed):
    """The first two by NUTS."""
    return recover_observed(7, fitted_likelihood, BOX, observed, SETTINGS, SHAPE, n_nuts=2)


def test_one_table_in_the_order_given(both, observed):
    """Diagnostics of the first two alone, everything else of all; an empty diagnostic is no reason for doubt."""
    table, _ = both
    assert table.case.tolist() == observed.name.tolist()
    assert table.notna().sum().tolist() == [2 if name in DIAGNOSTICS else 5 for name in table.columns]
    for row in table[2:].itertuples():
        assert not any("finite" in line or "chains" in line for line in reasons_for_doubt(row, BOX))


def test_the_others_have_the_grids_answer(both, observed, fitted_likelihood):
    """The same numbers as without NUTS, and as many draws as NUTS has."""
    table, tree = both
    rest = observed[2:].reset_index(drop=True)
    alone, draws = answer_on_grid(7, fitted_likelihood, BOX, rest, SHAPE, 100, n_chains=2)
    pd.testing.assert_frame_equal(table[2:][alone.columns].reset_index(drop=True), alone)
    assert tree["posterior"].sizes == {"case": 5, "chain": 2, "draw": 50}
    np.testing.assert_array_equal(tree["posterior/q0"][2:], draws["posterior/q0"])


def test_the_file_holds_both(both, tmp_path):
    """Names, data and draws of all, the sampler's numbers of those that it sampled."""
    _, tree = both
    write_posteriors(tmp_path / "observed.nc", tree)
    assert tree["observed_data"].sizes["case"] == 5
    assert tree["sample_stats/case"].values.tolist() == ["c0", "c1"]


def test_without_nuts(fitted_likelihood, observed):
    """None at all: the same columns."""
    table, tree = recover_observed(7, fitted_likelihood, BOX, observed, SETTINGS, SHAPE, n_nuts=0)
    assert table[list(DIAGNOSTICS)].isna().all().all()
    assert table.columns.get_loc("tv_grid") < table.columns.get_loc("chi2_best")
    assert "sample_stats" not in tree.children
