"""Three other ways to clusters' posteriors: a grid by hand in NumPy, plain NumPyro, networks of the `sbi` package."""

import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from functools import partial
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
from scipy.special import log_ndtr, logit, logsumexp, ndtr

from natal.data.runs import Runs
from natal.emulator.network_files import DTYPE
from natal.likelihood.kinds import DensityLikelihood
from natal.likelihood.mixture_density import Counts
from natal.posterior import mixing
from natal.posterior.nuts import model
from natal.variables import Box


def numpy_grid(
    likelihood: DensityLikelihood, box: Box, shape: tuple[int, int]
) -> Callable[[Runs], tuple[dict[str, np.ndarray], float]]:
    """All laws at all cells once, then each cluster's density in every cell; a thread for each core."""
    axes = [low + (high - low) * (np.arange(n) + 0.5) / n for (low, high), n in zip(box.values(), shape, strict=True)]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    widths = np.array([axis[1] - axis[0] for axis in axes])
    evaluate = jax.jit(jax.vmap(likelihood.conditional))

    def laws_at(points: np.ndarray) -> tuple[list[np.ndarray], Counts]:
        law = evaluate(jnp.asarray(points, DTYPE))
        weight, mean, root = (np.asarray(leaf) for leaf in (law.log_weight, law.location, law.cholesky))
        below = [root[..., i, j] for i in range(3) for j in range(i + 1)]
        # components first, so that sums over them run along whole rows
        return [np.ascontiguousarray(leaf.T) for leaf in (weight, *np.moveaxis(mean, -1, 0), *below)], law.counts

    def log_density(laws: list[np.ndarray], counts: Counts, y: np.ndarray) -> np.ndarray:
        """ln of the density of (f_bound, sigma_v, r_h) under each law: two normal logarithms, the cell of a third."""
        n_stars = counts.n_stars
        weight, m_sigma, m_radius, m_count, l_00, l_10, l_11, l_20, l_21, scale = laws
        share, sigma, radius = y.astype(weight.dtype)
        count = np.round(n_stars * share)
        first = (np.log(sigma) - m_sigma) / l_00
        second = (np.log(radius) - m_radius - l_10 * first) / l_11
        z = m_count + l_20 * first + l_21 * second
        low, high = ((logit(limit / (n_stars + 1)) - z) / scale for limit in (count, count + 1))
        # from whichever tail is nearer
        above = low > 0
        inside = ndtr(np.where(above, -low, high)) - ndtr(np.where(above, -high, low))
        kept = log_ndtr((m_count - counts.lowest) / np.sqrt(l_20**2 + l_21**2 + scale**2))
        with np.errstate(divide="ignore"):
            terms = weight - kept - np.log(l_00 * l_11) - 0.5 * (first**2 + second**2) + np.log(inside)
        largest = terms.max(0)
        return largest + np.log(np.exp(terms - largest).sum(0) * n_stars / (2 * np.pi * sigma * radius))

    at_cells, counts = laws_at(cells)

    def answer(y: np.ndarray, at_truth: float) -> dict[str, np.ndarray]:
        values = log_density(at_cells, counts, y).astype(float)
        mass = np.exp(values - logsumexp(values))
        mean = mass @ cells
        return {
            "mean": mean,
            # a flat cell has a variance of its own
            "sd": np.sqrt(mass @ (cells - mean) ** 2 + widths**2 / 12),
            "hpd_level": mass[values > at_truth].sum(),
            "log_density": at_truth - logsumexp(values) - np.log(widths.prod()),
        }

    def run(cases: Runs) -> tuple[dict[str, np.ndarray], float]:
        started = time.perf_counter()
        at_truths = laws_at(cases.x)[0]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            truths = [log_density([leaf[:, k] for leaf in at_truths], counts, y) for k, y in enumerate(cases.y)]
            answers = list(threads.map(answer, cases.y, truths))
        seconds = time.perf_counter() - started
        return {name: np.array([one[name] for one in answers]) for name in answers[0]}, seconds

    return run


def plain_nuts(likelihood: DensityLikelihood, box: Box) -> Callable[[Runs], tuple[float, float]]:
    """NumPyro's NUTS as it is, adaptation included, as many draws kept: bulk ESS of all clusters, and seconds.

    One cluster after the other in one compiled program. (`MCMC.run` by itself compiles for each of them anew. Chains in
    turn are faster on these small laws than vectorised ones.)
    """
    priors = {name: dist.Uniform(*limits) for name, limits in box.items()}

    @jax.jit
    def sample(key: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
        kernel = NUTS(partial(model, likelihood.conditional, priors))
        mcmc = MCMC(
            kernel, num_warmup=500, num_samples=500, num_chains=4, chain_method="sequential", progress_bar=False
        )
        mcmc.run(key, y, None)
        return mcmc.get_samples(group_by_chain=True)

    def run(cases: Runs) -> tuple[float, float]:
        started = time.perf_counter()
        draws = [jax.device_get(sample(jax.random.key(k), jnp.asarray(y, DTYPE))) for k, y in enumerate(cases.y)]
        seconds = time.perf_counter() - started
        return sum(bulk_ess(np.stack([one[name] for name in box], -1)) for one in draws), seconds

    return run


def bulk_ess(draws: np.ndarray) -> float:
    """Of draws (chain, draw, parameter): the smaller of both parameters."""
    return float(mixing.ess_bulk(draws).min())


def neural_posteriors(
    estimator: str,
    learned: tuple[np.ndarray, np.ndarray],
    cases: tuple[np.ndarray, np.ndarray],
    box: Box,
    n_draws: int,
    epochs: int,
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """sbi's amortised posteriors with its own settings: what they cost, ln density at the truths, their HPD levels.

    `learned` and `cases` are births and latent summaries. Answers are what sbi gives by default: draws within the box,
    and densities whose share of it is found by 10,000 draws more.
    """
    import torch
    from sbi.inference import NPE
    from sbi.utils import BoxUniform

    # its libraries' deprecations, and that training was cut short
    warnings.simplefilter("ignore")
    # these networks are small: more threads wait for each other, on a shared machine for long
    torch.set_num_threads(1)
    torch.manual_seed(0)
    theta, x, truth, observed = (torch.as_tensor(values, dtype=torch.float32) for values in (*learned, *cases))
    prior = BoxUniform(*torch.tensor(list(box.values())).T)
    # sbi leaves a log where it runs
    with TemporaryDirectory() as elsewhere, chdir(elsewhere):
        inference = NPE(prior, density_estimator=estimator, show_progress_bars=False).append_simulations(theta, x)
        times = [time.perf_counter()]
        inference.train(max_num_epochs=epochs)
        times.append(time.perf_counter())
    posterior = inference.build_posterior()
    # one cluster after the other: in a batch all wait for the one with the fewest draws within the box
    draws = [posterior.sample((n_draws,), x=one, show_progress_bars=False) for one in observed]
    times.append(time.perf_counter())
    at_truth = torch.cat([posterior.log_prob(*pair) for pair in zip(truth, observed, strict=True)])
    times.append(time.perf_counter())
    # densities are compared with each other: their norm does not matter
    denser = [
        posterior.log_prob(points, x=one, norm_posterior=False) > posterior.log_prob(place, x=one, norm_posterior=False)
        for points, place, one in zip(draws, truth, observed, strict=True)
    ]
    train_s, draws_s, density_s = np.diff(times)
    cost = {
        "clusters_per_s": len(observed) / (draws_s + density_s),
        "draws_ms": 1e3 * draws_s / len(observed),
        "density_ms": 1e3 * density_s / len(observed),
        "train_s": train_s,
        "epochs": inference.summary["epochs_trained"][-1],
    }
    return cost, at_truth.numpy().astype(float), torch.stack(denser).float().mean(1).numpy()
