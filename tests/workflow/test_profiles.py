"""What a user uncomments in the Slurm profile takes effect, jobs' cores on clusters, and which of them take a GPU."""

import re

import yaml
from project import ROOT

from natal.running.device import SIMULATING
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
    """All those whose scripts call the simulator, and no name that no rule has."""
    workflow = ROOT / "workflow"
    rules = "".join(path.read_text() for path in [*workflow.glob("rules/*.smk"), *workflow.glob("studies/*.smk")])
    scripts = dict(re.findall(r"^ *rule (\w+):\n(?:(?!^ *rule ).*\n)*?^ *script: \"\.\./(.*)\"$", rules, re.M))
    calls = re.compile(r"natal\.simulation\.run |time_simulation")
    assert {name for name, path in scripts.items() if calls.search((workflow / path).read_text())} <= SIMULATING
    assert set(scripts) >= SIMULATING
