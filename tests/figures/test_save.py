"""Figures become files, and the same figure the same files."""

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from natal.figures.save import DPI, save_figures


@pytest.fixture
def figure():
    """A line."""
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    return figure


def test_a_figure_is_saved_in_each_format(tmp_path, figure):
    """Under its name, in folders that need not be there, at the size it was drawn for."""
    paths = [tmp_path / "figures" / f"line.{kind}" for kind in ("png", "pdf")]
    save_figures(paths, {"line": figure, "other": Figure()})
    assert imread(paths[0]).shape[:2] == (DPI, 2 * DPI)
    assert paths[1].read_bytes().startswith(b"%PDF")
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)


def test_the_same_figure_gives_the_same_bytes(tmp_path, figure):
    """No date in it."""
    for name in ("first", "second"):
        save_figures([tmp_path / name / f"line.{kind}" for kind in ("png", "pdf")], {"line": figure})
    for kind in ("png", "pdf"):
        content = (tmp_path / "first" / f"line.{kind}").read_bytes()
        assert content == (tmp_path / "second" / f"line.{kind}").read_bytes()
    assert b"CreationDate" not in content


def test_a_figure_is_laid_out_once_and_can_be_again(tmp_path):
    """All formats have the first one's layout, with colour bars, too; what the caller changes later counts."""
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    figure.colorbar(axes.imshow([[0, 1]]))
    engine, laid_out = figure.get_layout_engine(), []
    execute = engine.execute
    engine.execute = lambda figure: laid_out.append(figure) or execute(figure)
    save_figures([tmp_path / f"line.{kind}" for kind in ("png", "pdf", "svg")], {"line": figure})
    assert len(laid_out) == 1
    before = axes.get_position().bounds
    axes.set_ylabel("two\nlines")
    assert figure.get_layout_engine() is engine
    save_figures([tmp_path / "line.png"], {"line": figure})
    assert axes.get_position().bounds != before


def test_a_figure_that_was_not_drawn_is_an_error(tmp_path, figure):
    """And no file."""
    with pytest.raises(KeyError, match="circle"):
        save_figures([tmp_path / "circle.png"], {"line": figure})
    assert not list(tmp_path.iterdir())
