"""What a user uncomments in the Slurm profile takes effect, jobs' cores on clusters, and which of them take a GPU."""

import re
from types import SimpleNamespace

import pytest
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


def scripts_of(folder):
    """(rule, text of its script) of all Snakefiles in a folder of the workflow."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / folder).glob("*.smk"))
    found = re.findall(r"^ *rule (\w+):\n(?:(?!^ *rule ).*\n)*?^ *script: \"\.\./(.*)\"$", rules, re.M)
    assert len(found) > 20
    return [(name, (ROOT / "workflow" / path).read_text()) for name, path in found]


def test_rules_that_simulate_take_a_gpu():
    """Those of the campaign whose scripts call the simulator, no others, and two of studies."""
    of_campaign = {name for name, text in scripts_of("rules") if "natal.simulation.run " in text}
    of_studies = {"cluster", "follow"}
    assert of_campaign | of_studies == SIMULATING
    assert {name for name, _ in scripts_of("studies")} >= of_studies


@pytest.mark.parametrize(
    ("cores", "few", "inferring", "checking"),
    [
        *[(1, True, 1, 1), (2, True, 1, 1), (3, True, 1, 1)],
        *[(4, False, 2, 4), (11, False, 2, 11), (12, False, 3, 12), (64, False, 4, 64), (None, False, 2, None)],
    ],
)
def test_cores_of_jobs(cores, few, inferring, checking):
    """On few cores jobs run side by side; on Slurm, where nobody knows the number, the profile says it."""
    settings = SimpleNamespace(cores=cores)
    names = {"workflow": SimpleNamespace(cores=cores, resource_settings=settings), "cache": lambda function: function}
    exec((ROOT / "workflow" / "rules" / "resources.smk").read_text(), names)
    assert names["has_few_cores"]() == few
    assert names["one_to_four"](None) == inferring
    assert names["one_or_all"](None) == checking
