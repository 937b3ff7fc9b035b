"""The design: which points (Q0, a) are simulated."""

import numpy as np
import pandas as pd
from scipy.stats import qmc

from natal.campaign import SPLITS, Config, blocks, box, read_table

INPUTS = ("q0", "a_au")
INPUT_UNITS = {"q0": "K/|W|", "a_au": "AU"}


def latin_hypercube(n: int, ranges: dict[str, tuple[float, float]], rng: np.random.Generator) -> np.ndarray:
    """Draw `n` points of a Latin hypercube (McKay, Beckman & Conover 1979) within `ranges`, shape (n, 2)."""
    unit = qmc.LatinHypercube(d=len(INPUTS), rng=rng).random(n)
    low, high = np.array([ranges[name] for name in INPUTS]).T
    return low + (high - low) * unit


def make_design(config: Config) -> pd.DataFrame:
    """All points of a campaign: columns point_id, block, split, q0 (K/|W|), a_au.

    Every block is a hypercube of its own, drawn from (campaign seed, split, block number), so that another block
    changes none of the others. With `design.table` the points are the table's rows instead.
    """
    if config["design"]["table"]:
        rows = pd.DataFrame(read_table(config))
        return pd.DataFrame(
            {"point_id": rows.index, "block": "table", "split": rows.split, "q0": rows.q0, "a_au": rows.a_au}
        )
    parts = []
    for block in blocks(config):
        rng = np.random.default_rng([config["seed"], SPLITS.index(block.split), block.index])
        points = latin_hypercube(block.size, box(config), rng)
        parts.append(
            pd.DataFrame(
                {
                    "point_id": block.first_id + np.arange(block.size),
                    "block": f"{block.split}{block.index}",
                    "split": block.split,
                    "q0": points[:, 0],
                    "a_au": points[:, 1],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
