"""MC dropout, Bayesian networks and variance heads: what each method promises, on simulators whose answer is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, LIMITS, OFFSET, SIGMA, SLOPE, linear_mean, make_runs, uniform_points
from numpyro.infer.util import log_density as log_density_of
from scipy.stats import chi2, halfnorm, norm

from natal.assessment.uncertainty.bayesian import (
    fit_bayesian,
    make_bayesian_network,
    model,
    point_statistics,
    with_parameters,
)
from natal.assessment.uncertainty.dropout import DropoutNetwork, dropout_loss, fit_mc_dropout, freeze_mask
from natal.assessment.uncertainty.spread import SpreadLikelihood, fit_noise, with_noise
from natal.assessment.uncertainty.variance_head import (
    fit_variance_head,
    make_two_headed_network,
    negative_log_likelihood,
)
from natal.data.normaliser import fit_normaliser
from natal.data.runs import Runs
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.emulator.perceptron import hidden_layers, make_emulator_network
from natal.emulator.training import normalised
from natal.errors import NatalError
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import make_grid, summarise_truths
from natal.posterior.recovery import recover
from natal.settings.emulator import TrainingSettings
from natal.settings.inference import NutsSettings
from natal.settings.uncertainty import BayesianSettings

# networks are trained and posteriors sampled: long
pytestmark = pytest.mark.slow

KEY = jax.random.key(20)
NO_ERROR = jnp.zeros(3)


def hot_sigma(x):
    """Scatter that grows twentyfold from cold to hot clusters, in units of `SIGMA`."""
    return SIGMA * 20 ** (x[:, :1] - 0.5) / 5


def heteroscedastic_runs(split, n_points, n_realizations, seed):
    """Runs of the linear map with the scatter of `hot_sigma`."""
    quiet = make_runs(split, n_points, n_realizations, seed, sigma=0.0)
    noise = np.random.default_rng(seed + 100).standard_normal(quiet.y.shape)
    return Runs(split, quiet.x, quiet.y + hot_sigma(quiet.x) * noise, quiet.point_id, quiet.realization, 0)


def laws(likelihood, x):
    """Means and standard deviations at many points."""
    law = jax.vmap(likelihood.conditional)(jnp.asarray(x, DTYPE))
    return np.asarray(law.mean, float), np.asarray(law.sigma, float)


def log_density(likelihood, y):
    """The log likelihood of `y` as a function of (q0, a_au)."""
    return jax.jit(lambda x: likelihood.conditional(x).observed(NO_ERROR).log_prob(jnp.asarray(y, x.dtype)))


@pytest.fixture(scope="module")
def dropout(runs):
    """MC dropout on the linear simulator: 16 masks."""
    settings = TrainingSettings(members=1, max_epochs=500)
    return fit_mc_dropout(KEY, runs.train, runs.validation, BOX, settings, rate=0.1, masks=16)


@pytest.fixture(scope="module")
def hot():
    """Training and validation runs, 1600 and 480, whose scatter depends on Q0."""
    return heteroscedastic_runs("train", 200, 8, seed=1), heteroscedastic_runs("validation", 60, 8, seed=2)


# MC dropout


@pytest.mark.parametrize("hidden", [(), (64, 64), (8, 32, 16)])
def test_a_frozen_mask_is_the_dropout_of_its_key(hidden):
    """Scaled columns give what dropping neurons gives, at every point."""
    network = DropoutNetwork(make_emulator_network(jax.random.key(1), hidden=hidden), eqx.nn.Dropout(0.3))
    x = jax.random.normal(jax.random.key(2), (50, 2))
    for k in range(5):
        key = jax.random.key(k)
        frozen = jax.vmap(freeze_mask(network, key))(x)
        dropped = jax.vmap(lambda x, key=key: network(x, key))(x)
        # sums of 64 float32 products in two layers, each rounded
        np.testing.assert_allclose(frozen, dropped, rtol=0, atol=64 * 2.0**-23 * np.abs(dropped).max())


def test_methods_have_the_campaigns_layers(runs):
    """MC dropout and variance heads train networks with the hidden layers of section `emulator`; linear ones, too."""
    settings = TrainingSettings(members=1, max_epochs=3, learning_rate=1e-2, hidden=(8, 5))
    data = runs.train, runs.validation, BOX
    for hidden in ((8, 5), ()):
        settings = settings.model_copy(update={"hidden": hidden})
        masked = fit_mc_dropout(KEY, *data, settings, 0.2, 4).ensemble
        headed = fit_variance_head(KEY, *data, settings.model_copy(update={"members": 2})).ensemble
        assert hidden_layers(masked.networks) == hidden_layers(headed.networks) == list(hidden)
        for fitted, n in ((masked, 4), (headed, 2)):
            assert fitted.at_points(runs.test.x[:3]).shape == (3, n, 3)


def test_the_share_of_dropped_neurons_is_the_rate():
    """Dropped neurons have zero columns; the others are scaled so that the expected network is the whole one."""
    network = DropoutNetwork(make_emulator_network(jax.random.key(1)), eqx.nn.Dropout(0.2))
    masks = eqx.filter_vmap(lambda key: freeze_mask(network, key))(jax.random.split(KEY, 500))
    for frozen, whole in zip(masks.layers[1:], network.network.layers[1:], strict=True):
        scale = np.asarray(frozen.weight[:, 0] / whole.weight[0])
        assert set(np.round(np.unique(scale), 5)) == {0.0, 1.25}
        # n = 500 x 64 draws of probability 0.2: a standard error of 0.0022, 4 of them
        assert np.abs((scale == 0).mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / scale.size)


def test_masks_are_frozen(dropout, runs):
    """The log density of a cluster is the same number whenever it is asked for, compiled anew or not."""
    y, x = runs.test.y[5], jnp.asarray(runs.test.x[5], DTYPE)
    first, second = (log_density(dropout, y) for _ in range(2))
    assert first(x) == first(x) == second(x)
    assert np.ptp(np.asarray(dropout.ensemble.members(x))[:, 1]) > 0


def test_gradients_match_finite_differences(dropout, runs, float64):
    """The gradient that NUTS follows is that of the density, at points of the box (double precision)."""
    to_double = lambda leaf: jnp.asarray(leaf, "float64") if eqx.is_array(leaf) else leaf  # noqa: E731
    double = jax.tree.map(to_double, dropout)
    rng = np.random.default_rng(3)
    step = np.array([1e-6, 1e-4])
    for x, y in zip(uniform_points(20, rng), runs.test.y[::16], strict=True):
        function = log_density(double, y)
        gradient = np.asarray(jax.grad(function)(jnp.asarray(x)))
        for k in range(2):
            shift = step * (np.arange(2) == k)
            difference = (function(jnp.asarray(x + shift)) - function(jnp.asarray(x - shift))) / (2 * step[k])
            # rounding of a log density of some hundreds over the step; a kink of the ReLU within it is too rare to meet
            assert gradient[k] == pytest.approx(float(difference), rel=1e-5, abs=1e-12 * 1e3 / step[k])


@pytest.mark.slow
def test_nuts_agrees_with_the_grid_under_dropout(dropout, runs):
    """Four clusters, 4 x 500 draws: R-hat and a distance that so many draws explain."""
    settings = NutsSettings(warmup=200, draws=500, cases_per_batch=4)
    y = runs.test.y[[0, 80, 160, 240]]
    found = recover(jax.random.key(8), dropout, BOX, y, np.zeros_like(y), settings, (96, 96))
    assert found.rhat.max() < 1.02
    # 0.4 sqrt(16 / 500) = 0.07 for an ESS of 500 is the mean; it scatters by a fifth, and cells add a little
    assert found.ess_bulk.min() > 400
    assert found.tv_grid.max() < 0.15


def test_training_drops_neurons_anew_each_time(runs):
    """The training loss differs from key to key; without one it is that of the whole network."""
    network = DropoutNetwork(make_emulator_network(jax.random.key(1)), eqx.nn.Dropout(0.3))
    data = normalised(runs.train, fit_normaliser(runs.train))
    losses = [float(dropout_loss(network, *data, key)) for key in (jax.random.key(0), jax.random.key(1), None, None)]
    assert len(set(losses)) == 3
    plain = np.mean((np.asarray(jax.vmap(network.network)(data[0])) - np.asarray(data[1])) ** 2)
    assert losses[2] == pytest.approx(plain, rel=1e-5)


def test_dropout_learns(dropout):
    """The predictive mean is within half a width of the simulator's over the box."""
    x = uniform_points(1000, np.random.default_rng(6))
    error = (laws(dropout, x)[0] - linear_mean(x)) / SIGMA
    assert np.all(np.sqrt((error**2).mean(0)) < 0.5)


# noise beside a spread


def test_without_spread_the_noise_is_the_residual():
    """Nothing explains the residuals: root mean square, to the tolerance of the search."""
    residual = np.random.default_rng(0).normal(0.3, [0.1, 2.0, 50.0], (400, 3))
    found = fit_noise(residual, np.zeros_like(residual))
    np.testing.assert_allclose(found, np.sqrt((residual**2).mean(0)), rtol=1e-4)


def test_the_spread_is_not_counted_twice():
    """Residuals of spread and noise together give the noise alone; both with it give the residuals' width."""
    rng = np.random.default_rng(1)
    n = 4000
    spread = rng.uniform(0.5, 3.0, (n, 3))
    noise = np.array([0.5, 1.0, 2.0])
    residual = rng.normal(0.0, np.sqrt(spread**2 + noise**2))
    found = fit_noise(residual, spread)
    # the information on noise^2 is sum 1 / (2 v^2), v = spread^2 + noise^2
    variance = spread**2 + noise**2
    error = 1 / np.sqrt((0.5 / variance**2).sum(0)) / (2 * noise)
    assert np.all(np.abs(found - noise) < 4 * error)
    assert np.all(found < np.sqrt((residual**2).mean(0)))


def test_a_spread_that_explains_everything_leaves_no_noise():
    """Residuals far smaller than the spread: at most the least of the search, a thousandth of the largest."""
    residual = np.random.default_rng(2).normal(0.0, 0.01, (200, 3))
    assert np.all(fit_noise(residual, np.ones((200, 3))) < 1e-3 * np.abs(residual).max(0))


def test_members_that_agree_have_the_width_of_the_residuals(ensemble, runs):
    """Copies of one network: the likelihood's width at every point is the root-mean-square residual of validation."""
    one = jax.tree.map(lambda leaf: leaf[:1].repeat(4, 0) if eqx.is_array(leaf) else leaf, ensemble.networks)
    likelihood = with_noise(Ensemble(one, ensemble.normaliser, LIMITS), runs.validation)
    mean, sigma = laws(likelihood, runs.validation.x)
    expected = np.sqrt(((runs.validation.y - mean) ** 2).mean(0))
    # four equal float32 numbers have a variance of rounding only
    np.testing.assert_allclose(sigma, np.tile(expected, (len(sigma), 1)), rtol=2e-4)


@pytest.mark.parametrize("split", ["train", "test"])
def test_other_splits_do_not_set_the_noise(ensemble, split):
    """Training residuals are too small, and test runs are for the report."""
    with pytest.raises(NatalError, match=f"not from {split} runs"):
        with_noise(ensemble, make_runs(split, 4, 2, seed=1))


# the Bayesian network


def exact_linear_predictive(train, normaliser, x):
    """Mean and variance of the predictive of Bayesian linear regression, the noise integrated numerically.

    Prior: weights N(0, 1/2), bias N(0, 1), noise half-normal, all for normalised numbers; sums over all runs, no
    statistics of points. Returned in physical units, each of shape (point, 3).
    """
    shift, scale = np.asarray(normaliser.x_mean, float), np.asarray(normaliser.x_std, float)
    y_mean, y_std = np.asarray(normaliser.y_mean, float), np.asarray(normaliser.y_std, float)

    def features(x):
        return np.column_stack([(x - shift) / scale, np.ones(len(x))])

    design, at = features(train.x), features(x)
    prior = np.diag([0.5, 0.5, 1.0])
    means, variances = [], []
    for y in ((train.y - y_mean) / y_std).T:
        sigmas = np.linspace(0.3, 3.0, 400) * np.std(y - design @ np.linalg.lstsq(design, y, rcond=None)[0])
        log_weight, moments = [], []
        for sigma in sigmas:
            precision = design.T @ design / sigma**2 + np.linalg.inv(prior)
            centre = np.linalg.solve(precision, design.T @ y / sigma**2)
            # Gaussian evidence by the weights' posterior at its centre
            log_weight.append(
                norm.logpdf(y, design @ centre, sigma).sum()
                - 0.5 * centre @ np.linalg.solve(prior, centre)
                - 0.5 * np.linalg.slogdet(precision)[1]
                + norm.logpdf(sigma)
            )
            variance = np.einsum("ij,jk,ik->i", at, np.linalg.inv(precision), at)
            moments.append((at @ centre, variance + sigma**2))
        weight = np.exp(np.array(log_weight) - np.max(log_weight))
        weight /= weight.sum()
        mean = weight @ np.array([m for m, _ in moments])
        second = weight @ np.array([v + m**2 for m, v in moments])
        means.append(mean)
        variances.append(second - mean**2)
    return np.array(means).T * y_std + y_mean, np.array(variances).T * y_std**2


@pytest.fixture(scope="module")
def linear():
    """A network without hidden neurons, given 20 runs at 10 points, and those runs."""
    train = make_runs("train", 10, 2, seed=5)
    settings = BayesianSettings(hidden=0, warmup=500, draws=2000, kept=2000)
    return *fit_bayesian(KEY, train, BOX, settings), train


def test_a_network_without_hidden_neurons_is_bayesian_linear_regression(linear):
    """Predictive mean and variance match the closed form, with priors and noise that n = 20 runs leave visible."""
    likelihood, _, train = linear
    x = uniform_points(50, np.random.default_rng(9))
    mean, variance = exact_linear_predictive(train, fit_normaliser(train), x)
    found_mean, found_sigma = laws(likelihood, x)
    # 2000 of 4000 draws, at least 1000 of them independent: 3 % of a sd in the mean, 5 % of a variance; 4 errors
    assert np.all(np.abs(found_mean - mean) < 4 * 0.03 * np.sqrt(variance))
    np.testing.assert_allclose(found_sigma**2, variance, rtol=4 * 0.05)


def test_the_bayesian_predictive_is_wider_than_the_noise(linear):
    """20 runs leave the weights uncertain: beyond the data, and by more at the corners than in the middle."""
    likelihood, _, _ = linear
    _, sigma = laws(likelihood, np.array([[1.0, 125.0], [0.5, 50.0], [1.5, 200.0]]))
    noise = np.asarray(likelihood.noise, float)
    assert np.all(sigma[0] > 1.005 * noise)
    assert np.all(sigma[1:] > 1.05 * sigma[0])


def test_chains_agree_on_predictions(linear):
    """R-hat of means and noise, and no divergences, in a model without equivalent arrangements."""
    _, health, _ = linear
    assert health["max_rhat"] < 1.02
    assert health["divergences"] == 0


def test_points_stand_for_their_runs():
    """The log likelihood of points' means, counts and squares differs from that of all runs by a constant."""
    runs = make_runs("train", 12, 5, seed=7)
    runs = Runs("train", *(a[:-4] for a in (runs.x, runs.y, runs.point_id, runs.realization)), 0)
    normaliser = fit_normaliser(runs)
    points = point_statistics(runs, normaliser)
    x, y = normalised(runs, normaliser)
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(20):
        slope, noise = rng.normal(size=(2, 3)), rng.uniform(0.3, 2.0, 3)
        of_runs = norm.logpdf(np.asarray(y), np.asarray(x) @ slope, noise).sum()
        n = np.asarray(points.n)[:, None]
        of_means = norm.logpdf(np.asarray(points.mean), np.asarray(points.x) @ slope, noise / np.sqrt(n)).sum()
        differences.append(
            of_runs - of_means + ((n - 1) * np.log(noise) + 0.5 * np.asarray(points.squares) / noise**2).sum()
        )
    # float32 statistics in sums of some hundreds to thousands
    assert np.ptp(differences) < 1e-5 * np.abs(of_runs) * 10


@pytest.mark.parametrize("predict_noise", [False, True])
def test_the_sampled_density_is_prior_times_likelihood_of_all_runs(predict_noise):
    """At random weights: normal priors, and the normal density of every run about the network at its point."""
    runs = make_runs("train", 12, 3, seed=8)
    normaliser = fit_normaliser(runs)
    points, (x, y) = point_statistics(runs, normaliser), normalised(runs, normaliser)
    network = make_bayesian_network(5, 6 if predict_noise else 3)
    rng = np.random.default_rng(1)
    differences = []
    for _ in range(10):
        values = {}
        for k, layer in enumerate(network.layers):
            values[f"weight_{k}"] = rng.normal(size=layer.weight.shape) * layer.in_features**-0.5
            values[f"bias_{k}"] = rng.normal(size=layer.bias.shape)
        scales = [network.layers[k // 2].in_features ** -0.5 if k % 2 == 0 else 1.0 for k in range(4)]
        prior = sum(norm.logpdf(value, 0, scale).sum() for value, scale in zip(values.values(), scales, strict=True))
        filled = with_parameters(network, [jnp.asarray(value, DTYPE) for value in values.values()])
        outputs = np.asarray(jax.vmap(filled)(x), float)
        sigma = np.exp(0.5 * outputs[:, 3:])
        if not predict_noise:
            values["noise"] = sigma = rng.uniform(0.3, 2.0, 3)
            prior += halfnorm.logpdf(sigma).sum()
        of_runs = norm.logpdf(np.asarray(y, float), outputs[:, :3], sigma).sum()
        given = {name: jnp.asarray(value, DTYPE) for name, value in values.items()}
        differences.append(prior + of_runs - log_density_of(model, (network, points), {}, given)[0])
    # float32 sums of some hundreds
    np.testing.assert_allclose(differences, differences[0], rtol=0, atol=0.01)


@pytest.mark.slow
def test_a_bayesian_network_predicts_scatter(hot):
    """With predicted noise the width follows a scatter that grows twentyfold."""
    settings = BayesianSettings(hidden=6, warmup=200, draws=200, kept=32)
    likelihood, health = fit_bayesian(KEY, hot[0], BOX, settings, predict_noise=True)
    x = uniform_points(500, np.random.default_rng(10))
    ratio = laws(likelihood, x)[1] / hot_sigma(x)
    # 1600 runs: about 20 coefficients of log sigma, each variance 1 / (2 n): 8 % root mean square
    assert np.all(np.sqrt((np.log(ratio) ** 2).mean(0)) < 0.16)
    assert isinstance(likelihood, Likelihood)
    assert health["divergences"] < 20


# variance heads


@pytest.fixture(scope="module")
def heads(hot):
    """Five two-headed networks trained on runs whose scatter is known."""
    return fit_variance_head(KEY, *hot, BOX, TrainingSettings())


def test_variance_heads_recover_a_known_scale(heads):
    """Over the box the predicted width follows a scatter that grows twentyfold; n = 1600 runs."""
    x = uniform_points(1000, np.random.default_rng(11))
    ratio = laws(heads, x)[1] / hot_sigma(x)
    # some 20 effective coefficients of log sigma: sqrt(20 / (2 n)) = 8 %; early stopping leaves a bias of that order
    assert np.all(np.sqrt((np.log(ratio) ** 2).mean(0)) < 0.2)
    assert np.all(np.corrcoef(np.log(laws(heads, x)[1][:, 0]), x[:, 0])[0, 1] > 0.97)


def test_variance_heads_predict_honestly(heads):
    """Standardised residuals of n = 2000 new runs: 68 and 95 % inside one and two standard deviations."""
    new = heteroscedastic_runs("test", 2000, 1, seed=30)
    mean, sigma = laws(heads, new.x)
    z = np.abs(new.y - mean) / sigma
    for level, bound in ((0.68, norm.ppf(0.84)), (0.95, norm.ppf(0.975))):
        # 4 binomial errors, and a width wrong by 5 % on average
        slack = 4 * np.sqrt(level * (1 - level) / len(z)) + 0.05 * 2 * bound * norm.pdf(bound)
        assert np.all(np.abs((z < bound).mean(0) - level) < slack)


def test_the_loss_is_the_gaussian_negative_log_likelihood(runs):
    """Up to log(2 pi) / 2, the mean over runs and outputs."""
    network = make_two_headed_network(jax.random.key(3))
    x, y = normalised(runs.train, fit_normaliser(runs.train))
    outputs = np.asarray(jax.vmap(network)(x), float)
    assert outputs.shape == (len(runs.train), 6)
    expected = -norm.logpdf(np.asarray(y), outputs[:, :3], np.exp(outputs[:, 3:] / 2)).mean() - 0.5 * np.log(2 * np.pi)
    assert float(negative_log_likelihood(network, x, y)) == pytest.approx(expected, rel=1e-5)
    assert np.all(outputs[:, 3:] == 0)


def test_the_width_is_that_of_the_mixture(heads):
    """Variance of the members' mixture: draws of n = 4000 from each member, pooled."""
    x = jnp.asarray([1.2, 90.0], DTYPE)
    mean, sigma = (np.asarray(v, float) for v in heads.members(x))
    draws = (mean[:, None] + sigma[:, None] * np.random.default_rng(0).standard_normal((5, 4000, 3))).reshape(-1, 3)
    found = heads.conditional(x)
    freedom = len(draws) - 1
    low, high = chi2.interval(1 - 1e-5, freedom) / np.array(freedom)
    ratio = draws.var(0, ddof=1) / np.asarray(found.sigma, float) ** 2
    assert np.all((low < ratio) & (ratio < high))
    np.testing.assert_allclose(found.mean, mean.mean(0), rtol=1e-6)
    np.testing.assert_allclose(heads.ensemble.members(x), mean, rtol=1e-6)


# all of them


def test_every_method_answers_as_a_likelihood(dropout, linear, heads):
    """Grid posteriors of all three contain the truth of a clean observation."""
    for likelihood in (dropout, linear[0], heads):
        assert isinstance(likelihood, Likelihood)
        truth = jnp.asarray([[1.0, 120.0]], DTYPE)
        y = jnp.asarray(OFFSET + np.array([1.0, 120.0]) @ SLOPE.T, DTYPE)[None]
        grid = make_grid(likelihood, BOX, (64, 64))
        found = summarise_truths(likelihood, grid, truth, y, None)
        assert found.hpd_level[0] < 0.68


@pytest.mark.parametrize("learning_rate", [1e30, 1e-12])
def test_training_that_does_not_train_is_refused(hot, learning_rate):
    """Untrained weights do not pass for a fit."""
    settings = TrainingSettings(members=2, learning_rate=learning_rate, max_epochs=50, patience=20)
    with pytest.raises(NatalError, match="does not train"):
        fit_variance_head(KEY, *hot, BOX, settings)


@pytest.mark.parametrize("fit", [fit_variance_head, lambda *a: fit_mc_dropout(*a, rate=0.1, masks=4)])
def test_only_training_runs_train(hot, fit):
    """Normalisation from another split is refused."""
    with pytest.raises(NatalError, match="not from validation runs"):
        fit(KEY, hot[1], hot[1], BOX, TrainingSettings(members=1, max_epochs=50))


def test_a_spread_likelihood_adds_measurement_errors(dropout):
    """Your own errors come on top, in quadrature."""
    assert isinstance(dropout, SpreadLikelihood)
    law = dropout.conditional(jnp.asarray([1.0, 100.0], DTYPE))
    error = jnp.asarray([0.1, 1.0, 100.0])
    np.testing.assert_allclose(law.observed(error).variance, law.sigma**2 + error**2, rtol=1e-5)
