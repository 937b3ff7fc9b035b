"""Configuration files before they are read as settings."""

import copy
import json
import math

import jsonschema
import pytest
import yaml
from project import ROOT

from natal.errors import NatalError
from natal.settings.campaign import Campaign
from natal.settings.reading import check_files, lay_over
from natal.studies.evolution.settings import Evolution
from natal.studies.potential.settings import Potential


def test_a_key_given_twice_is_refused(tmp_path):
    """YAML would take the last: file, line and key of each, at any depth; other files and sections may share keys."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("seed: 1\ncluster: {n_stars: 9}\ndesign:\n  train: [8]\n  train: [4]\nseed: 2\n")
    second.write_text("seed: 3\ncluster: {softening_au: 2.0}\n")
    check_files([str(second)])
    with pytest.raises(NatalError) as caught:
        check_files([str(second), str(first)])
    assert str(caught.value).splitlines() == [
        f"{first}, line 6: the key seed is given twice",
        f"{first}, line 5: the key train is given twice",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\ndesign:\n  box: {a_au: [1:30, 200]}", ["line 3: YAML reads 1:30 as 90: write the number that you"]),
        ("integration: {dt_yr: 1:30.5}", ["line 1: YAML reads 1:30.5 as 90.5: write"]),
        ("campaign: 12:30", ["line 1: YAML reads 12:30 as 750: write the number that you mean, or put text in quotes"]),
        ("seed: 0123\ncampaign: 007", ["line 1: YAML reads 0123 as 83", "line 2: YAML reads 007 as 7"]),
        ("seed: 0\na: [-0.5, 1_000, 0x1f, 0.1, '1:30', \"010\", 10, 08, 2024-01-15, 12:30 h]", []),
    ],
)
def test_numbers_to_base_60_and_8_are_refused(tmp_path, text, said):
    """Nobody means them; in quotes, and whatever else begins alike, they are left to the settings."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    if not said:
        check_files([path])
        return
    with pytest.raises(NatalError) as caught:
        check_files([path])
    lines = sorted(str(caught.value).splitlines())
    assert len(lines) == len(said)
    for line, part in zip(lines, said, strict=True):
        assert line.startswith(f"{path}, {part}")


BASE = {
    "campaign": "x",
    "cluster": {"softening_au": 2.0, "n_stars": 100},
    "design": {"box": {"q0": [0.5, 1.5], "a_au": [50, 200]}},
    "integration": {"t_end_yr": 500, "dt_yr": 0.05},
    "inference": {"prior": None},
}


def laid(*texts):
    """Configurations laid over `BASE`."""
    return lay_over(Campaign, [copy.deepcopy(BASE), *map(yaml.safe_load, texts)])


@pytest.mark.parametrize(
    "text",
    [
        "{t_end_yr: 1000000, dt_yr: 50}",
        "{t_end_yr: 1_000_000, dt_yr: 50.0}",
        "{t_end_yr: 1e6, dt_yr: 5e1}",
        "{t_end_yr: 1.0e+6, dt_yr: 5.0e+1}",
        "{t_end_yr: 1.0e6 yr, dt_yr: 50 yr}",
        "{t_end_myr: 1, dt_kyr: 0.05}",
        "{t_end_Myr: 1.0, dt_kyr: 5e-2}",
        "{t_end: 1 Myr, dt: 0.05kyr}",
        "{t_end_yr: '1 Myr', dt_d: 18262.5}",
        "{t_end_gyr: 0.001, dt_kyr: 50 yr}",
    ],
)
def test_times_are_the_same_whichever_way_they_are_written(text):
    """To the last bit and to every digest, which is that of JSON."""
    made = json.dumps(laid(f"integration: {text}"), sort_keys=True)
    assert made == json.dumps(laid("integration: {t_end_yr: 1000000, dt_yr: 50}"), sort_keys=True)


def test_lengths_are_the_same_whichever_way_they_are_written():
    """One parsec is 648000 / pi AU (IAU 2015 B2); a prior that is not there below is one with all its keys."""
    pc = 648_000 / math.pi
    made = [
        laid(f"{{design: {{box: {{{box}}}}}, inference: {{prior: {{q0: [0.5, 1], {box}}}}}, cluster: {{{softening}}}}}")
        for box, softening in [
            (f"a_au: [{0.1 * pc!r}, {pc!r}]", f"softening_au: {0.004 * pc!r}"),
            ("a_pc: [0.1, 1]", "softening_pc: 0.004"),
            ("a: [0.1 pc, 1pc]", "softening: 4e-3 pc"),
            ("a_au: ['0.1 pc', '1.0 pc']", "softening_PC: 0.004"),
        ]
    ]
    assert made[0]["design"]["box"]["a_au"] == [20626.48062470964, 206264.80624709636]
    assert made[0]["inference"]["prior"]["a_au"] == made[0]["design"]["box"]["a_au"]
    assert all(other == made[0] for other in made)


def test_what_lies_below_stays_where_it_is_the_same():
    """500.0 over 500 and 2 over 2.0 change no digest; a later file may have another unit than an earlier one."""
    assert json.dumps(laid("{cluster: {softening_au: 2}, integration: {t_end_yr: 500.0}}")) == json.dumps(BASE)
    prior = [laid(f"inference: {{prior: {{q0: [1, {end}], a_au: [50, 60]}}}}") for end in ("2.0", "2", "2e0")]
    assert len({json.dumps(made) for made in prior}) == 1
    twice = laid("design: {box: {a_pc: [1, 2]}}", "design: {box: {a_au: [1, 2]}}")
    assert twice["design"]["box"] == {"q0": [0.5, 1.5], "a_au": [1, 2]}
    # whole numbers stay what they must be
    assert isinstance(laid("cluster: {n_stars: 100.0}")["cluster"]["n_stars"], float)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "design: {box: {a_au: [1, 2], a_pc: [1, 2]}}",
            "design.box.a_pc and a_au are the same in two units: give one of them",
        ),
        (
            "integration: {t_end_myr: 1, t_end: 1 Myr}",
            "integration.t_end and t_end_yr are the same in two units: give one of",
        ),
        ("design: {box: {a_myr: [1, 2]}}", "design.box.a_myr is not allowed: a is a length, in AU or pc"),
        (
            "integration: {t_end_pc: 1}",
            "integration.t_end_pc is not allowed: t_end is a time, in yr, kyr, Myr, Gyr, d, h or min",
        ),
        ("cluster: {star_mass_pc: 1}", "cluster.star_mass_pc is not allowed: star_mass is a mass, in Msun"),
        (
            "cluster: {softening_au: 2 Myr}",
            "cluster.softening_au = '2 Myr' is not allowed: softening is a length, in AU or pc",
        ),
        ("integration: {t_end: 1 Ma}", "integration.t_end = '1 Ma' is not allowed: t_end is a time, in yr, "),
        (
            "inference: {prior: {a_km: [1, 2], a_kyr: [1, 2]}}",
            "inference.prior.a_kyr is not allowed: a is a length, in AU",
        ),
    ],
)
def test_a_wrong_unit_is_one_line(text, line):
    """Of the wrong kind or none, or beside another: the key and what is allowed."""
    with pytest.raises(NatalError) as caught:
        laid(text)
    (said,) = str(caught.value).splitlines()
    assert said.startswith(f"config: {line}")


def test_studies_have_units_too():
    """In lists, and in mappings from names to sections."""
    priors = {"young": {"range_kyr": [0.1, 0.5], "mean_yr": None}}
    made = lay_over(Evolution, [{"star_mass": "2 Msun", "age_priors": priors}])
    assert made == {"star_mass_msun": 2, "age_priors": {"young": {"range_yr": [100, 500], "mean_yr": None}}}
    made = lay_over(Potential, [{"cluster": {"t_end_kyr": 1}, "softenings_au": [1.5, "1e1", "2 AU"]}])
    assert made == {"cluster": {"t_end_yr": 1000}, "softenings_au": [1.5, 10, 2]}


def test_what_is_no_quantity_is_left_to_the_settings():
    """Names, keys that natal does not have, and numbers that are none."""
    given = {
        "campaign": "3 pc",
        "integration": {"t_end": 3, "dt_yr": "fast", "t_end_lyr": 1},
        "cluster": {"softening_pc": math.inf, "imf": "1e3"},
        "resources": {"gint_per_h": 2},
    }
    made = lay_over(Campaign, [copy.deepcopy(given)])
    assert made == given | {"cluster": {"softening_au": math.inf, "imf": "1e3"}}


def test_editors_accept_other_units():
    """The schema has the keys and values that are read, and no others."""
    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    check = jsonschema.Draft202012Validator(schema)
    for text in (
        "design: {box: {a_pc: [0.1, 1]}}",
        "design: {box: {a: [0.1 pc, 1 pc], q0: [0.5, 1]}}",
        "integration: {t_end_myr: 1, dt_kyr: 0.05}",
        "integration: {t_end_Myr: 1, dt: 50 yr}",
        "inference: {prior: {a_pc: [0.1, 1]}}",
        "resources: {max_runtime_h: 4}",
    ):
        assert check.is_valid(yaml.safe_load(text)), text
    for text in ("design: {box: {a_myr: [0.1, 1]}}", "integration: {t_end_yr: 1 pc}", "resources: {gint_per_h: 1}"):
        assert not check.is_valid(yaml.safe_load(text)), text
