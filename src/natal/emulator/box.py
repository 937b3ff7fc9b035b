"""Where the emulator may be asked: inside the design box. Outside of it nothing was simulated."""

from typing import Any

import jax
import numpy as np

from natal.errors import NatalError
from natal.variables import BIRTH, Box, Limits

# an edge that was rounded to float32 may lie a little outside
ROUNDING = 4 * float(np.finfo("float32").eps)


def refuse_outside(x: Any, box: Limits) -> None:
    """Refuse points outside the box.

    Values that are not known yet, inside a compiled or differentiated function, are not checked: there the sampler's
    bijection and the grid keep to the prior's box, which `refuse_prior_outside` checks.

    Args:
        x: Points (..., birth).
        box: The emulator's box, in the order of `BIRTH`.

    Raises:
        NatalError: If a point is outside; the message has the number and its range.

    Examples:
        >>> refuse_outside([0.5, 500.0], ((0.3, 2.0), (100.0, 1000.0)))
        >>> refuse_outside([0.1, 500.0], ((0.3, 2.0), (100.0, 1000.0)))
        Traceback (most recent call last):
        ...
        natal.errors.NatalError: 1 of 1 points lie outside the design box: q0 = 0.1 is not in [0.3, 2], ...
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
    """Refuse a prior that is not within the emulator's box.

    Args:
        prior_box: The prior's ranges by name.
        box: The emulator's box, in the order of `BIRTH`.

    Raises:
        NatalError: If a range of the prior leaves the box.
    """
    for name, (low, high) in zip(BIRTH, box, strict=True):
        prior_low, prior_high = prior_box[name]
        if prior_low < low * (1 - ROUNDING) or prior_high > high * (1 + ROUNDING):
            raise NatalError(
                f"the prior's range of {name}, [{prior_low:g}, {prior_high:g}], must lie within the design box, "
                f"[{low:g}, {high:g}], outside of which the emulator is untested"
            )
