"""Key `likelihood`: the laws that posteriors may be computed with."""

from typing import Literal, get_args

Kind = Literal["constant", "constant_full", "ensemble", "heteroscedastic", "mixture"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""All of them."""
