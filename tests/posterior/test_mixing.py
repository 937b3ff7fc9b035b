"""R-hat and effective sample sizes against ArviZ's."""

import numpy as np
import pytest
from quiet_arviz import az

from natal.posterior.mixing import ess_bulk, ess_sd, rhat


def autoregressive(correlation, shape, seed=1):
    """Stationary chains along the second axis whose neighbours are correlated."""
    rng = np.random.default_rng(seed)
    chains = rng.normal(size=shape)
    for k in range(1, shape[1]):
        chains[:, k] = correlation * chains[:, k - 1] + np.sqrt(1 - correlation**2) * chains[:, k]
    return chains


def chains(kind, n_chains=4, n_draws=250):
    """Good and bad chains, shape (chain, draw, case, parameter)."""
    shape = (n_chains, n_draws, 5, 2)
    rng = np.random.default_rng(0)
    match kind:
        case "independent":
            return rng.normal(size=shape)
        case "heavy tails":
            return rng.standard_cauchy(size=shape)
        case "slow":
            return autoregressive(0.98, shape)
        case "swinging":
            return autoregressive(-0.95, shape)
        case "apart":
            return rng.normal(size=shape) + np.arange(n_chains)[:, None, None, None]
        case "of other widths":
            return rng.normal(size=shape) * (1 + np.arange(n_chains))[:, None, None, None]
        case "drifting":
            return rng.normal(size=shape) + np.linspace(0, 3, n_draws)[:, None, None]
        case "repeating, in single precision":
            return np.repeat(autoregressive(0.5, shape), 3, axis=1)[:, :n_draws].round(1).astype(np.float32)


KINDS = [
    *("independent", "heavy tails", "slow", "swinging", "apart", "of other widths", "drifting"),
    "repeating, in single precision",
]


@pytest.mark.parametrize("sizes", [{}, {"n_draws": 101}, {"n_chains": 2, "n_draws": 1000}, {"n_draws": 50}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_arvizs(kind, sizes):
    draws = chains(kind, **sizes)
    dataset = az.convert_to_dataset({"x": draws})
    np.testing.assert_allclose(rhat(draws), az.rhat(dataset).x, rtol=1e-9)
    np.testing.assert_allclose(ess_bulk(draws), az.ess(dataset).x, rtol=1e-7)
    np.testing.assert_allclose(
        ess_sd(draws), az.ess(dataset, method="sd").x, rtol=1e-4 if draws.itemsize == 4 else 1e-7
    )


def test_chains_that_disagree_are_seen():
    assert rhat(chains("independent")).max() < 1.05 < 1.1 < rhat(chains("apart")).min()
    # of one mean but not of one width
    assert rhat(chains("of other widths")).min() > 1.1


def test_effective_sizes_follow_the_correlation():
    draws = autoregressive(0.5, (4, 5000, 20))
    # the closed form for a first-order autoregression: (1 - rho) / (1 + rho)
    assert ess_bulk(draws).mean() / 20_000 == pytest.approx(1 / 3, rel=0.03)
    # and for its squares, whose correlation is rho^2
    assert ess_sd(draws).mean() / 20_000 == pytest.approx(3 / 5, rel=0.03)


def test_chains_that_never_moved_have_no_diagnostics():
    assert np.isnan(rhat(np.ones((4, 100, 1)))).all()
    assert np.isnan(ess_bulk(np.ones((4, 100, 1)))).all()
