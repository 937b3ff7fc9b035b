"""A campaign grows: what is there stays, only what is new is computed, and all is as if it had been run at once."""

import h5py
import pytest

pytestmark = pytest.mark.slow

SUMMARIES = "results/tiny/summaries.csv"
TRACKS = "results/tiny/tracks.csv"
NAME = "test0_000"
SHARD = f"results/tiny/simulations/{NAME}.h5"


def content(folder):
    """Bytes and date of every shard."""
    paths = sorted((folder / "results" / "tiny" / "simulations").glob("*.h5"))
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def run(project, changes, *targets):
    """Make the tables, or other targets, with changed settings; the tables' bytes."""
    done = project.snakemake(*(targets or (SUMMARIES, TRACKS)), changes=changes)
    assert done.returncode == 0, done.stderr
    return [] if targets else [(project.folder / name).read_bytes() for name in (SUMMARIES, TRACKS)]


def arrays(path):
    """All numbers of a shard, bit for bit: its attributes, which say how long the job took, are left out."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "dtype") else {}))
    return found


def logs(project):
    """What the simulate jobs logged."""
    return {path.stem: path.read_text() for path in (project.folder / "logs" / "tiny" / "simulate").glob("*.log")}


def test_growing_step_by_step_and_back(editable, fresh):
    """Old shards are neither read again by a job nor written: what is new is shards of its own, and what was cut stays.

    Of a split first, then of all, with a new block of points. Fewer realizations need no simulation if they end where
    a job did.
    """
    small = (editable.folder / SUMMARIES).read_bytes()
    steps = [
        ({"realizations": {"train": 3, "validation": 3, "test": 4}}, ["test0_000_r003"]),
        (
            {"train": [8, 4], "realizations": 5},
            ["test0_000_r004", "train0_000_r003", "train0_001_r003", "train1_000", "validation0_000_r003"],
        ),
    ]
    for design, new in steps:
        before = content(editable.folder)
        changes = {"design": design}
        assert editable.stale(SUMMARIES, changes=changes)["simulate"] == len(new)
        tables = run(editable, changes)
        after = content(editable.folder)
        assert sorted(after.keys() - before.keys()) == [f"{name}.h5" for name in new]
        assert {name: after[name] for name in before} == before
        assert editable.stale(SUMMARIES, changes=changes) == {}
    # at once, and in jobs of another size
    assert run(fresh, {"design": design | {"points_per_job": 8}}) == tables
    assert editable.stale(SUMMARIES, changes={}).get("simulate", 0) == 0
    assert run(editable, {})[0] == small


@pytest.mark.parametrize(
    ("integration", "computed", "targets"),
    [
        # every old time is a new one, and the last new one is later
        ({"t_end_yr": 30, "snapshots": 4}, 200, []),
        # none of the new times is an old one: each starts from the last before it
        ({"t_end_yr": 45, "snapshots": 4}, 600, [SHARD]),
        # all that is wanted is there
        ({"t_end_yr": 10, "snapshots": 2}, 0, [SHARD]),
    ],
    ids=["longer", "other times", "shorter"],
)
def test_another_end_goes_on_from_the_old_one(editable, fresh, integration, computed, targets):
    """The steps that were done are not done again, and the bits are those of a simulation in one go."""
    changes = {"integration": integration}
    before = content(editable.folder)
    tables = run(editable, changes, *targets)
    after = content(editable.folder)
    made = [path.removesuffix(".h5") for path in after if after[path] != before[path]]
    assert len(made) == (len(targets) or 5)
    going_on = "going on from a simulation of the same clusters up to 20 yr"
    total = round(integration["t_end_yr"] / 0.05)
    for name in made:
        log = logs(editable)[name]
        assert going_on in log, name
        assert f"simulate: {total} of {total} steps" in log or computed == 0, name
        assert ("compiled in 0.0 s" in log) == (computed == 0), name
    # what a going on keeps until the tables are made
    left = {path.suffix for path in (editable.results() / "simulations").iterdir()}
    assert left <= {".h5", ".json"} or targets
    assert run(fresh, changes, *targets) == tables
    for name in made:
        one, other = (arrays(project.results() / "simulations" / f"{name}.h5") for project in (editable, fresh))
        assert one == other
        assert len(one["position_au"]) > 0
    assert not any(going_on in log for log in logs(fresh).values())


def test_other_clusters_do_not_go_on(editable):
    """Another step or seed makes other clusters."""
    changes = {"integration": {"dt_yr": 0.04}}
    for change in ({}, {"seed": 5}):
        before = content(editable.folder)[f"{NAME}.h5"]
        run(editable, changes | change, SHARD)
        assert content(editable.folder)[f"{NAME}.h5"] != before
        assert "going on" not in logs(editable)[NAME]
