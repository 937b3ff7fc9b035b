"""A Bayesian neural network: NUTS over all weights of a small network and over the noise.

Weights have a normal prior with variance 1 / n_in, biases a standard normal one, so that functions neither grow nor
shrink with the width (Neal 1996, ch. 2). The noise of each normalised summary has a half-normal prior; or the network
predicts it with three more outputs, as log-variances. All runs at a point share their network output. So the likelihood
of all runs is that of each point's mean and of the squares about it (sufficient statistics of a normal law): the same
posterior, with as many evaluations as there are points.

The weights of a network can be arranged in many equivalent ways, and chains never visit all of them. What must agree
between chains is the function, so R-hat is computed for predictions.
"""

import logging
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.infer import MCMC, NUTS, init_to_uniform

from natal.assessment.uncertainty.spread import SpreadLikelihood
from natal.assessment.uncertainty.variance_head import N_OUTPUTS, VarianceHeadLikelihood, with_variance_heads
from natal.data.normaliser import Normaliser, fit_normaliser
from natal.data.runs import Runs, replicate_means
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.posterior.mixing import rhat
from natal.progress import track
from natal.settings.uncertainty import BayesianSettings
from natal.variables import BIRTH, Box, limits_of

log = logging.getLogger("natal")

CHAINS = 2
STRETCHES = 4
TARGET_ACCEPT = 0.8
MAX_TREE_DEPTH = 9
FIRST_WEIGHTS = 0.3
MAX_RHAT = 1.1


class PointStatistics(NamedTuple):
    """What a normal likelihood needs of the runs, in normalised units.

    Attributes:
        x: Births of the points.
        n: Number of runs at each point.
        mean: Their mean summaries.
        squares: Squares about that mean, summed over the point's runs.
    """

    x: Float[Array, "point birth"]
    n: Float[Array, " point"]
    mean: Float[Array, "point summary"]
    squares: Float[Array, "point summary"]  # summed over the point's runs, about their mean


def point_statistics(runs: Runs, normaliser: Normaliser) -> PointStatistics:
    """Means, counts and squares about the means of each point's runs, in normalised units.

    Args:
        runs: Training runs.
        normaliser: The ensemble's.
    """
    points = replicate_means(runs)
    # a lone run has no scatter
    squares = (points.n - 1)[:, None] * np.nan_to_num(points.scatter) ** 2 / np.asarray(normaliser.y_std) ** 2
    x, n, mean, squares = (jnp.asarray(values, DTYPE) for values in (points.x, points.n, points.mean, squares))
    return PointStatistics(normaliser.normalise_x(x), n, normaliser.normalise_y(mean), squares)


def make_bayesian_network(hidden: int, outputs: int = N_OUTPUTS) -> eqx.nn.MLP:
    """The network whose weights are sampled: 2 -> hidden -> outputs with tanh; 2 -> outputs if hidden is 0.

    Args:
        hidden: Units of the hidden layer; 0 for none.
        outputs: Numbers that the network gives.

    Returns:
        A network whose weights are still to be drawn.
    """
    depth = 1 if hidden else 0
    return eqx.nn.MLP(len(BIRTH), outputs, hidden, depth, activation=jnp.tanh, dtype=DTYPE, key=jax.random.key(0))


def draw_network(network: eqx.nn.MLP) -> eqx.nn.MLP:
    """Sample all weights and biases from their priors (inside a NumPyro model)."""
    parameters = []
    for k, layer in enumerate(network.layers):
        n_out, n_in = layer.weight.shape
        weight = dist.Normal(0.0, n_in**-0.5).expand([n_out, n_in]).to_event(2)
        bias = dist.Normal(0.0, 1.0).expand([n_out]).to_event(1)
        parameters += [numpyro.sample(f"weight_{k}", weight), numpyro.sample(f"bias_{k}", bias)]
    return with_parameters(network, parameters)


def with_parameters(network: eqx.nn.MLP, parameters: list[Array]) -> eqx.nn.MLP:
    """The network with these weights and biases, in the order of its layers.

    Args:
        network: Gives the shape.
        parameters: Weight and bias of each layer in turn.
    """
    filled: eqx.nn.MLP = eqx.tree_at(
        lambda n: [p for layer in n.layers for p in (layer.weight, layer.bias)], network, parameters
    )
    return filled


def _at_points(network: eqx.nn.MLP, x: Float[Array, "point birth"]) -> Float[Array, "output point"]:
    # as matrix products with points along the last axis: two to three times faster than `vmap`
    values = x.T
    for layer in network.layers:
        assert layer.bias is not None
        values = layer.weight @ values + layer.bias[:, None]
        if layer is not network.layers[-1]:
            values = jnp.tanh(values)
    return values


def model(network: eqx.nn.MLP, points: PointStatistics) -> None:
    """The NumPyro model: priors of weights and noise, and the likelihood of all runs given their points' statistics.

    Args:
        network: With six outputs it predicts means and log-variances; with three, all points have the same noise.
        points: Statistics of the training runs.
    """
    outputs = _at_points(draw_network(network), points.x)
    if network.out_size == N_OUTPUTS:
        mean = outputs
        log_noise = jnp.log(numpyro.sample("noise", dist.HalfNormal(1.0).expand([N_OUTPUTS]).to_event(1)))[:, None]
    else:
        mean, log_variance = jnp.split(outputs, 2)
        log_noise = 0.5 * log_variance
    numpyro.deterministic("predicted", jnp.stack(jnp.broadcast_arrays(mean, jnp.exp(log_noise))))
    # a normal likelihood of all runs, without its constants
    squares = points.n * (points.mean.T - mean) ** 2 + points.squares.T
    numpyro.factor("runs", -(points.n * log_noise + 0.5 * squares * jnp.exp(-2 * log_noise)).sum())


def fit_bayesian(
    key: PRNGKeyArray, train: Runs, box: Box, settings: BayesianSettings, predict_noise: bool = False
) -> tuple[SpreadLikelihood | VarianceHeadLikelihood, dict[str, float]]:
    """Sample the posterior of weights and noise given the training runs; validation runs are not needed.

    Args:
        key: For the chains.
        train: Training runs.
        box: The ranges of birth conditions.
        settings: Size of the network, warm-up, draws.
        predict_noise: Whether the network also predicts the noise.

    Returns:
        The predictive law, normal with the mean and variance of `settings.kept` draws and their noise; and the
        sampler's health: largest R-hat of predicted means and noise at the training points, divergences, leapfrog steps
        of a draw.
    """
    normaliser = fit_normaliser(train)
    network = make_bayesian_network(settings.hidden, 2 * N_OUTPUTS if predict_noise else N_OUTPUTS)
    draws = _sample(key, network, point_statistics(train, normaliser), settings)
    health = {
        "max_rhat": float(rhat(draws["predicted"]).max()),
        "divergences": int(draws["diverging"].sum()),
        "leapfrog_steps_per_draw": float(draws["num_steps"].mean()),
    }
    if health["max_rhat"] > MAX_RHAT:
        log.warning("chains disagree on predictions, R-hat %.2f: more bayesian.warmup and draws", health["max_rhat"])
    n_draws = draws["diverging"].size
    chosen = np.linspace(0, n_draws - 1, settings.kept).round().astype(int)
    kept = {name: jnp.asarray(values.reshape(n_draws, *values.shape[2:])[chosen]) for name, values in draws.items()}
    parameters = [kept[f"{part}_{k}"] for k in range(len(network.layers)) for part in ("weight", "bias")]
    networks = with_parameters(network, parameters)
    if predict_noise:
        return with_variance_heads(networks, normaliser, box), health
    noise = jnp.sqrt((kept["noise"] ** 2).mean(0)) * normaliser.y_std
    return SpreadLikelihood(Ensemble(networks, normaliser, limits_of(box)), noise), health


def _sample(
    key: PRNGKeyArray, network: eqx.nn.MLP, points: PointStatistics, settings: BayesianSettings
) -> dict[str, np.ndarray]:
    """Draws and the sampler's statistics, each with leading axes (chain, draw)."""
    n = max(1, settings.draws // STRETCHES)
    mcmc = MCMC(
        NUTS(
            model,
            target_accept_prob=TARGET_ACCEPT,
            max_tree_depth=MAX_TREE_DEPTH,
            # large first weights leave chains among functions that fit nothing
            init_strategy=init_to_uniform(radius=FIRST_WEIGHTS),
        ),
        num_warmup=settings.warmup,
        num_samples=n,
        num_chains=CHAINS,
        chain_method="parallel" if jax.local_device_count() >= CHAINS else "vectorized",
        progress_bar=False,
    )
    log.info("sample weights: %d warm-up iterations, then %d draws", settings.warmup, n * STRETCHES)
    mcmc.warmup(key, network, points)
    parts = []
    for _ in track(range(STRETCHES), total=STRETCHES, label="sample weights", unit=f"x {n} draws"):
        mcmc.post_warmup_state = mcmc.last_state
        mcmc.run(mcmc.last_state.rng_key, network, points, extra_fields=("diverging", "num_steps"))
        parts.append(jax.device_get(mcmc.get_samples(group_by_chain=True) | mcmc.get_extra_fields(group_by_chain=True)))
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
