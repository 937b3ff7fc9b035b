"""A stage is stale exactly if its settings or the code it uses have changed."""

import json

import pytest

from natal.provenance import digests

SCRIPT = '''"""Simulate."""
from natal import plummer
from natal.store import write

# run it
write(plummer.sample(3))
'''

MODULES = {
    "__init__": '"""The package."""\n',
    "plummer": '"""Spheres."""\nfrom natal.units import G\n\n\ndef sample(n):\n    """Draw."""\n    return n * G\n',
    "units": '"""Units."""\n\nG = 39.5  # AU^3/Msun/yr^2\n',
    "store": '"""Files."""\n\n\nclass Store:\n    """One file."""\n\n    size = 1\n\n\ndef write(x):\n    print(x)\n',
    "figures": '"""Plots."""\nimport natal.units\n\nCOLOUR = "blue"\n',
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small package and script, and a function that digests the script's code anew."""
    folder = tmp_path / "natal"
    folder.mkdir()
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
    script = tmp_path / "simulate.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(digests, "PACKAGE_FOLDER", folder)
    monkeypatch.setattr(digests, "MEMORY", tmp_path / ".cache" / "code.json")
    digests._memory.cache_clear()

    def digest_now(settings=None):
        for function in (digests.code_digest, digests._imported_modules, digests._text):
            function.cache_clear()
        return digests.stage_digest(script, settings or {})

    yield tmp_path, digest_now
    digest_now()  # forget the files of this test
    digests._memory.cache_clear()


def edit(path, old, new):
    """Replace text in a file, which must hold it."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("simulate.py", "# run it\n", "# run it, and write what comes out\n"),
        ("simulate.py", '"""Simulate."""', '"""Simulate a shard."""'),
        ("simulate.py", "write(plummer.sample(3))", "write(\n    plummer.sample( 3 )\n)"),
        ("natal/plummer.py", '    """Draw."""\n', ""),
        ("natal/plummer.py", "\n\n\ndef", "\n\ndef"),
        ("natal/units.py", "  # AU^3/Msun/yr^2", "  # AU^3 Msun^-1 yr^-2"),
        ("natal/units.py", "39.5", "39.50"),
        ("natal/store.py", '    """One file."""\n', '    """One HDF5 file."""\n'),
        ("natal/store.py", "size = 1\n", 'size = 1\n    """Of the file."""\n'),
    ],
)
def test_what_only_people_read_does_not_count(project, file, old, new):
    """Comments, docstrings and formatting, in the script and in what it imports."""
    folder, digest_now = project
    before = digest_now()
    edit(folder / file, old, new)
    assert digest_now() == before


def test_a_module_that_moves_counts(project):
    """Its path is part of what is digested, not its name alone; the script's own is not."""
    folder, digest_now = project
    before = digest_now()
    (folder / "natal" / "nbody").mkdir()
    (folder / "natal" / "plummer.py").rename(folder / "natal" / "nbody" / "plummer.py")
    edit(folder / "simulate.py", "from natal import plummer", "from natal.nbody import plummer")
    moved = digest_now()
    assert moved != before
    (folder / "natal" / "nbody").rename(folder / "natal" / "stars")
    edit(folder / "simulate.py", "from natal.nbody import plummer", "from natal.stars import plummer")
    assert digest_now() != moved


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("simulate.py", "sample(3)", "sample(4)"),
        ("simulate.py", "write(plummer", "print(plummer"),
        ("natal/plummer.py", "n * G", "G * n"),
        ("natal/store.py", "size = 1", "size = 2"),
        ("natal/store.py", "def write(x)", "def write(x, mode=None)"),
        ("natal/units.py", "39.5", "39.6"),  # two imports away
        ("natal/__init__.py", '"""The package."""\n', "VERSION = 2\n"),
    ],
)
def test_changed_code_counts(project, file, old, new):
    """A constant, a call, a signature: in the script, in a module it imports, or behind that one."""
    folder, digest_now = project
    before = digest_now()
    edit(folder / file, old, new)
    assert digest_now() != before


def test_text_that_code_uses_counts(project):
    """A string that is assigned or passed is no docstring."""
    folder, digest_now = project
    edit(folder / "natal" / "store.py", "print(x)", 'print(x, "AU")')
    before = digest_now()
    edit(folder / "natal" / "store.py", '"AU"', '"pc"')
    assert digest_now() != before


def test_a_module_that_is_not_imported_does_not_count(project):
    """Figures may change without a new simulation."""
    folder, digest_now = project
    before = digest_now()
    edit(folder / "natal" / "figures.py", "blue", "red")
    (folder / "natal" / "nuts.py").write_text("STEPS = 3\n")
    assert digest_now() == before


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import natal.figures", "natal.figures.COLOUR"),
        ("from natal import figures", "figures.COLOUR"),
        ("from natal.figures import COLOUR", "COLOUR"),
    ],
)
def test_every_way_to_import_is_followed(project, line, name):
    """At the top or inside a function."""
    folder, digest_now = project
    edit(folder / "natal" / "units.py", "G = 39.5", f"G = 39.5\n\n\ndef later():\n    {line}\n    return {name}")
    before = digest_now()
    edit(folder / "natal" / "figures.py", "blue", "red")
    assert digest_now() != before


def test_what_is_imported_for_words_only_does_not_count(project):
    """A name in an error's text, or in an annotation."""
    folder, digest_now = project
    for line in ("raise ValueError(COLOUR)", "x: COLOUR = 1"):
        edit(
            folder / "natal" / "units.py",
            "G = 39.5",
            f"from natal.figures import COLOUR\n\nG = 39.5\n\n\ndef later():\n    {line}",
        )
        before = digest_now()
        edit(folder / "natal" / "figures.py", 'COLOUR = "blue"', 'COLOUR = "red"')
        assert digest_now() == before
        (folder / "natal" / "figures.py").write_text(MODULES["figures"])
        (folder / "natal" / "units.py").write_text(MODULES["units"])


@pytest.mark.parametrize("module", ["running/jobs", "provenance/records", "campaign/tables"])
def test_what_decides_nothing_does_not_count(project, module):
    """Nor what it alone imports."""
    folder, digest_now = project
    path = folder / "natal" / f"{module}.py"
    path.parent.mkdir()
    path.write_text("from natal.figures import COLOUR\n\nprint(COLOUR)\n")
    (folder / "natal" / "campaign").mkdir(exist_ok=True)
    (folder / "natal" / "campaign" / "plan.py").write_text("SIZE = 1\n")
    imported = module.replace("/", ".")
    edit(
        folder / "simulate.py",
        "from natal import plummer",
        f"from natal import plummer\nfrom natal.campaign import plan\nfrom natal.{imported} import x",
    )
    edit(folder / "simulate.py", "sample(3)", "sample(plan.SIZE, x)")
    before = digest_now()
    path.write_text("x = 2\n")
    edit(folder / "natal" / "figures.py", "blue", "red")
    assert digest_now() == before
    edit(folder / "natal" / "campaign" / "plan.py", "1", "2")
    assert digest_now() != before


def test_modules_may_import_each_other(project):
    """A circle of imports ends."""
    folder, digest_now = project
    edit(folder / "natal" / "units.py", "G = 39.5", "import natal.plummer\n\nG = 39.5")
    before = digest_now()
    edit(folder / "natal" / "plummer.py", "n * G", "n + G")
    assert digest_now() != before


def test_settings_count_but_not_their_order(project):
    """Any changed, added or renamed value; the order of keys is no setting."""
    _, digest_now = project
    settings = {"seed": 1, "cluster": {"n_stars": 100, "imf": "equal"}, "train": [96]}
    same = {"cluster": {"imf": "equal", "n_stars": 100}, "train": (96,), "seed": 1}
    assert digest_now(settings) == digest_now(same)
    others = [
        settings | {"seed": 2},
        settings | {"train": [96, 1]},
        settings | {"cluster": {"n_stars": 100, "imf": "kroupa"}},
        settings | {"new": None},
        {"seed": [96], "cluster": settings["cluster"], "train": 1},  # the same values under exchanged names
    ]
    assert len({digest_now(other) for other in [settings, *others]}) == 1 + len(others)


def test_a_size_of_batches_counts_where_it_is_given(project):
    """With null a digest is the one that campaigns have which were made before there was such a key."""
    _, digest_now = project
    before = digest_now({"integration": {"dt_yr": 0.05}})
    assert digest_now({"integration": {"dt_yr": 0.05, "clusters_per_batch": None}}) == before
    assert digest_now({"integration": {"dt_yr": 0.05}, "integration.clusters_per_batch": None}) == before
    sizes = [digest_now({"integration": {"dt_yr": 0.05, "clusters_per_batch": n}}) for n in (4, 8)]
    stem = digest_now({"integration.dt_yr": 0.05, "integration.clusters_per_batch": 4})
    assert len({before, *sizes, stem, digest_now({"integration.dt_yr": 0.05})}) == 5
    # another key may say something by null
    assert digest_now({"integration": {"dt_yr": 0.05, "other": None}}) != before


def test_a_digest_names_what_changed(project):
    """Settings by name, the code as a whole; what came or went counts."""
    folder, digest_now = project
    before = digest_now({"seed": 1, "integration": {"t_end_yr": 500}})
    assert [part.partition(":")[0] for part in before.split()] == ["code", "integration", "seed"]
    assert digests.changed_parts(before, before) == []
    assert digests.changed_parts(before, digest_now({"seed": 2, "new": 1})) == ["integration", "seed", "new"]
    edit(folder / "natal" / "plummer.py", "n * G", "n + G")
    assert digests.changed_parts(before, digest_now({"seed": 1, "integration": {"t_end_yr": 500}})) == ["code"]
    # of a version without names
    assert digests.changed_parts("0123456789abcdef", before) == []


def test_a_checkout_elsewhere_has_the_same_digest(project, tmp_path_factory, monkeypatch):
    """Paths and modification times do not count."""
    folder, digest_now = project
    before = digest_now()
    other = tmp_path_factory.mktemp("elsewhere")
    (folder / "natal").rename(other / "natal")
    monkeypatch.setattr(digests, "PACKAGE_FOLDER", other / "natal")
    assert digest_now() == before


def start_again():
    """What another process knows: what was written down."""
    digests._memory.cache_clear()


def refuse(*_, **__):
    raise AssertionError("a file that is known was parsed again")


def test_another_process_need_not_parse_what_is_known(project, monkeypatch):
    """But for the file that was edited since."""
    folder, digest_now = project
    before = digest_now()
    start_again()
    edit(folder / "natal" / "units.py", "39.5", "39.4")
    after = digest_now()
    assert after != before
    start_again()
    monkeypatch.setattr(digests, "without_words", refuse)
    assert digest_now() == after
    edit(folder / "natal" / "units.py", "39.4", "39.5")
    assert digest_now() == before
    edit(folder / "natal" / "units.py", "39.5", "39.3")
    with pytest.raises(AssertionError, match="parsed again"):
        digest_now()
    (folder / "natal" / "units.py").write_text(MODULES["units"])


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"files": {}}', '{"rules": 1, "files": 2}', None])
def test_a_memory_that_cannot_be_read_is_as_good_as_none(project, content):
    """And is written anew."""
    _, digest_now = project
    before, memory = digest_now(), digests.MEMORY.read_text()
    content = json.dumps({"rules": digests._rules(), "files": [1]}) if content is None else content
    digests.MEMORY.write_text(content)
    start_again()
    assert digest_now() == before
    assert json.loads(digests.MEMORY.read_text()) == json.loads(memory)


def test_what_was_found_by_other_rules_is_forgotten(project):
    """Of another version of natal or of Python."""
    _, digest_now = project
    before = digest_now()
    content = json.loads(digests.MEMORY.read_text())
    false = {key: ["0", []] for key in content["files"]}
    digests.MEMORY.write_text(json.dumps({"rules": "others", "files": false}))
    start_again()
    assert digest_now() == before
    # so that the test would see it
    digests.MEMORY.write_text(json.dumps({"rules": content["rules"], "files": false}))
    start_again()
    assert digest_now() != before


def test_a_folder_that_cannot_be_written_is_no_trouble(project, monkeypatch):
    folder, digest_now = project
    (folder / "file").touch()
    monkeypatch.setattr(digests, "MEMORY", folder / "file" / "code.json")
    start_again()
    assert digest_now().startswith("code:2-")


def test_settings_that_come_later_count_the_same(project):
    """Of jobs that share most: in any order, and a setting that is there already is replaced."""
    _, digest_now = project
    settings = {"seed": 3, "ids": [1, 2], "box": {"a": 1.5}}
    whole = digest_now(settings)
    shared = digest_now({"seed": 3})
    assert digests.with_more_settings(shared, {"ids": [1, 2], "box": {"a": 1.5}}) == whole
    assert digests.with_more_settings(digest_now(settings | {"ids": []}), {"ids": [1, 2]}) == whole
    assert digests.with_more_settings(shared, {"ids": [1], "box": {"a": 1.5}}) != whole
