"""The report: one HTML file with all figures in it, which tells a campaign in the order of the science."""

import base64
import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from natal.assessment.cases import cases_along_q0
from natal.campaign.plan import box, prior_box
from natal.files.atomic import atomic_path
from natal.observables.declared import MEASURABLE
from natal.posterior.flags import CHI2_UNEXPLAINED, EDGE_FLAG, EDGE_WIDTH, MAX_RHAT, P_OUTSIDE, reasons_for_doubt
from natal.provenance.environment import environment
from natal.provenance.lineage import Step
from natal.report.captions import CAPTIONS
from natal.variables import SUMMARIES

MAX_OWN = 1000
"""Most clusters of the user's own that are listed."""

CELLS = (48, 48)
"""Cells in Q0 and in a of the grid on which the sliders answer."""

N_UNFOLDED = 50
"""Rows of the table of own clusters that are shown without a click; longer tables are not printed."""


class Image(NamedTuple):
    """A PNG file as a page embeds it."""

    base64: str
    width: int
    height: int


def write_report(
    path: str | Path,
    config: dict[str, Any],
    metrics: dict[str, Any],
    recovery: pd.DataFrame,
    observed: pd.DataFrame | None,
    figures: list[str],
    population: dict[str, Any] | None = None,
    law: dict[str, Any] | None = None,
    costs: Sequence[dict[str, Any]] = (),
    made: Sequence[Step] = (),
) -> None:
    """Write the report. Every number in it comes from `metrics` and the tables.

    Args:
        path: The HTML file to write.
        config: The campaign's configuration.
        metrics: metrics.json.
        recovery: recovery.csv.
        observed: observed.csv; None if there are no clusters of the user's own.
        figures: PNG files; each is embedded under the name of its file without the suffix.
        population: What `natal.population.inference.told` says, with the rows of population.csv as `laws`.
        law: The laws `summaries` and `observables` of `natal.likelihood.in_page`, which the sliders answer with;
            None for one that there is not.
        costs: Rows of `natal.running.job_costs`.
        made: Steps of the campaign that have a record.
    """
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("natal.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["number"] = format_number
    images = {Path(file).stem: _image(file) for file in figures}
    own = pd.DataFrame() if observed is None else observed[:MAX_OWN]
    measured = [name for name in MEASURABLE if not {name, f"{name}_lower", f"{name}_upper"}.isdisjoint(own)]
    if "used" in own:
        # columns only for what some cluster has
        parts = ("", "_err_low", "_err_high", "_lower", "_upper")
        own = own.reindex(columns=[*dict.fromkeys([*own, *(f"{name}{part}" for name in measured for part in parts)])])
    corners = sorted((name for name in images if name.startswith("corner_")), key=_place)
    cases = [recovery.case.iloc[row] for row in cases_along_q0(recovery.q0_true.to_numpy(), len(corners))]
    html = pages.get_template("report.html.j2").render(
        config=config,
        configuration=yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True),
        metrics=metrics,
        box=box(config),
        outputs=SUMMARIES,
        units={name: variable.unit for name, variable in SUMMARIES.items()},
        captions=CAPTIONS,
        images=images,
        # a case may be shown twice where there are few
        corner_of={case: name for name, case in reversed(list(zip(corners, cases, strict=True)))},
        corners=dict(zip(corners, cases, strict=True)),
        own_corners=sorted((name for name in images if name.startswith("observed_")), key=_place),
        losses=[name for name in SUMMARIES if not metrics["emulator"]["beats_every_baseline"][name]],
        n_at_edge=int(recovery.at_edge.sum()),
        recovery=recovery.sort_values("q0_true").to_dict("records"),
        observed=own.to_dict("records"),
        n_unfolded=N_UNFOLDED,
        n_own=0 if observed is None else len(observed),
        is_catalogue="used" in own,
        measured=measured,
        predictives=sorted((name for name in images if name.startswith("predictive_")), key=_place),
        doubts=_doubts(own, config),
        population=population,
        law=(asked := _asked(config, law)),
        law_json=Markup(as_json(asked)) if asked else "",
        costs=costs,
        max_rhat=MAX_RHAT,
        chi2_unexplained=CHI2_UNEXPLAINED,
        p_outside=P_OUTSIDE,
        edge_width=EDGE_WIDTH,
        edge_flag=EDGE_FLAG,
        provenance=environment(),
        made=made,
    )
    with atomic_path(path) as partial:
        partial.write_text(html, encoding="utf-8")


def as_json(content: dict[str, Any]) -> str:
    r"""Text for a script element, in which nothing can end the element.

    Examples:
        >>> as_json({"text": "</script>"})
        '{"text":"\\u003c/script>"}'
    """
    return json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")


def _asked(config: dict[str, Any], laws: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the page's sliders answer with; None: there are none."""
    if not laws or not any(laws.values()):
        return None
    prior, observables = config["observables"]["prior"], laws["observables"]
    if observables:
        given = prior and list(prior_box(config | {"inference": {"prior": prior}}).values())
        observables = observables | {"prior": given}
    fields = {field["name"]: field for law in (observables, laws["summaries"]) if law for field in law["fields"]}
    return {
        "cells": CELLS,
        "prior": list(prior_box(config).values()),
        "fields": [fields[name] for name in MEASURABLE if name in fields],
        "summaries": laws["summaries"],
        "observables": observables,
    }


def _doubts(own: pd.DataFrame, config: dict[str, Any]) -> list[str]:
    if "remarks" in own:
        return [f"{row.case}: {row.remarks}" for row in own.itertuples() if isinstance(row.remarks, str)]
    return [line for row in own.itertuples() for line in reasons_for_doubt(row, prior_box(config))]


def _image(path: str) -> Image:
    content = Path(path).read_bytes()
    # a PNG file begins with its signature and the header chunk: 8 + 8 bytes, then width and height
    return Image(base64.b64encode(content).decode(), *struct.unpack(">II", content[16:24]))


def _place(name: str) -> int:
    return int(name.rpartition("_")[2])


def format_number(value: Any, digits: int = 3) -> str:
    """A number as text, without an exponent where that can be read easily.

    Args:
        value: A number, a text, or None.
        digits: Significant digits.

    Examples:
        >>> format_number(0.012345), format_number(1234567), format_number(1.5e-7), format_number(None)
        ('0.0123', '1 234 567', '1.50e-07', 'n/a')
    """
    if value is None:
        return "n/a"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value):,}".replace(",", " ")
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return f"{value:.{digits - 1}e}"
