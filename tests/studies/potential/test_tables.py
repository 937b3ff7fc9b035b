"""Tables, numbers, figures, configuration and workflow of the study."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure
from project import ROOT, Project, job_counts, merged

from natal.errors import NatalError
from natal.settings.reading import check
from natal.studies.potential import figures
from natal.studies.potential.accuracy import as_numpy, relative_errors, relative_errors_by_radius, torque
from natal.studies.potential.expansion import fit_expansions
from natal.studies.potential.fields import Sample, SoftenedParticles, plummer_sphere, sample_field, uniform_in_radius
from natal.studies.potential.metrics import (
    accuracy_numbers,
    expansion_numbers,
    mean_and_sd,
    orbit_numbers,
    training_numbers,
    weight_numbers,
)
from natal.studies.potential.names import field_names, figure_names
from natal.studies.potential.network import make_potential_network
from natal.studies.potential.settings import Potential, Weights
from natal.studies.potential.store import read_sample, read_tracks, write_samples, write_tracks
from natal.studies.potential.tables import accuracy_tables, line_table, orbit_tables, predictors
from natal.studies.potential.weighting import density_maps, expansion_errors, network_errors, swept_tables, variations

pytestmark = pytest.mark.slow

ORBITS = {
    "time": 2.0,
    "dt": 0.05,
    "snapshots": 5,
    "starts": {
        "one": {"position": [1.0, 0.0, 0.0], "velocity": [0.0, 0.5, 0.0]},
        "rest": {"position": [1.0, 1.0, 0.0], "velocity": [0.0, 0.0, 0.0]},
    },
}


def sphere_at(n=400, radius=10.0):
    with jax.enable_x64(True):
        points = uniform_in_radius(jax.random.key(1), n, 0.0, radius)
        return as_numpy(sample_field(plummer_sphere(), points))


@pytest.fixture(scope="module")
def study():
    """Tables of two untrained networks a combination, in a field of a few particles."""
    rng = np.random.default_rng(5)
    networks = {
        name: [make_potential_network(jax.random.key(k + shift)) for k in (1, 2)]
        for shift, name in enumerate(("force", "all"))
    }
    with jax.enable_x64(True):
        position = jnp.asarray(rng.normal(size=(30, 3)))
        true = SoftenedParticles(position, jnp.full(30, 1 / 30), 0.2)
        test = as_numpy(sample_field(true, uniform_in_radius(jax.random.key(2), 300, 0.0, 10.0)))
        smooth = as_numpy(sample_field(plummer_sphere(), jnp.asarray(test.position)))
        line = as_numpy(sample_field(true, jnp.zeros((11, 3)).at[:, 0].set(jnp.linspace(-5, 5, 11))))
        chosen = list(predictors(networks, true, is_sphere=False))
    accuracy, profiles = accuracy_tables(chosen, {"exact": test, "plummer": smooth}, 5.0)
    orbits, tracks = orbit_tables(chosen, true, ORBITS)
    return {
        "accuracy": accuracy,
        "profiles": profiles,
        "orbits": orbits,
        "tracks": tracks,
        "line": line_table(chosen, line),
        "references": (test, smooth),
    }


def test_a_relative_error_is_what_it_says():
    """A field that is 3 % too strong is off by 3 % everywhere, in all measures and shells."""
    true = sphere_at()
    found = Sample(true.position, *(1.03 * values for values in true[1:]))
    for value in relative_errors(found, true).values():
        assert value == pytest.approx(0.03)
    edges = np.array([0.0, 5.0, 10.0, 20.0])
    for values in relative_errors_by_radius(found, true, edges).values():
        np.testing.assert_allclose(values, [0.03, 0.03, np.nan])


def test_torque_is_zero_in_a_round_field_and_one_across():
    true = sphere_at()
    assert torque(true) < 1e-15
    across = np.cross(true.position, [0.0, 0.0, 1.0])
    assert torque(true._replace(acceleration=across)) == pytest.approx(1.0)


def test_tables_hold_every_network_against_every_reference(study):
    table = study["accuracy"]
    # networks against two references; the sphere and the true field against each other; two regions each
    assert len(table) == 2 * (4 * 2 + 2)
    between = relative_errors(*study["references"][::-1])
    both = study["accuracy"][(table.terms == "plummer")]
    assert both.reference.tolist() == ["exact", "exact"]
    # all points lie in one of the two regions
    assert both.potential.min() <= between["potential"] <= both.potential.max()
    networks = table[(table.seed >= 0) & (table.region == "within")]
    assert networks[["torque", "rounding_density"]].notna().all(axis=None)
    assert set(study["profiles"].terms) == {"force", "all", "exact", "plummer"}


def test_orbits_of_the_true_field_stay_with_it(study):
    table = study["orbits"]
    assert len(table) == 5 * 2 * (4 + 3)
    exact = table[table.terms == "exact"]
    assert (exact.distance_a == 0).all()
    halved = table[(table.terms == "halved_step") & (table.time > 0)]
    assert halved.distance_a.between(1e-12, 1e-2).all()
    # with its own potential every field conserves energy to the scheme's error, untrained networks included
    assert table.energy_change_own.max() < 0.02
    assert table[(table.terms == "all")].energy_change_true.max() > 0.1
    assert set(study["tracks"]) == {"exact", "force", "all", "plummer"}


def test_numbers_are_means_and_deviations_over_seeds(study):
    numbers = accuracy_numbers(study["accuracy"])
    table = study["accuracy"]
    rows = table[(table.terms == "all") & (table.reference == "exact") & (table.region == "within")]
    assert numbers["all"]["against_exact"]["within"]["force"]["mean"] == pytest.approx(rows.force.mean())
    assert numbers["all"]["against_exact"]["within"]["force"]["sd"] == pytest.approx(
        abs(np.diff(rows.force)[0]) / 2**0.5
    )
    assert "torque" in numbers["all"]
    assert "torque" not in numbers["plummer"]
    found = orbit_numbers(study["orbits"], [0.9, 2.0])
    assert found["exact"]["one"]["distance_a_at_2"] == {"mean": 0.0, "sd": None}
    # the snapshot next to 0.9
    assert "distance_a_at_1" in found["all"]["rest"]
    assert mean_and_sd(pd.Series([1.0, 3.0, np.nan])) == {"mean": 2.0, "sd": pytest.approx(2**0.5)}


def curves():
    step = np.array([100, 200, 300])
    rows = [
        pd.DataFrame(
            {
                "seed": seed,
                "step": step,
                "seconds": step / 50,
                "potential": 1 / step,
                "force": np.nan,
                "poisson": np.nan,
            }
        )
        for seed in (0, 1)
    ]
    return pd.concat(rows)


def test_training_numbers_leave_out_what_was_not_trained():
    numbers = training_numbers(curves())
    assert set(numbers) == {"potential", "seconds"}
    assert numbers["seconds"] == {"mean": 6.0, "sd": 0.0}


def swept():
    """Errors of untrained networks, as if of other weights of the Poisson term."""
    network, test = make_potential_network(jax.random.key(1)), sphere_at(200)
    weights = [Weights(), *variations(Weights(), "gamma", [0.1, 10.0])]
    return pd.concat(
        network_errors(network, test, 5.0, seed=seed, **w.model_dump()) for w in weights for seed in (0, 1)
    )


def compared():
    """Errors of two expansions and of an untrained network, and maps."""
    network, sphere, test = make_potential_network(jax.random.key(1)), plummer_sphere(), sphere_at(200)
    with jax.enable_x64(True):
        fitted = fit_expansions(sphere_at(300, 5.0), [0, 1], 1, Weights())
        tables = [expansion_errors(expansion, test, 5.0) for expansion in fitted]
        maps = density_maps(sphere, network, fitted[-1], 3.0)
    tables += [network_errors(network, test, 5.0, terms="all", seed=seed) for seed in (0, 1)]
    return pd.concat(tables), maps


def test_a_sweep_is_put_together_by_field(tmp_path):
    """The configuration's own weights, which every file has, count once."""
    base = network_errors(make_potential_network(jax.random.key(1)), sphere_at(100), 5.0, seed=0, **dict(Weights()))
    paths = [str(tmp_path / f"{number}.csv") for number in range(4)]
    for path, (name, value) in zip(paths, [("alpha", 2), ("beta", 3), ("alpha", 4), ("beta", 5)], strict=True):
        pd.concat([base, base.assign(**{name: value})]).to_csv(path, index=False)
    found = swept_tables(paths, ["plummer", "clumps"])
    assert found["clumps"].alpha.tolist() == [1, 1, 4, 4, 1, 1]
    assert found["plummer"].beta.tolist() == [1, 1, 1, 1, 3, 3]


def test_numbers_of_sweeps_and_expansions():
    """Means over seeds by weights and region; an expansion by its degree, networks apart."""
    table = swept()
    numbers = weight_numbers(table)
    assert [(one["gamma"], one["region"]) for one in numbers[:3]] == [(1, "within"), (1, "beyond"), (0.1, "within")]
    assert len(numbers) == 6
    assert numbers[0]["force"] == {"mean": pytest.approx(table.force.iloc[0]), "sd": 0.0}
    rows, maps = compared()
    found = expansion_numbers(rows)
    assert [(one["degree"], one["functions"]) for one in found["expansions"]] == [(0, 2), (0, 2), (1, 8), (1, 8)]
    # the sphere is the basis' first function
    assert max(one[name] for one in found["expansions"] for name in ("potential", "force", "density")) < 1e-4
    assert found["networks"]["all"]["within"]["force"]["mean"] > 0.5
    np.testing.assert_allclose(maps.expansion, maps.exact, atol=1e-4)
    # row by row from below, as they are drawn
    assert maps.x_a.iloc[:2].is_monotonic_increasing
    assert maps.y_a.iloc[0] == maps.y_a.iloc[1] == -3.0


def test_figures_draw(study, tmp_path):
    """Every figure is drawn, without a warning, for a sphere alone and for particles."""
    name = "particles_20au"
    tables = {key: {name: study[key]} for key in ("accuracy", "profiles", "line")}
    drawn = [
        figures.accuracy(tables["accuracy"]),
        figures.profiles(tables["profiles"], 5.0),
        figures.line(tables["line"]),
        figures.curves({name: {"potential": curves()}}),
        figures.weights({"clumps": swept()}, {"alpha": 1.0, "beta": 1.0, "gamma": 1.0}),
        figures.expansions(*compared()),
        figures.tracks(study["tracks"], ["one", "rest"], name),
        figures.orbits(study["orbits"], name),
    ]
    assert len(figure_names([name])) == len(drawn)
    for figure in drawn:
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / "figure.png", dpi=40)


def test_samples_and_tracks_survive_their_files(study, tmp_path):
    sample = sphere_at(20)
    write_samples(tmp_path / "fields.h5", {"plummer": {"test": sample}}, "digest")
    found = read_sample(tmp_path / "fields.h5", "plummer", "test")
    for before, after in zip(sample, found, strict=True):
        np.testing.assert_array_equal(before, after)
    write_tracks(tmp_path / "tracks.h5", study["tracks"], ["one", "rest"], "digest")
    tracks, orbits = read_tracks(tmp_path / "tracks.h5")
    assert orbits == ["one", "rest"]
    np.testing.assert_array_equal(tracks["all"].position, study["tracks"]["all"].position)


def read_config(*names):
    content: dict = {}
    for name in names:
        content = merged(content, yaml.safe_load((ROOT / "config" / "studies" / f"{name}.yaml").read_text()))
    return content


@pytest.mark.parametrize("names", [("potential",), ("potential", "potential_smoke")])
def test_configurations_are_valid(names):
    check(Potential, read_config(*names))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"training": {"seeds": 1}}, "config: training.seeds = 1 is not allowed: a whole number from 2 to 100"),
        ({"training": {"step": 5}}, "config: unknown key training.step (did you mean steps?); allowed: terms, seeds, "),
        (
            {"training": {"terms": ["poisson"]}},
            "config: training.terms.0 = 'poisson' is not allowed: one of potential, force, potential_force, "
            "potential_poisson, all",
        ),
        ({"sweep": {"seeds": 4}}, "config: sweep.seeds = 4 is not allowed: it must be at most training.seeds = 3"),
        (
            {"training": {"weights": {"gamma": 0}}},
            "config: training.weights.gamma = 0 is not allowed: a positive number",
        ),
        (
            {"orbits": {"starts": {"mine": {"position": [1.0, 0.0], "velocity": [0, 0, 0]}}}},
            "config: orbits.starts.mine.position = [1.0, 0.0] is not allowed: three numbers",
        ),
    ],
)
def test_mistakes_cost_one_line(changes, line):
    with pytest.raises(NatalError) as mistake:
        check(Potential, merged(read_config("potential"), changes))
    assert str(mistake.value).startswith(line)
    assert "\n" not in str(mistake.value)


def test_fields_have_names_that_make_files():
    assert field_names([20, 2.5]) == ["plummer", "particles_20au", "particles_2.5au"]


def test_the_workflow_plans_every_network(tmp_path):
    """A dry run of the smoke study: its jobs, without running them."""
    project = Project(tmp_path / "project", tmp_path / "cache")
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/studies/potential.smk", "--cores", "1", "-n"]
    command += ["--configfile", "config/studies/potential_smoke.yaml"]
    done = subprocess.run(command, cwd=project.folder, env=project.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    planned = job_counts(done.stdout)
    once = dict.fromkeys(("cluster", "fields", "sweep", "expansions", "metrics", "figures"), 1)
    # one network more, of the clumps
    assert planned == once | {"train": 5, "evaluate": 2}
