"""Inputs and outputs as networks see them: shifted and scaled by the training runs."""

from collections.abc import Callable, Iterable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from natal.data.runs import Runs
from natal.errors import NatalError
from natal.variables import BIRTH, SUMMARIES


class Normaliser(eqx.Module):
    """Shift and scale of inputs and outputs, to zero mean and unit variance over the training runs.

    Statistics are in physical units; of the columns in `log10` they are statistics of the common logarithms.
    """

    x_mean: Float[Array, " birth"]
    x_std: Float[Array, " birth"]
    y_mean: Float[Array, " summary"]
    y_std: Float[Array, " summary"]
    log10: tuple[str, ...] = eqx.field(static=True, default=())
    """Columns of which networks see logarithms."""

    def normalise_x(self, x: Float[Array, "*batch birth"]) -> Float[Array, "*batch birth"]:
        """Births as networks see them.

        Args:
            x: In physical units, trailing axis `BIRTH`.

        Returns:
            Normalised numbers.
        """
        return (self._changed(jnp.log10, x, BIRTH) - self.x_mean) / self.x_std

    def normalise_y(self, y: Float[Array, "*batch summary"]) -> Float[Array, "*batch summary"]:
        """Summaries as networks see them.

        Args:
            y: In physical units, trailing axis `SUMMARIES`.

        Returns:
            Normalised numbers.
        """
        return (self._changed(jnp.log10, y, SUMMARIES) - self.y_mean) / self.y_std

    def denormalise_y(self, y: Float[Array, "*batch summary"]) -> Float[Array, "*batch summary"]:
        """Summaries in physical units.

        Args:
            y: As networks predict them, trailing axis `SUMMARIES`.

        Returns:
            The inverse of `normalise_y`.
        """
        return self._changed(lambda exponent: 10.0**exponent, y * self.y_std + self.y_mean, SUMMARIES)

    def _changed(self, function: Callable[[Array], Array], values: Array, columns: Iterable[str]) -> Array:
        """`values` with `function` applied to the columns of `log10`."""
        for k, column in enumerate(columns):
            if column in self.log10:
                values = values.at[..., k].set(function(values[..., k]))
        return values


def fit_normaliser(runs: Runs, dtype: str = "float32", log10: Sequence[str] = ()) -> Normaliser:
    """Take mean and standard deviation of the training runs.

    Args:
        runs: Training runs; those of another split would leak into the emulator.
        dtype: Precision of the statistics.
        log10: Columns whose logarithms are normalised.

    Returns:
        The normaliser.

    Raises:
        NatalError: The runs are of another split, an input or output does not vary, or a number has no logarithm.
    """
    if runs.split != "train":
        raise NatalError(f"normalisation must come from training runs, not from {runs.split} runs")
    refuse_non_positive(runs, log10)
    statistics: dict[str, Array] = {}
    for name, columns, values in (("x", BIRTH, runs.x), ("y", SUMMARIES, runs.y)):
        logarithmic = [column in log10 for column in columns]
        values = np.where(logarithmic, np.log10(values, where=logarithmic, out=np.zeros_like(values)), values)
        mean, std = values.mean(0), values.std(0)
        for column, spread, size in zip(columns, std, np.abs(values).max(0), strict=True):
            # the deviation of equal numbers is not always zero, but a rounding error
            if not spread > 1e-12 * size:
                raise NatalError(f"the training runs all have the same {column}: nothing can be learned from it")
        statistics |= {f"{name}_mean": jnp.asarray(mean, dtype), f"{name}_std": jnp.asarray(std, dtype)}
    return Normaliser(**statistics, log10=tuple(log10))


def refuse_non_positive(runs: Runs, log10: Sequence[str]) -> None:
    """Check that all runs have the logarithms that are asked for.

    Args:
        runs: Runs of one split.
        log10: Columns whose logarithms are needed.

    Raises:
        NatalError: A value is not positive; the line names column and run.
    """
    for columns, values in ((BIRTH, runs.x), (SUMMARIES, runs.y)):
        for column, numbers in zip(columns, values.T, strict=True):
            if column in log10 and not np.all(numbers > 0):
                row = int(np.argmin(numbers > 0))
                raise NatalError(
                    f"emulator.log10: {column} of {runs.split} point {runs.point_id[row]}, realization "
                    f"{runs.realization[row]}, is {numbers[row]:g}, which has no logarithm; take {column} off the list"
                )
