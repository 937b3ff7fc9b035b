"""How far a learned field is from a true one: over all points, by radius, and by its own rounding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from natal.studies.potential.fields import Sample
from natal.studies.potential.network import in_double_precision, predict

MEASURES = ("potential", "force", "density")


def as_numpy(sample: Sample) -> Sample:
    """A sample in double precision, as NumPy arrays."""
    return Sample(*(np.asarray(values, float) for values in sample))


def squared_errors(predicted: Sample, true: Sample) -> dict[str, Float[np.ndarray, " point"]]:
    """Squared errors of Phi, of the force vector and of the density (as 4 pi G rho), at every point.

    Args:
        predicted: A field at some points.
        true: The true field at the same points.

    Returns:
        By measure, in natal.studies.potential's units.
    """
    return {
        "potential": np.square(np.subtract(predicted.potential, true.potential)),
        "force": np.square(np.subtract(predicted.acceleration, true.acceleration)).sum(1),
        "density": np.square(np.subtract(predicted.laplacian, true.laplacian)),
    }


def squared_values(true: Sample) -> dict[str, Float[np.ndarray, " point"]]:
    """Squares of the same quantities: errors are compared with these."""
    nothing = Sample(true.position, *(np.zeros_like(values) for values in true[1:]))
    return squared_errors(nothing, true)


def relative_errors(predicted: Sample, true: Sample) -> dict[str, float]:
    """rms error over rms value of each measure, over all points.

    Args:
        predicted: A field at some points.
        true: The true field at the same points.

    Returns:
        By measure, without a unit.
    """
    values = squared_values(true)
    return {
        name: float(np.sqrt(error.mean() / values[name].mean()))
        for name, error in squared_errors(predicted, true).items()
    }


def relative_errors_by_radius(
    predicted: Sample, true: Sample, edges: Float[np.ndarray, " edge"]
) -> dict[str, Float[np.ndarray, " bin"]]:
    """rms error over rms value of each measure, in shells of radius.

    Args:
        predicted: A field.
        true: The true field at the same points.
        edges: Radii between shells.

    Returns:
        By measure one number a shell; nan for a shell without points.
    """
    shell = np.digitize(np.linalg.norm(true.position, axis=1), edges) - 1
    inside = (shell >= 0) & (shell < len(edges) - 1)

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(shell[inside], values[inside], minlength=len(edges) - 1)

    values = squared_values(true)
    with np.errstate(invalid="ignore"):
        return {name: np.sqrt(sums(e) / sums(values[name])) for name, e in squared_errors(predicted, true).items()}


def torque(sample: Sample) -> float:
    """rms |x × F| over rms |x| |F|. It is zero for a spherical field; a network of x, y, z has to learn that.

    Examples:
        >>> x = np.array([[1.0, 0.0, 0.0]])
        >>> torque(Sample(x, np.zeros(1), -x, np.zeros(1)))
        0.0
    """
    moment = np.cross(sample.position, sample.acceleration)
    lever = np.linalg.norm(sample.position, axis=1) * np.linalg.norm(sample.acceleration, axis=1)
    return float(np.sqrt(np.mean((moment**2).sum(1)) / np.mean(lever**2)))


def rounding(network: eqx.nn.MLP, position: Float[np.ndarray, "point 3"]) -> dict[str, float]:
    """The error of each measure by single precision: rms difference from the same weights in double, over rms value.

    Args:
        network: Trained in single precision.
        position: Points.
    """
    single = as_numpy(predict(network, jnp.asarray(position, jnp.float32)))
    with jax.enable_x64(True):
        # the points are rounded to single precision in both: only the network's own rounding counts
        exact = as_numpy(predict(in_double_precision(network), jnp.asarray(single.position)))
    return relative_errors(single, exact)
