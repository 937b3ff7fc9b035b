"""What a user uncomments in the Slurm profile takes effect, jobs' cores on clusters, and which of them take a GPU."""

import re
from types import SimpleNamespace

import pytest
import yaml
from project import ROOT

from natal.running.jobs import SIMULATING
from natal.settings.reading import check_files

PROFILE = ROOT / "profiles" / "slurm" / "config.yaml"


def test_every_line_of_the_users_block_can_be_uncommented(tmp_path):
    """No key is given twice, nor taken away from its section."""
    head, block, tail = re.split(r"^# -{4,}.*\n", PROFILE.read_text(), flags=re.M)
    uncommented, n_lines = re.subn(r"^( *)# (?= *[\w-]+:)", r"\1", block, flags=re.M)
    assert n_lines == 6
    path = tmp_path / "config.yaml"
    path.write_text(head + uncommented + tail)
    check_files([str(path)])
    filled_in, shipped = yaml.safe_load(path.read_text()), yaml.safe_load(PROFILE.read_text())
    assert filled_in.pop("default-resources") == {"slurm_account": "my_account", "slurm_partition": "cpu"}
    simulate = {"gpu": 1, "gres": "gpu:1", "slurm_partition": "gpu", "gpu_model": "a100"}
    assert filled_in.pop("set-resources") == {"simulate": simulate}
    assert shipped.pop("set-resources") == {"simulate": {"gpu": 1}}
    assert filled_in == shipped


def test_cores_that_depend_on_the_machine_are_set_on_clusters():
    """Snakemake knows no number of cores there."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    depend = re.findall(r"^ *rule (\w+):\n(?:(?!^ *rule ).*\n)*?^ *threads: [a-z]", rules, re.M)
    assert {"simulate", "recover", "speed"} <= set(depend)
    assert set(depend) == set(yaml.safe_load(PROFILE.read_text())["set-threads"])


def test_rules_that_simulate_take_a_gpu():
    """Those of the campaign whose scripts call the simulator, and no others."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    scripts = re.findall(r"^ *rule (\w+):\n(?:(?!^ *rule ).*\n)*?^ *script: \"\.\./(.*)\"$", rules, re.M)
    assert len(scripts) > 30
    calls = "natal.simulation.run "
    assert {name for name, path in scripts if calls in (ROOT / "workflow" / path).read_text()} == set(SIMULATING)


def resources(**names):
    """What resources.smk defines, with these names of Snakemake and of other files."""
    names = {"cache": lambda function: function, **names}
    exec((ROOT / "workflow" / "rules" / "resources.smk").read_text(), names)
    return names


@pytest.mark.parametrize(
    ("cores", "few", "inferring", "checking"),
    [
        *[(1, True, 1, 1), (2, True, 1, 1), (3, True, 1, 1)],
        *[(4, False, 2, 4), (11, False, 2, 11), (12, False, 3, 12), (64, False, 4, 64), (None, False, 2, None)],
    ],
)
def test_cores_of_jobs(cores, few, inferring, checking):
    """On few cores jobs run side by side; on Slurm, where nobody knows the number, the profile says it."""
    names = resources(workflow=SimpleNamespace(cores=cores, resource_settings=SimpleNamespace(cores=cores)))
    assert names["has_few_cores"]() == few
    assert names["one_to_four"](None) == inferring
    assert names["one_or_all"](None) == checking


@pytest.mark.parametrize(("with_gpu", "expected"), [(["simulate"], 0.5), ([], 90), (["simulate", "trust_runs"], 90)])
@pytest.mark.parametrize("configured", [None, 90])
def test_the_speed_of_shards_is_not_that_of_jobs_on_other_devices(monkeypatch, with_gpu, expected, configured):
    """A job without a GPU gets its time by a guess where shards had one."""
    names = resources(workflow=None, config={"resources": {"gint_per_s": configured}}, SIMULATIONS=None)
    monkeypatch.setitem(names, "is_job", lambda _: False)
    monkeypatch.setitem(names, "remembered_gint_per_s", lambda _: 90)
    monkeypatch.setitem(names, "asks_for_gpu", lambda _, rule: rule in with_gpu)
    assert names["gint_per_s"]("trust_runs") == expected
    assert names["gint_per_s"]("simulate") == 90
