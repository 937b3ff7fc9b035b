"""What the weights of the loss do, and what networks and expansions of an irregular field are worth: the tables."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from natal.studies.potential.accuracy import as_numpy, relative_errors
from natal.studies.potential.expansion import Expansion
from natal.studies.potential.fields import Sample, SoftenedParticles
from natal.studies.potential.network import predict
from natal.studies.potential.settings import Weights

MAP_CELLS = 121


def variations(base: Weights, name: str, factors: Sequence[float]) -> list[Weights]:
    """Weights of which one is multiplied with each of some factors.

    Args:
        base: The weights.
        name: The one that is multiplied.
        factors: With what.

    Examples:
        >>> variations(Weights(beta=2.0), "beta", [10.0])
        [Weights(alpha=1.0, beta=20.0, gamma=1.0)]
    """
    return [base.model_copy(update={name: factor * getattr(base, name)}) for factor in factors]


def swept_tables(paths: Sequence[str], fields: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Errors by the weights of the loss, by field.

    Args:
        paths: Files of the sweep, equally many a field.
        fields: Their fields, in the same order.
    """
    # the configuration's own weights are in the file of each weight
    files = np.reshape(paths, (len(fields), -1))
    return {f: pd.concat(map(pd.read_csv, own)).drop_duplicates() for f, own in zip(fields, files, strict=True)}


def errors_by_region(predicted: Sample, true: Sample, trained_radius: float) -> pd.DataFrame:
    """rms error over rms value of each measure, at points within the trained radius and beyond.

    Args:
        predicted: A field.
        true: The true field at the same points.
        trained_radius: Within which the field was fitted.

    Returns:
        Two rows.
    """
    within = np.linalg.norm(true.position, axis=1) <= trained_radius
    rows = []
    for region, part in (("within", within), ("beyond", ~within)):
        errors = relative_errors(*(Sample(*(values[part] for values in sample)) for sample in (predicted, true)))
        rows.append({"region": region} | errors)
    return pd.DataFrame(rows)


def network_errors(network: eqx.nn.MLP, test: Sample, trained_radius: float, **columns: Any) -> pd.DataFrame:
    """A network's errors by region.

    Args:
        network: The network.
        test: The true field at test points.
        trained_radius: Within which it was trained.
        columns: That say which network it is.
    """
    found = as_numpy(predict(network, jnp.asarray(test.position, jnp.float32)))
    return errors_by_region(found, test, trained_radius).assign(**columns)


def expansion_errors(expansion: Expansion, test: Sample, trained_radius: float) -> pd.DataFrame:
    """An expansion's errors by region, with its degree and number of functions.

    Args:
        expansion: The expansion.
        test: The true field at test points.
        trained_radius: Within which it was fitted.
    """
    columns = {"degree": expansion.degree, "functions": len(expansion.coefficients)}
    return errors_by_region(expansion.sample(test.position), test, trained_radius).assign(**columns)


def plane(extent: float) -> Float[Array, "point 3"]:
    """Points of the plane z = 0 in a square about the origin.

    Args:
        extent: Half of its side.
    """
    axis = jnp.linspace(-extent, extent, MAP_CELLS)
    x, y = jnp.meshgrid(axis, axis)
    return jnp.stack([x.ravel(), y.ravel(), jnp.zeros(x.size)], axis=1)


def density_maps(true: SoftenedParticles, network: eqx.nn.MLP, expansion: Expansion, extent: float) -> pd.DataFrame:
    """4 pi G rho in the plane z = 0. JAX must have double precision enabled.

    Args:
        true: The true field.
        network: A network that learned it.
        expansion: An expansion of it.
        extent: Half of the side of the square that is shown, in a.
    """
    at = plane(extent)
    return pd.DataFrame(
        {
            "x_a": at[:, 0],
            "y_a": at[:, 1],
            "exact": jax.vmap(true.laplacian)(at),
            "network": predict(network, at).laplacian,
            "expansion": expansion.sample(at).laplacian,
        }
    )
