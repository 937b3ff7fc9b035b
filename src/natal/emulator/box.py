"""Where the emulator may be asked: inside the design box, outside of which nothing was ever simulated."""

from typing import Any

import jax
import numpy as np

from natal.errors import NatalError
from natal.variables import BIRTH, Box, Limits

# a float32 edge may lie beyond the double it stands for
ROUNDING = 4 * float(np.finfo("float32").eps)


def refuse_outside(x: Any, box: Limits) -> None:
    """Raise `NatalError` with a number and its range if any point x (..., birth) lies outside `box`.

    Values that are not known yet, inside a compiled or differentiated function, are not looked at: the sampler's
    bijection and the grid keep to the prior's box, which `refuse_prior_outside` checks.
    """
    if isinstance(x, jax.core.Tracer):
        return
    points = np.asarray(x, float).reshape(-1, len(BIRTH))
    low, high = np.array(box).T
    inside = (points >= low * (1 - ROUNDING)) & (points <= high * (1 + ROUNDING))
    if inside.all():
        return
    point, axis = (int(k) for k in np.argwhere(~inside)[0])
    raise NatalError(
        f"{(~inside.all(1)).sum()} of {len(points)} points lie outside the design box: {BIRTH.names[axis]} = "
        f"{points[point, axis]:.6g} is not in [{low[axis]:g}, {high[axis]:g}], where the emulator was trained; "
        "ask for it with extrapolate=True"
    )


def refuse_prior_outside(prior_box: Box, box: Limits) -> None:
    """Raise `NatalError` naming the range if a prior {'q0': (low, high), 'a_au': (low, high)} leaves `box`."""
    for name, (low, high) in zip(BIRTH, box, strict=True):
        prior_low, prior_high = prior_box[name]
        if prior_low < low * (1 - ROUNDING) or prior_high > high * (1 + ROUNDING):
            raise NatalError(
                f"the prior's range of {name}, [{prior_low:g}, {prior_high:g}], must lie within the design box, "
                f"[{low:g}, {high:g}], outside of which the emulator is untested"
            )
