"""Networks that predict whole laws: trained on a simulator whose law is known, saved, loaded and refused."""

from dataclasses import field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from closed_form import BOX, blank_ensemble, diagonal_widths, uniform_points
from scipy.special import expit
from scipy.stats import binomtest, norm

from natal.data.outcomes import Outcomes, final_outcomes, rescaled_outcomes
from natal.emulator.ensemble import Ensemble
from natal.errors import NatalError
from natal.likelihood.density import load_density, save_density
from natal.likelihood.density_training import train_density
from natal.likelihood.kinds import make_likelihood, untempered
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import Counts
from natal.likelihood.protocols import Likelihood
from natal.posterior.grid import log_posterior, make_grid, summarise_cases, summarise_truths
from natal.posterior.recovery import recover
from natal.settings.density import DensitySettings
from natal.settings.inference import NutsSettings
from natal.settings.likelihood import KINDS

# networks are trained and posteriors sampled: long
pytestmark = pytest.mark.slow

N_STARS = 100
COUNTS = Counts(N_STARS, 0)
SETTINGS = DensitySettings(members=3, components=1, width=16, steps=1000, batch_size=256)


def true_law(x):
    """Means and triangles of (ln sigma_v, ln r_h, z), and survival: wider and more correlated for hot clusters."""
    q0, a_au = x.T
    mean = np.column_stack([2.0 - 0.5 * np.log(a_au / 100) - q0, np.log(a_au) + 1.5 * q0, 6 * (1.0 - q0)])
    width = 0.05 + 0.1 * q0**2
    factor = np.zeros((len(x), 3, 3))
    factor[:, 0, 0], factor[:, 1, 1], factor[:, 2, 2] = width, 2 * width, 0.3 + 0.2 * q0
    factor[:, 1, 0], factor[:, 2, 0] = -width, 3 * width
    return mean, factor, expit(14 * (1.4 - q0))


def outcomes(n, seed):
    """Single clusters drawn from the prior."""
    rng = np.random.default_rng(seed)
    x = uniform_points(n, rng)
    mean, factor, survive = true_law(x)
    independent = rng.standard_normal((n, 3))
    drawn = mean + np.einsum("nij,nj->ni", factor, independent)
    f_bound = np.clip(np.floor((N_STARS + 1) * expit(drawn[:, 2])), 0, N_STARS) / N_STARS
    survived = rng.random(n) < survive
    y = np.column_stack([f_bound, np.exp(drawn[:, :2])])
    return Outcomes(x, np.where(survived[:, None], y, np.nan), survived)


@pytest.fixture(scope="module")
def trained():
    """(ensemble, history) of networks with one component, as the true law has, from 3000 clusters."""
    return train_density(jax.random.key(0), outcomes(3000, 1), outcomes(600, 2), BOX, COUNTS, SETTINGS)


def laws(ensemble, x):
    """The predicted mixtures at many points."""
    return jax.jit(jax.vmap(ensemble))(jnp.asarray(x, "float32"))


def test_the_law_is_learned(trained):
    """Location and widths at points away from the edge, to the scatter of what 3000 clusters can tell.

    A location at a point is known to the scatter times sqrt(p / n), about p = 20 effective parameters: 8 %; a width
    as well as a relative number. Four times that.
    """
    x = np.stack(np.meshgrid(np.linspace(0.6, 1.3, 8), np.linspace(60, 190, 6)), axis=-1).reshape(-1, 2)
    mean, factor, _ = true_law(x)
    moments = jax.vmap(lambda law: law.from_afar())(laws(trained[0], x))
    found_mean, found_covariance = (
        np.array(moments.mean, float).T,
        np.array(moments.covariance, float).transpose(2, 0, 1),
    )
    covariance = np.einsum("nij,nkj->nik", factor, factor)
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    assert np.abs((found_mean - mean) / sd).max() < 4 * np.sqrt(20 / 3000)
    found_sd = np.sqrt(np.diagonal(found_covariance, axis1=1, axis2=2))
    assert np.abs(np.log(found_sd / sd)).max() < 4 * np.sqrt(20 / 3000)
    correlation = covariance[:, 0, 1] / (sd[:, 0] * sd[:, 1])
    found_correlation = found_covariance[:, 0, 1] / (found_sd[:, 0] * found_sd[:, 1])
    assert np.abs(found_correlation - correlation).max() < 4 * np.sqrt(20 / 3000)


def test_survival_is_learned(trained):
    """The weights add up to the chance to survive: 4 binomial standard errors of what 3000 clusters tell near it."""
    x = np.column_stack([np.linspace(0.6, 1.45, 18), np.full(18, 120.0)])
    survive = true_law(x)[2]
    found = np.exp(np.asarray(jax.nn.logsumexp(laws(trained[0], x).log_weight, axis=1), float))
    # a logistic regression of which the steep part, a sixth of the box, is seen by 500 clusters and two parameters
    assert np.abs(found - survive).max() < 4 * 0.5 * np.sqrt(2 / 500) * 2


def test_the_likelihood_of_new_clusters_is_nearly_the_true_one(trained):
    """Mean log likelihood of 2000 new survivors: below the true law's by parameters / 2n at least, by little more."""
    new = outcomes(2000, 3)
    x, y = new.x[new.survived], new.y[new.survived]
    found = np.asarray(
        jax.jit(jax.vmap(lambda x, y: trained[0](x).observed().log_prob(y)))(
            jnp.asarray(x, "float32"), jnp.asarray(y, "float32")
        ),
        float,
    )
    mean, factor, survive = true_law(x)
    expected = np.log(survive) + np.log(N_STARS)
    log_sizes = np.log(y[:, 1:])
    first = (log_sizes[:, 0] - mean[:, 0]) / factor[:, 0, 0]
    second = (log_sizes[:, 1] - mean[:, 1] - factor[:, 1, 0] * first) / factor[:, 1, 1]
    expected += norm.logpdf(first) - np.log(factor[:, 0, 0]) + norm.logpdf(second) - np.log(factor[:, 1, 1])
    expected -= log_sizes.sum(1)
    count = np.round(N_STARS * y[:, 0])
    middle, scale = mean[:, 2] + factor[:, 2, 0] * first, factor[:, 2, 2]
    with np.errstate(divide="ignore"):
        low, high = (np.log(k / (N_STARS + 1 - k)) for k in (count, count + 1))
    expected += np.log(norm.cdf((high - middle) / scale) - norm.cdf((low - middle) / scale))
    difference = (expected - found).mean()
    standard_error = (expected - found).std() / np.sqrt(len(x))
    assert -4 * standard_error < difference < 4 * standard_error + 4 * 20 / (2 * 3000) * 3


class TrueLikelihood(eqx.Module):
    """The simulator's own law in the place of a learned one."""

    ensemble: Ensemble = field(default_factory=blank_ensemble)

    def conditional(self, x):
        q0, log_a = x[0], jnp.log(x[1])
        location = jnp.stack([2.0 - 0.5 * (log_a - np.log(100)) - q0, log_a + 1.5 * q0, 6 * (1.0 - q0)])
        width, zero = 0.05 + 0.1 * q0**2, jnp.zeros_like(q0)
        rows = [[width, zero, zero], [-width, 2 * width, zero], [3 * width, zero, 0.3 + 0.2 * q0]]
        survive = jax.nn.log_sigmoid(14 * (1.4 - q0))
        return Mixture(survive[None], location[None], jnp.stack([jnp.stack(row) for row in rows])[None], COUNTS)


def learned(trained):
    """The likelihood as a campaign makes it."""
    return make_likelihood("mixture", blank_ensemble(), diagonal_widths(), {"mixture": trained[0]})


@pytest.fixture(scope="module")
def seen():
    """Surviving clusters of 600 drawn from the prior: truths and summaries."""
    new = outcomes(600, 5)
    return new.x[new.survived], new.y[new.survived]


def test_the_stand_in_has_the_simulators_law(seen):
    """The two ways of writing it down agree."""
    mean, factor, survive = true_law(seen[0][:20])
    law = jax.vmap(TrueLikelihood().conditional)(jnp.asarray(seen[0][:20], "float32"))
    np.testing.assert_allclose(law.location[:, 0], mean, atol=1e-4)
    np.testing.assert_allclose(law.cholesky[:, 0], factor, atol=1e-5)
    np.testing.assert_allclose(np.exp(law.log_weight[:, 0]), survive, atol=1e-5)


def test_posteriors_are_nearly_the_true_ones(trained, seen):
    """Log score and coverage of clusters from the prior, beside those of the exact law."""
    x, y = (jnp.asarray(values, "float32") for values in seen)
    found = {}
    for name, likelihood in {"exact": TrueLikelihood(), "learned": learned(trained)}.items():
        found[name] = summarise_truths(likelihood, make_grid(likelihood, BOX, (128, 96)), x, y, None)
    lost = np.asarray(found["exact"].log_density, float) - np.asarray(found["learned"].log_density, float)
    # a law with p = 20 effective parameters from n = 3000 clusters loses p / 2n; with early stopping a few times that
    assert -4 * lost.std() / np.sqrt(len(x)) < lost.mean() < 4 * lost.std() / np.sqrt(len(x)) + 0.03
    for truths in found.values():
        for level in (0.5, 0.68, 0.9, 0.95):
            inside = int((np.asarray(truths.hpd_level) <= level).sum())
            assert binomtest(inside, len(x), level).pvalue > 1e-3


@pytest.mark.parametrize("error", [[0.0, 0.0, 0.0], [0.03, 0.3, 30.0]])
def test_nuts_and_grid_agree(trained, seen, error):
    """Total variation of 8 cases to what 2000 draws allow; no divergence."""
    y = seen[1][:8]
    settings = NutsSettings(draws=500, cases_per_batch=4)
    found = recover(jax.random.key(8), learned(trained), BOX, y, np.broadcast_to(error, y.shape), settings, (128, 96))
    assert not found.nuts.diverging.any()
    n = found.ess_bulk.min(1)
    assert np.all(found.tv_grid < (1.6 + 5 * 0.29) / np.sqrt(n / 2))  # as in test_recovery_files


def test_huge_errors_leave_the_prior(trained, seen):
    """Clusters measured with errors of a thousand times their values: the prior of clusters that survive."""
    likelihood = learned(trained)
    grid = make_grid(likelihood, BOX, (64, 48))
    y = jnp.asarray(seen[1][:5], "float32")
    density = np.exp(np.asarray(jax.vmap(lambda y: log_posterior(grid, y, 1000 * jnp.abs(y) + 1000))(y), float))
    survive = np.exp(np.asarray(jax.nn.logsumexp(grid.laws.log_weight, axis=-1), float))
    expected = survive / survive.sum() / float(grid.cell_area)
    assert 0.5 * np.abs(density - expected).sum(axis=(1, 2)).max() * float(grid.cell_area) < 0.01


def test_larger_errors_make_wider_posteriors(trained, seen):
    """From none to huge, the mean entropy of posteriors grows."""
    grid = make_grid(learned(trained), BOX, (64, 48))
    y = jnp.asarray(seen[1][:40], "float32")
    size = jnp.array([0.02, 0.2, 20.0])
    entropy = [
        float(summarise_cases(grid, y, None if k is None else jnp.broadcast_to(k * size, y.shape)).entropy.mean())
        for k in (None, 1.0, 5.0, 25.0, 125.0)
    ]
    assert entropy == sorted(entropy)
    assert entropy[-1] <= np.log(1.0 * 150.0) + 1e-3  # of the uniform prior


def test_members_differ_and_weigh_alike(trained):
    """The ensemble is the mean of its members' densities."""
    x, y = jnp.array([0.9, 100.0]), jnp.array([0.6, 3.0, 400.0])
    ensemble = trained[0]
    parts = [
        float(
            jax.tree.map(lambda leaf, k=k: leaf[k] if hasattr(leaf, "shape") else leaf, ensemble.members)(x)
            .observed()
            .log_prob(y)
        )
        for k in range(3)
    ]
    assert len(set(parts)) == 3
    assert float(ensemble(x).observed().log_prob(y)) == pytest.approx(np.log(np.mean(np.exp(parts))), abs=1e-4)


def test_the_best_weights_are_kept(trained):
    """Each member's, by validation loss; a check every 25 steps."""
    _, history = trained
    assert history.validation_loss.shape == (3, 40)
    assert np.array_equal(history.best_step, 25 * (1 + history.validation_loss.argmin(1)))


def test_training_is_reproducible(trained):
    """The same key gives the same weights, another one others."""
    data = outcomes(3000, 1), outcomes(600, 2), BOX, COUNTS, SETTINGS
    again, _ = train_density(jax.random.key(0), *data)
    for one, other in zip(jax.tree.leaves(trained[0]), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("width", "components"), [(128, 5), (64, 8)])
def test_no_member_diverges(width, components):
    """A width and a number of components with which losses once ended in nan, three seeds, ten times the rate."""
    changes = {"members": 3, "width": width, "components": components, "steps": 250, "weight_decay": 0.06}
    settings = SETTINGS.model_copy(update=changes | {"learning_rate": 3e-2})
    _, history = train_density(
        jax.random.key(1), outcomes(1000, 1), outcomes(300, 2), BOX, Counts(N_STARS, 5), settings
    )
    assert np.isfinite(history.validation_loss).all()
    assert np.isfinite(history.train_loss).all()


def test_a_hopeless_rate_is_named():
    """Steps that never help are an error that names the key."""
    data = outcomes(100, 1), outcomes(50, 2), BOX, COUNTS
    settings = SETTINGS.model_copy(update={"width": 4, "steps": 25, "learning_rate": 1e6, "members": 2})
    with pytest.raises(NatalError, match=r"density\.learning_rate = 1e\+06 does not train: 2 of 2 members"):
        train_density(jax.random.key(0), *data, settings)


def test_runs_that_are_all_alike_are_named():
    """Nothing can be scaled by a width of zero."""
    one = outcomes(1, 1)
    alike = Outcomes(np.repeat(one.x, 20, 0), np.repeat(one.y, 20, 0), np.ones(20, bool))
    with pytest.raises(NatalError, match="all have the same summaries"):
        train_density(jax.random.key(0), alike, alike, BOX, COUNTS, SETTINGS)


@pytest.mark.parametrize("kind", ["heteroscedastic", "mixture"])
def test_density_likelihoods_stay_in_the_box(trained, kind):
    """The same interface as all, and the same refusal outside."""
    likelihood = make_likelihood(kind, blank_ensemble(), diagonal_widths(), dict.fromkeys(KINDS, trained[0]))
    assert isinstance(likelihood, Likelihood)
    likelihood.conditional(jnp.array([0.5, 50.0]))
    with pytest.raises(NatalError, match=r"q0 = 1.6 is not in"):
        likelihood.conditional(jnp.array([1.6, 100.0]))


def test_only_a_mixture_is_tempered(trained):
    """And not for predictions."""
    single, mixture = (
        make_likelihood(kind, blank_ensemble(), diagonal_widths(), {kind: trained[0]}, tempering=0.5)
        for kind in ("heteroscedastic", "mixture")
    )
    found = [law.conditional(jnp.array([1.0, 100.0])).tempering for law in (single, mixture, untempered(mixture))]
    assert found == [0.0, 0.5, 0.0]


def test_a_file_brings_back_the_same_law(trained, tmp_path):
    """Bit for bit."""
    save_density(tmp_path / "mixture.eqx", trained[0], "points", {})
    again = load_density(tmp_path / "mixture.eqx", box=BOX, design_digest="points")
    for one, other in zip(jax.tree.leaves(trained[0]), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("box", "digest", "said"),
    [(BOX | {"q0": (0.5, 1.4)}, "points", "box = "), (BOX, "others", "design_digest = points, expected others")],
)
def test_a_file_of_another_campaign_is_refused(trained, tmp_path, box, digest, said):
    """Another box or other training points; the remedy is named."""
    save_density(tmp_path / "mixture.eqx", trained[0], "points", {})
    with pytest.raises(NatalError, match=said) as caught:
        load_density(tmp_path / "mixture.eqx", box=box, design_digest=digest)
    assert "fit the likelihood again" in str(caught.value)


def test_a_damaged_file_is_named(trained, tmp_path):
    """Cut short, or something else."""
    path = tmp_path / "mixture.eqx"
    save_density(path, trained[0], "points", {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NatalError, match=r"mixture\.eqx"):
        load_density(path, box=BOX, design_digest="points")
    path.write_text("hello\n")
    with pytest.raises(NatalError, match=r"mixture\.eqx is not a natal density ensemble"):
        load_density(path, box=BOX, design_digest="points")


def tracks():
    """Two clusters at t = 0, 125, 250 and 500 yr, of which the second dissolves at last."""
    t_yr = np.tile([0.0, 125.0, 250.0, 500.0], 2)
    return pd.DataFrame(
        {
            "q0": np.repeat([0.7, 1.4], 4),
            "a_au": np.repeat([60.0, 150.0], 4),
            "t_yr": t_yr,
            "f_bound": [1.0, 0.9, 0.85, 0.8, 1.0, 0.5, 0.2, np.nan],
            "sigma_v_kms": [8.0, 7.0, 6.5, 6.0, 9.0, 4.0, 2.0, np.nan],
            "r_h_au": [80.0, 100.0, 120.0, 150.0, 200.0, 900.0, 900.0, np.nan],
            "dissolved": [False] * 7 + [True],
        }
    )


def test_snapshots_are_outcomes_of_larger_clusters():
    """Lengths times s, velocities over sqrt(s), s = (t_end / t)^(2/3); those beyond 1.1 x the box are left out."""
    found = rescaled_outcomes(tracks(), 500.0, 200.0)
    half, quarter = 2 ** (2 / 3), 4 ** (2 / 3)
    # 60 AU x 4^(2/3) = 151 AU is in, 150 AU x 2^(2/3) = 238 AU is out, as is t = 0
    np.testing.assert_allclose(found.x, [[0.7, 60 * quarter], [0.7, 60 * half], [0.7, 60], [1.4, 150]])
    np.testing.assert_allclose(found.y[0], [0.9, 7.0 / np.sqrt(quarter), 100 * quarter])
    np.testing.assert_allclose(found.y[1], [0.85, 6.5 / np.sqrt(half), 120 * half])
    assert found.survived.tolist() == [True, True, True, False]
    assert np.isnan(found.y[3]).all()


def test_final_outcomes_keep_the_dissolved():
    """A cluster that fell apart is an outcome, too."""
    table = tracks()
    found = final_outcomes(table[table.t_yr == 500])
    assert found.survived.tolist() == [True, False]
    np.testing.assert_array_equal(found.y[0], [0.8, 6.0, 150.0])
