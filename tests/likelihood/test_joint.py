"""The joint law's density of any subset, against brute force over true values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from natal.likelihood.joint import (
    Factors,
    JointLaw,
    Latents,
    Measured,
    Pattern,
    Scale,
    draw_clusters,
    log_outcome,
    log_tau,
    speed_kms,
)
from natal.likelihood.mixture_density import Counts

COUNTS = Counts(100, 5)
LATENTS = Latents(("sigma_los_kms", "r_hp_au", "v_out_kms"), ("sigma_v_kms", "r_h_au"), COUNTS)
SCALE = Scale(jnp.asarray(100.0), jnp.asarray(5.0))
LOGS = [True, True, False, True, True]
UNITS = np.array([5.0, 100.0, 5.0, 5.0, 100.0])
N = LATENTS.n


@pytest.fixture(scope="module")
def numbers():
    """Weights, locations and covariances of three components."""
    rng = np.random.default_rng(0)
    root = 0.15 * rng.standard_normal((3, N, N))
    covariance = root @ root.transpose(0, 2, 1) + 0.01 * np.eye(N)
    covariance[:, -1, -1] += 0.5
    location = 0.2 * rng.standard_normal((3, N)) + np.array([0, 0, 0.3, 0, 0, 1.0])
    return np.array([0.2, 0.5, 0.3]), location, covariance


@pytest.fixture(scope="module")
def law(numbers):
    weight, location, covariance = numbers
    packed = covariance[:, *np.tril_indices(N)]
    return JointLaw(jnp.log(weight), jnp.asarray(location, "float32"), jnp.asarray(packed, "float32"), LATENTS)


@pytest.fixture(scope="module")
def clusters(numbers):
    """A million clusters of the law: sizes in physical units, latent count."""
    rng = np.random.default_rng(1)
    component = rng.choice(3, 1_000_000, p=numbers[0])
    drawn = np.empty((1_000_000, N))
    for k in range(3):
        here = component == k
        drawn[here] = rng.multivariate_normal(numbers[1][k], numbers[2][k], here.sum())
    sizes = UNITS * np.where(LOGS, np.exp(drawn[:, :-1]), drawn[:, :-1])
    return sizes, drawn[:, -1]


def measured(value=(), low=None, high=None, lower=(), upper=(), share=0.0, share_error=0.0):
    low = np.zeros(len(value)) if low is None else low
    parts = (value, low, low if high is None else high, lower, upper, share, share_error)
    return Measured(*(jnp.asarray(part, "float32") for part in parts))


def density(law, names, seen, **pattern):
    reduced = law.reduced(tuple(n for n in LATENTS.sizes if n in names))
    given = tuple(n for n in LATENTS.sizes if n in names and n not in pattern.get("limited", ()))
    return float(reduced.log_prob(seen, Pattern(given, **pattern), SCALE))


def brute(weight):
    """ln of a mean over clusters, and its standard error."""
    return np.log(weight.mean()), weight.std() / weight.mean() / np.sqrt(len(weight))


@pytest.mark.parametrize(
    ("names", "value", "low", "high"),
    [
        (("sigma_los_kms",), (5.5,), (0.5,), (0.5,)),
        (("r_hp_au",), (110.0,), (20.0,), (30.0,)),
        (("sigma_los_kms", "v_out_kms"), (6.0, 1.2), (0.6, 0.5), (0.6, 1.0)),
        (("r_hp_au", "sigma_v_kms"), (120.0, 4.0), (12.0, 0.4), (12.0, 0.4)),
    ],
)
def test_measured_subsets(law, clusters, names, value, low, high):
    """Errors around each value, integrated over everything that was not measured: to 3 % of the density.

    Errors that differ change linearly from one side's to the other's.

    Bound stars' sizes need a cluster that survived.
    """
    weight = np.ones(len(clusters[0]))
    for name, seen, below, above in zip(names, value, low, high, strict=True):
        true = clusters[0][:, LATENTS.sizes.index(name)]
        width, change = 2 * below * above / (below + above), (above - below) / (below + above)
        spread = width + change * np.clip(true - seen, -below, above)
        weight *= np.exp(-0.5 * ((true - seen) / spread) ** 2) / (np.sqrt(2 * np.pi) * 0.5 * (below + above))
    if "sigma_v_kms" in names:
        weight *= clusters[1] >= COUNTS.lowest
    expected, error = brute(weight)
    assert density(law, names, measured(value, low, high)) == pytest.approx(expected, abs=0.03 + 4 * error)


def test_without_errors_rows_are_dropped(law, numbers):
    """The closed form: a mixture of normal densities of the logarithms, over the values."""
    weight, location, covariance = numbers
    at = np.log([5.5 / 5, 120.0 / 100])
    one = [
        multivariate_normal(mean[:2], matrix[:2, :2]).pdf(at) for mean, matrix in zip(location, covariance, strict=True)
    ]
    expected = np.log(weight @ one / (5.5 * 120))
    found = density(law, ("sigma_los_kms", "r_hp_au"), measured((5.5, 120.0)), exact=True)
    assert found == pytest.approx(expected, abs=1e-4)
    errors = np.array([5.5, 120.0]) * 1e-4
    found = density(law, ("sigma_los_kms", "r_hp_au"), measured((5.5, 120.0), errors))
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("lower", "upper"), [((0.0,), (100.0,)), ((90.0,), (np.inf,)), ((90.0,), (100.0,)), ((0.0,), (30.0,))]
)
def test_one_limit_is_exact(law, numbers, lower, upper):
    """Probabilities of the marginal law, far in its tail, too."""
    weight, location, covariance = numbers
    with np.errstate(divide="ignore"):
        ends = np.log(np.array([*lower, *upper]) / 100)
    shares = [
        norm.cdf(ends[1], m[1], np.sqrt(c[1, 1])) - norm.cdf(ends[0], m[1], np.sqrt(c[1, 1]))
        for m, c in zip(location, covariance, strict=True)
    ]
    found = density(law, ("r_hp_au",), measured(lower=lower, upper=upper), limited=("r_hp_au",))
    assert found == pytest.approx(np.log(weight @ shares), abs=2e-3)


def test_limits_beside_values_and_counts(law, clusters):
    """A limit on outward motion, a value, and 50 to 90 bound stars."""
    sizes, z = clusters
    true = sizes[:, LATENTS.sizes.index("r_hp_au")]
    count = np.floor(101 / (1 + np.exp(-z)))
    weight = norm.pdf(120.0, true, 10.0) * (sizes[:, 2] > 1.0) * (count >= 50) * (count <= 90)
    expected, error = brute(weight)
    seen = measured((120.0,), (10.0,), lower=(1.0,), upper=(np.inf,), share=0.5, share_error=0.9)
    found = density(law, ("r_hp_au", "v_out_kms"), seen, limited=("v_out_kms",), counted="limited")
    assert found == pytest.approx(expected, abs=0.03 + 4 * error)


def test_counts_alone(law, clusters):
    """Each count's probability times the number of stars; all of them make up the survivors."""
    found = np.array([density(law, (), measured(share=k / 100), counted="exact") for k in range(5, 101)])
    count = np.floor(101 / (1 + np.exp(-clusters[1])))
    share = np.exp(found) / 100
    assert share.sum() == pytest.approx((count >= 5).mean(), abs=2e-3)
    assert share[70 - 5] == pytest.approx((count == 70).mean(), abs=4 * np.sqrt(0.02 / 1e6))


def test_units_of_a_cluster():
    """The Earth's year around one solar mass is 2 pi, its speed 29.785 km/s; a cluster of 300 Msun and 0.3 pc."""
    assert log_tau(1.0, 1.0, 1.0) == pytest.approx(np.log(2 * np.pi))
    assert speed_kms(1.0, 1.0) == pytest.approx(29.78525, rel=1e-5)
    # G = 4.30092e-3 pc (km/s)^2 / Msun, 1 pc = 206264.806 AU, 1 km/s = 1.022712 pc / Myr
    speed = np.sqrt(4.30092e-3 * 300 / 0.3)
    assert speed_kms(300.0, 0.3 * 206264.806) == pytest.approx(speed, rel=1e-4)
    assert log_tau(2e6, 300.0, 0.3 * 206264.806) == pytest.approx(np.log(2 * speed * 1.022712 / 0.3), abs=1e-4)
    scale = Scale.of(jnp.asarray(1.0), jnp.asarray(4.0))
    assert float(scale.unit("sigma_los_kms")) == pytest.approx(2 * 29.78525, rel=1e-5)


def test_scaling_of_gravity(law):
    """Twice as large and four times as slow: the density of the same cluster, per unit of twice and a quarter."""
    seen, larger = measured((5.5, 120.0), (0.5, 10.0)), measured((5.5 / 4, 240.0), (0.5 / 4, 20.0))
    names = ("sigma_los_kms", "r_hp_au")
    reduced = law.reduced(names)
    scale = Scale(jnp.asarray(200.0), jnp.asarray(5.0 / 4))
    found = float(reduced.log_prob(larger, Pattern(names), scale))
    assert found == pytest.approx(float(reduced.log_prob(seen, Pattern(names), SCALE)) + np.log(4 / 2), abs=1e-4)


def test_draws_are_of_the_law(law, clusters):
    """Moments of 200,000 draws: five standard errors."""
    n = 200_000
    laws = jax.tree.map(lambda leaf: jnp.repeat(leaf[..., None], n, axis=-1), law)
    drawn = draw_clusters(jax.random.key(2), laws, SCALE)
    for k, name in enumerate(LATENTS.sizes):
        values, true = np.asarray(drawn.values[name], float), clusters[0][:, k]
        assert values.mean() == pytest.approx(true.mean(), abs=5 * true.std() / np.sqrt(n))
        assert values.std() == pytest.approx(true.std(), rel=0.02)
    assert np.mean(drawn.survived) == pytest.approx((clusters[1] >= COUNTS.lowest).mean(), abs=2e-3)


def test_whole_outcomes_in_training(law, numbers):
    """What training maximises is the density without errors, in latent numbers; of a dissolved cluster without sizes
    of bound stars."""
    weight, location, covariance = numbers
    root = jnp.asarray(np.linalg.cholesky(covariance), "float32")
    factors = Factors(jnp.log(jnp.asarray(weight, "float32")), jnp.asarray(location, "float32"), root)
    latent = np.array([0.1, 0.2, 0.3, -0.1, 0.05])
    lines = jnp.asarray(np.stack([latent, latent]), "float32")
    physical = UNITS * np.where(LOGS, np.exp(latent), latent)
    jacobian = np.log(np.where(LOGS, physical, UNITS))
    found = float(log_outcome(factors, LATENTS, lines, jnp.asarray(70.0), jnp.asarray(True)))
    seen = measured(physical, share=0.7)
    expected = density(law, LATENTS.sizes, seen, counted="exact", exact=True) - np.log(100) + jacobian.sum()
    assert found == pytest.approx(expected, abs=2e-3)
    found = float(log_outcome(factors, LATENTS, lines, jnp.asarray(2.0), jnp.asarray(False)))
    total = 0.0
    for w, m, c in zip(weight, location, covariance, strict=True):
        own, rest = c[:3, :3], c[-1, :3]
        shift = np.linalg.solve(own, latent[:3] - m[:3])
        mean, spread = m[-1] + rest @ shift, np.sqrt(c[-1, -1] - rest @ np.linalg.solve(own, rest))
        cell = norm.cdf(np.log(3 / 98), mean, spread) - norm.cdf(np.log(2 / 99), mean, spread)
        total += w * multivariate_normal(m[:3], own).pdf(latent[:3]) * cell
    assert found == pytest.approx(np.log(total), abs=0.01)
