"""The prior, the study's configuration and what it says of mistakes."""

import numpy as np
import pytest
import yaml
from project import ROOT
from scipy import stats
from snakemake.utils import update_config

from natal.errors import NatalError
from natal.settings.reading import check
from natal.studies.triples import systems
from natal.studies.triples.settings import Prior, Triples

PRIOR = Prior()


@pytest.fixture
def config():
    """The study's default configuration."""
    return yaml.safe_load((ROOT / "config" / "studies" / "triples.yaml").read_text())


def test_both_configurations_are_valid(config):
    """The default one, and the smoke one laid over it."""
    smoke = yaml.safe_load((ROOT / "config" / "studies" / "triples_smoke.yaml").read_text())
    for changes in ({}, smoke):
        update_config(config, changes)
        check(Triples, config)
    assert config["name"] == "triples_smoke"


def test_mistakes_are_named(config):
    """An unknown key, a value out of range, a reversed range, more checks than triples."""
    config["integration"]["etta"] = 0.1
    config["prior"]["e_outer"] = [0, 1.0]
    with pytest.raises(NatalError) as refused:
        check(Triples, config)
    assert "unknown key integration.etta (did you mean eta?)" in str(refused.value)
    assert "prior.e_outer.1 = 1.0 is not allowed: a number from 0 to 0.95" in str(refused.value)
    del config["integration"]["etta"]
    config["prior"]["e_outer"] = [0.8, 0.1]
    with pytest.raises(NatalError, match=r"prior\.e_outer = \[0\.8, 0\.1\] is not allowed: the first value must be"):
        check(Triples, config)
    config["prior"]["e_outer"] = [0.1, 0.8]
    config["checks"]["triples"] = 10**6
    with pytest.raises(NatalError, match=r"checks\.triples = 1000000 is not allowed: at most triples\.train = 3600"):
        check(Triples, config)


def test_draws_follow_the_prior():
    """What the rule on crossing orbits leaves alone is uniform (Kolmogorov-Smirnov, one false alarm in 1000)."""
    table = systems.draw(4000, PRIOR, np.random.default_rng(0))
    assert len(table) == 4000
    turn = 2 * np.pi
    uniform = {
        "cos i": (np.cos(table.inclination_rad) + 1) / 2,
        "m2 / m1": (table.mass_ratio_inner - 0.1) / 0.9,
        "node": table.node_rad / turn,
        "pericentre": table.pericentre_rad / turn,
        "mean anomaly": table.mean_anomaly_outer_rad / turn,
    }
    for name, values in uniform.items():
        assert stats.kstest(values, "uniform").pvalue > 1e-3, name
    assert (systems.pericentre_ratio(table) > 1 + table.e_inner).all()
    np.testing.assert_allclose(systems.masses_msun(table).sum(1), 1)


def test_a_prior_of_crossing_orbits_is_refused():
    """Period ratios of almost one leave no hierarchy."""
    tight = Prior(period_ratio=(1, 1.01), e_inner=(0.8, 0.9), e_outer=(0.7, 0.8), mass_ratio_outer=(0.1, 0.11))
    with pytest.raises(NatalError, match=r"prior\.period_ratio"):
        systems.draw(10, tight, np.random.default_rng(0))


def test_features_do_not_depend_on_phases():
    """Turned nodes, apsides and anomalies leave all six as they are; masses enter as ratios."""
    table = systems.draw(20, PRIOR, np.random.default_rng(1))
    turned = table.assign(node_rad=0.0, pericentre_rad=1.0, mean_anomaly_inner_rad=2.0, mean_anomaly_outer_rad=3.0)
    np.testing.assert_array_equal(systems.features(table), systems.features(turned))
    m1, m2, m3 = systems.masses_msun(table).T
    np.testing.assert_allclose(systems.features(table)[:, 3:5], np.log([m1 / m3, m2 / m3]).T)
