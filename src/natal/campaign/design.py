"""The design: which points (Q0, a) are simulated.

A box has a range of each birth condition; q0 is K/|W| here, whatever the configuration's convention.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float

from natal.campaign.plan import PROPOSED, Block, Config, blocks, box, proposed_blocks, read_table
from natal.variables import BIRTH, CALIBRATION, SPLITS, Box, limits_of


def latin_hypercube(n: int, ranges: Box, rng: np.random.Generator) -> np.ndarray:
    """Draw points of a Latin hypercube (McKay, Beckman & Conover 1979).

    Args:
        n: How many.
        ranges: The box.
        rng: Random numbers.

    Returns:
        Points, shape (n, birth).

    Examples:
        >>> points = latin_hypercube(4, {"q0": (0.0, 4.0), "a_au": (0.0, 4.0)}, np.random.default_rng(0))
        >>> np.sort(points.astype(int), axis=0).tolist()  # one in each quarter of each range
        [[0, 0], [1, 1], [2, 2], [3, 3]]
    """
    # as SciPy's `qmc.LatinHypercube` draws it, to the bit; that starts all of scipy.stats in every simulate job
    (rng,) = rng.spawn(1)
    within = rng.random((n, len(BIRTH)))
    strata = np.column_stack([1 + rng.permutation(n) for _ in BIRTH])
    unit = (strata - within) / n
    low, high = np.array(limits_of(ranges)).T
    points: np.ndarray = low + (high - low) * unit
    return points


def prior_draws(n: int, ranges: Box, rng: np.random.Generator) -> np.ndarray:
    """Draw independent points, uniform in a box.

    Args:
        n: How many; a larger number begins with the same points.
        ranges: The box.
        rng: Random numbers.

    Returns:
        Points, shape (n, birth).
    """
    low, high = np.array(limits_of(ranges)).T
    points: np.ndarray = low + (high - low) * rng.random((n, len(BIRTH)))
    return points


def design_files(config: Config) -> list[str]:
    """The files that a design is read from: `design.table`, if there is one, and `design.proposed`.

    Args:
        config: The campaign's configuration.

    Returns:
        Their names.
    """
    return [*filter(None, [config["design"]["table"]]), *config["design"]["proposed"]]


def make_design(config: Config) -> pd.DataFrame:
    """Make all points of a campaign.

    Every block is drawn from (campaign seed, split, block number), so that another block changes none of the others. It
    is a Latin hypercube of its own; the calibration's block holds independent draws. With `design.table` the table's
    rows take the place of the hypercubes. The rows of `design.proposed` come last, as training points.

    Args:
        config: The campaign's configuration, checked.

    Returns:
        One row a point: `point_id`, `block`, `split`, `q0` (K/|W|), `a_au`.
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
    """Points of a regular grid over a box, edges included, in even steps in Q0 and in ln a.

    Args:
        box: The box.
        shape: Points along each birth condition.

    Returns:
        The points, q0 changing slowest.

    Examples:
        >>> grid_points({"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}, (2, 3)).round(1).tolist()
        [[0.5, 50.0], [0.5, 100.0], [0.5, 200.0], [1.5, 50.0], [1.5, 100.0], [1.5, 200.0]]
    """
    axes = []
    for variable, limits, n in zip(BIRTH.values(), limits_of(box), shape, strict=True):
        steps = np.geomspace if variable.transform == "log" else np.linspace
        # rounding must not leave the box
        axes.append(np.clip(steps(*limits, n), *limits))
    return np.array(list(product(*axes)))
