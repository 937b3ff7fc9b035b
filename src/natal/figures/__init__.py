"""Figures of a campaign: from arrays and tables to matplotlib figures, in one style.

Every function returns a `Figure` of its own, made without pyplot, so that nothing is displayed, kept open or written;
a notebook shows it, and ``figure.savefig(path)`` saves it. Colours stay apart for colour-blind readers. Q0 is K/|W|
everywhere (equilibrium at 0.5). Figures of the calibration draws, of the checks against the simulator and of the
uncertainty methods are in the modules `calibration`, `against_simulator` and `uncertainty_methods`.
"""

from natal.figures import against_simulator, calibration, uncertainty_methods
from natal.figures.clusters import cluster_snapshots
from natal.figures.cost import speed_bars
from natal.figures.emulator import loss_curves, predicted_vs_true, residuals, slices
from natal.figures.emulator_map import summary_map
from natal.figures.posteriors import corner_case
from natal.figures.recovery import coverage, pit_histograms, recovered_vs_true, sampler_health
from natal.figures.simulations import design_coverage, energy_errors, summary_scatter

__all__ = [
    "against_simulator",
    "calibration",
    "cluster_snapshots",
    "corner_case",
    "coverage",
    "design_coverage",
    "energy_errors",
    "loss_curves",
    "pit_histograms",
    "predicted_vs_true",
    "recovered_vs_true",
    "residuals",
    "sampler_health",
    "slices",
    "speed_bars",
    "summary_map",
    "summary_scatter",
    "uncertainty_methods",
]
