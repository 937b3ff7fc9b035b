"""Shards before jobs are planned: what is no shard is set aside, and the speed of finished ones is known."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from natal.campaign.inventory import (
    CHECKED,
    LAYOUT,
    check_digest,
    find_stale,
    inspect_shards,
    keep_earlier,
    read_layout,
    set_aside,
    slowest_gint_per_s,
    write_layout,
)
from natal.campaign.plan import Shard
from natal.errors import NatalError
from natal.files import sealed
from natal.files.sealed import SEAL_BYTES, write_seal
from natal.provenance.digests import is_of_older_code
from natal.simulation.shard_format import EARLIER, FORMAT

SHARDS = [Shard("train0_000", 0, 4, 2), Shard("train0_001", 4, 4, 2), Shard("validation0_000", 100_000, 2, 2)]
NAMES = [f"{shard.name}.h5" for shard in SHARDS]


def find_damaged(folder, shards):
    """What is wrong with which files."""
    return inspect_shards(folder, shards)[1]


def read_seals(folder):
    """The seals of whole shards."""
    return inspect_shards(folder, SHARDS)[0]


def measured_gint_per_s(folder, shards):
    """The speed of whole shards."""
    return slowest_gint_per_s(inspect_shards(folder, shards)[0].values())


def make_shard(folder, shard, **content):
    """A sealed file in the place of a shard."""
    path = folder / f"{shard.name}.h5"
    with h5py.File(path, "w", userblock_size=SEAL_BYTES) as file:
        file["values"] = np.random.default_rng(shard.first_id).normal(size=1000)
    points = {"first_id": shard.first_id, "n_points": shard.n_points}
    write_seal(path, {"format": FORMAT, **points, "interactions": 6e9, "integrate_time_s": 2.0, **content})
    return path


@pytest.fixture
def folder(tmp_path):
    """Three shards as they should be."""
    for shard in SHARDS:
        make_shard(tmp_path, shard)
    return tmp_path


def files(folder):
    """Names of what lies in a folder, but for the memory of what was checked."""
    return sorted(path.name for path in folder.iterdir() if path.name != CHECKED)


def flip(path, place):
    """Change a bit of one byte, and with it the modification time."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_whole_shards_stay(folder, monkeypatch):
    """And are read once only: a campaign may have terabytes of them."""
    read = []
    sha256 = sealed._sha256
    monkeypatch.setattr(sealed, "_sha256", lambda path: read.append(path.name) or sha256(path))
    assert find_damaged(folder, SHARDS) == {}
    assert files(folder) == NAMES
    assert read == NAMES
    assert find_damaged(folder, SHARDS) == {}
    assert read == NAMES
    os.utime(folder / NAMES[1])
    assert find_damaged(folder, SHARDS) == {}
    assert read == [*NAMES, NAMES[1]]


def test_shards_that_are_known_are_not_opened(folder, monkeypatch):
    """A plan of ten thousand looks at their dates: what their seals say is remembered."""
    seals = read_seals(folder)
    monkeypatch.setattr("natal.campaign.inventory.check_seal", None)
    assert read_seals(folder) == seals
    assert seals["train0_001"]["first_id"] == 4


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"train0_000.h5": 5}', '{"train0_000.h5": [[1], {}]}'])
def test_a_damaged_memory_is_none(folder, content):
    """What was checked is checked again."""
    (folder / CHECKED).write_text(content)
    flip(folder / NAMES[0], 4000)
    assert list(find_damaged(folder, SHARDS)) == [folder / NAMES[0]]


def test_what_is_missing_is_no_damage(folder):
    """Neither a file nor the whole folder; other files do not matter."""
    (folder / NAMES[1]).unlink()
    (folder / "notes.txt").write_text("mine\n")
    (folder / "test0_000.h5").write_text("of no shard\n")
    assert find_damaged(folder, SHARDS) == {}
    assert find_damaged(folder / "nowhere", SHARDS) == {}
    assert files(folder) == sorted([NAMES[0], NAMES[2], "notes.txt", "test0_000.h5"])


def cut_short(path):
    os.truncate(path, path.stat().st_size // 2)


def cut_within_the_seal(path):
    os.truncate(path, 100)


def empty(path):
    os.truncate(path, 0)


def flip_a_byte_of_the_data(path):
    flip(path, 4000)


def flip_the_last_byte(path):
    flip(path, -1)


def write_text(path):
    path.write_text("not a shard\n" * 1000)


def copy_another_shard(path):
    shutil.copy2(path.with_name("train0_001.h5"), path)


def copy_a_shard_of_another_size(path):
    make_shard(path.parent, Shard(path.stem, 0, 5, 2))


def copy_a_later_shard_of_the_size(path):
    make_shard(path.parent, Shard(path.stem, 8, 4, 2))


def write_without_a_seal(path):
    with h5py.File(path, "w") as file:
        file["values"] = np.arange(1000)


def write_another_format(path):
    make_shard(path.parent, SHARDS[0], format="natal-simulations-1")


def write_a_seal_without_points(path):
    write_seal(path, {"format": FORMAT})


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        cut_within_the_seal,
        empty,
        flip_a_byte_of_the_data,
        flip_the_last_byte,
        write_text,
        copy_another_shard,
        copy_a_shard_of_another_size,
        copy_a_later_shard_of_the_size,
        write_without_a_seal,
        write_another_format,
        write_a_seal_without_points,
    ],
)
def test_what_is_no_shard_is_named_and_set_aside(folder, damage):
    """One line names the file; it keeps its content under another name, and is missed until it is made again."""
    path = folder / NAMES[0]
    damage(path)
    content = path.read_bytes()
    found = find_damaged(folder, SHARDS)
    assert list(found) == [path]
    assert found[path].startswith(f"{path} ")
    assert found[path].endswith("; its points are simulated again")
    assert "\n" not in found[path]
    assert files(folder) == NAMES
    set_aside(found)
    aside = path.with_name("train0_000.h5.set-aside")
    assert files(folder) == sorted([aside.name, *NAMES[1:]])
    assert aside.read_bytes() == content
    missed = f"{path} was set aside as {aside.name}; its points are simulated again"
    assert find_damaged(folder, SHARDS) == {path: missed}
    set_aside([path])
    make_shard(folder, SHARDS[0])
    assert find_damaged(folder, SHARDS) == {}


def test_a_copied_shard_says_what_it_holds(folder):
    """Whole, but of other points."""
    copy_another_shard(folder / NAMES[0])
    (line,) = find_damaged(folder, SHARDS).values()
    assert line.startswith(f"{folder / NAMES[0]} holds 4 points from 4 on, not those of train0_000;")


def test_every_damaged_shard_has_its_line(folder):
    """In the order of the shards; what was set aside before is kept."""
    aside = []
    for suffix in (".set-aside", ".set-aside-2", ".set-aside-3"):
        for name in NAMES:
            (folder / name).write_text("no shard\n")
        found = find_damaged(folder, SHARDS)
        assert list(found) == [folder / name for name in NAMES]
        set_aside(found)
        aside += [f"{name}{suffix}" for name in NAMES]
        assert files(folder) == sorted(aside)
        assert all(f" as {path.name}{suffix};" in line for path, line in find_damaged(folder, SHARDS).items())


def test_a_shard_that_vanishes_is_missing(folder, monkeypatch):
    """Another process replaces or removes it between two looks."""
    stat = Path.stat

    def stat_then_remove(path, **options):
        found = stat(path, **options)
        if path.name == NAMES[0]:
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", stat_then_remove)
    assert find_damaged(folder, SHARDS) == {}
    monkeypatch.undo()
    assert list(json.loads((folder / CHECKED).read_text())) == NAMES[1:]


def test_shards_of_other_settings_are_stale(folder):
    """Each has its line; one that is missing has none."""
    make_shard(folder, SHARDS[0], digest="new")
    make_shard(folder, SHARDS[1], digest="old")
    (seals, _), digest = inspect_shards(folder, [*SHARDS, Shard("test0_000", 0, 4, 2)]), lambda name: "new"
    found = find_stale(folder, seals, digest)
    assert list(found) == [folder / NAMES[1], folder / NAMES[2]]
    line = f"{folder / NAMES[1]} was simulated with other settings or code"
    assert found[folder / NAMES[1]] == f"{line}; its points are simulated again"
    assert find_stale(folder, seals, digest, is_explained=lambda path: path.name == NAMES[1]) == {
        folder / NAMES[2]: found[folder / NAMES[2]]
    }
    check_digest(folder / NAMES[0], seals[SHARDS[0].name]["digest"], "new")
    with pytest.raises(NatalError) as caught:
        check_digest(folder / NAMES[1], seals[SHARDS[1].name]["digest"], "new")
    assert str(caught.value) == line


def test_simulations_of_older_code_are_named_in_one_line(folder):
    """Version 0.1.0 had digests of another kind: a campaign of its is recognised, and nothing of it is kept as good."""
    now = "code:2-0123456789abcdef cluster:01234567 seed:89abcdef"
    older = now.replace("code:2-", "code:")
    assert is_of_older_code(older)
    assert not is_of_older_code(now)
    for shard, digest in zip(SHARDS, (older, older.replace("89abcdef", "76543210"), now), strict=True):
        make_shard(folder, shard, digest=digest)
    line = f"{folder} holds 2 shards made by an older version of natal's code; they are simulated again"
    # even if Snakemake sees that they differ
    found = find_stale(folder, read_seals(folder), lambda name: now, is_explained=lambda path: True)
    assert found == dict.fromkeys([folder / name for name in NAMES[:2]], line)
    with pytest.raises(NatalError, match="other settings or code"):
        check_digest(folder / NAMES[0], older, now)


def test_a_copy_with_a_new_date_stays(folder):
    """Restored from a backup or moved to another disk: the content counts."""
    for name in NAMES:
        shutil.copyfile(folder / name, folder / "copy")
        (folder / "copy").replace(folder / name)
        os.utime(folder / name, (1e9, 1e9))
    assert find_damaged(folder, SHARDS) == {}
    assert files(folder) == NAMES


def test_a_flipped_bit_of_the_seal_is_no_crash(folder):
    """Wherever it is: the shard is damaged or not, and is not only if its points are those it should hold."""
    path = folder / NAMES[0]
    content = path.read_bytes()
    for place in range(content.index(b"}") + 1):
        for bit in (1, 2, 4, 8, 16, 32, 64, 128):
            path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            if not find_damaged(folder, SHARDS):
                found = sealed.read_seal(path)
                assert (found["first_id"], found["n_points"]) == (0, 4)
            measured_gint_per_s(folder, SHARDS)


def test_the_speed_is_the_lowest(folder):
    """1e9 interactions a second of integration; the slowest machine must do it in time, too."""
    assert measured_gint_per_s(folder, SHARDS) == 3.0
    make_shard(folder, SHARDS[1], interactions=6e9, integrate_time_s=8.0)
    make_shard(folder, SHARDS[2], interactions=6e9, integrate_time_s=1.0)
    assert measured_gint_per_s(folder, SHARDS) == 0.75
    assert measured_gint_per_s(folder, SHARDS[2:]) == 6.0


def test_without_shards_there_is_no_speed(folder):
    """Neither in an empty folder, nor in one that is not there, nor of no shards."""
    for name in NAMES:
        (folder / name).unlink()
    assert measured_gint_per_s(folder, SHARDS) is None
    assert measured_gint_per_s(folder / "nowhere", SHARDS) is None
    assert measured_gint_per_s(folder, []) is None


@pytest.mark.parametrize(
    "damage", [cut_within_the_seal, empty, write_text, write_without_a_seal, write_a_seal_without_points]
)
def test_an_unreadable_shard_has_no_speed(folder, damage):
    """The others do."""
    make_shard(folder, SHARDS[0], interactions=1.0)
    damage(folder / NAMES[0])
    assert measured_gint_per_s(folder, SHARDS) == 3.0
    assert measured_gint_per_s(folder, SHARDS[:1]) is None


@pytest.mark.parametrize("content", [{"integrate_time_s": 0.0}, {"interactions": "many"}, {"integrate_time_s": None}])
def test_a_speed_that_is_no_number_is_left_out(folder, content):
    """A shard whose computation took no time, or says nothing of it."""
    make_shard(folder, SHARDS[0], **content)
    assert measured_gint_per_s(folder, SHARDS) == 3.0


PART = {"points_per_job": 16, "points": 16, "ends": [4, 8]}


def test_the_layout_comes_back(tmp_path):
    """Blocks that are not planned just now stay noted; nothing is written if nothing changed."""
    folder = tmp_path / "simulations"
    assert read_layout(folder) is None
    write_layout(folder, {"train0": PART, "train1": PART})
    before = (folder / LAYOUT).stat().st_mtime_ns
    write_layout(folder, {"train0": PART})
    assert (folder / LAYOUT).stat().st_mtime_ns == before
    write_layout(folder, {"train0": PART | {"ends": [4]}})
    assert read_layout(folder) == {"train0": PART | {"ends": [4]}, "train1": PART}
    assert [path.name for path in folder.iterdir()] == [LAYOUT]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}{", '{"train0": 3}', '{"train0": {"points_per_job": 4, "points": 0, "ends": [4]}}']
    + [json.dumps({"train0": PART | {"ends": ends}}) for ends in ([], [4, 4], [0], ["a"], None)],
)
def test_a_layout_that_makes_no_sense_is_none(tmp_path, text):
    """Then the settings alone say how points are cut."""
    (tmp_path / LAYOUT).write_text(text)
    assert read_layout(tmp_path) is None


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_what_can_be_gone_on_from_is_kept(folder, monkeypatch, links):
    """A shard of the same clusters to be made again gets a second name; good ones and other clusters do not."""
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    for shard, stem, digest in zip(SHARDS, ("a", "a", "b"), ("old", "new", "old"), strict=True):
        make_shard(folder, shard, stem=stem, digest=digest)
    content = (folder / NAMES[0]).read_bytes()
    for _ in range(2):
        keep_earlier(folder, read_seals(folder), lambda name: "a", lambda name: "new")
    assert files(folder) == sorted([*NAMES, f"{SHARDS[0].name}{EARLIER}"])
    (folder / NAMES[0]).unlink()
    assert (folder / f"{SHARDS[0].name}{EARLIER}").read_bytes() == content
