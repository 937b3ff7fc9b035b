"""The report: one HTML file that tells the campaign in the order of the science, figures and all."""

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from natal.calibration import CHI2_UNEXPLAINED, EDGE_FLAG, EDGE_WIDTH, P_OUTSIDE
from natal.campaign import box
from natal.files import atomic_path, provenance
from natal.lineage import Step
from natal.summaries import OUTPUT_UNITS, OUTPUTS

# figure -> what to look for, and what would be a bad sign
CAPTIONS = {
    "design": (
        "The simulated points by split. In a Latin hypercube every row and column of strata holds one point: the "
        "ticks in the margins are evenly spread. Empty regions or clumps would leave the emulator guessing."
    ),
    "summaries": (
        "All runs. Each dot is one cluster; dots at the same Q0 and a differ only in where their stars happened "
        "to be. The scatter grows with Q0, and f_bound piles up at 1 for cold clusters: a Gaussian of one width "
        "cannot describe both ends."
    ),
    "energy_errors": (
        "Energy lost or gained by the integrator. All of it should lie well below the allowed limit; a tail that "
        "approaches it means that the time step is too long for the closest encounters."
    ),
    "loss_curves": (
        "Training and validation loss of each member, with the epoch whose weights were kept. A validation loss "
        "that rises while the training loss falls is overfitting; one that still falls at the end wants more "
        "epochs."
    ),
    "predicted_vs_true": (
        "Emulator against test simulations: faint, single runs, whose spread is mostly the scatter of nature; "
        "solid, means over realizations. Solid points away from the line by more than their bars are emulator "
        "error."
    ),
    "residuals": (
        "Single test runs minus prediction. The running mean should follow zero everywhere; a band that is too "
        "wide on one side and too narrow on the other shows where a constant width is wrong."
    ),
    "slices": (
        "The emulator along lines through the box, with every member, their mean and twice their spread. Members "
        "that part between the points are not held by data there."
    ),
    "recovered_vs_true": (
        "Posterior mean and 68 % interval against the truth for every test cluster. Points should scatter about "
        "the line; means that stay in the middle of the box say that the data hold little information."
    ),
    "coverage": (
        "How often the truth lies inside the credible region, against how often it should, over all cases and by "
        "third of the true Q0. Points below the band mean overconfident posteriors. The band takes cases as "
        "independent; realizations of a point share their truth, which the bars (1 standard error, by point) allow for."
    ),
    "pit": (
        "Posterior probability below the true value. Flat is honest; a U shape is overconfident, a hump is too "
        "wide, a slope is biased. The band is as narrow as that of the coverage plot."
    ),
    "calibration_coverage": (
        "Coverage of the calibration draws, over all and by third of the true Q0 and the true a. Every marker should "
        "lie within its bar, which is as long as n allows. Markers below it are overconfident, above it too wide; a "
        "trend from third to third means that a width is right on average only."
    ),
    "calibration_pit": (
        "Where the truth lies in its posterior: the distribution of its posterior probability, minus the uniform one, "
        "from the grid and by rank among NUTS draws. Curves should stay within the band, which holds all of an honest "
        "curve with 95 %. One arch is a bias, a fall and a rise at the ends is overconfidence; where the dashed curve "
        "leaves the solid one, the sampler is at fault and not the likelihood."
    ),
    "calibration_sbc": (
        "Ranks of the truth among posterior draws. Flat is honest; a U is overconfident, a hump too wide, a slope "
        "biased. A single bar out of the outer band at either end would be chains that got stuck."
    ),
    "calibration_tarp": (
        "How often discs about random points hold the truth, against the posterior mass in them. This sees what the "
        "two parameters' own intervals cannot, a wrong correlation. The curve should stay within the band."
    ),
    "sampler_health": (
        "Convergence of NUTS in every case, and its distance from the grid posterior. R-hat above the line, or a "
        "distance well above what the number of draws explains, would make a case untrustworthy."
    ),
    "uncertainty": (
        "Every method on the same test clusters: outputs and (Q0, a) inside their regions (dashed: as many as "
        "promised), and how large the joint regions are. Honest outputs are not enough: widths that are right for "
        "each output by itself give too small joint regions where outputs are correlated. Of two honest methods the "
        "one with smaller regions says more. Bars on the joint regions: two standard errors."
    ),
    "uncertainty_widths": (
        "Width of the 68 % interval of one cluster along Q0, at the middle a, and what test clusters scatter about the "
        "ensemble mean (dots). A flat curve is too wide for cold clusters and too narrow for hot ones."
    ),
    "brute_force": (
        "Posteriors of test clusters with the emulator, and from simulations alone: a normal law fitted to runs around "
        "every place (synthetic), and a kernel at every run. Inner and outer contours hold 68 and 95 %. The title "
        "gives the total variation between emulator and synthetic, and how much of it too few runs explain. Contours "
        "far apart beside a small noise would mean that the emulator learned another law than the simulator's."
    ),
    "posterior_predictive": (
        "Clusters were born as posterior draws say and simulated: what they came to, and the cluster that had been "
        "observed. It should look like one of them. A joint p-value below 0.01 is a bad sign; values gather about 0.5, "
        "since the posterior has seen the observation."
    ),
    "speed": ("Measured cost of one forward evaluation on one core of this machine."),
}


def write_report(
    path: str | Path,
    config: dict[str, Any],
    metrics: dict[str, Any],
    recovery: pd.DataFrame,
    observed: pd.DataFrame | None,
    figures: list[str],
    made: Sequence[Step] = (),
) -> None:
    """Render the report to `path`; every number comes from `metrics` and the tables.

    `figures` are PNG files, embedded under their stem; `recovery` and `observed` have the columns of recovery.csv
    and observed.csv. `made` are the steps of the campaign, those without a record left out.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("natal"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = format_number
    images = {Path(file).stem: base64.b64encode(Path(file).read_bytes()).decode() for file in figures}
    html = environment.get_template("report.html.j2").render(
        config=config,
        metrics=metrics,
        box=box(config),
        outputs=OUTPUTS,
        units=OUTPUT_UNITS,
        captions=CAPTIONS,
        images=images,
        losses=[name for name in OUTPUTS if not metrics["emulator"]["beats_every_baseline"][name]],
        n_at_edge=int(recovery.at_edge.sum()),
        recovery=recovery.sort_values("q0_true").to_dict("records"),
        observed=[] if observed is None else observed.to_dict("records"),
        chi2_unexplained=CHI2_UNEXPLAINED,
        p_outside=P_OUTSIDE,
        edge_width=EDGE_WIDTH,
        edge_flag=EDGE_FLAG,
        provenance=provenance(),
        made=made,
    )
    with atomic_path(path) as partial:
        partial.write_text(html, encoding="utf-8")


def format_number(value: Any, digits: int = 3) -> str:
    """A number to `digits` significant digits, without exponent where that stays readable."""
    if value is None:
        return "n/a"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e6):
        return f"{int(value):,}".replace(",", " ")
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
    return f"{value:.{digits - 1}e}"
