"""Figures of the laws in time: tracks with bands, scaling, coverage, sets of coordinates."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from natal.figures.colours import BLACK, BLUE, GREEN, GREY, MANY_POINTS, VERMILLION
from natal.figures.labels import LABELS, SYMBOLS
from natal.figures.style import panels, shared_legend, styled
from natal.studies.evolution.evaluation import LEVELS
from natal.units import G_AU3_PER_MSUN_YR2, KMS_PER_AU_YR
from natal.variables import SUMMARIES

COLOURS = {"direct": VERMILLION, "scaled": BLUE, "dimensionless": GREEN}
MARKERS = {"direct": "s", "scaled": "o", "dimensionless": "D"}
NEAR_Q0 = 0.03


@styled
def tracks(
    points: Sequence[pd.DataFrame], times_yr: Float[np.ndarray, " time"], bands: Sequence[Float[np.ndarray, "time 5 3"]]
) -> Figure:
    """Summaries through time of all realizations of test points, one point a column, with predicted bands.

    Look for: thin lines, single clusters, mostly inside the inner band and hardly ever outside of the outer one.

    Args:
        points: Snapshots of each point.
        times_yr: Times of the bands.
        bands: Quantiles of each point's law at these times, from 2.5 to 97.5 %.
    """
    figure, axes = panels(len(SUMMARIES), len(points), 8.0, sharex=True, sharey="row")
    for column, (one, band) in enumerate(zip(points, bands, strict=True)):
        for k, name in enumerate(SUMMARIES):
            ax = axes[k, column]
            for low, high, alpha, label in ((0, 4, 0.22, "95 % of clusters"), (1, 3, 0.35, "68 % of clusters")):
                ax.fill_between(times_yr, band[:, low, k], band[:, high, k], color=BLUE, alpha=alpha, lw=0, label=label)
            ax.plot(times_yr, band[:, 2, k], color=BLUE, label="median")
            for _, cluster in one.groupby("realization"):
                ax.plot(cluster.t_yr, cluster[name], color=BLACK, linewidth=0.6, alpha=0.7, label="simulated, unseen")
            if column == 0:
                ax.set_ylabel(LABELS[name])
        first = one.iloc[0]
        title = f"{SYMBOLS['q0']} = {first.q0:.2f}, {SYMBOLS['a_au']} = {first.a_au:.0f} AU"
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel("t [yr]")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def scaling(
    table: pd.DataFrame,
    shown_q0: Sequence[float],
    a_au: float,
    times_yr: Float[np.ndarray, " time"],
    bands: Sequence[Float[np.ndarray, "time 5 3"]],
    mass_msun: float,
) -> Figure:
    """Training snapshots near each Q0 in units of their own a, against time in their own units.

    Dots are clusters of all a and t, coloured by a. Look for: dots of all colours along the same lines.

    Args:
        table: Snapshots.
        shown_q0: Values of Q0.
        a_au: The a of the bands, which therefore cover a part of the times.
        times_yr: Times of the bands.
        bands: Quantiles of the law at each Q0, from 2.5 to 97.5 %.
        mass_msun: Mass of a cluster.
    """
    figure, axes = panels(len(SUMMARIES), len(shown_q0), 8.0, sharex=True, sharey="row")
    unit_kms = KMS_PER_AU_YR * np.sqrt(G_AU3_PER_MSUN_YR2 * mass_msun)
    labels = (SYMBOLS["f_bound"], r"$\sigma_v\,/\,\sqrt{GM/a}$", r"$r_h\,/\,a$")
    train = table[(table.split == "train") & ~table.dissolved]
    colours = Normalize(table.a_au.min(), table.a_au.max())
    for column, (q0, band) in enumerate(zip(shown_q0, bands, strict=True)):
        near = train[np.abs(train.q0 - q0) < NEAR_Q0]
        scaled = (near.f_bound, near.sigma_v_kms * np.sqrt(near.a_au) / unit_kms, near.r_h_au / near.a_au)
        of_band = (1.0, np.sqrt(a_au) / unit_kms, 1 / a_au)
        for k, (values, factor) in enumerate(zip(scaled, of_band, strict=True)):
            ax = axes[k, column]
            near_time = own_time(near.t_yr.to_numpy(), near.a_au.to_numpy(), mass_msun)
            ax.scatter(near_time, values, c=near.a_au, s=7, cmap="viridis", norm=colours, **MANY_POINTS)
            at = own_time(times_yr, np.full_like(times_yr, a_au), mass_msun)
            ax.plot(at, band[:, 2, k] * factor, color=BLACK, label=f"median at {SYMBOLS['a_au']} = {a_au:.0f} AU")
            ax.plot(at, band[:, [0, 4], k] * factor, color=BLACK, linestyle=":", label="95 % of clusters")
            ax.set_xscale("log")
            if column == 0:
                ax.set_ylabel(labels[k])
        axes[0, column].set_title(f"{SYMBOLS['q0']} within {NEAR_Q0:g} of {q0:g}")
        axes[-1, column].set_xlabel(r"$\tau = t\,\sqrt{GM/a^3}$")
    shared_legend(figure, axes[0, 0])
    figure.colorbar(ScalarMappable(colours, "viridis"), ax=axes, label=LABELS["a_au"], aspect=40)
    return figure


def own_time(t_yr: np.ndarray, a_au: np.ndarray, mass_msun: float) -> np.ndarray:
    """tau = t sqrt(G M / a^3), without a unit.

    Args:
        t_yr: Ages.
        a_au: Scale radii at birth.
        mass_msun: The mass of all clusters.
    """
    return t_yr * np.sqrt(G_AU3_PER_MSUN_YR2 * mass_msun / a_au**3)


@styled
def coverage(table: pd.DataFrame) -> Figure:
    """Share of test snapshots inside the 68 and 95 % bands against time, by summary.

    Bars are one standard error, with points as independent. The shade is the value over all times. Look for: symbols
    about the dashed lines, within their bars two times in three. All times have the same clusters.

    Args:
        table: What `natal.studies.evolution.evaluation.coverage_table` gives.
    """
    figure, axes = panels(1, len(SUMMARIES), 3.8, sharey=True)
    for ax, name in zip(axes[0], SUMMARIES, strict=True):
        for level, colour, marker in zip(LEVELS, (BLUE, VERMILLION), "os", strict=True):
            one = table[(table.output == name) & np.isclose(table.level, level)]
            whole, by_time = one[one.t_yr.isna()].iloc[0], one[one.t_yr.notna()]
            ax.axhline(level, color=GREY, linestyle="--", linewidth=1)
            ax.axhspan(whole.inside - whole.se, whole.inside + whole.se, color=colour, alpha=0.2, linewidth=0)
            style = {"color": colour, "marker": marker, "ls": "", "label": f"{100 * level:.0f} % bands"}
            ax.errorbar(by_time.t_yr, by_time.inside, by_time.se, **style)
        ax.set(xlabel="t [yr]", title=SYMBOLS[name])
    axes[0, 0].set_ylabel("share of test snapshots inside")
    shared_legend(figure, axes[0, 0])
    return figure


@styled
def coordinates(scores: pd.DataFrame) -> Figure:
    """How much log likelihood other coordinates and gaps in training times cost, for unseen snapshots.

    Bars are one standard error by point. Look for: on the left, symbols above zero, which are sets that are worse; on
    the right, symbols at zero: times that were never seen are as good as those that were.

    Args:
        scores: What `natal.studies.evolution.evaluation.score_rows` gives.
    """
    gaps = [name for name in scores.left_out.unique() if name != "none"]
    figure, axes = panels(1, 2, 3.9, width_ratios=(1, 1.4))
    left, right = axes[0]
    for j, name in enumerate(scores.coordinates.unique()):
        of_set = scores[scores.coordinates == name]
        style = {"color": COLOURS[name], "marker": MARKERS[name], "ls": "", "label": name}
        whole = of_set[of_set.left_out == "none"]
        left.errorbar(np.arange(len(whole)) + 0.15 * (j - 1), whole.behind, whole.behind_se, **style)
        left.set_xticks(np.arange(len(whole)), list(whole.split))
        test = of_set[(of_set.split == "test") & (of_set.left_out != "none")]
        right.errorbar(np.arange(len(test)) + 0.15 * (j - 1), test.loss, test.loss_se, **style)
    for ax in (left, right):
        ax.axhline(0, color=GREY, linestyle="--", linewidth=1)
    right.set_xticks(np.arange(len(gaps)), gaps)
    left.set(ylabel="lost [nats a snapshot]", title="against the coordinates in use", xlim=(-0.5, 1.5))
    right.set(ylabel="lost [nats a snapshot]", title="by times left out of training, there (test)")
    right.set_xlim(-0.5, len(gaps) - 0.5)
    shared_legend(figure, left)
    return figure


@styled
def primer(table: pd.DataFrame) -> Figure:
    """Errors of a textbook's network on test clusters, by what it is given, with and without dropout.

    Bars are one standard error by point. Look for: whether dropout helps; how much a snapshot of the cluster itself
    knows that its birth does not tell.

    Args:
        table: `primer.csv` (`natal.studies.evolution.primer.compare`).

    Returns:
        The figure.
    """
    figure, axes = panels(1, len(SUMMARIES), 3.8)
    kinds = list(table.inputs.unique())
    for ax, name in zip(axes[0], SUMMARIES, strict=True):
        for shift, colour, (rate, rows) in zip((-0.1, 0.1), (BLUE, VERMILLION), table.groupby("dropout"), strict=True):
            one = rows[rows.output == name].set_index("inputs").loc[kinds]
            place = np.arange(len(kinds)) + shift
            ax.errorbar(place, one.rmse, one.rmse_se, fmt="o", color=colour, label=f"dropout {rate:g}")
        ax.set(title=SYMBOLS[name], xlim=(-0.5, len(kinds) - 0.5), ylim=(0, None))
        ax.set_xticks(np.arange(len(kinds)), [kind.replace(" ", "\n") for kind in kinds])
    axes[0, 0].set_ylabel("rms error, of ln for $\\sigma_v$ and $r_h$")
    shared_legend(figure, axes[0, 0])
    return figure
