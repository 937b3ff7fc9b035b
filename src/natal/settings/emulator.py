"""Section `emulator`: networks for the mean outcome, and their training."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from natal.settings.base import Count, Different, Listed, Positive, Section, SpreadCount
from natal.settings.mistakes import Allowed
from natal.variables import BIRTH, SUMMARIES

COLUMNS = (*BIRTH, *SUMMARIES)
"""All that networks see."""

if TYPE_CHECKING:
    Column = str
else:
    Column = Literal[COLUMNS]

Share = Annotated[float, Field(ge=0, lt=1)]
Hidden = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1024)], ...],
    Listed,
    Field(max_length=4),
    Allowed(text="a list of at most 4 whole numbers from 1 to 1024"),
]


class TrainingSettings(Section):
    """Networks and their training."""

    section: ClassVar[str] = "emulator"

    members: Count = 5
    """networks in the ensemble"""
    hidden: Hidden = (64, 64)
    """units of each hidden layer; `[]` leaves linear networks"""
    learning_rate: Positive = 1.0e-3
    """learning rate of the optimiser"""
    max_epochs: Count = 1000
    """most epochs of a training"""
    patience: Count = 100
    """epochs without a better validation loss before a member stops"""
    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu"] = "relu"
    """activation function of hidden layers"""
    initialisation: Literal["glorot", "he", "equinox"] = "glorot"
    """how the first weights are drawn"""
    optimiser: Literal["sgd", "momentum", "adam", "adamw"] = "adam"
    """how steps follow from gradients"""
    momentum: Share = 0.9
    """β, with `optimiser: momentum`"""
    schedule: Literal["constant", "cosine", "exponential", "step"] = "constant"
    """how the learning rate falls over `max_epochs`"""
    final_rate: Annotated[float, Field(gt=0, le=1)] = 0.01
    """share of `learning_rate` that a schedule leaves at `max_epochs`"""
    rate_drops: Count = 2
    """equal drops of the schedule `step`"""
    weighting: Literal["none", "scatter"] = "none"
    """weights of squared errors: `none`, or `scatter`, one over the scatter of realizations near a run, for each
    output"""
    batch_size: Annotated[int, Field(ge=2)] | None = None
    """most training runs in a mini-batch; `null`: all of them"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """λ of the penalty λ Σ‖W‖² on weights, not biases"""
    dropout_rate: Share = 0.0
    """share of hidden neurons dropped in training"""
    batch_norm: bool = False
    """batch normalisation of hidden layers"""
    log10: Annotated[tuple[Column, ...], *Different, Allowed(text=f"a list, maybe empty, of {', '.join(COLUMNS)}")] = ()
    """columns whose logarithms are normalised; all their values must be positive"""


class Emulator(TrainingSettings):
    """The ensemble of a campaign."""

    members: SpreadCount = 5
    """networks in the ensemble"""
