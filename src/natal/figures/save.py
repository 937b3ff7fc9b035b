"""Writes figures to files: the same data give the same bytes."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from natal.files.atomic import atomic_path
from natal.progress import track

DPI = 150
N_COLOURS = 256


def save_figures(paths: Iterable[str | Path], figures: Mapping[str, Figure]) -> None:
    """Save figures, each to those of the paths that have its name.

    Args:
        paths: Files to write; what is before their suffix names a figure, the suffix is the format (.png, .pdf).
        figures: The figures by name.
    """
    files = [Path(path) for path in paths]
    for path in track(files, total=len(files), label="save", unit="figure files"):
        kind = path.suffix[1:]
        # no creation date: it is all that would differ
        metadata = {"CreationDate": None} if kind == "pdf" else None
        with atomic_path(path) as partial:
            figures[path.stem].savefig(partial, format=kind, dpi=DPI, metadata=metadata)
            if kind == "png":
                _take_fewer_colours(partial)


def _take_fewer_colours(path: Path) -> None:
    """A palette in place of full colours: a third of the bytes, which reports embed."""
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(N_COLOURS, dither=Image.Dither.NONE)
    few.save(path, format="PNG", optimize=True, dpi=(DPI, DPI))
