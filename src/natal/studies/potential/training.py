"""Trains the network with the physics-informed loss, or with some of its terms."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from optax.contrib import muon

from natal.emulator.loop import drawn_batches, fit_networks
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.studies.potential.fields import Sample
from natal.studies.potential.names import WEIGHTS
from natal.studies.potential.network import (
    fix_gauge,
    make_potential_network,
    potential_and_gradient,
    potential_at,
    through_second_order,
)
from natal.studies.potential.settings import PotentialSettings

QUANTITIES = ("potential", "force", "poisson")
TERMS = {
    "potential": ("potential",),
    "force": ("force",),
    "potential_force": ("potential", "force"),
    "potential_poisson": ("potential", "poisson"),
    "all": QUANTITIES,
}
"""Terms of the loss, by the name of their combination."""

STEPS_PER_CHECK = 100
WARMUP = 0.05
"""Share of the steps in which the learning rate rises."""


class Scales(NamedTuple):
    """Units that make each term of the loss about 1.

    Attributes:
        potential: Standard deviation of Phi.
        force: rms of the force.
        poisson: rms of 4 pi G rho.
    """

    potential: float
    force: float
    poisson: float


class TrainingCurve(NamedTuple):
    """Mean squared errors over `Scales` squared, without their weights, means over each 100 steps.

    Attributes:
        step: Shape (check,).
        losses: In the order of `QUANTITIES`, shape (check, 3); nan for a term that is not trained.
        seconds: Since the first step, without compilation, shape (check,).
    """

    step: np.ndarray  # (check,)
    losses: np.ndarray  # (check, 3)
    seconds: np.ndarray  # (check,), since the first step and without compilation


def measure_scales(train: Sample) -> Scales:
    """Scales of the terms, from training rows only."""
    force = np.sqrt(np.mean(np.sum(np.square(train.acceleration), axis=1)))
    return Scales(float(np.std(train.potential)), float(force), float(np.sqrt(np.mean(np.square(train.laplacian)))))


def loss_terms(
    network: eqx.nn.MLP, rows: Sample, scales: Scales, terms: tuple[str, ...]
) -> dict[str, Float[Array, ""]]:
    """The terms of the physics-informed loss, each a mean square over points in units of its scale.

    They are |Phi - Phi_true|^2, |grad Phi + F_true|^2 and |lap Phi - 4 pi G rho|^2. Only what `terms` need is
    differentiated.

    Args:
        network: The network.
        rows: The true field at points.
        scales: Of the terms.
        terms: Which ones.
    """
    position, gradient, laplacian = jnp.asarray(rows.position), None, None
    if "poisson" in terms:
        potential, gradient, laplacian = through_second_order(network, position)
    elif "force" in terms:
        potential, gradient = potential_and_gradient(network, position)
    else:
        potential = potential_at(network, position)
    losses = {"potential": jnp.mean((potential - rows.potential) ** 2) / scales.potential**2}
    if gradient is not None:
        losses["force"] = jnp.mean(((gradient + rows.acceleration) ** 2).sum(1)) / scales.force**2
    if laplacian is not None:
        losses["poisson"] = jnp.mean((laplacian - rows.laplacian) ** 2) / scales.poisson**2
    return {name: losses[name] for name in terms}


def train_potential(
    key: PRNGKeyArray,
    train: Sample,
    central_potential: float,
    terms: tuple[str, ...],
    settings: PotentialSettings,
    label: str,
) -> tuple[eqx.nn.MLP, TrainingCurve]:
    """Train one network for a fixed number of steps.

    The optimisers are Muon (Jordan et al. 2024) for the matrices and Adam for the rest, on mini-batches; the rate rises
    at first and falls to zero along a cosine. No weights are chosen on the way, so no validation rows are needed.

    Args:
        key: For weights and mini-batches.
        train: The true field at training points.
        central_potential: Phi at the origin, which fixes the constant if no term is for the potential.
        terms: Terms of the loss.
        settings: Steps, batches, rate and weights of the terms.
        label: Name of the work in progress lines.

    Raises:
        NatalError: If the loss does not stay finite.
    """
    scales = measure_scales(train)
    weights = dict(zip(QUANTITIES, (getattr(settings.weights, name) for name in WEIGHTS), strict=True))
    n_checks = -(-settings.steps // STEPS_PER_CHECK)
    n_steps = n_checks * STEPS_PER_CHECK
    rate = optax.warmup_cosine_decay_schedule(0.0, settings.learning_rate, int(WARMUP * n_steps), n_steps)
    key_start, key_run = jax.random.split(key)

    def loss(network: eqx.nn.MLP, *rows_and_key: Any) -> dict[str, Array]:
        found = loss_terms(network, Sample(*rows_and_key[:-1]), scales, terms)
        return {name: weights[name] * value for name, value in found.items()}

    fit = fit_networks(
        jax.random.split(key_run, n_checks),
        make_potential_network(key_start),
        loss,
        tuple(jnp.asarray(values, DTYPE) for values in train),
        None,
        muon(rate),
        checks_per_call=1,
        progress_label=label,
        progress_unit=f"x {STEPS_PER_CHECK} steps",
        batches=partial(
            drawn_batches, n_rows=len(train.position), n_batches=STEPS_PER_CHECK, batch_size=settings.batch_size
        ),
    )
    if not np.isfinite(list(fit.train_loss.values())).all():
        raise NatalError(f"training.learning_rate = {settings.learning_rate:g} does not train: the loss is not finite")
    network = fit.networks
    if "potential" not in terms:
        network = fix_gauge(network, jnp.zeros(3, DTYPE), central_potential)
    untrained = np.full(n_checks, np.nan, DTYPE)
    losses = np.stack([fit.train_loss.get(name, untrained) / weights[name] for name in QUANTITIES], axis=1)
    return network, TrainingCurve(STEPS_PER_CHECK * np.arange(1, n_checks + 1), losses, fit.seconds)
