"""Tables of how far answers are off."""

import jax
import numpy as np
import pandas as pd
import pytest
from joint_law import REACH, random_law

from natal.assessment.observables import score
from natal.posterior.catalogue import clusters_table, predicted
from natal.studies.departures import answers, figures
from natal.studies.departures.births import draw_births

NAMES = ["sigma_los_kms", "r_hp_au", "v_out_kms"]
N = 60


@pytest.fixture(scope="module")
def births():
    q0, a_au = draw_births(1, N, REACH.q0, REACH.a_au)
    return pd.DataFrame({"q0": q0, "a_au": a_au})


@pytest.fixture(scope="module")
def tables(births):
    """Clusters that the law itself draws, and the same ones twice as wide."""
    whole = births.assign(age_yr=REACH.t_end_yr, mass_msun=REACH.mass_msun).to_numpy()
    control = births.join(predicted(1, random_law(), whole)[NAMES])
    return {"control": control, "king": control.assign(r_hp_au=3 * control.r_hp_au)}


@pytest.fixture(scope="module")
def found(tables):
    law = random_law()
    truth = tables["control"][["q0", "a_au"]].to_numpy()
    rows = {s: t[NAMES].assign(name=t.index.astype(str)).to_dict("records") for s, t in tables.items()}
    answered = {s: answers.answer(jax.random.key(0), law, clusters_table(rows[s]), truth) for s in rows}
    return {s: rows.assign(energy_error=0.0) for s, rows in answered.items()}


def test_verdicts_know_the_control_from_a_departure(found, births):
    """The law's own clusters are covered; wider ones are taken for larger births, score less and are warned of."""
    table = answers.verdicts(found, births).set_index("suite")
    control, king = table.loc["control"], table.loc["king"]
    assert control.joint_68 == pytest.approx(score(found["control"])["joint_68"])
    assert control.joint_68 == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / N))
    assert control.joint_68_se == pytest.approx(np.sqrt(control.joint_68 * (1 - control.joint_68) / N))
    assert abs(control.bias_q0) < 0.5
    assert control.lost == control.lost_se == 0
    assert king.bias_ln_a > 3 * king.bias_ln_a_se
    assert king.joint_68 < control.joint_68
    assert king.lost == pytest.approx(control.log_score - king.log_score)
    assert king.warned > control.warned < 0.1
    assert figures.table(table.reset_index()).axes[3].get_xlabel() == "warned"


def test_laws_are_compared_at_the_same_births(tables):
    """Three times as wide: ln 3 more, the same width."""
    table = answers.laws(tables, NAMES, REACH.t_end_yr, REACH.mass_msun)
    control = table[table.suite == "control"]
    np.testing.assert_allclose(control["shift"], 0, atol=1e-9)
    np.testing.assert_allclose(control.width, 1)
    king = table[table.suite == "king"].set_index("observable")
    assert king.width.tolist() == pytest.approx([1, 1, 1])
    assert king["shift"].tolist()[::2] == pytest.approx([0, 0], abs=1e-9)
    assert king["shift"]["r_hp_au"] > 1
    assert len(figures.laws(table).axes) == 2
