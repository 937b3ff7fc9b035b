"""How rule files are written."""

import io
import re
import tokenize
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import ROOT

WORKFLOW = ROOT / "workflow"
SHARED = {
    "rules": [WORKFLOW / "rules" / name for name in ("common.smk", "stages.smk", "resources.smk")],
    "studies": [WORKFLOW / "studies" / "common.smk", WORKFLOW / "rules" / "stages.smk"],
}
RULE_FILES = [path for folder in SHARED for path in sorted((WORKFLOW / folder).glob("*.smk"))]


def constants(path, *, defined):
    """Names in capitals that a rule file uses, or those it gives a meaning itself."""
    text = path.read_text()
    if defined:
        imported = re.findall(r"^from \S+ import (.+)$", text, re.M)
        assigned = re.findall(r"^ *([A-Z][A-Z_]+(?:, [A-Z_]+)*) =", text, re.M)
        names = ", ".join([*assigned, *imported]).split(", ")
        return {name for name in names if name.isupper()}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    before, names = "", set()
    for token in tokens:
        if token.type == tokenize.NAME and token.string.isupper() and before != ".":
            names.add(token.string)
        before = token.string
    return names


def test_constants_are_seen():
    """The test below would see one that is missing."""
    assert {"RESULTS", "LIKELIHOOD"} <= constants(WORKFLOW / "rules" / "infer.smk", defined=False)
    assert "PARTS" in constants(WORKFLOW / "rules" / "infer.smk", defined=True)


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_rule_file_uses_shared_names_and_its_own(path):
    """No name comes from another stage's file, so that each can be read alone and in any order."""
    known = {name for shared in SHARED[path.parent.name] for name in constants(shared, defined=True)}
    known |= constants(path, defined=True)
    # its first lines say so
    known |= {"STUDY", "SETTINGS"} if path == WORKFLOW / "studies" / "common.smk" else set()
    if path in (WORKFLOW / "rules" / "stages.smk", WORKFLOW / "rules" / "environment.smk"):
        # what campaign and studies both define
        known |= set.intersection(*(constants(shared[0], defined=True) for shared in SHARED.values()))
    assert constants(path, defined=False) <= known


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_rule_runs_the_script_of_its_name(path):
    """workflow/scripts/<file of the rule>/<rule>.py, which its digest is of."""
    folder = path.stem if path.parent.name == "rules" else f"studies/{path.stem}"
    rules = re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |^include|\Z)", path.read_text(), re.M | re.S)
    for rule, text in rules:
        scripts = re.findall(r'script: "\.\./scripts/(.+)"', text)
        assert scripts == ([] if rule in ("all", "observed") else [f"{folder}/{rule}.py"])
        if scripts and rule != "simulate":
            named = re.findall(r'digest\(\s*"([\w/]+\.py)"', text)
            assert named == [f"{folder}/{rule}.py" if path.parent.name == "rules" else f"{rule}.py"]


def test_every_script_has_its_rule():
    """Nothing is left over."""
    text = "".join(path.read_text() for path in RULE_FILES)
    scripts = {path.relative_to(WORKFLOW / "scripts").as_posix() for path in (WORKFLOW / "scripts").rglob("*.py")}
    assert scripts == set(re.findall(r'"\.\./scripts/(.+)"', text))


@pytest.mark.parametrize(
    "path", [ROOT / "Snakefile", *(WORKFLOW / "studies").glob("*.smk")], ids=lambda path: path.name
)
def test_a_configuration_is_found_from_its_snakefile(path):
    """Wherever snakemake is called (-s) and works (--directory)."""
    for named in re.findall(r"^configfile: (.+)$", path.read_text(encoding="utf-8"), re.M):
        # as Snakemake evaluates it
        file = Path(eval(named, {"workflow": SimpleNamespace(basedir=str(path.parent))}))
        assert file.is_absolute()
        assert file.is_file()
