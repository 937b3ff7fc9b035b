"""Figures of a campaign: from arrays and tables to matplotlib figures, in one style.

Every function returns a `Figure` that is made without pyplot, so that nothing is displayed, kept open or written. A
notebook shows it; ``figure.savefig(path)`` or `natal.figures.save` saves it. Colour-blind readers can tell the colours
apart. Q0 is K/|W| everywhere (equilibrium at 0.5). The modules `calibration`, `against_simulator` and
`uncertainty_methods` have the figures of the calibration draws, of the checks against the simulator, and of the
uncertainty methods.

The names below are looked up when they are first used (PEP 562): who draws one figure need not import what other
figures need.
"""

from importlib import import_module as _import_module
from typing import Any as _Any

# name -> module; type checkers read `__init__.pyi`
_LAZY = {
    **{"cluster_snapshots": "clusters", "corner_case": "posteriors", "speed_bars": "cost"},
    **dict.fromkeys(["design_coverage", "energy_errors", "summary_scatter"], "simulations"),
    **dict.fromkeys(["loss_curves", "predicted_vs_true", "residuals", "slices"], "emulator"),
    **{"spread_and_error": "held_out", "summary_map": "emulator_map", "likelihood_contours": "single_summaries"},
    **dict.fromkeys(["coverage", "pit_histograms", "recovered_vs_true", "sampler_health"], "recovery"),
}

__all__ = ["against_simulator", "calibration", "uncertainty_methods", *_LAZY]


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module 'natal.figures' has no attribute {name!r}")
    module = _import_module(f"natal.figures.{_LAZY.get(name, name)}")
    return getattr(module, name) if name in _LAZY else module
