"""Lessons that one network teaches: rates, symmetry, likelihood, hinges, and a sine from start to end."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, PRNGKeyArray

from natal.emulator.network_files import DTYPE
from natal.studies.lessons.training import Rows, make_perceptron, outputs, squared_error, train

WIDTH = 32
SINE_POINTS = 128


def sine_rows(n: int = SINE_POINTS) -> Rows:
    """sin(3 x) at even places in [-1, 1]."""
    x = jnp.linspace(-1, 1, n, dtype=DTYPE)[:, None]
    return Rows(x, jnp.sin(3 * x))


def learning_rates(key: PRNGKeyArray, rates: tuple[float, ...], steps: int) -> pd.DataFrame:
    """Loss by step of plain gradient descent on the sine, from the same weights with every rate.

    Args:
        key: For the weights.
        rates: Learning rates.
        steps: Steps of each training.

    Returns:
        Columns rate, step and loss.
    """
    rows, network = sine_rows(), make_perceptron(key, 1, WIDTH, 2, "tanh")

    def curve(rate: Array) -> Array:
        def watch(network: eqx.nn.MLP) -> Array:
            return squared_error(outputs(network, rows.x), rows.y)

        seen: Array = train(key, network, rows, rate, watch, steps=steps, adam=False)[1]
        return seen

    losses = np.asarray(jax.jit(jax.vmap(curve))(jnp.asarray(rates, DTYPE)))
    tables = [
        pd.DataFrame({"rate": rate, "step": np.arange(steps), "loss": loss})
        for rate, loss in zip(rates, losses, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def distinct_units(network: eqx.nn.MLP, x: Float[Array, "row input"]) -> int:
    """Hidden neurons of the first layer that differ at any row by more than rounding; alike ones count once.

    Args:
        network: The network.
        x: Rows at which units are compared.
    """
    layers: Any = network.layers
    active = np.asarray(network.activation(jax.vmap(layers[0])(x)), float).T
    kept: list[np.ndarray] = []
    for unit in active:
        if all(np.abs(unit - other).max() > 1e-5 for other in kept):
            kept.append(unit)
    return len(kept)


def symmetry(key: PRNGKeyArray, steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sine learned from weights that are all 0, all 1/2, and Glorot's: neurons that differ, losses; the curves.

    Args:
        key: For the drawn weights.
        steps: Steps of each training.

    Returns:
        One row a start; and losses by start and step.
    """
    rows, drawn = sine_rows(), make_perceptron(key, 1, WIDTH, 1, "tanh")

    def filled(value: float) -> eqx.nn.MLP:
        network: eqx.nn.MLP = jax.tree.map(
            lambda leaf: jnp.full_like(leaf, value) if eqx.is_array(leaf) else leaf, drawn
        )
        return network

    def watch(network: eqx.nn.MLP) -> Array:
        return squared_error(outputs(network, rows.x), rows.y)

    found, curves = [], []
    fit = eqx.filter_jit(lambda network: train(key, network, rows, 1e-2, watch, steps=steps))
    for start, network in (("zero", filled(0.0)), ("constant", filled(0.5)), ("glorot", drawn)):
        trained, losses = fit(network)
        ends = {"first": float(losses[0]), "last": float(watch(trained))}
        found.append({"start": start, "distinct_units": distinct_units(trained, rows.x), **ends})
        curves.append(pd.DataFrame({"start": start, "step": np.arange(steps), "loss": np.asarray(losses)}))
    return pd.DataFrame(found), pd.concat(curves, ignore_index=True)


def likelihood(key: PRNGKeyArray, sigma: float = 0.3, n: int = 200) -> tuple[dict[str, float], pd.DataFrame]:
    """Mean squared error and minus ln of a Gaussian likelihood of the same rows, for 60 random straight lines.

    -ln L = N / (2 sigma^2) MSE + N ln(sigma sqrt(2 pi)): the same minimum, and gradients with the ratio N / (2
    sigma^2); the sigma of the highest likelihood is the root of the smallest MSE.

    Args:
        key: For rows and lines.
        sigma: The rows' noise.
        n: Number of rows.

    Returns:
        Slope, constant and sigma as found and as expected; and both measures of each line.
    """
    rng = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**31 - 1)))
    x = rng.uniform(-1, 1, n)
    y = 0.7 * x - 0.2 + rng.normal(0, sigma, n)

    def errors(line: np.ndarray) -> np.ndarray:
        squares: np.ndarray = ((y - line[..., :1] * x - line[..., 1:]) ** 2).mean(-1)
        return squares

    def minus_ln(line: np.ndarray, width: float) -> np.ndarray:
        residual = (y - line[..., :1] * x - line[..., 1:]) / width
        terms: np.ndarray = (0.5 * residual**2 + np.log(width * np.sqrt(2 * np.pi))).sum(-1)
        return terms

    lines = rng.normal(0, 1, (60, 2))
    mse, nll = errors(lines), minus_ln(lines, sigma)
    slope, constant = np.polyfit(mse, nll, 1)
    best = np.polyfit(x, y, 1)[None]
    widths = np.linspace(0.5 * sigma, 2 * sigma, 3001)
    likeliest = widths[np.argmin([minus_ln(best, width)[0] for width in widths])]
    numbers = {
        "slope": slope,
        "slope_expected": n / (2 * sigma**2),
        "constant": constant,
        "constant_expected": n * np.log(sigma * np.sqrt(2 * np.pi)),
        "sigma_of_highest_likelihood": likeliest,
        "root_of_smallest_mse": float(np.sqrt(errors(best)[0])),
    }
    return {name: float(value) for name, value in numbers.items()}, pd.DataFrame({"mse": mse, "minus_ln_l": nll})


def hinge_network(n: int) -> eqx.nn.MLP:
    """One layer of `n` ReLUs whose output meets sin(3 x) at n + 1 even places in [-1, 1]: straight between them.

    Each ReLU is a hinge, max(0, x - knot), weighted by the change of slope at its knot.
    """
    with jax.enable_x64(True):
        knots = np.linspace(-1, 1, n + 1)
        slopes = np.diff(np.sin(3 * knots)) / np.diff(knots)
        network = eqx.nn.MLP(1, 1, n, 1, activation=jax.nn.relu, dtype="float64", key=jax.random.key(0))
        changes = np.diff(slopes, prepend=0.0)
        leaves = np.ones((n, 1)), -knots[:-1], changes[None], np.sin(3 * knots[:1])
        hinges: eqx.nn.MLP = eqx.tree_at(
            lambda m: [m.layers[0].weight, m.layers[0].bias, m.layers[1].weight, m.layers[1].bias],
            network,
            [jnp.asarray(leaf) for leaf in leaves],
        )
        return hinges


def hinges(key: PRNGKeyArray, built: tuple[int, ...], trained: tuple[int, ...], steps: int) -> pd.DataFrame:
    """Largest error of networks of hinges on the sine: weights written down, and weights found by training.

    Between knots a step h apart the error is at most h^2 / 8 max|f''| = 9 h^2 / 8 (Taylor); h = 2 / n, so that it
    falls as n^-2.

    Args:
        key: For the weights that are trained.
        built: Numbers of hinges whose weights are written down.
        trained: Numbers of hinges that are trained.
        steps: Steps of each training.

    Returns:
        Columns hinges, how, largest_error and bound.
    """
    table = []
    with jax.enable_x64(True):
        dense = jnp.linspace(-1, 1, 20001)[:, None]
        for n in built:
            error = float(jnp.abs(outputs(hinge_network(n), dense) - jnp.sin(3 * dense)).max())
            table.append({"hinges": n, "how": "written down", "largest_error": error, "bound": 9 / 8 * (2 / n) ** 2})
    rows = sine_rows(512)
    for n in trained:
        network, _ = train(key, make_perceptron(key, 1, n, 1, "relu", "he"), rows, 1e-2, lambda _: 0.0, steps=steps)
        error = float(jnp.abs(outputs(network, rows.x) - rows.y).max())
        table.append({"hinges": n, "how": "trained", "largest_error": error, "bound": np.nan})
    return pd.DataFrame(table)


def sine(key: PRNGKeyArray, steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sine learned by 1-32-32-1 with tanh and Adam: what it says at some steps, and its error at each.

    Args:
        key: For the weights.
        steps: Steps of the training.

    Returns:
        rms error by step; and what the network says at four steps, with the truth.
    """
    rows = sine_rows()
    network = make_perceptron(key, 1, WIDTH, 2, "tanh")
    _, seen = eqx.filter_jit(
        lambda network: train(key, network, rows, 3e-3, lambda n: outputs(n, rows.x)[:, 0], steps=steps)
    )(network)
    said, truth = np.asarray(seen), np.asarray(rows.y[:, 0])
    shown = sorted({0, *(int(steps**share) for share in (0.4, 0.7)), steps - 1})
    tables = [pd.DataFrame({"step": k, "x": np.asarray(rows.x[:, 0]), "said": said[k], "truth": truth}) for k in shown]
    errors = pd.DataFrame({"step": np.arange(steps), "rms_error": np.sqrt(((said - truth) ** 2).mean(1))})
    return errors, pd.concat(tables, ignore_index=True)
