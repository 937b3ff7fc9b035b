"""The design: which points (Q0, a) are simulated."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.campaign.plan import PROPOSED, Block, Config, blocks, box, proposed_blocks, read_table
from natal.variables import BIRTH, CALIBRATION, SPLITS, Box, limits_of


def latin_hypercube(n: int, ranges: Box, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` points of a Latin hypercube (McKay, Beckman & Conover 1979) within `ranges`, shape (n, birth)."""
    # as SciPy's `qmc.LatinHypercube` draws it, to the bit; that starts all of scipy.stats in every simulate job
    (rng,) = rng.spawn(1)
    within = rng.random((n, len(BIRTH)))
    strata = np.column_stack([1 + rng.permutation(n) for _ in BIRTH])
    unit = (strata - within) / n
    low, high = np.array(limits_of(ranges)).T
    points: np.ndarray = low + (high - low) * unit
    return points


def prior_draws(n: int, ranges: Box, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` independent points, uniform within `ranges`, shape (n, birth); more of them begin with the same ones."""
    low, high = np.array(limits_of(ranges)).T
    points: np.ndarray = low + (high - low) * rng.random((n, len(BIRTH)))
    return points


def design_files(config: Config) -> list[str]:
    """The files that a design is read from: `design.table`, if there is one, and `design.proposed`."""
    return [*filter(None, [config["design"]["table"]]), *config["design"]["proposed"]]


def make_design(config: Config) -> pd.DataFrame:
    """All points of a campaign: columns point_id, block, split, q0 (K/|W|), a_au.

    Every block is drawn from (campaign seed, split, block number), so that another block changes none of the others:
    a hypercube of its own, but for the calibration's independent draws. With `design.table` the table's rows stand in
    the place of the hypercubes. The rows of `design.proposed` come last, as training points.
    """
    parts = []
    if config["design"]["table"]:
        rows = pd.DataFrame(read_table(config))
        births = {name: rows[name] for name in BIRTH}
        parts.append(pd.DataFrame({"point_id": rows.index, "block": "table", "split": rows.split} | births))
    for block in blocks(config):
        draw = prior_draws if block.split == CALIBRATION else latin_hypercube
        rng = np.random.default_rng([config["seed"], (*SPLITS, CALIBRATION).index(block.split), block.index])
        points = draw(block.size, box(config), rng)
        parts.append(_block_table(block, block.split, points))
    parts += [_block_table(block, PROPOSED, np.array(given)) for block, given in proposed_blocks(config)]
    return pd.concat(parts, ignore_index=True)


def _block_table(block: Block, label: str, points: Float[np.ndarray, "point birth"]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "point_id": block.first_id + np.arange(block.size),
            "block": f"{label}{block.index}",
            "split": block.split,
            **dict(zip(BIRTH, points.T, strict=True)),
        }
    )


def grid_points(box: Box, shape: Sequence[int]) -> Float[np.ndarray, "point birth"]:
    """Points of a regular grid over the box, edges included; even steps in Q0 and in ln a."""
    axes = []
    for variable, limits, n in zip(BIRTH.values(), limits_of(box), shape, strict=True):
        steps = np.geomspace if variable.transform == "log" else np.linspace
        # rounding must not leave the box
        axes.append(np.clip(steps(*limits, n), *limits))
    return np.array(list(product(*axes)))
