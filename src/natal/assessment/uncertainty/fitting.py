"""Fits the uncertainty methods that a campaign's configuration names."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from natal.assessment.uncertainty.bayesian import fit_bayesian
from natal.assessment.uncertainty.conformal import Calibrated, GaussianLikelihood, calibrate, fix_scale
from natal.assessment.uncertainty.dropout import fit_mc_dropout
from natal.assessment.uncertainty.variance_head import fit_variance_head
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.settings.emulator import TrainingSettings
from natal.settings.uncertainty import UncertaintySettings
from natal.variables import Box

log = logging.getLogger("natal")

NEED_A_SCALE = {"conformal_scaled", "conformal_by_point"}


@dataclass(frozen=True)
class Fitted:
    """A method that is ready to predict.

    Attributes:
        predictor: The likelihood or conformal predictor.
        seconds: Time of the fit, with compilation.
        health: What the sampler says of itself, if there is one.
    """

    predictor: GaussianLikelihood | Calibrated
    seconds: float = 0.0
    health: dict[str, Any] = field(default_factory=dict)


def fit_methods(
    key: PRNGKeyArray,
    ensemble: Ensemble,
    train: Runs,
    validation: Runs,
    box: Box,
    training: TrainingSettings,
    settings: UncertaintySettings,
) -> dict[str, Fitted]:
    """Fit the methods of `settings.methods`.

    Weights come from training runs, widths and early stopping from validation runs. Names of likelihoods (`KINDS`) are
    skipped: these are already fitted. `conformal` is about the mean of `ensemble`; `conformal_scaled` and
    `conformal_by_point` are about the networks with variance heads, which are trained for them if need be.

    Args:
        key: Each method has its own, so that its numbers do not depend on the other methods.
        ensemble: The trained emulator.
        train: Training runs.
        validation: Validation runs.
        box: The ranges of birth conditions.
        training: Settings of the training.
        settings: Methods and their settings.
    """
    data = train, validation, box
    ready: dict[str, Fitted] = {}

    def bayesian(key: PRNGKeyArray, predict_noise: bool) -> Fitted:
        likelihood, health = fit_bayesian(key, train, box, settings.bayesian, predict_noise)
        return Fitted(likelihood, health={"weights": health})

    def scaled(by_point: bool) -> Fitted:
        heads = ready["variance_head"]
        assert not isinstance(heads.predictor, Calibrated)
        return Fitted(calibrate(heads.predictor, validation, by_point), heads.seconds)

    single = training.model_copy(update={"members": 1})
    fits: dict[str, Callable[[PRNGKeyArray], Fitted]] = {
        "mc_dropout": lambda k: Fitted(fit_mc_dropout(k, *data, single, settings.dropout_rate, settings.masks)),
        "bayesian": lambda k: bayesian(k, predict_noise=False),
        "bayesian_variance": lambda k: bayesian(k, predict_noise=True),
        "variance_head": lambda k: Fitted(fit_variance_head(k, *data, training)),
        "conformal": lambda _: Fitted(calibrate(fix_scale(ensemble, train), validation)),
        "conformal_scaled": lambda _: scaled(by_point=False),
        "conformal_by_point": lambda _: scaled(by_point=True),
    }
    needed = {*settings.methods, *(["variance_head"] if set(settings.methods) & NEED_A_SCALE else [])}
    for k, (name, fit) in enumerate(fits.items()):
        if name in needed:
            log.info("fit %s", name)
            started = time.perf_counter()
            # a method's numbers do not depend on which others are asked for
            fitted = fit(jax.random.fold_in(key, k))
            ready[name] = replace(fitted, seconds=fitted.seconds + time.perf_counter() - started)
    return {name: fitted for name, fitted in ready.items() if name in settings.methods}
