"""Every mistake in a configuration is one line that names the key and says what is allowed."""

import re
from functools import reduce
from operator import getitem

import pytest
import yaml

from natal.campaign.config import check_campaign
from natal.errors import NatalError


def complaints(config):
    """The lines of the error that a configuration raises."""
    with pytest.raises(NatalError) as caught:
        check_campaign(config)
    return str(caught.value).split("\n")


def put(config, key, value):
    """Set a dotted key."""
    *sections, last = key.split(".")
    for section in sections:
        config = config[section]
    config[last] = value


def test_the_default_configuration_is_valid(config):
    """config/config.yaml is without mistakes."""
    check_campaign(config)


def test_the_smoke_configuration_is_valid(smoke_config):
    """Laid over the default, config/smoke.yaml passes; it names its own results folder."""
    check_campaign(smoke_config)
    assert smoke_config["campaign"] == "smoke"
    assert smoke_config["integration"]["dt_yr"] == 0.05  # from the default


WRONG = [
    # unknown keys, with a suggestion
    ("sed", "1", ["unknown key sed", "did you mean seed?", "allowed:", "campaign"]),
    ("integration.dt_year", "0.1", ["unknown key integration.dt_year", "did you mean dt_yr?", "allowed:", "t_end_yr"]),
    ("design.box.a", "[50, 200]", ["unknown key design.box.a", "allowed: q0, a_au"]),
    # wrong ranges
    ("design.box.q0", "[1.5, 0.5]", ["design.box.q0 = [1.5, 0.5]", "first value must be below the second"]),
    ("design.box.a_au", "[50, 50]", ["design.box.a_au = [50, 50]", "first value must be below the second"]),
    ("design.box.a_au", "[50]", ["design.box.a_au = [50]", "two positive numbers"]),
    ("design.box.a_au", "[0, 200]", ["design.box.a_au.0 = 0", "positive"]),
    ("inference.prior", "{q0: [0.4, 1.5], a_au: [50, 200]}", ["inference.prior.q0 = [0.4, 1.5]", "[0.5, 1.5]"]),
    ("inference.prior", "{q0: [0.5, 1.5], a_au: [50, 201]}", ["inference.prior.a_au = [50, 201]", "[50, 200]"]),
    ("inference.prior", "{q0: [1.2, 0.6], a_au: [50, 200]}", ["inference.prior.q0 = [1.2, 0.6]", "below"]),
    ("inference.prior", "{q0: [0.5, 1.5]}", ["inference.prior", "null, or a mapping with two ranges, q0 and a_au"]),
    ("cluster.imf_mass_range_msun", "[1, 0.1]", ["cluster.imf_mass_range_msun = [1, 0.1]", "below the second"]),
    # numbers out of bounds
    ("integration.dt_yr", "-0.05", ["integration.dt_yr = -0.05", "positive number (yr)"]),
    ("integration.dt_yr", "0", ["integration.dt_yr = 0", "positive number (yr)"]),
    ("integration.dt_yr", "0.03", ["integration.dt_yr = 0.03", "whole number of times", "50 yr"]),
    ("integration.dt_yr", "60", ["integration.dt_yr = 60", "whole number of times", "50 yr"]),
    ("integration.dt_yr", "1.0e-300", ["integration.dt_yr = 1e-300", "more than 1e+09 times", "t_end_yr = 500 yr"]),
    ("integration.dt_yr", "1.0e-320", ["integration.dt_yr = 1e-320", "more than 1e+09 times", "t_end_yr = 500 yr"]),
    ("integration.t_end_yr", ".nan", ["integration.t_end_yr = nan", "positive number (yr)"]),
    ("integration.t_end_yr", ".inf", ["integration.t_end_yr = inf", "positive number (yr)"]),
    (
        "integration.clusters_per_batch",
        "0",
        ["integration.clusters_per_batch = 0", "null, or a whole number from 1 up"],
    ),
    ("integration.clusters_per_batch", "8.5", ["integration.clusters_per_batch = 8.5", "null, or a whole number"]),
    ("integration.snapshots", "1", ["integration.snapshots = 1", "from 2 up"]),
    ("cluster.n_stars", "4", ["cluster.n_stars = 4", "from 5 up"]),
    ("cluster.n_stars", "-2.5", ["cluster.n_stars = -2.5", "whole number from 5 up"]),
    ("cluster.n_stars", "100.0", ["cluster.n_stars = 100.0", "whole number from 5 up"]),
    ("cluster.softening_au", "0", ["cluster.softening_au = 0", "positive number (AU)"]),
    ("uncertainty.methods", "[dropout]", ["uncertainty.methods.0 = 'dropout'", "mc_dropout", "conformal"]),
    ("uncertainty.dropout_rate", "1", ["uncertainty.dropout_rate = 1", "between 0 and 1"]),
    ("uncertainty.bayesian.hiden", "8", ["unknown key uncertainty.bayesian.hiden", "did you mean hidden?"]),
    ("seed", "-1", ["seed = -1", "from 0 to 4294967295"]),
    ("seed", "4294967296", ["seed = 4294967296", "from 0 to 4294967295"]),
    ("design.train", "[]", ["design.train = []", "list of whole numbers"]),
    ("design.train", "96", ["design.train = 96", "list of whole numbers"]),
    ("design.train", "[96, 0]", ["design.train.1 = 0", "whole number from 1 to 100000"]),
    ("design.proposed", "[a.csv, a.csv]", ["design.proposed = ['a.csv', 'a.csv']", "once only"]),
    ("resources.gint_per_s", "0", ["resources.gint_per_s = 0", "null, or a positive number"]),
    ("design.calibration", "false", ["design.calibration = False", "0, or a whole number from 10"]),
    ("inference.grid", "[64, 64, 64]", ["inference.grid = [64, 64, 64]", "two whole numbers from 16 up"]),
    ("design.train", "[100000, 1]", ["design.train = [100000, 1]", "at most 100000"]),
    ("design.calibration", "9", ["design.calibration = 9", "0, or a whole number from 10 to 100000"]),
    ("design.calibration", "[600]", ["design.calibration = [600]", "0, or a whole number from 10"]),
    ("design.calibration", "100001", ["design.calibration = 100001", "10 to 100000"]),
    ("design.realizations", "0", ["design.realizations = 0", "whole number from 1 up", "mapping of train, validation"]),
    ("design.realizations", "{train: 2, test: 2}", ["design.realizations = {'train': 2, 'test': 2}", "validation"]),
    ("design.realizations", "{train: 2, validation: 0, test: 2}", ["design.realizations = {", "from 1 up"]),
    ("inference.step_size", "3.0", ["inference.step_size = 3.0", "at most 2"]),
    # text where a number belongs, and other wrong types
    ("integration.max_energy_error", "-1e-3", ["integration.max_energy_error = -0.001", "positive number"]),
    ("integration.dt_yr", "fast", ["integration.dt_yr = 'fast'", "positive number (yr)"]),
    ("cluster", "3", ["cluster = 3", "mapping"]),
    ("cluster.imf", "salpeter", ["cluster.imf = 'salpeter'", "equal or kroupa"]),
    ("cluster.n_stars", "true", ["cluster.n_stars = True", "whole number"]),
    ("integration.precision", "single", ["integration.precision = 'single'", "float64 or float32"]),
    ("design.virial_convention", "T/|W|", ["design.virial_convention = 'T/|W|'", "K/|W| or 2K/|W|"]),
    ("design.table", "3", ["design.table = 3", "CSV"]),
    ("design.proposed", "points.csv", ["design.proposed = 'points.csv'", "list of names of CSV files"]),
    ("design.proposed", "[null]", ["design.proposed.0 = None", "name of a CSV file"]),
    ("adaptive.criterion", "variance", ["adaptive.criterion = 'variance'", "information or disagreement"]),
    ("adaptive.points", "0", ["adaptive.points = 0", "whole number from 1 to 1024"]),
    ("adaptive.gain.repeats", "1", ["adaptive.gain.repeats = 1", "from 2 up", "spread"]),
    ("adaptive.gain.stop", "30", ["adaptive.gain.stop = 30", "start + step = 48 at least"]),
    ("emulator.activation", "swish", ["emulator.activation = 'swish'", "relu, leaky_relu, tanh, sigmoid, gelu"]),
    ("emulator.optimizer", "adam", ["unknown key emulator.optimizer", "did you mean optimiser?"]),
    ("emulator.batch_size", "1", ["emulator.batch_size = 1", "null, or a whole number from 2 up"]),
    ("emulator.weight_decay", "-1", ["emulator.weight_decay = -1", "from 0 up"]),
    ("emulator.dropout_rate", "1", ["emulator.dropout_rate = 1", "below 1"]),
    ("emulator.final_rate", "0", ["emulator.final_rate = 0", "above 0 and at most 1"]),
    ("emulator.batch_norm", "1", ["emulator.batch_norm = 1", "true or false"]),
    ("emulator.log10", "[n_stars]", ["emulator.log10.0 = 'n_stars'", "q0, a_au, f_bound, sigma_v_kms, r_h_au"]),
    ("emulator.log10", "a_au", ["emulator.log10 = 'a_au'", "a list, maybe empty"]),
    ("sweep.folds", "2", ["sweep.folds = 2", "0 for the campaign's own validation runs", "3 to 20"]),
    ("sweep.grid", "{activation: [relu]}", ["sweep.grid = {", "a list of mappings"]),
    ("sweep.grid", "[{activation: relu}]", ["sweep.grid.0.activation = 'relu'", "a list of values"]),
    ("sweep.grid", "[{activation: [rely]}]", ["sweep.grid.0.activation.0 = 'rely'", "relu, leaky_relu"]),
    ("sweep.grid", "[{width: [8]}]", ["unknown key sweep.grid.0.width", "activation, initialisation"]),
    ("campaign", "../elsewhere", ["campaign = '../elsewhere'", "folder name"]),
    ("campaign", '"mine\\n"', ["campaign = 'mine\\n'", "folder name"]),
    ("likelihood", "gaussian", ["likelihood = 'gaussian'", "constant"]),
]


@pytest.mark.parametrize(("key", "text", "said"), WRONG, ids=[f"{key}={text}" for key, text, _ in WRONG])
def test_a_mistake_is_one_line(config, key, text, said):
    """The value as YAML reads it; the one line holds the key, the value and what is allowed."""
    put(config, key, yaml.safe_load(text))
    lines = complaints(config)
    assert len(lines) == 1
    for part in ["config: ", *said]:
        assert part in lines[0]


@pytest.mark.parametrize(
    ("key", "text", "number"),
    [
        ("integration.t_end_yr", "1e3", 1000),
        ("integration.t_end_yr", "1.0e3", 1000),
        ("integration.t_end_yr", "+1.E+3", 1000),
        ("integration.t_end_yr", "1_000", 1000),
        ("integration.max_energy_error", "1e-3", 0.001),
        ("emulator.batch_size", "1e2", 100),
        ("seed", "1E4", 10000),
        ("campaign", "12e3", "12e3"),
        ("observations", None, None),
    ],
)
def test_powers_of_ten_are_numbers(config, key, text, number):
    """YAML 1.1 reads 1e6 and 1.0e6 as text: where a number is wanted they are one, and text where text is."""
    put(config, key, text and yaml.safe_load(text))
    check_campaign(config)
    assert reduce(getitem, key.split("."), config) == number


@pytest.mark.parametrize(
    ("key", "text"),
    [("seed", "1e-3"), ("seed", "1e20"), ("seed", "1e4000"), ("seed", "'12'"), ("seed", "one"), ("seed", "''")],
)
def test_other_text_is_no_number(config, key, text):
    """What is no whole number, beyond all numbers, or in quotes."""
    put(config, key, yaml.safe_load(text))
    (line,) = complaints(config)
    assert line.startswith(f"config: {key} = ")
    assert line.endswith("is not allowed: a whole number from 0 to 4294967295")


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        (
            "campaign",
            "2024_01",
            "campaign = 202401 is not allowed: a folder name: .* reads this as a number: put it in",
        ),
        ("campaign", "3.10", "campaign = 3.1 is not allowed: .*a number: put it in quotes"),
        ("campaign", "no", "campaign = False is not allowed: .*true or false: put it in quotes"),
        ("campaign", "2024-01-15", "campaign = 2024-01-15 is not allowed: .*a date: put it in quotes"),
        ("observations", "2024-01-15", "observations = 2024-01-15 is not allowed: .*a date: put it in quotes"),
        ("design.proposed", "[2024-01-15]", "design.proposed.0 = 2024-01-15 is not allowed: .*put it in quotes"),
        ("seed", "2024-01-15", "seed = 2024-01-15 is not allowed: a whole number from 0 to 4294967295$"),
        ("campaign", "null", r"campaign = None is not allowed: .*point$"),
    ],
)
def test_text_that_yaml_takes_for_something_else(config, key, text, said):
    """The value as YAML has it, what it was taken for, and the cure."""
    put(config, key, yaml.safe_load(text))
    (line,) = complaints(config)
    assert re.search(said, line), line


@pytest.mark.parametrize("content", [[1], "campaign", None])
def test_a_configuration_is_a_mapping(content):
    """Anything else that YAML may hold is refused in a line that says so."""
    (line,) = complaints(content)
    assert line.startswith("config: must be a mapping with the keys campaign, seed, cluster, ")
    assert line.endswith(f", not {content!r}")


@pytest.mark.parametrize("key", ["cluster", "seed", "report", "observations"])
def test_a_missing_section_is_named(config, key):
    """One line."""
    del config[key]
    assert complaints(config) == [f"config: key {key} is missing"]


def test_several_mistakes_are_several_lines(config):
    """One line each, all at once, so that a user mends them in one go."""
    del config["cluster"]["imf"], config["cluster"]["n_stars"]
    put(config, "integration.dt_yr", -1)
    put(config, "design.tabel", None)
    lines = complaints(config)
    assert len(lines) == 4
    for part in ("cluster.imf is missing", "cluster.n_stars is missing", "integration.dt_yr", "design.tabel"):
        assert sum(part in line for line in lines) == 1


def test_a_kroupa_range_contains_its_break(config):
    """The two-part power law needs both parts; with equal masses the range is not used, but still a range."""
    put(config, "cluster.imf_mass_range_msun", [0.6, 10.0])
    check_campaign(config)
    put(config, "cluster.imf", "kroupa")
    lines = complaints(config)
    assert len(lines) == 1
    assert "cluster.imf_mass_range_msun = [0.6, 10.0]" in lines[0]
    assert "0.5 Msun" in lines[0]
    put(config, "cluster.imf_mass_range_msun", [10.0, 0.1])
    (line,) = complaints(config)
    assert "the first value must be below the second" in line


@pytest.mark.parametrize(
    ("key", "name"),
    [("design.table", "points.csv"), ("design.proposed", "proposed0.csv"), ("observations", "clusters.csv")],
)
def test_tables_are_checked_before_anything_runs(config, tmp_path, key, name):
    """A bad table is a bad configuration."""
    path = tmp_path / name
    path.write_text("q0,a_au\n")
    put(config, key, [str(path)] if key == "design.proposed" else str(path))
    lines = complaints(config)
    assert len(lines) == 1
    assert name in lines[0]


@pytest.mark.parametrize("key", ["design.box", "integration.t_end_yr"])
def test_whole_numbers_are_numbers(config, key):
    """500 and 500.0, [50, 200] and [50.0, 200.0] are both fine."""
    put(config, key, {"q0": [1, 2], "a_au": [50.0, 200]} if key == "design.box" else 500.0)
    check_campaign(config)


def test_a_number_beyond_all_floats_is_refused(config):
    """In one line, like any other number that is not allowed."""
    put(config, "integration.t_end_yr", 10**400)
    (line,) = complaints(config)
    assert "integration.t_end_yr" in line
