"""NUTS for many observations at once.

The model is written once in NumPyro. The sampler (Hoffman & Gelman 2014) is compiled once and vectorised over cases and
chains. All cases in a batch take their steps together, so a batch takes as long as its deepest tree.

Nothing is adapted. Chains walk in coordinates in which the posterior on a grid is a standard normal
(`natal.posterior.coordinates`), and they start from draws of that, so that one step size suits all. With adaptation
some chains' step sizes were far too small or too large.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import biject_to
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import potential_energy

from natal.emulator.box import refuse_prior_outside
from natal.likelihood.protocols import Conditional, Likelihood
from natal.posterior.coordinates import Coordinates
from natal.progress import track
from natal.settings.inference import NutsSettings
from natal.variables import BIRTH, Box

log = logging.getLogger("natal")


class NutsResult(NamedTuple):
    """Draws, and what the sampler says of itself.

    Attributes:
        draws: In physical units, shape (case, chain, draw, parameter).
        diverging: Whether a draw's trajectory diverged, shape (case, chain, draw).
        n_steps: Leapfrog steps of each draw, shape (case, chain, draw).
        accept_prob: Mean acceptance probability of each draw's trajectory, shape (case, chain, draw).
        timing_s: Seconds of compiling and sampling.
    """

    draws: np.ndarray  # (case, chain, draw, parameter), in physical units
    diverging: np.ndarray
    n_steps: np.ndarray
    accept_prob: np.ndarray
    timing_s: dict[str, float]


Law = Callable[[Array], Conditional]
"""A function from the parameters to the law of the summaries, such as `Likelihood.conditional`."""

Priors = dict[str, dist.Distribution]
"""The prior of each parameter, on an interval; in the order in which the law takes parameters."""


def model(law: Law, priors: Priors, y: Float[Array, " summary"], error: Float[Array, " summary"] | None) -> None:
    """The NumPyro model of one observed cluster: independent priors, and the likelihood.

    Args:
        law: Gives the law of the summaries at the parameters.
        priors: One for each parameter.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
    """
    parameters = jnp.stack([numpyro.sample(name, prior) for name, prior in priors.items()])
    numpyro.sample("observed", law(parameters).observed(error), obs=y)


def sample_cases(
    key: PRNGKeyArray,
    likelihood: Likelihood,
    prior_box: Box,
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
    coordinates: Coordinates,
    settings: NutsSettings,
) -> NutsResult:
    """Sample the posterior of every observation under a uniform prior.

    Args:
        key: Each case gets its own.
        likelihood: Gives the law at each (q0, a_au).
        prior_box: The prior's ranges.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
        coordinates: Coordinates in which each posterior is nearly a standard normal; leaves with a leading axis of
            cases.
        settings: Of the sampler.

    Raises:
        NatalError: If the prior's box is not within the box that the emulator learned.
    """
    refuse_prior_outside(prior_box, likelihood.ensemble.box)
    priors: Priors = {name: dist.Uniform(*prior_box[name]) for name in BIRTH}
    return sample_posteriors(key, likelihood.conditional, priors, y, error, coordinates, settings)


def sample_posteriors(
    key: PRNGKeyArray,
    law: Law,
    priors: Priors,
    y: Float[Array, "case summary"],
    error: Float[Array, "case summary"] | None,
    coordinates: Coordinates,
    settings: NutsSettings,
) -> NutsResult:
    """Sample the posterior of every observation under any law and priors.

    A case's draws depend on its own key, data and coordinates, and not on its batch. Batches are spread over all local
    devices.

    Args:
        key: Each case gets its own.
        law: Gives the law of the summaries at the parameters.
        priors: One for each parameter.
        y: Measured summaries, in physical units.
        error: Standard deviations of the measurements; None means no errors.
        coordinates: Coordinates in which each posterior is nearly a standard normal; leaves with a leading axis of
            cases. They decide where chains start and how far a step goes, not what is sampled.
        settings: Of the sampler.
    """

    def potential(case: Any, v: Float[Array, " parameter"]) -> Float[Array, ""]:
        y, error, coordinates = case
        unconstrained, log_jacobian = coordinates(v)
        by_name = dict(zip(priors, unconstrained, strict=True))
        energy: Array = potential_energy(model, (law, priors, y, error), {}, by_name) - log_jacobian
        return energy

    def physical(case: Any, v: Float[Array, " parameter"]) -> Float[Array, " parameter"]:
        pairs = zip(priors.values(), case[-1](v)[0], strict=True)
        return jnp.stack([biject_to(prior.support)(value) for prior, value in pairs])

    return sample_potentials(key, (y, error, coordinates), potential, physical, len(priors), settings)


def sample_potentials(
    key: PRNGKeyArray,
    cases: Any,
    potential: Callable[[Any, Array], Array],
    physical: Callable[[Any, Array], Array],
    n_parameters: int,
    settings: NutsSettings,
) -> NutsResult:
    """Sample many densities, each in coordinates in which it is nearly a standard normal.

    Args:
        key: Each case gets its own.
        cases: A tree of arrays with a leading axis of cases.
        potential: `potential(case, v)` gives minus ln of a case's density at the coordinates v.
        physical: `physical(case, v)` gives the parameters there, in physical units.
        n_parameters: Number of coordinates.
        settings: Of the sampler.
    """
    started = time.perf_counter()
    devices = jax.local_devices()
    n, per_call = len(jax.tree.leaves(cases)[0]), settings.cases_per_batch * len(devices)
    # every call has the same shape: the last batch is filled up with copies of its last case
    per_call = min(per_call, -(-n // len(devices)) * len(devices))
    keys = jax.random.split(key, n)

    mesh, split = Mesh(np.array(devices), ("device",)), PartitionSpec("device")
    one = partial(_walk, potential=potential, physical=physical, n_parameters=n_parameters, settings=settings)
    spread = jax.shard_map(jax.vmap(one), mesh=mesh, in_specs=(split,) * 2, out_specs=split, check_vma=False)
    program = jax.jit(spread)
    arrays = jax.tree.map(jnp.asarray, (keys, cases))
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


def _walk(
    key: PRNGKeyArray,
    case: Any,
    *,
    potential: Callable[[Any, Array], Array],
    physical: Callable[[Any, Array], Array],
    n_parameters: int,
    settings: NutsSettings,
) -> tuple[Array, Array, Array, Array]:
    kernel = NUTS(
        # traced once; NumPyro would trace it in each of its loops
        potential_fn=jax.jit(partial(potential, case)),
        step_size=settings.step_size,
        adapt_step_size=False,
        adapt_mass_matrix=False,
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
    key_start, key = jax.random.split(key)
    starts = jax.random.normal(key_start, (settings.chains, n_parameters))
    mcmc.run(key, init_params=starts, extra_fields=("diverging", "num_steps", "accept_prob"))
    walked = mcmc.get_samples(group_by_chain=True)
    extra = mcmc.get_extra_fields(group_by_chain=True)

    draws = jax.vmap(jax.vmap(partial(physical, case)))(walked)
    return draws, extra["diverging"], extra["num_steps"], extra["accept_prob"]
