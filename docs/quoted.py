"""Numbers of the default campaign that README and docs quote: `python docs/quoted.py [results/default]` writes them.

All of them come from one file, docs/measurements/default_metrics.json. Two marks, which readers do not see, say which:

    hold 95.1<!--= 100 calibration.coverage.95.joint --> % of the truths      a factor, if any, and the key
    <!-- begin NAME --> ... <!-- end NAME -->                                   a block of BLOCKS

A number keeps the decimals that it is written with. The command writes all numbers and blocks anew. With a folder it
first takes the numbers of that campaign. tests/docs/test_quoted.py fails where a page says something else.
"""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from natal.files.formats import read_json
from natal.variables import BIRTH, SUMMARIES

ROOT = Path(__file__).resolve().parents[1]
METRICS = ROOT / "docs" / "measurements" / "default_metrics.json"
PLACES = ("50", "68", "90", "95")
LONGEST_LIST = 8  # longer ones are curves, which no page quotes
MINUS = "\N{MINUS SIGN}"
NUMBER = re.compile(
    r"(?P<number>[-\N{MINUS SIGN}]?\d[\d,]*(?:\.(?P<decimals>\d+))?)<!--= (?:(?P<factor>[\d.e-]+) )?(?P<key>\S+) -->"
)
BLOCK = re.compile(r"(?P<begin><!-- begin (?P<name>\S+) -->\n).*?(?P<end><!-- end(?: \S+)? -->)", re.DOTALL)

Metrics = dict[str, Any]


def pages() -> list[Path]:
    """README and all pages of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def value(metrics: Metrics, key: str) -> Any:
    """What stands under a key such as `calibration.coverage.95.joint`; parts of lists are counted from 0."""
    found: Any = metrics
    for part in key.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def number(metrics: Metrics, match: re.Match[str]) -> str:
    """The number that stands before a mark, with the decimals it was written with."""
    found = float(match["factor"] or 1) * value(metrics, match["key"])
    return f"{found:,.{len(match['decimals'] or '')}f}".replace("-", MINUS)


def table(header: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rows = [header, ["---"] * len(header), *([cell.replace("-", MINUS) for cell in line] for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def percent(share: float, places: int = 0) -> str:
    """A share in per cent."""
    return f"{100 * share:.{places}f}"


def budget(metrics: Metrics) -> str:
    """Scatter, the error of the ensemble's mean, and the factor of its networks' spread."""
    rows = {
        "scatter of realizations, validation points": ("sigma_budget", "simulator"),
        "error of the mean, test points": ("emulator.error_of_the_mean", "emulator"),
        "spread of the networks, validation points": ("members_spread", "spread"),
        "factor of that spread": ("members_spread", "factor"),
    }
    lines = [
        [text, *(f"{value(metrics, section)[summary][key]:#.2g}".rstrip(".") for summary in SUMMARIES)]
        for text, (section, key) in rows.items()
    ]
    return table(["", *(f"`{summary}`" for summary in SUMMARIES)], lines)


def likelihoods(metrics: Metrics) -> str:
    """The likelihoods on validation runs: log score and joint coverage."""
    return table(
        ["likelihood", "log score", "joint 50 %", "68 %", "90 %", "95 %"],
        [
            [f"`{name}`", f"{part['log_score']:.3f}", *(percent(part["coverage"][level], 1) for level in PLACES)]
            for name, part in metrics["likelihood"]["validation"].items()
        ],
    )


def outputs(metrics: Metrics) -> str:
    """The uncertainty methods' predictions of test clusters."""
    errors = list(zip(SUMMARIES, ("{:.3f}", "{:.2f}", "{:.0f}"), strict=True))
    lines = []
    for name, part in metrics["uncertainty"].items():
        held = (
            ", ".join(percent(part["outputs"]["coverage"][level][summary]) for summary in SUMMARIES)
            for level in ("68", "95")
        )
        lines.append([f"`{name}`", ", ".join(form.format(part["rmse"][key]) for key, form in errors), *held])
    return table(["method", "RMSE f_bound, σ_v [km/s], r_h [AU]", "outputs in 68 %", "outputs in 95 %"], lines)


def recoveries(metrics: Metrics) -> str:
    """The uncertainty methods' posteriors of test clusters, and what they cost."""
    lines = []
    for name, part in metrics["uncertainty"].items():
        shares = [[part["coverage"][level].get(key) for key in (*BIRTH, "joint")] for level in ("68", "95")]
        held = (", ".join("n/a" if share is None else percent(share) for share in row) for row in shares)
        score = f"{part['log_score']:.2f}" if "log_score" in part else "n/a"
        cost = [f"{part['training_s']:.0f}", f"{1e6 * part['evaluation_s']:.0f}"]
        lines.append([f"`{name}`", *held, percent(part["area"]["95"]), score, *cost])
    return table(["method", "Q0, a, joint 68 %", "95 %", "area of 95 %", "log score", "fit [s]", "[µs]"], lines)


def thirds(metrics: Metrics) -> str:
    """Joint coverage of calibration clusters, over all and by third of what was recovered."""
    calibration = metrics["calibration"]
    groups = {"all": calibration} | {
        f"{place} third of the recovered {label}": part
        for key, label in (("q0", "Q0"), ("a_au", "a"))
        for place, part in zip(("lowest", "middle", "highest"), calibration[f"by_recovered_{key}_tercile"], strict=True)
    }
    return table(
        ["clusters", "number", "joint 50 %", "68 %", "90 %", "95 %"],
        [
            [
                name,
                f"{part['n_cases']:,}",
                *(
                    " ± ".join(percent(part[key][level]["joint"], 1) for key in ("coverage", "coverage_se"))
                    for level in PLACES
                ),
            ]
            for name, part in groups.items()
        ],
    )


def checks(metrics: Metrics) -> str:
    """The calibration checks: their p-values, and what each would have seen."""
    return table(
        ["check", "clusters", "p", "passed", "would see in four of five campaigns"],
        [
            [
                f"`{name}`",
                f"{part['n']:,}",
                f"{part['p_value']:.4f}",
                "yes" if part["passed"] else "**no**",
                part["would_see"],
            ]
            for name, part in metrics["calibration"]["verdicts"].items()
        ],
    )


def verdict(metrics: Metrics) -> str:
    """What the report says of the campaign's posteriors, in its words."""
    return textwrap.indent(textwrap.fill(metrics["calibration"]["verdict"]["text"], 118), "> ") + "\n"


def made(metrics: Metrics) -> str:
    """When and from which version the campaign was made."""
    made = metrics["made"]
    return f"Measured {made['date']} with the default campaign of commit `{made['commit']}`.\n"


BLOCKS: dict[str, Callable[[Metrics], str]] = {
    block.__name__: block for block in (budget, likelihoods, outputs, recoveries, thirds, checks, verdict, made)
}


def written(text: str, metrics: Metrics) -> str:
    """A page with the campaign's numbers."""
    text = BLOCK.sub(lambda match: f"{match['begin']}\n{BLOCKS[match['name']](metrics)}\n{match['end']}", text)
    return NUMBER.sub(lambda match: number(metrics, match) + match[0][len(match["number"]) :], text)


def without_curves(part: Any) -> Any:
    """Metrics without long lists and what is told point by point."""
    if isinstance(part, dict):
        kept = {key: without_curves(entry) for key, entry in part.items() if key != "dissolved_share_by_point"}
        return {key: entry for key, entry in kept.items() if entry not in (None, {})}
    if isinstance(part, list):
        return [without_curves(entry) for entry in part] if len(part) <= LONGEST_LIST else None
    return float(f"{part:.6g}") if isinstance(part, float) else part


def campaign(folder: Path) -> Metrics:
    """The metrics of a finished campaign, with its date and commit."""
    file = folder / "metrics.json"
    day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date()
    records = sorted((folder / "provenance").rglob("metrics.json*"))
    commits = (re.search(r'"commit": "([0-9a-f]{7})', record.read_text()) for record in records)
    commit = next((found[1] for found in commits if found), "unknown")
    return {"made": {"date": str(day), "commit": commit}, **without_curves(read_json(file))}


def outdated(metrics: Metrics) -> Iterator[tuple[Path, str]]:
    """Pages that say something else than the campaign, and what they should say."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := written(text, metrics)) != text:
            yield page, new


if __name__ == "__main__":
    if len(sys.argv) > 1:
        METRICS.write_text(json.dumps(campaign(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
    for page, text in outdated(read_json(METRICS)):
        page.write_text(text, encoding="utf-8")
        print(page.relative_to(ROOT))
