"""A campaign's records as RO-Crate 1.1 metadata, by the profile Provenance Run Crate 0.5.

Each job is an action with its inputs, outputs and end; each rule is a tool; the campaign is a run of the workflow. What
the records do not say (who ran it, when a job began) is left out.
https://www.researchobject.org/workflow-run-crate/profiles/
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from natal.provenance.digests import digest_parts
from natal.provenance.records import FileState, Record

METADATA, WORKFLOW, CONFIG = "ro-crate-metadata.json", "workflow.json", "config.yaml"

RO_CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
RUN_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
}
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"

FORMATS = {
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".csv": "text/csv",
    ".html": "text/html",
    ".h5": "application/x-hdf5",
    ".nc": "application/x-netcdf",
    ".txt": "text/plain",
    ".eqx": "application/octet-stream",
}
"""Media types by the end of a file's name."""

PACKAGES = {
    "natal": None,
    "jax": "https://docs.jax.dev",
    "jaxlib": "https://docs.jax.dev",
    "equinox": "https://docs.kidger.site/equinox",
    "optax": "https://optax.readthedocs.io",
    "numpyro": "https://num.pyro.ai",
    "numpy": "https://numpy.org",
    "h5py": "https://www.h5py.org",
    "snakemake": "https://snakemake.github.io",
}
"""Software whose versions are listed, with its home page."""

Entity = dict[str, Any]
"""One object of the metadata's graph."""


def workflow_description(records: Sequence[Record]) -> dict[str, Any]:
    """The workflow as it ran: its rules in their order, what each reads from, and the code they had.

    Args:
        records: Of all files of the campaign, in the order in which these were made.

    Returns:
        The content of workflow.json.
    """
    makers = {record.output.path: record.rule for record in records}
    rules = []
    for rule, made in _by_rule(records).items():
        read = sorted({makers[one.path] for record in made for one in record.inputs if one.path in makers} - {rule})
        codes = sorted({digest_parts(record.digest).get("code", record.digest) for record in made})
        commits = sorted({record.environment["commit"] for record in made})
        rules.append({"rule": rule, "reads_from": read, "code": codes, "commit": commits, "files": len(made)})
    return {"format": "natal-workflow-1", "engine": "Snakemake", "rules": rules}


def crate_metadata(files: Mapping[str, FileState], records: Sequence[Record], folder: str, licence: str) -> Entity:
    """The RO-Crate metadata of a campaign's files.

    Args:
        files: Size and SHA-256 of every file in the crate but the metadata, by its name there; `WORKFLOW` and `CONFIG`
            are among them.
        records: Of the campaign's files, also of those that are not in the crate.
        folder: The campaign's folder, as the records have it: `results/<campaign>`.
        licence: SPDX identifier, URL or sentence.

    Returns:
        The content of ro-crate-metadata.json.
    """
    latest = max(records, key=lambda record: record.environment["created"])
    config, environment = latest.config, latest.environment
    versions = {name: environment[f"version_{name}"] for name in PACKAGES if f"version_{name}" in environment}
    rules, absent = _by_rule(records), {}

    def reference(state: FileState) -> Entity:
        path = PurePosixPath(state.path)
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
        if name in files:
            return _id(quote(name))
        absent[state.path] = {
            **_id("#absent/" + quote(state.path)),
            "@type": "CreativeWork",
            "name": state.path,
            "description": "A file that is not in this crate",
            "contentSize": str(state.size_bytes),
            "sha256": state.sha256,
        }
        return _id("#absent/" + quote(state.path))

    jobs: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        chosen = [f"{key}={value}" for key, value in sorted(record.wildcards.items())]
        jobs.setdefault((record.rule, *chosen), []).append(record)
    actions: dict[str, list[Entity]] = {}
    for (rule, *wildcards), made in jobs.items():
        actions.setdefault(rule, []).append(
            {
                **_id("#job/" + quote("/".join([rule, *wildcards]))),
                "@type": "CreateAction",
                "name": " ".join([rule, *wildcards]),
                "description": f"digest {made[0].digest}; commit {made[0].environment['commit']}",
                "instrument": _id(f"#rule/{quote(rule)}"),
                "endTime": max(record.environment["created"] for record in made),
                "actionStatus": "http://schema.org/CompletedActionStatus",
                "object": _unique(reference(state) for record in made for state in record.inputs),
                "result": _unique(reference(record.output) for record in made),
            }
        )
    run = {
        **_id("#run"),
        "@type": "CreateAction",
        "name": f"Campaign {config['campaign']}",
        "description": f"All jobs of the campaign, seed {config['seed']}",
        "instrument": _id(WORKFLOW),
        "startTime": min(record.environment["created"] for record in records),
        "endTime": environment["created"],
        "object": [_id(CONFIG)],
        "result": _unique(_id(quote(name)) for name in files if name not in (WORKFLOW, CONFIG)),
    }
    controls = [
        {
            **_id(f"#control/{quote(rule)}"),
            "@type": "ControlAction",
            "name": f"Snakemake runs {rule}",
            "instrument": _id(f"#step/{quote(rule)}"),
            "object": [_id(action["@id"]) for action in actions[rule]],
        }
        for rule in rules
    ]
    organised = {
        **_id("#organised"),
        "@type": "OrganizeAction",
        "name": "Snakemake runs the campaign",
        "instrument": _id("#package/snakemake"),
        "object": [_id(control["@id"]) for control in controls],
        "result": _id("#run"),
    }
    performed = [run, organised, *controls, *(action for made in actions.values() for action in made)]
    root = {
        **_id("./"),
        "@type": "Dataset",
        "name": f"natal campaign {config['campaign']}",
        "description": (
            "Simulated star clusters, neural networks of their summaries and posteriors of the births of clusters "
            f"(natal {versions.get('natal', 'unknown')}): networks, tables, records and report"
        ),
        "datePublished": environment["created"],
        "license": licence,
        "mainEntity": _id(WORKFLOW),
        "conformsTo": [_id(profile) for profile in (*RUN_PROFILES, WORKFLOW_CRATE)],
        "hasPart": [_id(quote(name)) for name in files],
        "mentions": [_id(action["@id"]) for action in performed],
    }
    described = {
        **_id(METADATA),
        "@type": "CreativeWork",
        "about": _id("./"),
        "conformsTo": [_id(RO_CRATE), _id(WORKFLOW_CRATE)],
    }
    profiles = [
        {**_id(profile), "@type": "CreativeWork", "name": name, "version": profile.rpartition("/")[2]}
        for profile, name in {**RUN_PROFILES, WORKFLOW_CRATE: "Workflow RO-Crate"}.items()
    ]
    software = [
        {
            **_id(f"#package/{name}"),
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
            **({"url": PACKAGES[name]} if PACKAGES[name] else {}),
        }
        for name, version in versions.items()
    ]
    language = {
        **_id(SNAKEMAKE),
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": _id("https://doi.org/10.1093/bioinformatics/bts480"),
        "url": _id("https://snakemake.readthedocs.io"),
    }
    tools = [
        {
            **_id(f"#rule/{quote(rule)}"),
            "@type": "SoftwareApplication",
            "name": rule,
            "softwareVersion": digest_parts(made[-1].digest).get("code", made[-1].digest),
        }
        for rule, made in rules.items()
    ]
    steps = [
        {
            **_id(f"#step/{quote(rule)}"),
            "@type": "HowToStep",
            "name": rule,
            "position": str(k),
            "workExample": _id(f"#rule/{quote(rule)}"),
        }
        for k, rule in enumerate(rules)
    ]
    parameter = {
        **_id("#input/config"),
        "@type": "FormalParameter",
        "name": "configuration",
        "additionalType": "File",
        "workExample": _id(CONFIG),
    }
    held = [_file(name, state) for name, state in files.items()]
    for one in held:
        if one["@id"] == CONFIG:
            one["exampleOfWork"] = _id("#input/config")
        if one["@id"] == WORKFLOW:
            one |= {
                "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
                "name": "natal: from a design in (Q0, a) to recovered birth conditions",
                "description": "Rules in their order; the code is natal's, of the commits and digests named",
                "version": versions.get("natal", "unknown"),
                "programmingLanguage": _id(SNAKEMAKE),
                "softwareRequirements": [_id(one["@id"]) for one in software],
                "input": [_id("#input/config")],
                "hasPart": [_id(tool["@id"]) for tool in tools],
                "step": [_id(step["@id"]) for step in steps],
            }
    graph: list[Entity] = [described, root, *profiles, *held, language, *software, parameter, *tools, *steps]
    context = [f"{RO_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]
    return {"@context": context, "@graph": [_compact(one) for one in (*graph, *performed, *absent.values())]}


def _compact(entity: Entity) -> Entity:
    """An entity as RO-Crate wants it: in place of a list of one, its item; no empty lists."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
        if value != []
    }


def _file(name: str, state: FileState) -> Entity:
    suffix = PurePosixPath(name).suffix
    return {
        **_id(quote(name)),
        "@type": "File",
        "name": name,
        "contentSize": str(state.size_bytes),
        "sha256": state.sha256,
        "encodingFormat": FORMATS.get(suffix, "application/octet-stream"),
    }


def _by_rule(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by rule, rules in the order in which they ended."""
    rules: dict[str, list[Record]] = {}
    for record in records:
        rules.setdefault(record.rule, []).append(record)
    return dict(sorted(rules.items(), key=lambda pair: max(one.environment["created"] for one in pair[1])))


def _id(name: str) -> Entity:
    return {"@id": name}


def _unique(references: Iterable[Entity]) -> list[Entity]:
    return list({one["@id"]: one for one in references}.values())
