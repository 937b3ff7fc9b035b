"""NUTS for many observations at once.

The model is written once in NumPyro; the sampler (Hoffman & Gelman 2014) is compiled once and vectorised over
cases and chains. Cases in a batch advance in step, so a batch takes as long as its deepest tree.

Each case's metric is given, not adapted: with so few parameters the grid posterior knows the covariance, and warm-up
is left to the step size. (Adapted, it left one or two of 636 cases with R-hat above 1.02.)
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import biject_to
from numpyro.infer import MCMC, NUTS

from natal.emulator.box import refuse_prior_outside
from natal.likelihood.protocols import Conditional, Likelihood
from natal.progress import track
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, Box

log = logging.getLogger("natal")


class NutsResult(NamedTuple):
    """Draws and what the sampler says of itself; divergences and steps have shape (case, chain, draw)."""

    draws: np.ndarray  # (case, chain, draw, parameter), in physical units
    diverging: np.ndarray
    n_steps: np.ndarray
    accept_prob: np.ndarray
    timing_s: dict[str, float]


Law = Callable[[Array], Conditional]
"""From the parameters to the law of the summaries, as `Likelihood.conditional`."""

Priors = dict[str, dist.Distribution]
"""Prior of each parameter, on an interval, in the law's order."""


def model(law: Law, priors: Priors, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> None:
    """Independent priors; the emulator inside the law; one observed cluster, in physical units."""
    parameters = jnp.stack([numpyro.sample(name, prior) for name, prior in priors.items()])
    numpyro.sample("observed", law(parameters).observed(error), obs=y)


def sample_cases(
    key: PRNGKeyArray,
    likelihood: Likelihood,
    prior_box: Box,
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
    starts: Float[Array, "case chain birth"],
    unconstrained_cov: Float[Array, "case birth birth"],
    settings: NutsSettings,
) -> NutsResult:
    """Sample the posterior of every observation under a uniform prior on the box, as `sample_posteriors` does.

    Raises `NatalError` if the prior's box is not within the one that the emulator learned.
    """
    refuse_prior_outside(prior_box, likelihood.ensemble.box)
    priors: Priors = {name: dist.Uniform(*prior_box[name]) for name in BIRTH}
    return sample_posteriors(key, likelihood.conditional, priors, y, error, starts, unconstrained_cov, settings)


def sample_posteriors(
    key: PRNGKeyArray,
    law: Law,
    priors: Priors,
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
    starts: Float[Array, "case chain parameter"],
    unconstrained_cov: Float[Array, "case parameter parameter"],
    settings: NutsSettings,
) -> NutsResult:
    """Sample the posterior of every observation.

    `y` holds (f_bound, sigma_v_kms, r_h_au) and `error` their standard deviations (None: exact); `starts` gives each
    chain's first parameters, best drawn from the grid posterior; `unconstrained_cov` is about the covariance of
    logit((x - low) / (high - low)) and sets the metric, not what is sampled. A case's draws depend on its own key,
    data, starts and metric, not on the batch it is in. Batches are spread over all local devices.
    """
    started = time.perf_counter()
    devices = jax.local_devices()
    n, per_call = len(y), settings.cases_per_batch * len(devices)
    # every call has the same shape: the last batch is filled up with copies of its last case
    per_call = min(per_call, -(-n // len(devices)) * len(devices))
    keys = jax.random.split(key, n)

    mesh, split = Mesh(np.array(devices), ("device",)), PartitionSpec("device")
    one = partial(_sample_case, law=law, priors=priors, settings=settings)
    program = jax.jit(jax.shard_map(jax.vmap(one), mesh=mesh, in_specs=(split,) * 5, out_specs=split, check_vma=False))
    arrays = jax.tree.map(jnp.asarray, (keys, y, error, starts, unconstrained_cov))
    log.info("compiling NUTS for %d cases at a time", per_call)
    first_batch = np.minimum(np.arange(per_call), n - 1)
    run = program.lower(*jax.tree.map(lambda array: array[first_batch], arrays)).compile()
    compiled = time.perf_counter()

    results = []
    firsts = range(0, n, per_call)
    for first in track(firsts, total=len(firsts), label="sample", unit=f"x {per_call} cases"):
        chosen = np.minimum(np.arange(first, first + per_call), n - 1)
        batch = jax.tree.map(lambda array: array[chosen], arrays)  # noqa: B023
        results.append(jax.device_get(run(*batch)))
    draws, diverging, n_steps, accept_prob = (np.concatenate(parts)[:n] for parts in zip(*results, strict=True))
    timing = {"compile": compiled - started, "sample": time.perf_counter() - compiled}
    return NutsResult(draws, diverging, n_steps, accept_prob, timing)


def _sample_case(
    key: PRNGKeyArray,
    y: Float[Array, " summary"],
    error: Float[Array, " summary"] | None,
    starts: Float[Array, "chain parameter"],
    unconstrained_cov: Float[Array, "parameter parameter"],
    *,
    law: Law,
    priors: Priors,
    settings: NutsSettings,
) -> tuple[Array, Array, Array, Array]:
    names = tuple(priors)
    kernel = NUTS(
        partial(model, law, priors),
        inverse_mass_matrix={names: unconstrained_cov},
        dense_mass=[names],
        adapt_mass_matrix=False,
        target_accept_prob=settings.target_accept,
        max_tree_depth=settings.max_tree_depth,
    )
    mcmc = MCMC(
        kernel,
        num_warmup=settings.warmup,
        num_samples=settings.draws,
        num_chains=settings.chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    unconstrained = {name: biject_to(priors[name].support).inv(starts[:, k]) for k, name in enumerate(names)}
    mcmc.run(key, y, error, init_params=unconstrained, extra_fields=("diverging", "num_steps", "accept_prob"))
    samples = mcmc.get_samples(group_by_chain=True)
    extra = mcmc.get_extra_fields(group_by_chain=True)
    draws = jnp.stack([samples[name] for name in names], axis=-1)
    return draws, extra["diverging"], extra["num_steps"], extra["accept_prob"]
