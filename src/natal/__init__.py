"""natal recovers the birth conditions of star clusters.

The modules follow the data: `campaign`, `units`, `plummer`, `gravity`, `leapfrog`, `summaries`, `simulator`, `design`,
`store`, `dataset`, `emulator`, `training`, `baselines`, `evaluation`, `likelihood`, `grid`, `nuts`, `recovery`,
`calibration`, `figures`, `report`.
Import what you need from them, e.g. ``from natal.simulator import simulate_clusters``.

Importing `natal` itself loads nothing heavy, so that a workflow may be parsed without starting JAX.
"""

__version__ = "0.1.0"
