"""A finished campaign's figures and tables as a journal prints them, from its files: nothing is simulated or sampled.

Figures are PDFs at the width of one or two columns, with type of 7 to 9 points and fonts embedded; tables are LaTeX.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from natal.assessment.emulator_map import map_over_box
from natal.campaign import plan
from natal.data.runs import read_runs, replicate_means
from natal.errors import NatalError
from natal.figures.calibration import campaign_figures
from natal.figures.corners import corner_plots
from natal.figures.emulator_map import summary_map
from natal.figures.observables import own_clusters
from natal.figures.population import clusters_in_its_light, hyperparameters, population_law
from natal.figures.recovery import campaign_coverage, recovered_vs_true
from natal.figures.save import save_figures
from natal.figures.simulations import design_coverage, summary_scatter
from natal.figures.style import PT_PER_IN, on_paper
from natal.files.atomic import atomic_path
from natal.files.formats import read_csv, read_json
from natal.likelihood.loading import load_likelihood
from natal.posterior.catalogue import load_law
from natal.posterior.flags import reasons_for_doubt
from natal.posterior.grid import make_grid
from natal.report.captions import CAPTIONS
from natal.report.latex import (
    LatexTable,
    births_table,
    coverage_table,
    data_table,
    escaped,
    population_table,
    prose,
    simulations_table,
)
from natal.variables import Box


class Journal(NamedTuple):
    """Widths of one and of two columns in TeX's points, and the LaTeX class they were measured in."""

    column_pt: float
    page_pt: float
    document: str
    front: str


JOURNALS = {
    "aas": Journal(242.27, 513.12, "[twocolumn]{aastex631}", r"\begin{abstract}All of them.\end{abstract}"),
    "mnras": Journal(244.0, 508.0, "{mnras}", r"\maketitle"),
}
"""As ``\\the\\columnwidth`` and ``\\the\\textwidth`` say: aastex631.cls of 2020-12-20, mnras.cls 3.0 of 2015-05-22."""


@dataclass(frozen=True)
class Finished:
    """A finished campaign's files, with the settings that they were made with."""

    folder: Path
    config: dict[str, Any]
    prior: Box
    observed_prior: Box | None

    @cached_property
    def observed(self) -> pd.DataFrame:
        """The user's own clusters."""
        return read_csv(self.folder / "observed.csv")

    @cached_property
    def is_catalogue(self) -> bool:
        """Whether the law of observables has answered them."""
        with xr.open_datatree(self.folder / "observed.nc", engine="h5netcdf") as tree:
            return bool(tree.attrs["likelihood"] == "joint")

    @cached_property
    def doubts(self) -> list[str]:
        """Why not to trust which answer."""
        rows = list(self.observed.fillna({"remarks": ""}).itertuples())
        if self.is_catalogue:
            return [f"{row.case!s}: {row.remarks!s}" for row in rows if row.remarks]
        return [doubt for row in rows for doubt in reasons_for_doubt(row, self.prior)]

    @property
    def likelihood(self) -> Any:
        """The campaign's likelihood."""
        emulator = self.folder / "emulator"
        return load_likelihood(emulator / "ensemble.eqx", emulator / "likelihood.json", plan.box(self.config))


def _design(campaign: Finished) -> dict[str, Figure]:
    return {"design": design_coverage(pd.read_csv(campaign.folder / "design.csv"), plan.box(campaign.config))}


def _summaries(campaign: Finished) -> dict[str, Figure]:
    return {"summaries": summary_scatter(pd.read_csv(campaign.folder / "summaries.csv"))}


def _likelihood(campaign: Finished) -> dict[str, Figure]:
    points = {
        label: replicate_means(read_runs(campaign.folder / "dataset" / f"{split}.csv", split))
        for label, split in (("training", "train"), ("test", "test"))
    }
    return {"map": summary_map(map_over_box(jax.random.key(0), campaign.likelihood), points)}


def _recovery(campaign: Finished) -> dict[str, Figure]:
    recovered = recovered_vs_true(read_csv(campaign.folder / "recovery.csv"))
    metrics = read_json(campaign.folder / "metrics.json")["recovery"]
    return {"recovered_vs_true": recovered, "coverage": campaign_coverage(metrics)}


def _calibration(campaign: Finished) -> dict[str, Figure]:
    metrics = read_json(campaign.folder / "metrics.json")["calibration"]
    return campaign_figures(pd.read_csv(campaign.folder / "calibration.csv"), metrics)


def _observed(campaign: Finished) -> dict[str, Figure]:
    folder, config, table = campaign.folder, campaign.config, campaign.observed
    n = config["report"]["corner_cases"]
    if campaign.is_catalogue:
        law = load_law(folder / "emulator" / "joint.eqx", campaign.observed_prior)
        return own_clusters(config["seed"], law, table, folder / "observed.nc", n)
    grid = make_grid(campaign.likelihood, campaign.prior, tuple(config["inference"]["grid"]))
    corners = corner_plots(folder / "observed.nc", table, range(min(n, len(table))), grid, campaign.prior)
    return {f"observed_{k}": figure for k, figure in enumerate(corners)}


def _population(campaign: Finished) -> dict[str, Figure]:
    with xr.open_datatree(campaign.folder / "population.nc", engine="h5netcdf") as tree:
        figures = {"population_law": population_law(tree), "population_corner": hyperparameters(tree)}
    clusters = pd.read_csv(campaign.folder / "population_clusters.csv", keep_default_na=False, na_values=[""])
    clusters["left_out"] = clusters.left_out.fillna("")
    return figures | {"population_clusters": clusters_in_its_light(clusters)}


class Drawing(NamedTuple):
    """Figures of one name: how they are drawn, and the files that must be there."""

    draw: Callable[[Finished], dict[str, Figure]]
    files: tuple[str, ...]
    usual: bool = True
    """Whether they come without being asked for"""


DRAWINGS = {
    "design": Drawing(_design, ("design.csv",)),
    "summaries": Drawing(_summaries, ("summaries.csv",), usual=False),
    "likelihood": Drawing(_likelihood, ("dataset/train.csv", "dataset/test.csv", "emulator/likelihood.json")),
    "recovery": Drawing(_recovery, ("recovery.csv", "metrics.json")),
    "calibration": Drawing(_calibration, ("calibration.csv", "metrics.json")),
    "observed": Drawing(_observed, ("observed.csv", "observed.nc")),
    "population": Drawing(_population, ("population.nc", "population_clusters.csv")),
}


def drawn_figures(
    campaign: Finished, names: Iterable[str], journal: Journal, columns: int | None = None
) -> dict[str, Figure]:
    """Draw figures of a campaign at their size in print.

    Args:
        campaign: The campaign.
        names: Of `DRAWINGS`.
        journal: For which.
        columns: Over how many columns they go; None: each as it is broad.

    Returns:
        The figures, by the names of their files.
    """
    drawn: dict[str, Figure] = {}
    with on_paper(journal.column_pt, journal.page_pt, columns):
        for name in names:
            drawn |= DRAWINGS[name].draw(campaign)
    return drawn


def write_paper(
    campaign: Finished, out: str | Path, journal: Journal, *, columns: int | None = None, figures: Iterable[str] = ()
) -> tuple[list[Path], list[str]]:
    """Write figures and tables of a finished campaign for a paper.

    Args:
        campaign: The campaign.
        out: A folder. Written are a PDF a figure, `figures.tex` with their captions, `table_<name>.tex` and
            `example.tex`, which shows all of them in the journal's class.
        journal: For which.
        columns: Over how many columns figures go; None: each as it is broad.
        figures: Names of `DRAWINGS`; none: all usual ones that the campaign has files of.

    Returns:
        The files written, and names of usual figures that there are no files of.

    Raises:
        NatalError: A file that a figure needs is not there.
    """
    wanted = list(dict.fromkeys(figures)) or [name for name, drawing in DRAWINGS.items() if drawing.usual]
    needed = [(name, campaign.folder / file) for name in wanted for file in DRAWINGS[name].files]
    missing = {name: path for name, path in needed if not path.is_file()}
    for name, path in missing.items() if figures else ():
        raise NatalError(f"figure {name}: there is no {path}")
    drawn = drawn_figures(campaign, [name for name in wanted if name not in missing], journal, columns)
    folder = Path(out)
    paths = [folder / f"{name}.pdf" for name in drawn]
    save_figures(paths, drawn)
    tables = dict(_tables(campaign))
    is_aas = "aastex" in journal.document
    texts = {"figures.tex": "\n".join(_included(campaign, name, drawn[name], journal) for name in drawn)}
    texts |= {f"table_{name}.tex": table.write(name, is_aas=is_aas) for name, table in tables.items()}
    texts["example.tex"] = _example(campaign, journal, list(texts))
    for name, text in texts.items():
        with atomic_path(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return [*paths, *(folder / name for name in texts)], list(missing)


def _tables(campaign: Finished) -> Iterator[tuple[str, LatexTable]]:
    folder = campaign.folder
    if (folder / "summaries.csv").is_file():
        summaries = pd.read_csv(folder / "summaries.csv")
        yield "simulations", simulations_table(campaign.config, plan.box(campaign.config), summaries)
    if (folder / "metrics.json").is_file():
        yield "coverage", coverage_table(read_json(folder / "metrics.json"))
    if (folder / "observed.csv").is_file():
        yield "data", data_table(campaign.observed)
        yield "births", births_table(campaign.observed, campaign.doubts)
    if (folder / "population.csv").is_file():
        told = folder / "metrics" / "population.json"
        remarks = read_json(told)["population"]["remarks"] if told.is_file() else []
        yield "population", population_table(pd.read_csv(folder / "population.csv"), remarks)


def _included(campaign: Finished, name: str, figure: Figure, journal: Journal) -> str:
    """A figure's environment, with what it shows: the caption of the report up to what to look for."""
    kind, _, number = name.rpartition("_")
    of_cluster = kind in ("observed", "predictive")
    kind = ("catalogue" if campaign.is_catalogue and kind == "observed" else kind) if of_cluster else name
    said = prose(re.split(r"[.:] look for", CAPTIONS[kind], maxsplit=1, flags=re.IGNORECASE)[0])
    subject = f"{escaped(str(campaign.observed.case[int(number)]))}. " if of_cluster else ""
    # what its title said; of a cluster that is its name
    title = "" if of_cluster or not figure.get_label() else f" ({prose(str(figure.get_label()))})"
    star = "*" if figure.get_figwidth() * PT_PER_IN > journal.column_pt + 1 else ""
    lines = [f"\\begin{{figure{star}}}", "\\centering", f"\\includegraphics{{{name}.pdf}}"]
    lines += [f"\\caption{{{subject}{said}{title}.\\label{{fig:{name}}}}}", f"\\end{{figure{star}}}", ""]
    return "\n".join(lines)


def _example(campaign: Finished, journal: Journal, inputs: list[str]) -> str:
    author = escaped(str(campaign.config["campaign"]))
    lines = [f"\\documentclass{journal.document}", "\\usepackage{graphicx}"]
    # more of them wait for a page than a paper has
    lines += ["\\extrafloats{100}\\maxdeadcycles=1000", "\\begin{document}"]
    lines += ["\\title{Figures and tables}", f"\\author{{{author}}}", journal.front, "\\section{Campaign}"]
    return "\n".join([*lines, *(f"\\input{{{name}}}" for name in inputs), "\\end{document}", ""])
