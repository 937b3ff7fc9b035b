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
N = 400


def births(n):
    q0, a_au = draw_births(1, n, REACH.q0, REACH.a_au)
    return pd.DataFrame({"q0": q0, "a_au": a_au})


def honest(true, rng, off=0.0):
    """Normal posteriors of independent q0 and a, their means `off` standard deviations from where they should be."""
    z = rng.standard_normal((2, len(true))) + off
    chi2 = (z**2).sum(0)
    columns = {"hpd_level": 1 - np.exp(-chi2 / 2), "log_density": -chi2 / 2 - np.log(2 * np.pi), "entropy": 1.0}
    for name, sd, at in (("q0", 0.05, z[0]), ("a_au", 0.02 * true.a_au, z[1])):
        columns |= {f"{name}_mean": true[name] + sd * at, f"{name}_sd": sd, f"{name}_width": 1.0}
    return pd.DataFrame({**columns, "prior_predictive_p": rng.random(len(true)), "energy_error": 1e-5})


def test_verdicts_count_what_is_off():
    """Honest answers are covered and unbiased; others, one standard deviation off in both, are not."""
    rng, true = np.random.default_rng(0), births(N)
    found = {"control": honest(true, rng), "king": honest(true.head(100), rng, 1.0)}
    found["king"].loc[:24, "prior_predictive_p"] = 1e-3
    found["king"].loc[0, ["log_density", "energy_error"]] = np.nan, 0.5
    table = answers.verdicts(found, true).set_index("suite")
    control, king = table.loc["control"], table.loc["king"]
    assert table.n.tolist() == [N, 100]
    for level in (68, 95):
        share = control[f"joint_{level}"]
        assert share == score(found["control"])[f"joint_{level}"]
        assert control[f"joint_{level}_se"] == pytest.approx(np.sqrt(share * (1 - share) / N))
        assert abs(share - level / 100) < 3 * control[f"joint_{level}_se"]
        assert king[f"joint_{level}"] < share
    for name in ("q0", "ln_a"):
        assert abs(control[f"bias_{name}"]) < 3.5 * control[f"bias_{name}_se"]
        assert control[f"spread_{name}"] == pytest.approx(1, abs=0.15)
        assert king[f"bias_{name}"] == pytest.approx(1, abs=0.35)
    assert control.lost == control.lost_se == 0
    # the first 100 births only; one is lost altogether
    densities = found["control"].log_density[:100], found["king"].log_density.fillna(answers.FLOOR)
    assert king.lost == pytest.approx((densities[0] - densities[1]).mean())
    assert king.warned == pytest.approx(0.25, abs=0.05)
    assert king.energy_broken == 0.01
    assert figures.table(table.reset_index()).axes[3].get_xlabel() == "warned"


def of_the_law(n):
    """Clusters that a law draws, and the same ones three times as large."""
    whole = births(n).assign(age_yr=REACH.t_end_yr, mass_msun=REACH.mass_msun).to_numpy()
    control = births(n).join(predicted(1, random_law(), whole)[NAMES])
    return {"control": control, "king": control.assign(r_hp_au=3 * control.r_hp_au)}


def test_laws_are_compared_at_the_same_births():
    """Three times as large: ln 3 more, the same width."""
    table = answers.laws(of_the_law(60), NAMES, REACH.t_end_yr, REACH.mass_msun)
    control = table[table.suite == "control"]
    np.testing.assert_allclose(control["shift"], 0, atol=1e-9)
    np.testing.assert_allclose(control.width, 1)
    king = table[table.suite == "king"].set_index("observable")
    assert king.width.tolist() == pytest.approx([1, 1, 1])
    assert king["shift"].tolist()[::2] == pytest.approx([0, 0], abs=1e-9)
    assert king["shift"]["r_hp_au"] > 1
    assert len(figures.laws(table).axes) == 2


@pytest.mark.slow
def test_a_law_answers_its_own_clusters():
    """They are covered; larger ones are warned of."""
    n, warned = 40, {}
    for suite, table in of_the_law(n).items():
        rows = clusters_table(table[NAMES].assign(name=table.index.astype(str)).to_dict("records"))
        found = answers.answer(jax.random.key(0), random_law(), rows, table[["q0", "a_au"]].to_numpy())
        warned[suite] = (found.prior_predictive_p < 0.01).mean()
        if suite == "control":
            assert score(found)["joint_68"] == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / n))
    assert warned["king"] > warned["control"] < 0.1
