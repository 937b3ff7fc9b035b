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
    """Shift and scale of inputs and outputs to zero mean and unit variance over the training runs.

    `x` has trailing axis (q0, a_au), `y` (f_bound, sigma_v_kms, r_h_au), in physical units; so are the statistics, but
    those of the columns `log10`, which are statistics of the common logarithms.
    """

    x_mean: Float[Array, " birth"]
    x_std: Float[Array, " birth"]
    y_mean: Float[Array, " summary"]
    y_std: Float[Array, " summary"]
    log10: tuple[str, ...] = eqx.field(static=True, default=())

    def normalise_x(self, x: Float[Array, "*batch birth"]) -> Float[Array, "*batch birth"]:
        return (self._changed(jnp.log10, x, BIRTH) - self.x_mean) / self.x_std

    def normalise_y(self, y: Float[Array, "*batch summary"]) -> Float[Array, "*batch summary"]:
        return (self._changed(jnp.log10, y, SUMMARIES) - self.y_mean) / self.y_std

    def denormalise_y(self, y: Float[Array, "*batch summary"]) -> Float[Array, "*batch summary"]:
        return self._changed(lambda exponent: 10.0**exponent, y * self.y_std + self.y_mean, SUMMARIES)

    def _changed(self, function: Callable[[Array], Array], values: Array, columns: Iterable[str]) -> Array:
        """`values` with `function` applied to the columns of `log10`."""
        for k, column in enumerate(columns):
            if column in self.log10:
                values = values.at[..., k].set(function(values[..., k]))
        return values


def fit_normaliser(runs: Runs, dtype: str = "float32", log10: Sequence[str] = ()) -> Normaliser:
    """Mean and standard deviation of the training runs, for the columns named in `log10` of their logarithms.

    Raises `NatalError` for runs of any other split (statistics of validation or test data would leak into the
    emulator), for an input or output that does not vary, and as `refuse_non_positive` does.
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
            # the deviation of equal numbers is a rounding error, not always zero
            if not spread > 1e-12 * size:
                raise NatalError(f"the training runs all have the same {column}: nothing can be learned from it")
        statistics |= {f"{name}_mean": jnp.asarray(mean, dtype), f"{name}_std": jnp.asarray(std, dtype)}
    return Normaliser(**statistics, log10=tuple(log10))


def refuse_non_positive(runs: Runs, log10: Sequence[str]) -> None:
    """Raise `NatalError` naming the column of `log10`, and the run, whose value has no logarithm."""
    for columns, values in ((BIRTH, runs.x), (SUMMARIES, runs.y)):
        for column, numbers in zip(columns, values.T, strict=True):
            if column in log10 and not np.all(numbers > 0):
                row = int(np.argmin(numbers > 0))
                raise NatalError(
                    f"emulator.log10: {column} of {runs.split} point {runs.point_id[row]}, realization "
                    f"{runs.realization[row]}, is {numbers[row]:g}, which has no logarithm; take {column} off the list"
                )
