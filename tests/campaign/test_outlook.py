"""What planning says of a campaign's step and cost."""

import json
import os

import pytest
import yaml
from project import ROOT

from natal.campaign import plan
from natal.campaign.config import check_campaign
from natal.campaign.inventory import inspect_shards
from natal.campaign.outlook import checking_runs, cost_line, gint_per_core_s, step_lines
from natal.files.sealed import write_seal
from natal.settings.campaign import Campaign
from natal.settings.reading import lay_over
from natal.simulation.shard_format import FORMAT


def test_a_step_that_will_do(config):
    """One line with the longest one and what it follows from."""
    (line,) = step_lines(config)
    assert line == (
        "step: integration.dt_yr = 0.05 is 0.785 times the longest step that the design allows, 0.0637 yr: heaviest "
        "pairs turn in 0.318 yr, densest clusters are crossed in 5.63 yr"
    )


def test_a_step_that_is_far_too_long(config):
    """The first try at a young cluster, which broke the energy limit: a warning with the key and what is allowed."""
    config["cluster"] |= {"n_stars": 32, "star_mass_msun": 0.5, "softening_au": 200.0}
    config["integration"] |= {"t_end_yr": 1_000_000, "dt_yr": 500, "snapshots": 3}
    config["design"]["box"]["a_au"] = [20626.5, 103132.4]
    line, warning = step_lines(config)
    assert "is 11.1 times the longest step" in line
    assert warning == (
        "natal: warning: integration.dt_yr = 500 yr is far too long for the design: energy errors will exceed "
        "integration.max_energy_error = 0.001; at most 45 yr are allowed, such as 40, or raise cluster.softening_au "
        "(docs/explanation/time_step.md)"
    )
    config["integration"]["dt_yr"] = 40
    assert len(list(step_lines(config))) == 1


def test_the_densest_corner_counts(config):
    """The smallest a, and the lowest Q0 in whatever convention."""
    config["design"]["box"] = {"q0": [0.4, 3.0], "a_au": [100, 200]}
    config["design"]["virial_convention"] = "2K/|W|"
    (line,) = step_lines(config)
    assert "densest clusters are crossed in 15.9 yr" in line
    assert f"{0.2 / 3.14159 / 1.6**1.5:.3g} yr: heaviest" in line


def test_cost(config, tmp_path):
    """All clusters of the design and of the checks, all N^2 of a step counted."""
    shards = plan.shards(config)
    assert checking_runs(config) == 24 * 12 * 6 + 8 * 60
    config["resources"]["gint_per_s"] = 2.0
    assert cost_line(config, tmp_path / "default", shards, 2) == (
        "cost: 9,280 clusters x 10,000 steps x 100^2 pairs = 9.3e+11 pair interactions: 3.87 min on 2 cores at 2e+09 a "
        "second each (resources.gint_per_s)"
    )
    assert "7.73 min of one core or GPU at 2e+09 a second" in cost_line(config, tmp_path / "default", shards, None)
    config["checks"]["brute_force"]["cases"] = config["checks"]["posterior_predictive"]["cases"] = 0
    assert cost_line(config, tmp_path / "default", shards, 1).startswith("cost: 7,072 clusters")


def test_speed_is_measured_if_anything_was(config, tmp_path):
    """Best this campaign's own shards, then the campaign beside it that was simulated last, then a guess."""
    shards, mine = plan.shards(config), tmp_path / "default"

    def speed(cores=2):
        return gint_per_core_s(config, mine, shards, cores)

    assert speed() == (0.5, "a guess for one core; nothing was measured here yet")
    for k, (name, gint) in enumerate([("old", 1.5), ("new", 1.2), ("broken", None)]):
        report = tmp_path / name / "metrics" / "simulation.json"
        report.parent.mkdir(parents=True)
        report.write_text(json.dumps({"timing": {"simulate": {"gint_per_core_s": gint}}}))
        os.utime(report, (k, k))
    assert speed() == (1.2, "measured on new")
    shard = mine / "simulations" / "train0_000.h5"
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b" " * 1024)
    whole = plan.shards(config)["train0_000"]
    seal = {"format": FORMAT, "first_id": whole.first_id, "n_points": whole.n_points}
    write_seal(shard, seal | {"interactions": 8e9, "integrate_time_s": 2.0})
    # as planning looks at every shard before
    inspect_shards(shard.parent, shards.values())
    assert speed() == (4.0, "measured on this campaign's finished simulations")
    # a job on several cores
    assert speed(cores=4 * len(shards))[0] == 1.0
    config["resources"]["gint_per_s"] = 3.0
    assert speed() == (3.0, "resources.gint_per_s")


def test_the_young_cluster(config, tmp_path):
    """In parsecs and Myr: valid, its step allowed, and half an hour of two cores by the guess for slow ones."""
    young = yaml.safe_load((ROOT / "config" / "young_cluster.yaml").read_text())
    config = lay_over(Campaign, [config, young])
    check_campaign(config)
    assert config["integration"]["t_end_yr"] == 3_000_000
    assert config["design"]["box"]["a_au"] == pytest.approx([20626.48, 206264.8])
    (line,) = step_lines(config)
    assert "integration.dt_yr = 125 is 0.949 times" in line
    said = cost_line(config, tmp_path / "young_cluster", plan.shards(config), 2)
    assert "2,248 clusters x 24,000 steps x 180^2 pairs = 1.7e+12 pair interactions: 29.1 min on 2 cores" in said
