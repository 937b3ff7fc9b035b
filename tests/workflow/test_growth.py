"""A campaign grows: what is there stays, only what is new is computed, and all is as if it had been run at once."""

import pytest

pytestmark = pytest.mark.slow

SUMMARIES = "results/tiny/summaries.csv"
TRACKS = "results/tiny/tracks.csv"


def content(folder):
    """Bytes and date of every shard."""
    paths = sorted((folder / "results" / "tiny" / "simulations").glob("*.h5"))
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def run(project, changes):
    """Make the tables with changed settings; their bytes."""
    done = project.snakemake(SUMMARIES, TRACKS, changes=changes)
    assert done.returncode == 0, done.stderr
    return [(project.folder / name).read_bytes() for name in (SUMMARIES, TRACKS)]


def logs(project):
    """What the simulate jobs logged."""
    return {path.stem: path.read_text() for path in (project.folder / "logs" / "tiny" / "simulate").glob("*.log")}


@pytest.mark.parametrize(
    ("design", "new"),
    [
        ({"train": [8, 4]}, ["train1_000"]),
        ({"realizations": 5}, ["test0_000_r003", "train0_000_r003", "train0_001_r003", "validation0_000_r003"]),
        pytest.param(
            {"realizations": {"train": 3, "validation": 3, "test": 4}}, ["test0_000_r003"], marks=pytest.mark.slow
        ),
    ],
    ids=["block", "realizations", "realizations of a split"],
)
def test_old_shards_are_left_alone(editable, fresh, design, new):
    """Neither read again by a job nor written: new points and new realizations are shards of their own."""
    before = content(editable.folder)
    changes = {"design": design}
    planned = editable.stale(SUMMARIES, changes=changes)
    assert planned["simulate"] == len(new)
    tables = run(editable, changes)
    after = content(editable.folder)
    assert sorted(after.keys() - before.keys()) == [f"{name}.h5" for name in new]
    assert {name: after[name] for name in before} == before
    assert editable.stale(SUMMARIES, changes=changes) == {}
    assert run(fresh, changes) == tables


def test_growing_step_by_step_and_back(fresh):
    """What was cut once stays cut; fewer realizations need no simulation if they end where a job did."""
    tables = {n: run(fresh, {"design": {"realizations": n}}) for n in (2, 3, 5)}
    assert fresh.stale(SUMMARIES, changes={"design": {"realizations": 3}}).get("simulate", 0) == 0
    assert run(fresh, {"design": {"realizations": 3}}) == tables[3]
    # a job of points of another size cuts them anew
    changes = {"design": {"realizations": 5, "points_per_job": 8}}
    assert run(fresh, changes) == tables[5]


@pytest.mark.parametrize(
    ("integration", "computed"),
    [
        # every old time is a new one, and the last new one is later
        ({"t_end_yr": 30, "snapshots": 4}, 200),
        # none of the new times is an old one: each starts from the last before it
        ({"t_end_yr": 45, "snapshots": 4}, 600),
        # all that is wanted is there
        ({"t_end_yr": 10, "snapshots": 2}, 0),
    ],
    ids=["longer", "other times", "shorter"],
)
def test_another_end_goes_on_from_the_old_one(editable, fresh, integration, computed):
    """The steps that were done are not done again, and the bits are those of a simulation in one go."""
    changes = {"integration": integration}
    tables = run(editable, changes)
    going_on = "going on from a simulation of the same clusters up to 20 yr"
    total = round(integration["t_end_yr"] / 0.05)
    for name, log in logs(editable).items():
        assert going_on in log, name
        assert f"simulate: {total} of {total} steps" in log or computed == 0, name
        assert ("compiled in 0.0 s" in log) == (computed == 0), name
    left = {path.suffix for path in (editable.results() / "simulations").iterdir()}
    assert left <= {".h5", ".json"}
    assert run(fresh, changes) == tables
    assert not any(going_on in log for log in logs(fresh).values())


def test_other_clusters_do_not_go_on(editable):
    """Another step or seed makes other clusters."""
    run(editable, {"integration": {"dt_yr": 0.04}, "seed": 5})
    assert not any("going on" in log for log in logs(editable).values())
