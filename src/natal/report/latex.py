"""A finished campaign's numbers as LaTeX tables: values rounded with their errors, units and captions with them."""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from natal.observables.declared import CIRCUMSTANCES, MEASURABLE
from natal.posterior.grid import QUANTILES
from natal.variables import BIRTH, Box, Variable, Variables

ESCAPED = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"},
}
LARGER_UNITS = {"AU": ("pc", 1e4), "yr": ("Myr", 1e5)}
"""By unit: the one that a column is given in if half of its numbers are beyond a limit."""

NO_DATA = r"$\cdots$"

COLUMN_CHARACTERS = 48
"""A table with longer lines goes over both columns."""

N_NOTES = 10
"""Warnings below a table; observed.csv has all."""

VARIABLES = Variables(*BIRTH.values(), *MEASURABLE.values(), *CIRCUMSTANCES.values())

POPULATION = {
    "q0_location": "centre of $Q_0$",
    "q0_scale": "width of $Q_0$",
    "roughness": "roughness",
    "ln_a_location": r"centre of $\ln a$",
    "ln_a_scale": r"width of $\ln a$",
    "q0_mean": "mean of $Q_0$",
    "q0_sd": "sd of $Q_0$",
    "a_au_mean": "mean of $a$",
    "a_au_sd": "sd of $a$",
    "sfe_mean": "mean SFE",
}


@dataclass(frozen=True)
class LatexTable:
    """A table: columns of cells by heading, both LaTeX; units of some columns; sentences below it."""

    caption: str
    columns: dict[str, list[str]]
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def write(self, name: str, *, is_aas: bool) -> str:
        """The table as AASTeX's deluxetable, or as a plain one between rules; its label is `tab:` and the name.

        Args:
            name: For the label.
            is_aas: For a journal of the AAS.

        Returns:
            LaTeX.
        """
        from astropy.io import ascii as formats
        from astropy.table import Table

        table = Table({heading: cells or [""] for heading, cells in self.columns.items()})
        widths = (max(len(_plain(cell)) for cell in [head, *cells]) + 2 for head, cells in self.columns.items())
        star = "*" if sum(widths) > COLUMN_CHARACTERS else ""
        align = "l" + "c" * (len(self.columns) - 1)
        more: dict[str, Any] = {"units": self.units, "caption": f"{self.caption}\\label{{tab:{name}}}"}
        notes = " ".join(self.notes)
        if is_aas:
            more |= {"tabletype": f"deluxetable{star}", "tablealign": "t"}
            more |= {"tablefoot": f"\\tablecomments{{{notes}}}"} if notes else {}
        else:
            more |= {"tabletype": f"table{star}", "preamble": "\\centering", "header_start": "\\hline"}
            more |= {"header_end": "\\hline", "data_end": "\\hline"}
            more |= {"tablefoot": f"\n\\smallskip\n\\raggedright {notes}"} if notes else {}
        text = io.StringIO()
        formats.write(table, text, format="aastex" if is_aas else "latex", latexdict=more, col_align=align)
        return text.getvalue()


def _plain(cell: str) -> str:
    """What of a cell takes room."""
    return re.sub(r"\\\w+|[\\${}^]", "", cell)


def escaped(text: str) -> str:
    """Text that LaTeX shows as it is."""
    return "".join(ESCAPED.get(character, character) for character in text)


def prose(text: str) -> str:
    """A sentence of natal's, its variables as symbols and its percent signs as LaTeX has them."""
    words = {"Q0": "$Q_0$"} | {name: variable.symbol for name, variable in VARIABLES.items()}
    pattern = rf"(?<!\w)({'|'.join(map(re.escape, words))})(?!\w)"
    parts = re.split(pattern, text)
    return "".join(words.get(part, escaped(part)) for part in parts).replace(r" \%", r"\,\%")


def unit(name: str) -> str:
    """A unit as LaTeX; empty for a number."""
    from astropy.units import Unit

    found = Unit({"AU": "au", "K/|W|": "", "1": "", "ln AU": ""}.get(name, name))
    return "" if str(found) == "" else str(found.to_string("latex_inline"))


def rounded(value: float, *errors: float) -> list[str]:
    """A value and its errors: the smallest error above zero with two digits, all others with as many places."""
    known = [error for error in errors if error > 0 and math.isfinite(error)]
    if not known:
        return [f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}", *("0" for _ in errors)]
    # of the error as it is written: 0.0996 is 0.10
    places = 1 - int(f"{min(known):.1e}".partition("e")[2])
    return [f"{round(number, places):.{max(places, 0)}f}" for number in (value, *errors)]


def with_error(value: float, low: float, high: float) -> str:
    """A cell: a value with its errors to either side, one number if they look the same.

    Args:
        value: The value.
        low: Its error to smaller values.
        high: Its error to larger values.

    Returns:
        LaTeX, with two digits of the smaller error.
    """
    middle, below, above = rounded(value, low, high)
    if float(below) == float(above):
        return f"${middle} \\pm {below}$" if float(below) else f"${middle}$"
    return f"${middle}^{{+{above}}}_{{-{below}}}$"


def simulations_table(config: dict[str, Any], box: Box, summaries: pd.DataFrame) -> LatexTable:
    """What was simulated: clusters, integration, the box, and how many runs.

    Args:
        config: The campaign's configuration.
        box: Ranges of Q0 and a.
        summaries: `summaries.csv`, a row a run.
    """
    cluster, integration = config["cluster"], config["integration"]
    kroupa = cluster["imf"] == "kroupa"
    low, high = cluster["imf_mass_range_msun"]
    rows = [
        ("Stars in a cluster", f"${cluster['n_stars']}$", ""),
        ("Masses, Kroupa's law", f"${low:g}$ to ${high:g}$", unit("Msun"))
        if kroupa
        else ("Mass of a star", f"${cluster['star_mass_msun']:g}$", unit("Msun")),
        ("Softening length", f"${cluster['softening_au']:g}$", unit("AU")),
        ("Age", f"${integration['t_end_yr']:g}$", unit("yr")),
        ("Time step", f"${integration['dt_yr']:g}$", unit("yr")),
        ("Allowed energy error", f"${integration['max_energy_error']:g}$", ""),
    ]
    rows += [
        (f"{born.meaning.capitalize()}, {born.symbol}", f"${ends[0]:g}$ to ${ends[1]:g}$", unit(born.unit))
        for born, ends in ((BIRTH[name], ends) for name, ends in box.items())
    ]
    for split, part in summaries.fillna({"split": "no split"}).groupby("split", sort=False):
        lost = int(part.dissolved.astype(bool).sum())
        said = f"${len(part)}$ at ${part.point_id.nunique()}$ births, ${lost}$ dissolved"
        rows.append((f"Runs, {escaped(str(split))}", said, ""))
    columns = {head: [row[k] for row in rows] for k, head in enumerate(("Quantity", "Value", "Unit"))}
    return LatexTable(f"Simulated clusters of the campaign {escaped(str(config['campaign']))}.", columns)


def coverage_table(metrics: dict[str, Any]) -> LatexTable:
    """How often the truth lies in credible regions, of test clusters and of draws from the prior."""
    regions = {**{name: BIRTH[name].symbol for name in BIRTH}, "joint": "joint"}
    columns: dict[str, list[str]] = {"Clusters": [], "Region": [], **{head: [] for head in regions.values()}}
    notes = []
    for name, said in (("recovery", "test"), ("calibration", "from the prior")):
        if not (part := metrics.get(name)):
            continue
        for level, shares in part["coverage"].items():
            columns["Clusters"].append(f"{said}, $n = {part['n_cases']}$")
            columns["Region"].append(f"${level}$")
            for region, head in regions.items():
                share, error = (100 * float(found[region]) for found in (shares, part["coverage_se"][level]))
                columns[head].append(with_error(share, error, error))
        score, score_error = rounded(part["log_score"], part["log_score_se"])
        left = ", ".join(f"${1 - part['contraction'][one]:.2g}$ in {regions[one]}" for one in BIRTH)
        notes.append(
            f"Clusters {said}: mean log density at the truth ${score} \\pm {score_error}$ nats; the posterior's "
            f"variance is {left} of the prior's."
        )
    caption = (
        "Share of true births inside credible regions (central intervals of one parameter, highest-density regions of "
        "both), with one standard error. Test clusters at the same birth are not independent, which the errors allow "
        "for."
    )
    return LatexTable(caption, columns, dict.fromkeys(list(columns)[1:], r"\%"), notes)


def data_table(observed: pd.DataFrame) -> LatexTable:
    """What was measured of the user's own clusters."""
    columns, units = {"Name": _names(observed)}, {}
    if "n_stars" in observed:
        columns["$N$"] = [f"${n:.0f}$" if n == n else NO_DATA for n in observed.n_stars]
    for name, variable in Variables(*MEASURABLE.values(), *CIRCUMSTANCES.values()).items():
        ends = ("", "_err_low", "_err_high", "_lower", "_upper")
        given = {end: observed[name + end] for end in ends if name + end in observed}
        given |= {end: observed[f"{name}_err"] for end in ends[1:3] if f"{name}_err" in observed and end not in given}
        if any(given[end].notna().any() for end in ("", "_lower", "_upper") if end in given):
            shown, factor = _shown_unit(variable, given.get("", pd.concat(list(given.values()))))
            nothing = pd.Series(math.nan, observed.index)
            rows = zip(*(given.get(end, nothing) * factor for end in ends), strict=True)
            columns[variable.symbol] = [_measured(*row) for row in rows]
            units[variable.symbol] = unit(shown)
    return LatexTable("Observed clusters: measured values with one standard error, and limits.", columns, units)


def births_table(observed: pd.DataFrame, doubts: Sequence[str]) -> LatexTable:
    """The births of the user's own clusters; `doubts` say of which not to trust them.

    Args:
        observed: `observed.csv`, a row a cluster.
        doubts: One sentence each.
    """
    columns, units = {"Name": _names(observed)}, {}
    variables = {name: variable for name, variable in VARIABLES.items() if name not in MEASURABLE}
    for name, symbol in {"q0": "$Q_0$", "sfe": "SFE"}.items():
        if f"{name}_q50" in observed:
            columns[symbol] = _intervals(observed, name, 1.0)
    for name, variable in variables.items():
        if name != "q0" and f"{name}_q50" in observed:
            shown, factor = _shown_unit(variable, observed[f"{name}_q50"])
            columns[variable.symbol], units[variable.symbol] = _intervals(observed, name, factor), unit(shown)
    p = "prior_predictive_p" if "prior_predictive_p" in observed else "mahalanobis_p"
    columns["$p$"] = [f"${value:.3f}$" for value in observed[p]]
    notes = [prose(f"{doubt.rstrip('.')}.") for doubt in doubts[:N_NOTES]]
    notes += [f"{len(doubts) - N_NOTES} more warnings are in observed.csv."] if len(doubts) > N_NOTES else []
    said = "; ${\\rm SFE} = 0.5/Q_0$ holds for a cluster in equilibrium that lost its gas at once" * ("SFE" in columns)
    caption = (
        "Births of observed clusters: medians and 68\\,\\% intervals of the posterior"
        f"{said}. $p$ is the share of clusters of the prior that are as far from all others."
    )
    return LatexTable(caption, columns, units, notes)


def population_table(law: pd.DataFrame, remarks: Sequence[str]) -> LatexTable:
    """The distribution of births behind the user's clusters.

    Args:
        law: `population.csv`, a row a parameter.
        remarks: What to say below the table, one sentence each.
    """
    heads = ("Parameter", "Unit", "Median", r"95\,\%", "Prior")
    columns: dict[str, list[str]] = {"Law": [], **{head: [] for head in heads}}
    for row in law.fillna({"prior": ""}).to_dict("records"):
        name = str(row["parameter"])
        shown, factor = "", 1.0
        if name.startswith("a_au"):
            shown, factor = _shown_unit(VARIABLES["a_au"], pd.Series([row["q50"]]))
        low, q16, q50, q84, high = (factor * float(row[q]) for q in QUANTILES)
        errors = q50 - q16, q84 - q50
        low_end, high_end = (rounded(end, *errors)[0] for end in (low, high))
        cells = [POPULATION.get(name, escaped(name)), unit(shown), with_error(q50, *errors)]
        cells += [f"${low_end}$ to ${high_end}$", escaped(str(row["prior"]))]
        for column, cell in zip(columns, (escaped(str(row["law"])), *cells), strict=True):
            columns[column].append(cell)
    caption = (
        "The distribution of births behind the observed clusters: medians with 68\\,\\% intervals, and 95\\,\\% "
        "intervals. The law \\emph{normal} has normal laws of $Q_0$ and $\\ln a$ ($a$ in au), cut to the box, whose "
        "centre and width are before the cut; \\emph{binned} assumes no shape of $Q_0$. Means and standard deviations "
        "are those of births within the box."
    )
    return LatexTable(caption, columns, notes=[prose(f"{one[:1].upper()}{one[1:].rstrip('.')}.") for one in remarks])


def _names(table: pd.DataFrame) -> list[str]:
    return [escaped(str(name)) for name in table["case"]]


def _shown_unit(variable: Variable, values: pd.Series) -> tuple[str, float]:
    """The unit that a column is shown in, and the factor to it."""
    from astropy.units import Unit

    larger, limit = LARGER_UNITS.get(variable.unit, ("", math.inf))
    if values.median() > limit:
        return larger, float(Unit(variable.unit).to(Unit(larger)))
    return variable.unit, 1.0


def _intervals(table: pd.DataFrame, name: str, factor: float) -> list[str]:
    quantiles = (factor * table[[f"{name}_q16", f"{name}_q50", f"{name}_q84"]]).to_numpy()
    return [with_error(middle, middle - low, high - middle) for low, middle, high in quantiles]


def _measured(value: float, err_low: float, err_high: float, lower: float, upper: float) -> str:
    """A cell of what was measured."""
    if not math.isnan(value):
        return with_error(value, *(0.0 if math.isnan(error) else error for error in (err_low, err_high)))
    if math.isnan(lower) and math.isnan(upper):
        return NO_DATA
    if math.isnan(lower) or math.isnan(upper):
        return f"$<{upper:.3g}$" if math.isnan(lower) else f"$>{lower:.3g}$"
    return f"${lower:.3g}$ to ${upper:.3g}$"
