"""`natal population`, on a law with random weights."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from joint_law import LATENTS, REACH, births, random_law, seen_of

from natal.likelihood.joint_network import save_joint


@pytest.fixture
def observing(campaign, monkeypatch):
    """The campaign with a law of observables, and a sampler for tests."""
    monkeypatch.setattr("natal.running.device.set_up", lambda **_: None)
    save_joint(campaign / "emulator" / "joint.eqx", random_law().ensemble, REACH, 4.0, {})
    record = campaign / "provenance" / "report.html.json"
    content = json.loads(record.read_text())
    sampler = {"chains": 2, "warmup": 200, "draws": 200}
    content["config"]["population"] |= {"sampler": sampler, "bins": 5}
    content["environment"]["created"] = "2999-01-01T00:00:00+00:00"
    record.write_text(json.dumps(content))
    return campaign


@pytest.mark.slow
def test_a_population_is_answered(natal, observing, tmp_path):
    """Three files with a record each, a line a parameter; what was not used is said."""
    drawn = seen_of(random_law(), births(np.random.default_rng(5), 8), 5)
    table = pd.DataFrame({"name": [f"c{k}" for k in range(8)]} | {name: drawn.values[name] for name in LATENTS.of_all})
    # unlike anything, as in tests/population
    table.loc[2, "sigma_los_kms"] = 500.0
    table["radius"] = 1.0
    table.to_csv(tmp_path / "mine.csv", index=False)
    with open(tmp_path / "mine.csv", "a") as file:
        file.write("broken,fast,100,1,1\n")
    done = natal("population", tmp_path / "mine.csv", "--campaign", observing, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    laws = pd.read_csv(tmp_path / "out" / "population.csv")
    assert {"q0_location", "q0_scale", "ln_a_location", "ln_a_scale", "sfe_mean"} < set(laws.parameter)
    # two chains of 200 draws are too short, and say so
    assert laws.remarks.str.contains("effective draws, fewer than 400").any()
    assert "! law normal: sample longer (population.sampler)" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[1].split()[:3] == ["normal", laws.parameter[0], laws.unit[0].split()[0]]
    assert "columns that natal does not know were not used: radius" in done.stdout
    assert "left out: " in done.stdout
    assert "column sigma_los_kms: 'fast' is not a finite number" in done.stdout
    assert lines[-1].startswith("7 of 8 clusters: ")
    clusters = pd.read_csv(tmp_path / "out" / "population_clusters.csv", keep_default_na=False)
    assert clusters.case.tolist() == [f"c{k}" for k in range(8)]
    with xr.open_datatree(tmp_path / "out" / "population.nc", engine="h5netcdf") as tree:
        assert tree["normal/q0_scale"].shape == (2, 200)
        assert tree["clusters/together"].shape == (7, 40, 20)
    assert "natal population" in natal("provenance", tmp_path / "out" / "population.csv").stdout


@pytest.mark.slow
def test_too_few_clusters_are_said_in_one_line(natal, observing, tmp_path):
    """Exit code 1; the answer never replaces the table."""
    path = tmp_path / "population.csv"
    path.write_text("name,r_hp_au\nA,100\nB,120\n")
    done = natal("population", path, "--campaign", observing, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "natal: 2 clusters are no population, at least 3 are needed"
    path.write_text("name,r_hp_au\nA,100\nB,120\nC,far\n")
    done = natal("population", path, "--campaign", observing, "--out", tmp_path / "out")
    said = done.stderr.splitlines()[-1]
    assert said.startswith(
        f"natal: 2 clusters are no population, at least 3 are needed; without an answer: {path}, row 3"
    )
    done = natal("population", path, "--campaign", observing, "--out", tmp_path)
    assert done.exit_code == 1
    assert "would replace" in done.stderr
