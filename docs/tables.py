"""Print the tables of docs/statistics.md that hold a campaign's numbers: python docs/tables.py results/default."""

import sys
from pathlib import Path

import pandas as pd

from natal.files.formats import read_json
from natal.variables import BIRTH, SUMMARIES

PLACES = ("50", "68", "90", "95")


def row(*cells: str) -> str:
    """A line of a Markdown table, with the typographic minus."""
    return f"| {' | '.join(cells)} |".replace("-", "\N{MINUS SIGN}")


def percent(shares: list[float]) -> str:
    """Shares in per cent, side by side."""
    return ", ".join("n/a" if pd.isna(share) else f"{100 * share:.0f}" for share in shares)


def validation(likelihoods: dict) -> list[str]:
    """The likelihoods on validation runs: log score and joint coverage."""
    return [
        row(f"`{name}`", f"{part['log_score']:.3f}", *(f"{100 * part['coverage'][level]:.1f}" for level in PLACES))
        for name, part in likelihoods.items()
    ]


def methods(comparison: pd.DataFrame) -> list[str]:
    """The uncertainty methods on test clusters."""
    lines = []
    for method in comparison.to_dict("records"):
        errors = zip(SUMMARIES, ("{:.3f}", "{:.2f}", "{:.0f}"), strict=True)
        cells = [", ".join(form.format(method[f"rmse_{name}"]) for name, form in errors)]
        cells += [percent([method[f"coverage_{level}_{name}"] for name in SUMMARIES]) for level in ("68", "95")]
        cells += [percent([method[f"coverage_{level}_{name}"] for name in (*BIRTH, "joint")]) for level in ("68", "95")]
        score = method["log_score"]
        cells += [f"{100 * method['area_95']:.0f}", "n/a" if pd.isna(score) else f"{score:.2f}"]
        lines.append(
            row(f"`{method['method']}`", *cells, f"{method['training_s']:.1f}", f"{method['evaluation_us']:.1f}")
        )
    return lines


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print("\n".join(validation(read_json(folder / "emulator" / "likelihood.json")["validation"])), end="\n\n")
    print("\n".join(methods(pd.read_csv(folder / "uncertainty" / "comparison.csv"))))
