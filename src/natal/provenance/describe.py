"""What made a file, in words: `natal provenance FILE` prints it."""

import json
from pathlib import Path
from typing import Any

from natal.errors import NatalError
from natal.files.sealed import check_seal, read_seal
from natal.provenance.digests import digest_parts
from natal.provenance.lineage import FileOrigin, Step, as_typed, history, steps
from natal.provenance.records import FileState

LISTED = 4
"""Most files of one kind in one folder that are named one by one."""


def describe(origin: FileOrigin) -> str:
    """Say what made a file.

    Args:
        origin: What is known of it.

    Returns:
        Lines of text; those that begin with ! say what does not fit together.
    """
    known = history(origin)
    lines = [as_typed(origin.path), *_own_lines(origin)]
    if origin.inputs:
        lines += ["  made from", *(f"    {line}" for line in _grouped(list(origin.inputs), origin.inputs))]
        lines += ["  steps, first to last", *(f"    {line}" for line in _step_lines(steps(known)))]
    return "\n".join([*lines, *(f"  ! {trouble}" for trouble in _troubles(known))])


def _own_lines(origin: FileOrigin) -> list[str]:
    record = origin.record
    if record is None:
        said = {key: origin.inside[key] for key in ("digest", "commit", "created") if key in origin.inside}
        return [
            "  no record of what made it" + (": the file itself says" if said else ""),
            *(f"  {key:<10} {value}" for key, value in said.items()),
            *([f"  versions   {_versions(origin.inside)}"] if said else []),
        ]
    digests, environment = digest_parts(record.digest), record.environment
    wildcards = "".join(f", {name} {value}" for name, value in record.wildcards.items())
    settings = [f"{name} [{digest}] {_setting(record.config, name)}" for name, digest in digests.items()][1:]
    return [
        f"  made by    {record.rule}{wildcards}, {environment['created']}",
        f"  sha256     {record.output.sha256}, {record.output.size_bytes} bytes",
        f"  {'campaign' if 'campaign' in record.config else 'study':<10} {_name(record.config)}, seed {record.seed}",
        f"  commit     {environment['commit']}",
        f"  code       {digests.get('code', record.digest)}",
        *(f"  {'settings' if k == 0 else '':<10} {text}".rstrip() for k, text in enumerate(settings)),
        f"  versions   {_versions(environment)}",
    ]


def _name(config: dict[str, Any]) -> str:
    return str(config["campaign"] if "campaign" in config else config["name"])


def _versions(environment: dict[str, str]) -> str:
    listed = [f"{key.removeprefix('version_')} {value}" for key, value in environment.items() if key[:8] == "version_"]
    return ", ".join([*listed, f"python {environment.get('python')} on {environment.get('machine')}"])


def _setting(config: dict[str, Any], name: str) -> str:
    """A setting's value; empty for what a rule derives from several."""
    value: Any = config
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return ""
        value = value[part]
    return json.dumps(value)


def _grouped(paths: list[Path], states: dict[Path, FileState]) -> list[str]:
    """One line for each file, or one line for many files of a kind."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        groups.setdefault((path.parent, path.suffix), []).append(path)
    lines = []
    for (folder, suffix), files in groups.items():
        if len(files) > LISTED:
            lines.append(f"{as_typed(folder)}/*{suffix}, {len(files)} files")
        else:
            lines += [
                f"{as_typed(path)}" + (f" {states[path].sha256[:16]}" if path in states else "") for path in files
            ]
    return lines


def _step_lines(made: list[Step]) -> list[str]:
    width = max(len(step.rule) for step in made)
    return [
        f"{step.rule:<{width}}  {step.created}  code {step.code}  commit {_short(step.commit)}  "
        + ", ".join(_grouped(step.files, {}))
        for step in made
    ]


def _short(commit: str) -> str:
    name, dash, dirty = commit.partition("-")
    return name[:12] + dash + dirty


def _troubles(known: list[FileOrigin]) -> list[str]:
    """What does not fit together, a line each; the file asked for is the last."""
    by_path, origin, lines = {one.path: one for one in known}, known[-1], []
    if origin.record and not origin.is_recorded:
        lines.append("this file is no longer the one recorded: its checksum differs")
    elif _is_damaged(origin.path):
        lines.append("this file is damaged: its checksum is not the one it was written with")
    for one in known:
        for path, read in one.inputs.items():
            source, maker = by_path[path], one.record.rule if one.record else ""
            if source.now is None:
                lines.append(f"{as_typed(path)}, which {maker} read, is gone")
            elif source.now.sha256 != read.sha256:
                lines.append(f"{as_typed(path)} is no longer the file that {maker} read: its checksum differs")
            # what a person wrote needs no record
            if source.record is None and Path(read.path).is_relative_to("results"):
                lines.append(f"{as_typed(path)} has no record of what made it")
    return list(dict.fromkeys(lines))


def _is_damaged(path: Path) -> bool:
    """Whether a sealed file is damaged: up to here its checksum was only read from its seal."""
    if path.suffix != ".h5":
        return False
    try:
        seal = read_seal(path)
    except NatalError:
        return False
    try:
        check_seal(path, seal["format"])
    except NatalError:
        return True
    return False
