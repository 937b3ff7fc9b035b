"""Writes figures to files: the same data give the same bytes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from natal.files.atomic import atomic_path
from natal.progress import track

DPI = 150
FONTS: dict[Any, Any] = {"pdf.fonttype": 42}
"""TrueType, embedded: journals refuse Type 3."""

N_COLOURS = 256


def save_figures(paths: Iterable[str | Path], figures: Mapping[str, Figure]) -> None:
    """Write each figure to the files that have its name, in one layout: that of the first of them.

    Args:
        paths: Files to write. The name before the suffix is the figure's, the suffix is the format (.png, .pdf).
        figures: Figures by name.
    """
    files = [Path(path) for path in paths]
    engines = {name: figure.get_layout_engine() for name, figure in figures.items()}
    try:
        for path in track(files, total=len(files), label="save", unit="figure files"):
            kind, figure = path.suffix[1:], figures[path.stem]
            # no creation date: it is all that would differ
            metadata = {"CreationDate": None} if kind == "pdf" else None
            with atomic_path(path) as partial, matplotlib.rc_context(FONTS):
                figure.savefig(partial, format=kind, dpi=DPI, metadata=metadata)
                if kind == "png":
                    _take_fewer_colours(partial)
            # laying out again would take as long as drawing
            figure.set_layout_engine("none")
    finally:
        for name, engine in engines.items():
            figures[name].set_layout_engine(engine)


def _take_fewer_colours(path: Path) -> None:
    """Store a palette instead of full colours: the file, which reports embed, has a third of the bytes."""
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE)
    few.save(path, format="PNG", optimize=True, dpi=(DPI, DPI))
