"""Section `density`: mixture density networks and their training."""

from typing import Annotated, ClassVar

from pydantic import Field

from natal.settings.base import Count, Section


class Density(Section):
    """Networks of the likelihoods `heteroscedastic` and `mixture`: the same settings for each of the two."""

    section: ClassVar[str] = "density"

    members: Annotated[int, Field(ge=1, le=50)] = 5
    """networks of each of `heteroscedastic` and `mixture`"""
    width: Annotated[int, Field(ge=2, le=512)] = 64
    """units of each of two hidden layers"""
    steps: Annotated[int, Field(ge=250)] = 3000
    """training steps, one mini-batch each"""
    batch_size: Count = 512
    """rows of a mini-batch"""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3.0e-3
    """learning rate of AdamW at the start; it falls along a cosine"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.3
    """weight decay of AdamW"""


class DensitySettings(Density):
    """Networks of one likelihood; `components` is 1 for `heteroscedastic`."""

    components: Count = 5
    """normal components of each member's law"""
