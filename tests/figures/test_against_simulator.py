"""Figures of the checks against the simulator show the numbers they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from natal.assessment.posterior_predictive import check_cases
from natal.data.runs import Runs
from natal.figures import against_simulator
from natal.figures.colours import ORANGE

N = 6


@pytest.fixture
def posteriors():
    """Round hills of cell shares about the truth, of three sources."""
    q0, a_au = np.linspace(0.51, 1.49, 30), np.linspace(52.5, 197.5, 20)
    table = pd.DataFrame({"q0_true": np.linspace(0.6, 1.4, N), "a_au_true": np.linspace(70, 180, N)})
    table["tv_synthetic"], table["noise_synthetic"] = np.linspace(0.1, 0.2, N), 0.05
    apart = (q0 - table.q0_true.to_numpy()[:, None])[:, :, None] ** 2 / 0.005
    apart = apart + ((a_au - table.a_au_true.to_numpy()[:, None]) ** 2)[:, None] / 400
    share = np.exp(-0.5 * apart)
    share /= share.sum((1, 2), keepdims=True)
    return q0, a_au, dict.fromkeys(against_simulator.SOURCES, share), table


def test_brute_force(posteriors):
    """A panel a case with its truth, distance and noise; unused panels stay empty."""
    figure = against_simulator.brute_force(*posteriors)
    table = posteriors[-1]
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == N
    for ax, case in zip(shown, table.itertuples(), strict=True):
        assert ax.get_title() == f"TV {case.tv_synthetic:.2f} (noise {case.noise_synthetic:.2f})"
        truth = next(line for line in ax.lines if line.get_marker() == "+" and len(line.get_xdata()))
        assert (truth.get_xdata()[0], truth.get_ydata()[0]) == (case.q0_true, case.a_au_true)
        low, high = ax.get_xlim()
        assert low < case.q0_true < high
        # 68 and 95 % of each source
        assert sum(len(contours.levels) for contours in ax.collections if hasattr(contours, "levels")) == 6
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {*against_simulator.SOURCES, "truth"}


def test_posterior_predictive():
    """Ranges, medians and observations, a row a case with its p-value."""
    rng = np.random.default_rng(0)
    y = np.column_stack([np.full(N, 0.6), np.full(N, 4.0), np.full(N, 300.0)])
    x = np.column_stack([np.linspace(0.6, 1.4, N), np.full(N, 100.0)])
    runs = y[:, None] * rng.lognormal(0, 0.1, (N, 40, 3)).clip(0, 1.6)
    table = check_cases(Runs("test", x, y, np.arange(N), np.zeros(N, int), 0), runs, 100)
    figure = against_simulator.posterior_predictive(table)
    assert len(figure.axes) == 3
    for ax, name in zip(figure.axes, ("f_bound", "sigma_v_kms", "r_h_au"), strict=True):
        observed = next(line for line in ax.lines if line.get_marker() == "o")
        assert to_hex(observed.get_color()) == ORANGE.lower()
        assert observed.get_xdata().tolist() == table[name].tolist()
        (outer, _) = (np.array(lines.get_segments())[:, :, 0] for lines in ax.collections)
        np.testing.assert_allclose(outer, table[[f"{name}_q02.5", f"{name}_q97.5"]])
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [f"p = {p:.2f}" in label for p, label in zip(table.joint_p, labels, strict=True)] == [True] * N
