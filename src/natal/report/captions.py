"""What every figure of the report shows, what to look for in it, and what would be a bad sign."""

CAPTIONS = {
    "clusters": (
        "Test clusters that survived, with a true Q0 as near as possible to 0.5, 0.9 and 1.3: positions on the sky at "
        "several times, every row on a scale of its own (bar). Look for bound stars (filled) that stay together, and "
        "more stars that leave, earlier, the larger Q0. Which stars of a hot cluster are bound settles only after the "
        "first snapshots. Bad sign: bound stars far out on all sides, stars that jump from one time to the next, or a "
        "cluster at Q0 = 0.5 that falls apart."
    ),
    "energy_errors": (
        "Energy lost or gained by the integrator in every run. Look for all of it well below the allowed limit. Bad "
        "sign: a tail that approaches the limit, at small a first, where stars pass each other closest: the time step "
        "is then too long."
    ),
    "design": (
        "The simulated points by split. In a Latin hypercube every row and column of strata holds one point: look for "
        "evenly spread ticks in the margins. Bad sign: empty regions or clumps, where the emulator is left guessing."
    ),
    "summaries": (
        "All runs. Each dot is one cluster; dots at the same Q0 and a differ only in where their stars happened to be. "
        "Look for scatter that grows with Q0, and for f_bound piling up at 1 for cold clusters: a Gaussian of one "
        "width cannot describe both ends. Bad sign: gaps, or single dots far from all others at their Q0."
    ),
    "map": (
        "What the emulator has learned: mean outputs over (Q0, a) on the left, the standard deviation of single "
        "clusters according to the campaign's likelihood on the right. Dots are simulated points in the same colours, "
        "on the right those with at least eight surviving realizations. Look for dots that can hardly be seen, since "
        "they have the colour of what surrounds them. Bad sign: dots of another colour, or bends in the contours "
        "where there are no dots. Contours of all three outputs that run the same way somewhere would mean that (Q0, "
        "a) cannot be told apart there."
    ),
    "loss_curves": (
        "Training and validation loss of each member, with the epoch whose weights were kept. Look for curves that "
        "are flat at the marks and members that agree. Bad sign: a validation loss that rises while the training loss "
        "falls is overfitting; marks at the right end say that more epochs are needed."
    ),
    "predicted_vs_true": (
        "Emulator against test simulations: faint, single runs, whose spread is mostly the scatter of nature; solid, "
        "means over realizations. Look for solid points on the line. Bad sign: solid points that miss it by more than "
        "their bars, most of all if they lie on one side: that is the emulator's error."
    ),
    "residuals": (
        "Single test runs minus prediction, with their running mean (line) and standard deviation (dashed). Look for a "
        "mean that stays at zero. Bad sign: a mean that leaves zero, which is a bias. Where the dashed lines leave the "
        "grey band, a constant width is wrong: too narrow where they lie outside of it, too wide where inside."
    ),
    "spread_and_error": (
        "Squared error of the ensemble's mean at points that it has not learned from, without the noise of their "
        "replicate means, over the variance of its members, in bins of equal counts; on the right the members' spread "
        "from inside the box (grey) to outside. Look for ratios about the solid line, in the middle of the box and in "
        "the outermost bins, and for a spread that grows outside. Ratios are negative by chance where the error is "
        "lost in the scatter. Bad sign: ratios above the line by more than their bars in one place, which a single "
        "factor does not mend, or a spread outside that is no larger than inside: extrapolated predictions would look "
        "as safe as others."
    ),
    "slices": (
        "The emulator along lines through the box, with every member, their mean and twice their spread. Look for "
        "smooth curves through the points. Bad sign: members that disagree between the points, where no data hold them."
    ),
    "recovered_vs_true": (
        "Posterior mean and 68 % interval against the truth for every test cluster. Look for points that scatter about "
        "the line, about a third of the intervals missing it. Bad sign: means that stay in the middle of the box "
        "whatever the truth; the data then hold little information."
    ),
    "coverage": (
        "How often the truth lies inside the credible region, against how often it should, over all cases and by "
        "third of the true Q0. Look for points within the band. Bad sign: points below it mean overconfident "
        "posteriors. The band takes cases as independent; realizations of a point share their truth, which the bars "
        "(1 standard error, by point) allow for."
    ),
    "pit": (
        "Posterior probability below the true value. Look for flat histograms. Bad sign: a U shape is overconfident, a "
        "hump is too wide, a slope is biased. The band takes cases as independent, as that of the coverage plot does."
    ),
    "likelihood_contours": (
        "What single summaries say of (Q0, a) by themselves, and all of them together, for a test cluster near "
        "equilibrium, one in the middle of Q0 and a hot one (rows; the truth in orange): regions that hold 68 and 95 % "
        "under a uniform prior, the inner ones dashed again on the right. Look for bands that cross: their crossing is "
        "the answer. Bad sign: bands that run the same way. They are a degeneracy: a larger cluster and a smaller one "
        "of another Q0 look alike, and what is left together is a ridge, not a spot."
    ),
    "sampler_health": (
        "Convergence of NUTS in every case, and its distance from the grid posterior. Look for nothing beyond the "
        "dashed lines. Bad sign: R-hat above its line, or a distance well above what the number of draws explains, "
        "makes a case untrustworthy."
    ),
    "calibration_coverage": (
        "Coverage of the calibration draws, over all and by third of the true Q0 and the true a. Look for every marker "
        "within its bar, which is what chance allows with so many clusters. Bad sign: markers below it are "
        "overconfident, above it too wide; a trend from third to third means that a width is right on average only."
    ),
    "calibration_pit": (
        "Where the truth lies in its posterior: the distribution of its posterior probability, minus the uniform one, "
        "from the grid and by rank among NUTS draws. Look for curves within the band, which holds all of an honest "
        "curve with a probability of 95 % (dotted: the band of the dashed curve, if NUTS sampled fewer clusters). Bad "
        "sign: for Q0 and a, a hill on the left with a valley on the right is overconfidence, the reverse too wide, a "
        "single hill or valley a bias. For the joint level a valley is overconfidence, a hill too wide. If only the "
        "dashed curve leaves its band, the sampler is wrong and not the likelihood."
    ),
    "calibration_sbc": (
        "Ranks of the truth among posterior draws. Look for bars of about the same height. Bad sign: a U is "
        "overconfident, a hump too wide, a slope biased; a single bar at either end that leaves the outer band comes "
        "from chains that got stuck."
    ),
    "calibration_tarp": (
        "How often discs about random points hold the truth, against the posterior mass in them. Unlike the intervals "
        "of single parameters, this sees a wrong correlation. Look for a curve within the band. Bad sign: a "
        "curve that leaves it; above on the left and below on the right is overconfident, the reverse too wide."
    ),
    "uncertainty": (
        "Every method on the same test clusters: outputs and (Q0, a) inside their regions (dashed: as many as "
        "promised), and how large the joint regions are. Look for markers on the dashed line; of two honest methods "
        "the one with smaller regions says more. Bad sign: honest outputs beside joint regions that hold too few "
        "truths; widths that are right for each output by itself are too small together where outputs are correlated. "
        "Bars on the joint regions: two standard errors."
    ),
    "uncertainty_widths": (
        "Width of the 68 % interval of one cluster along Q0, at the middle a, and what test clusters scatter about the "
        "ensemble mean (dots). Look for curves along the dots. Bad sign: a flat curve is too wide for cold clusters "
        "and too narrow for hot ones."
    ),
    "brute_force": (
        "Posteriors of test clusters with the emulator, and from simulations alone: a normal law fitted to runs around "
        "every place (synthetic), and a kernel at every run. Inner and outer contours hold 68 and 95 %. The title "
        "gives the total variation between emulator and synthetic, and how much of it too few runs explain. Look for "
        "contours that agree. Bad sign: contours far apart beside a small noise would mean that the emulator learned "
        "another law than the simulator's."
    ),
    "posterior_predictive": (
        "Clusters that were simulated with births drawn from the posterior, and the observed cluster. Look for an "
        "observed cluster that looks like one of them. Bad sign: a joint p-value below 0.01. Values gather about 0.5, "
        "since the posterior has seen the observation."
    ),
    "corner": (
        "NUTS draws over the prior's box with the regions that hold 68 and 95 % of them, the grid posterior dashed, "
        "and the truth in orange. Look for dashed contours on the solid ones, and for a truth inside the outer "
        "contour in 19 of 20 cases. Bad sign: contours that differ from the grid's (the sampler failed), or that the "
        "box cuts off (a limit rather than a measurement)."
    ),
    "catalogue": (
        "Draws of the posterior over the prior's box, age and mass integrated over, with the regions that hold 68 and "
        "95 % of them. Look for regions within the box. Bad sign: contours that the box cuts off; the birth may lie "
        "outside."
    ),
    "predictive": (
        "All observables of clusters with births, ages and masses drawn from the posterior (blue: median, 68 and "
        "95 %), and what was measured (orange; arrows are limits). Look for measured values within the blue bands. Bad "
        "sign: a value far outside: no birth makes such a cluster."
    ),
    "population_law": (
        "Density of births in Q0 and in ln a: medians, 68 and 95 % bands of the normal law (blue) and of the law in "
        "bins (orange), over single posteriors (grey). Look for bands that overlap. Bad sign: an orange band "
        "that leaves the blue one, for then births are not normal in Q0; or a density that is largest at an edge."
    ),
    "population_corner": (
        "Draws of the parameters of the normal law, before it is cut to the box, with contours that hold 68 and 95 %. "
        "Look for contours within what the hyperprior allows (the table). Bad sign: a scale whose distribution is that "
        "of its prior: then the clusters say nothing about it."
    ),
    "population_clusters": (
        "Each cluster by itself (grey) and given all others (blue): medians and 68 % intervals. Look for blue points "
        "that are closer to each other than the grey ones, above all where grey lines are long. Bad sign: a blue "
        "interval far from its grey one: the cluster may not belong to this population."
    ),
    "observed": (
        "NUTS draws over the prior's box with the regions that hold 68 and 95 % of them, and the grid posterior "
        "dashed. Look for dashed contours on the solid ones. Bad sign: contours that the box cuts off; the birth may "
        "lie outside."
    ),
    "speed": (
        "Measured cost of one forward evaluation on one core of this machine. Look for the gap between simulation and "
        "likelihood. Bad sign: a bar for a batch that is no shorter than that for one point: vectorising is no gain."
    ),
}
"""Figure -> caption. Corner plots share `corner`, those of the user's own clusters `observed`."""
