"""Figures of a campaign show the numbers they are given, in one style."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from closed_form import make_runs, smooth_mean
from matplotlib.figure import Figure

import natal.figures
from natal import figures
from natal.assessment.cases import cases_along_q0
from natal.assessment.emulator_map import EmulatorMap, map_over_box, spread_beyond_box
from natal.data.normaliser import fit_normaliser
from natal.data.runs import ReplicateMeans, replicate_means
from natal.emulator.ensemble import untrained_ensemble
from natal.emulator.held_out import HeldOut
from natal.figures.colours import BLUE
from natal.figures.save import save_figures
from natal.figures.style import dot_area, hpd_thresholds
from natal.likelihood.kinds import ConstantLikelihood
from natal.simulation.snapshots import Cluster

BOX = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}


def make_cluster(n_times=4, n_stars=30, q0=0.9):
    """Stars in a ball, of which a third are not bound; dissolved at the end."""
    rng = np.random.default_rng(int(100 * q0))
    bound = np.tile(np.arange(n_stars) % 3 > 0, (n_times, 1))
    bound[-1] = False
    numbers = np.linspace(0.9, 0.1, n_times)
    return Cluster(
        point_id=3,
        realization=0,
        q0=q0,
        a_au=120.0,
        time_yr=np.linspace(0, 300, n_times),
        mass_msun=np.ones(n_stars),
        position_au=rng.normal(0, 100, (n_times, n_stars, 3)),
        bound=bound,
        summaries={"f_bound": numbers, "r_h_au": np.append(1000 * numbers[:-1], np.nan)},
    )


@pytest.mark.parametrize("name", [r"$\object{IC348}$", "IC 348 $a", "cost $5 to $6", "a_b^c", "<b>&"])
def test_a_name_in_a_figure_is_text(tmp_path, name):
    """Matplotlib would read a formula between dollars, and end with one that it does not know."""
    draws = np.random.default_rng(0).normal([1.0, 120.0], [0.1, 10.0], (400, 2))
    figure = figures.corner_case(draws, None, BOX, f"case {name}")
    (text,) = figure.texts
    assert text.get_text().splitlines()[0] == f"case {name}"
    assert not text.get_parse_math()
    save_figures([tmp_path / "corner.png"], {"corner": figure})


def test_clusters_through_time():
    """A row a cluster, a panel a time; filled and open dots are the bound and the other stars, a circle the radius."""
    clusters = [make_cluster(q0=q0) for q0 in (0.5, 0.9)]
    figure = figures.cluster_snapshots(clusters, n_times=3)
    panels = np.array(figure.axes).reshape(2, 3)
    for row, cluster in zip(panels, clusters, strict=True):
        assert f"{cluster.q0:.2f}" in row[0].get_ylabel()
        for ax, time in zip(row, (0, 2, 3), strict=True):
            assert f"t = {cluster.time_yr[time]:.0f} yr" in ax.get_title()
            free, bound = (collection.get_offsets() for collection in ax.collections[:2])
            np.testing.assert_array_equal(bound, cluster.position_au[time][cluster.bound[time], :2])
            np.testing.assert_array_equal(free, cluster.position_au[time][~cluster.bound[time], :2])
            circles = [line for line in ax.lines if len(line.get_xdata()) == 181]
            assert len(circles) == np.isfinite(cluster.summaries["r_h_au"][time])
            for circle in circles:
                assert np.ptp(circle.get_xdata()) == pytest.approx(2 * cluster.summaries["r_h_au"][time], rel=1e-3)
            outside = (np.abs(cluster.position_au[time][:, :2]).max(1) > ax.get_xlim()[1]).sum()
            assert any(text.get_text() == f"{outside} outside" for text in ax.texts) == (outside > 0)


def test_the_scale_bar_is_as_long_as_it_says():
    """A round number of AU, shorter than the panel."""
    (ax, *_) = figures.cluster_snapshots([make_cluster()]).axes
    (bar,) = (line for line in ax.lines if line.get_linewidth() == 2.5)
    (text,) = (text.get_text() for text in ax.texts if text.get_text().endswith(" AU"))
    assert np.ptp(bar.get_xdata()) == pytest.approx(float(text.split()[0]))
    assert 0.1 < np.ptp(bar.get_xdata()) / np.ptp(ax.get_xlim()) < 0.5


def test_few_snapshots_give_few_panels():
    """None is shown twice."""
    assert len(figures.cluster_snapshots([make_cluster(n_times=2)]).axes) == 2


@pytest.fixture
def likelihood():
    """A constant likelihood about networks with random weights."""
    train = make_runs("train", 20, 4, seed=0, mean=smooth_mean)
    ensemble = untrained_ensemble(jax.random.key(0), 3, fit_normaliser(train), (BOX["q0"], BOX["a_au"]))
    return ConstantLikelihood(ensemble, jnp.array([0.05, 0.5, 90.0]))


def test_the_response_is_the_ensembles_mean_and_the_laws_width(likelihood):
    """On a grid from edge to edge of the box."""
    found = map_over_box(jax.random.key(1), likelihood, (4, 3), n_draws=4000)
    np.testing.assert_allclose(found.q0, [0.5, 5 / 6, 7 / 6, 1.5])
    np.testing.assert_allclose(found.a_au, [50, 125, 200])
    corner = likelihood.ensemble.mean(jnp.array([1.5, 50.0]))
    np.testing.assert_allclose(found.mean[3, 0], corner, rtol=1e-5)
    # 4000 draws know a width to about one per cent
    np.testing.assert_allclose(found.scatter / [0.05, 0.5, 90.0], 1, atol=0.05)


def test_the_map_shows_means_and_scatters():
    """Contours of both, points of both in the same colours; a scatter from few realizations is not shown."""
    q0, a_au = np.linspace(0.5, 1.5, 6), np.linspace(50, 200, 5)
    mean = np.stack([np.add.outer(q0, a_au) * k for k in (1, 2, 3)], axis=-1)
    x = np.array([[0.6, 60.0], [1.0, 100.0], [1.4, 180.0]])
    n = np.array([16, 3, 16])
    points = ReplicateMeans(x, np.full((3, 3), 150.0), np.full((3, 3), 12.0), n)
    figure = figures.summary_map(EmulatorMap(q0, a_au, mean, mean / 10), {"test": points})
    panels = [ax for ax in figure.axes if ax.get_xlabel() or "AU" in ax.get_ylabel() or ax.get_title()]
    drawn = [ax.collections for ax in figure.axes if len(ax.collections) >= 4]
    assert len(drawn) == 6
    assert panels
    for k, collections in enumerate(drawn):
        ground, _, dots, _ = collections
        np.testing.assert_array_equal(dots.get_offsets(), x if k % 2 == 0 else x[n >= 8])
        # one scale for ground and dots
        assert (dots.norm.vmin, dots.norm.vmax) == (ground.norm.vmin, ground.norm.vmax)
        values = (mean if k % 2 == 0 else mean / 10)[..., k // 2]
        assert ground.levels[0] <= np.quantile(values, 0.01)
        assert ground.levels[-1] >= np.quantile(values, 0.99)


def test_the_corner_plot_has_the_grid_over_the_draws():
    """Dashed contours at the levels of the same masses, dashed marginals that integrate to one."""
    rng = np.random.default_rng(0)
    draws = np.column_stack([rng.normal(1, 0.1, 4000), rng.normal(120, 15, 4000)])
    q0, a_au = np.linspace(0.505, 1.495, 100), np.linspace(50.5, 199.5, 150)
    density = np.exp(-0.5 * np.add.outer(((q0 - 1) / 0.1) ** 2, ((a_au - 120) / 15) ** 2))
    figure = figures.corner_case(draws, np.array([1.0, 120.0]), BOX, "case x", (q0, a_au, density))
    assert any("case x" in text.get_text() for text in figure.texts)
    top, _, main, right = figure.axes
    (contours,) = (c for c in main.collections if hasattr(c, "levels") and c.levels.tolist() == hpd_thresholds(density))
    # of a round hill: at 2.28 and 5.99 times half below the top
    np.testing.assert_allclose(np.log(contours.levels / density.max()), [-5.99 / 2, -2.28 / 2], rtol=0.02)
    for ax, centres in ((top, q0), (right, a_au)):
        (curve,) = (line for line in ax.lines if len(line.get_xdata()) == len(centres))
        assert curve.get_linestyle() == "--"
        assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(1, rel=0.01)


def test_loss_curves_show_the_best_epochs_on_both_sides():
    """The enlarged end holds every mark, also where training has lower and higher losses."""
    epochs = np.arange(60.0)
    train = np.stack([1 / (1 + epochs), 2 / (1 + epochs)])
    validation = train + 0.2 + 1e-4 * (epochs - np.array([[30.0], [40.0]])) ** 2
    best = validation.argmin(1)
    figure = figures.loss_curves(train, validation, best)
    low, high = figure.axes[1].get_ylim()
    assert all(low < validation[k, epoch] < high for k, epoch in enumerate(best))
    marks = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in marks] == best.tolist()


def test_every_public_figure_returns_one_and_says_what_to_look_for():
    """Documented, in the style, and made without pyplot, which would keep it open."""
    for name in natal.figures.__all__:
        found = getattr(natal.figures, name)
        if callable(found):
            assert found.__annotations__["return"] is Figure
            assert "look for" in found.__doc__.lower() or name == "speed_bars"
    for path in Path(natal.figures.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])] + [getattr(node, "module", None) or ""]
            assert "pyplot" not in str(names), path


def test_dots_shrink_as_they_become_many():
    """Within limits."""
    assert dot_area(10) == 25 == dot_area(0)
    assert dot_area(300) == 10
    assert dot_area(10**6) == 5


def test_energy_errors_are_on_a_logarithmic_axis():
    """An error of zero is drawn at the rounding of a double."""
    table = pd.DataFrame({"q0": [0.5, 1.0], "a_au": [60.0, 90.0], "energy_error": [0.0, 1e-5]})
    scatter = figures.energy_errors(table, 1e-3).axes[0]
    assert scatter.get_yscale() == "log"
    assert scatter.collections[0].get_offsets()[:, 1].tolist() == [1e-16, 1e-5]


@pytest.mark.parametrize(("n_cases", "n", "found"), [(9, 3, [2, 4, 6]), (9, 1, [4]), (2, 3, [0, 0, 1]), (5, 0, [])])
def test_cases_are_at_even_steps(n_cases, n, found):
    """Through Q0, whatever the order of the table."""
    q0 = np.linspace(0.5, 1.5, n_cases)
    shuffled = np.random.default_rng(0).permutation(q0)
    assert shuffled[cases_along_q0(shuffled, n)].tolist() == q0[found].tolist()


def test_replicates_keep_the_palette():
    """Means are drawn in the campaign's blue, with their bars."""
    runs = make_runs("test", 6, 4, seed=1, mean=smooth_mean)
    points = replicate_means(runs)
    figure = figures.predicted_vs_true(runs.y, runs.y, points.mean, points.mean, points.scatter)
    assert all(any(line.get_color() == BLUE for line in ax.lines) for ax in figure.axes)


def test_spread_is_beside_the_error_it_foretells(likelihood):
    """Bins hold squared errors over squared spreads, the solid line the calibration; the spread goes on outside."""
    rng = np.random.default_rng(0)
    x = np.column_stack([np.linspace(0.5, 1.5, 60), np.linspace(50, 200, 60)])
    errors = rng.normal(4.0, 1.0, (60, 3))
    held_out = HeldOut(x, errors, np.full((60, 3), 2.0), np.ones((60, 3)))
    beyond = spread_beyond_box(likelihood.ensemble)
    figure = figures.spread_and_error({"validation": held_out}, np.array([2.0, 1.0, 3.0]), beyond)
    panels = np.array(figure.axes).reshape(3, 3)
    for k, factor in enumerate((2.0, 1.0, 3.0)):
        for ax in panels[k, :2]:
            _, calibrated, dots = ax.lines
            np.testing.assert_allclose(dots.get_ydata(), errors[:, k].reshape(6, 10).mean(1) / 2)
            np.testing.assert_allclose(calibrated.get_ydata(), factor**2)
        assert len(panels[k, 2].lines) == 4
    ensemble = likelihood.ensemble
    assert list(beyond.spread) == ["q0 below 0.5", "q0 above 1.5", "a_au below 50", "a_au above 200"]
    lines = np.column_stack([np.full(21, 1.5 + beyond.distance[-1]), np.linspace(50, 200, 21)])
    spread = np.asarray(ensemble(lines, extrapolate=True)[1], float)
    np.testing.assert_allclose(beyond.spread["q0 above 1.5"][-1], np.sqrt((spread**2).mean(0)), rtol=1e-5)
    near = spread_beyond_box(ensemble, reach=0.5).spread["a_au below 50"]
    assert np.isnan(near[-1]).all()
    assert np.isfinite(near[:-5]).all()
