"""Calibration figures show the numbers they are given, with the bands of their n."""

import numpy as np
import pytest
from matplotlib import colors
from matplotlib.figure import Figure
from scipy.stats import binom, norm

from natal.assessment.uniformity import simultaneous_band
from natal.figures import calibration as figures
from natal.report.captions import CAPTIONS

N = 60
LEVELS = (0.50, 0.68, 0.90, 0.95)


@pytest.fixture
def values():
    """Sixty numbers a parameter, in no order."""
    rng = np.random.default_rng(0)
    return {name: rng.random(N) for name in ("q0", "a_au", "joint")}


def curves(ax):
    """Every line of a panel as (x, y)."""
    return [np.asarray(line.get_xydata(), float).T for line in ax.lines]


def band_of(ax):
    """Upper and lower edge of a panel's first band."""
    return ax.collections[0].get_paths()[0].vertices


def test_pit_differences(values):
    """The ECDF minus uniform of each, ranks dashed beside it, n in the title, the simultaneous band behind."""
    ranks = {name: np.sort(values[name]) for name in ("q0", "a_au")}
    figure = figures.pit_differences(values, ranks)
    assert isinstance(figure, Figure)
    band = simultaneous_band(N)
    for ax, name in zip(figure.axes, ("q0", "a_au", "joint"), strict=True):
        assert f"n = {N}" in ax.get_title()
        _, drawn, *dashed = curves(ax)
        share = (values[name][:, None] <= drawn[0]).mean(0)
        np.testing.assert_allclose(drawn[1], share - drawn[0])
        assert len(dashed) == (name in ranks)
        for line in dashed:
            # the same numbers, sorted
            np.testing.assert_allclose(line[1], drawn[1])
        edges = band_of(ax)
        assert edges[:, 1].max() == pytest.approx((band.high - band.place).max())
        assert edges[:, 1].min() == pytest.approx((band.low - band.place).min())


def test_overconfidence_looks_as_the_caption_says():
    """Posteriors half as wide as they should be: a hill, then a valley; of the joint level a valley."""
    z = 2 * np.random.default_rng(1).normal(size=4000)
    pit = norm.cdf(z)
    drawn = figures.pit_differences({"q0": pit, "a_au": pit, "joint": abs(2 * pit - 1)}, {})
    *parameters, joint = (dict(zip(*curves(ax)[1], strict=True)) for ax in drawn.axes)
    assert all(curve[0.1] > 0.1 and curve[0.9] < -0.1 for curve in parameters)
    assert max(joint.values()) < 0.01
    assert joint[0.75] < -0.2
    assert "a hill on the left with a valley on the right is overconfidence" in CAPTIONS["calibration_pit"]
    assert "For the joint level a valley is overconfidence" in CAPTIONS["calibration_pit"]


def test_rank_histograms(values):
    """Counts of each bin, over the binomial ranges of one bin and of all of them."""
    ranks = {name: values[name] for name in ("q0", "a_au")}
    figure = figures.rank_histograms(ranks, n_draws=100, n_bins=5)
    for ax, name in zip(figure.axes, ranks, strict=True):
        assert "100 draws" in ax.get_xlabel()
        outer, inner, steps = ax.patches
        np.testing.assert_array_equal(steps.get_data().values, np.histogram(values[name], 5, (0, 1))[0])
        for patch, probability in ((outer, 0.99), (inner, 0.95)):
            low, high = binom.interval(probability, N, 0.2)
            assert (patch.get_y(), patch.get_y() + patch.get_height()) == pytest.approx((low, high))


def test_tarp_curve(values):
    """The ECDF, and its difference from the diagonal."""
    curve, difference = figures.tarp_curve(values["joint"]).axes
    x, y = curves(curve)[1]
    np.testing.assert_allclose(y, (values["joint"][:, None] <= x).mean(0))
    np.testing.assert_allclose(curves(difference)[1][1], y - x)
    assert any(f"n = {N}" in text.get_text() for text in curve.get_legend().get_texts())


def test_coverage_by_third():
    """One marker a level and group in each region's panel, in the level's colour, within a bar as long as n allows."""
    shares = {region: [0.4, 0.6, 0.8, 0.9] for region in ("q0", "a_au", "joint")}
    groups = {"all": (90, shares), "cold": (30, shares)}
    figure = figures.coverage_by_third(LEVELS, groups)
    for ax in figure.axes:
        markers = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
        assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in markers] == [
            (row, share) for row in (0, 1) for share in (0.4, 0.6, 0.8, 0.9)
        ]
        assert len({colors.to_hex(line.get_color()) for line in markers}) == 4
        assert [label.get_text() for label in ax.get_xticklabels()] == ["all (n = 90)", "cold (n = 30)"]
        bars = [collection.get_paths()[0].vertices[:, 1] for collection in ax.collections if collection.get_paths()]
        low, high = binom.interval(0.95, 30, 0.68)
        assert (bars[5].min(), bars[5].max()) == pytest.approx((low / 30, high / 30))
