"""The grid posterior of a linear emulator is the exact truncated normal, up to the size of its cells."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, SIGMA, ExactPosterior, LinearLikelihood, linear_mean, uniform_points
from scipy.stats import kstest, norm

from natal.posterior import grid as posterior_grid

SHAPE = (128, 128)
N_CASES = 32
N_DRAWS = 500
LIKELIHOOD = LinearLikelihood()
SMALL_BOX = {"q0": (0.8, 1.2), "a_au": (90.0, 170.0)}


class Cases(NamedTuple):
    """Clusters from the prior, how they were observed, and their grid and exact posteriors."""

    x: np.ndarray
    y: np.ndarray
    data: tuple
    grid: posterior_grid.Grid
    exact: list
    sd: np.ndarray
    cell: np.ndarray

    @property
    def second_order(self):
        """(cell / sd)^2 summed over both parameters, by case: what the midpoint rule's errors are measured in.

        The rule errs by h^2 / 24 times the integrand's slope at the edges, which in units of sd is 3 at most for the
        mean and the variance of a normal, however much of it is cut off: 1/8 bounds them all.
        """
        return ((self.cell / self.sd) ** 2).sum(1)


def make_cases(box, error, seed):
    """Truths uniform in the box; the observation has the scatter of the simulator and of its own error."""
    rng = np.random.default_rng(seed)
    x = uniform_points(N_CASES, rng, box)
    y = linear_mean(x) + np.hypot(SIGMA, error) * rng.standard_normal((N_CASES, 3))
    data = jnp.asarray(y, "float32"), jnp.asarray(np.tile(error, (N_CASES, 1)), "float32")
    exact = [ExactPosterior(one, error, box) for one in y]
    cell = np.array([(high - low) / n for (low, high), n in zip(box.values(), SHAPE, strict=True)])
    grid = posterior_grid.make_grid(LIKELIHOOD, box, SHAPE)
    return Cases(x, y, data, grid, exact, np.array([e.sd for e in exact]), cell)


@pytest.fixture(
    scope="module",
    params=[(BOX, np.zeros(3)), (BOX, np.array([0.1, 0.2, 30.0])), (SMALL_BOX, np.zeros(3))],
    ids=["whole box", "with measurement errors", "smaller prior"],
)
def cases(request):
    """Thirty-two clusters; posteriors are cut by the edges of the box in many of them."""
    return make_cases(*request.param, seed=1)


@pytest.fixture(scope="module")
def summary(cases):
    """Their summaries in double precision."""
    found = posterior_grid.summarise_cases(cases.grid, *cases.data)
    return jax.tree.map(lambda leaf: np.asarray(leaf, float), found)


@pytest.fixture(scope="module")
def located(cases):
    """Where the truths lie."""
    arrays = jnp.asarray(cases.x, "float32"), *cases.data
    found = posterior_grid.summarise_truths(LIKELIHOOD, cases.grid, *arrays)
    return jax.tree.map(lambda leaf: np.asarray(leaf, float), found)


def test_cells_fill_the_box(cases):
    """Centres are half a cell from the edges, and a cell apart."""
    low = cases.grid.q0[0] - cases.cell[0] / 2, cases.grid.a_au[0] - cases.cell[1] / 2
    high = cases.grid.q0[-1] + cases.cell[0] / 2, cases.grid.a_au[-1] + cases.cell[1] / 2
    found = np.array([low, high], float).T
    np.testing.assert_allclose(found, list(cases.exact[0].box.values()), rtol=2.0**-22)
    np.testing.assert_allclose(cases.grid.cell_area, cases.cell.prod(), rtol=1e-4)  # a difference of neighbours


def test_means(cases, summary):
    """Posterior means, to the midpoint rule's error."""
    expected = np.array([e.mean for e in cases.exact])
    assert np.all(np.abs(summary.mean - expected) / cases.sd < cases.second_order[:, None] / 8)


def test_standard_deviations(cases, summary):
    """Posterior standard deviations; a flat cell adds its own h^2 / 12 to the variance."""
    broadened = np.sqrt(cases.sd**2 + cases.cell**2 / 12)
    assert np.all(np.abs(summary.sd - broadened) / cases.sd < cases.second_order[:, None] / 8)


def test_quantiles(cases, summary):
    """At 2.5, 16, 50, 84 and 97.5 per cent."""
    expected = np.array([e.quantiles() for e in cases.exact])
    # a line through a cumulative curve of slope p and curvature p' misses by h^2 p' / 8, that is h^2 / (4 sd) in the
    # quantile, as p'/p is 2 / sd at the 97.5 per cent of a normal
    error = np.abs(summary.quantiles - expected) / cases.sd[..., None]
    assert np.all(error < cases.second_order[:, None, None] / 4)


def test_evidence(cases, summary):
    """The probability density of the observation under the prior."""
    expected = np.array([e.log_evidence for e in cases.exact])
    assert np.all(np.abs(summary.log_evidence - expected) < cases.second_order / 8)


def test_entropy(cases, summary):
    """Minus the mean log density, in natural logarithms, per unit Q0 and AU."""
    expected = np.array([e.entropy for e in cases.exact])
    assert np.all(np.abs(summary.entropy - expected) < cases.second_order / 8)


def test_mass_at_the_edges(cases, summary):
    """Within 2 % of the box's width of each edge; cells are cut where that ends."""
    for k, exact in enumerate(cases.exact):
        expected = []
        for axis, (low, high) in enumerate(exact.box.values()):
            reach = 0.02 * (high - low)
            expected.append([exact.mass(axis, low, low + reach), exact.mass(axis, high - reach, high)])
        assert np.all(np.abs(summary.edge_mass[k] - expected) < cases.second_order[k] / 8)
    # some are cut off by an edge, some do not reach any
    assert summary.edge_mass.max() > 0.04
    assert summary.edge_mass.max((1, 2)).min() < 0.02


def test_distance_from_the_law_that_explains_it_best(cases, summary):
    """The least chi^2 of the observation over cells and nodes, computed one by one in double precision."""
    centres = [np.asarray(axis, float) for axis in (cases.grid.q0, cases.grid.a_au)]
    half = [(axis[1] - axis[0]) / 2 for axis in centres]
    n = cases.grid.levels[-1].n
    nodes = [np.linspace(axis[0] - h, axis[-1] + h, n) for axis, h in zip(centres, half, strict=True)]
    places = [np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2) for axes in (centres, nodes)]
    mean = linear_mean(np.concatenate(places))
    for (y, error), found in zip(zip(*cases.data, strict=True), summary.chi2_best, strict=True):
        chi2 = (((np.asarray(y, float) - mean) / np.hypot(SIGMA, error)) ** 2).sum(1).min()
        # float32 log densities near 10 are the difference of two
        assert found == pytest.approx(chi2, rel=1e-4, abs=2e-4)


@pytest.mark.parametrize("size", [0.03, 1.0])
def test_interpolation_changes_nothing(whole, size):
    """Log densities wherever there is mass, against cell by cell; a scatter of a thirtieth is too narrow for levels."""
    narrow = eqx.tree_at(
        lambda grid: (grid.laws.sigma, grid.blocks.laws.sigma), whole.grid, replace_fn=lambda sigma: size * sigma
    )
    log_likelihood = eqx.filter_jit(posterior_grid.log_likelihood)
    for y in whole.data[0][:4]:
        found = np.asarray(log_likelihood(narrow, y, None), float)
        expected = np.asarray(log_likelihood(narrow._replace(blocks=None), y, None), float)
        near = expected > expected.max() - 10
        np.testing.assert_allclose(found[near] - found.max(), (expected - expected.max())[near], atol=2e-3)


@pytest.mark.parametrize("sigma_v_kms", [3e3, 3e9])
def test_an_observation_that_nothing_explains(sigma_v_kms):
    """The posterior is still one, inside the box, and the distance says that it means nothing."""
    grid = posterior_grid.make_grid(LIKELIHOOD, BOX, SHAPE)
    y = jnp.array([[0.5, sigma_v_kms, 300.0]])
    found = posterior_grid.summarise_cases(grid, y, jnp.zeros_like(y))
    low, high = np.array(list(BOX.values())).T
    assert np.all((low <= found.mean) & (found.mean <= high) & (found.sd < high - low))
    assert found.chi2_best[0] == pytest.approx((sigma_v_kms / SIGMA[1]) ** 2, rel=0.02)


def test_truths_outside_the_prior():
    """They have no density, and lie outside every region however near the likelihood's peak."""
    truth = jnp.array([[1.0, 130.0], [1.3, 130.0], [1.0, 180.0]])
    y = jnp.asarray(linear_mean(np.asarray(truth)), "float32")
    grid = posterior_grid.make_grid(LIKELIHOOD, SMALL_BOX, SHAPE)
    found = posterior_grid.summarise_truths(LIKELIHOOD, grid, truth, y, jnp.zeros_like(y))
    assert np.isfinite(found.log_density).tolist() == [True, False, False]
    assert found.hpd_level[0] < 0.1
    assert found.hpd_level[1:].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        (SMALL_BOX, (64, 64)),
        (BOX, (256, 256)),
        *(({"q0": (0.7, 0.9), "a_au": (199.0, 199.7)}, n) for n in ((256, 256), (100, 37))),
    ],
)
def test_truths_on_the_priors_edge(box, shape):
    """The four corners of the prior are inside, whatever single precision makes of the cells."""
    truth = jnp.array([[q, a] for q in box["q0"] for a in box["a_au"]])
    y = jnp.asarray(linear_mean(np.asarray(truth)), "float32")
    grid = posterior_grid.make_grid(LIKELIHOOD, box, shape)
    assert np.isfinite(posterior_grid.summarise_truths(LIKELIHOOD, grid, truth, y, jnp.zeros_like(y)).log_density).all()


def test_pit(cases, located):
    """Marginal cumulative probability at the truth."""
    expected = np.array([e.cdf(x) for e, x in zip(cases.exact, cases.x, strict=True)])
    assert np.all(np.abs(located.pit - expected) < cases.second_order[:, None] / 8)


def test_log_density(cases, located):
    """At the truth itself, not at the nearest cell; per unit Q0 and AU."""
    expected = np.array([e.log_density(x) for e, x in zip(cases.exact, cases.x, strict=True)])
    assert np.all(np.abs(located.log_density - expected) < cases.second_order / 8)


def test_highest_density_level(cases, located):
    """Mass of everything denser than the truth."""
    for k, (exact, x) in enumerate(zip(cases.exact, cases.x, strict=True)):
        # only cells that the contour crosses can count wrongly: a ring as wide as a cell's diagonal d in units of the
        # normal's standard deviations, of mass r exp(-r^2 / 2) d <= 0.61 d, about the truth's own r
        whiten = np.linalg.inv(np.linalg.cholesky(exact.covariance))
        d = max(np.linalg.norm(whiten @ (cases.cell * sign)) for sign in ([1, 1], [1, -1]))
        assert abs(located.hpd_level[k] - exact.hpd_level(x)) < 0.61 * d / exact.mass_in_box


def test_the_densest_cell_is_the_mode(cases):
    """The log posterior peaks in the cell of the exact mode and is normalised."""
    density = np.exp(np.asarray(posterior_grid.log_posterior(cases.grid, cases.data[0][0], cases.data[1][0]), float))
    # float32 sum over 16,384 cells
    assert density.sum() * cases.cell.prod() == pytest.approx(1.0, rel=1e-4)
    peak = np.unravel_index(density.argmax(), SHAPE)
    best = np.array([cases.grid.q0[peak[0]], cases.grid.a_au[peak[1]]])
    corners = np.stack(np.meshgrid(*(np.linspace(*limits, 2001) for limits in cases.exact[0].box.values())), axis=-1)
    whitened = (corners - cases.exact[0].centre) @ np.linalg.inv(np.linalg.cholesky(cases.exact[0].covariance)).T
    mode = corners.reshape(-1, 2)[(whitened**2).sum(-1).argmin()]
    assert np.all(np.abs(best - mode) <= cases.cell)


@pytest.fixture(scope="module")
def whole():
    """Cases over the whole box, without measurement errors."""
    return make_cases(BOX, np.zeros(3), seed=2)


@pytest.fixture(scope="module")
def draws(whole):
    """Five hundred draws from each grid posterior, in double precision."""
    answers = posterior_grid.answer_cases(jax.random.key(0), None, whole.grid, *whole.data, n_draws=N_DRAWS)
    return answers.draws.astype(float)


def test_draws_stay_in_the_box(draws):
    """Every one of 32 x 500; the edges belong to it."""
    assert draws.shape == (N_CASES, N_DRAWS, 2)
    low, high = np.array(list(BOX.values())).T
    assert np.all((low <= draws) & (draws <= high))


def test_draws_have_the_posteriors_moments(whole, draws):
    """Means and standard deviations over n = 500 draws of each of 32 cases."""
    # the largest of 64 normal deviates exceeds 4.3 once in a thousand times
    limit = norm.isf(1e-3 / 2 / (2 * N_CASES))
    mean_z = (draws.mean(1) - np.array([e.mean for e in whole.exact])) / (whole.sd / np.sqrt(N_DRAWS))
    assert np.abs(mean_z).max() < limit
    kurtosis = ((draws - draws.mean(1, keepdims=True)) ** 4).mean(1) / draws.std(1) ** 4
    sd_error = 0.5 * whole.sd * np.sqrt((kurtosis - 1) / N_DRAWS)
    sd_z = (draws.std(1, ddof=1) - np.sqrt(whole.sd**2 + whole.cell**2 / 12)) / sd_error
    # this error is itself estimated, from a fourth moment, to some ten per cent
    assert np.abs(sd_z).max() < 1.1 * limit


def test_draws_follow_the_exact_marginals(whole, draws):
    """Kolmogorov's distance in each case and parameter: 64 tests, failing together once in a thousand seeds."""
    for exact, case in zip(whole.exact, draws, strict=True):
        for axis, (low, high) in enumerate(BOX.values()):
            nodes = np.linspace(low, high, 200)
            cumulative = [exact.mass(axis, low, node) for node in nodes]
            test = kstest(case[:, axis], lambda v, c=cumulative, n=nodes: np.interp(v, n, c))
            assert test.pvalue > 1e-3 / (2 * N_CASES)


def test_cases_are_drawn_independently(whole):
    """No two cases share random numbers, even with the same data."""
    same = tuple(jnp.tile(v[:1], (2, 1)) for v in whole.data)
    first, second = posterior_grid.answer_cases(jax.random.key(1), None, whole.grid, *same, n_draws=50).draws
    assert not np.any(first == second)


def drawn_by_numpy(cases, n, rng):
    """Independent draws from the grid posteriors: a cell by its mass, a place within it by chance."""
    found = []
    for y, error in zip(*cases.data, strict=True):
        mass = np.exp(np.asarray(posterior_grid.log_posterior(cases.grid, y, error), float)).ravel()
        i, j = np.unravel_index(rng.choice(mass.size, n, p=mass / mass.sum()), SHAPE)
        centres = np.column_stack([cases.grid.q0[i], cases.grid.a_au[j]])
        found.append(centres + cases.cell * rng.uniform(-0.5, 0.5, (n, 2)))
    return np.array(found)


def total_variation(cases, draws):
    """Distance of draws from the grid posterior, by case."""
    quarters = posterior_grid.answer_cases(jax.random.key(0), None, cases.grid, *cases.data).quarters
    return posterior_grid.total_variation_of_draws(quarters, np.asarray(draws, "float32"))


@pytest.mark.parametrize("n", [500, 8000, 128_000])
@pytest.mark.slow
def test_total_variation_of_exact_draws(whole, n):
    """n independent draws from the grid itself are about 0.4 sqrt(16 / n) away, however many there are."""
    found = total_variation(whole, drawn_by_numpy(whole, n, np.random.default_rng(n))) * np.sqrt(n)
    # half the sum of 16 mean absolute deviations sqrt(2 / pi) sqrt(15) / 16 of a share near 1/16: 1.545, which the
    # docstring rounds to 1.6. Shares differ from 1/16 by up to the mass of a slab of cells, a tenth of it or two:
    # less than 5 % less. A deviation scatters by sqrt(1 - 2 / pi) sqrt(15) / 16 = 0.146, half the sum of 16 by 0.29
    assert abs(found.mean() - 1.545) < 0.05 * 1.545 + 4 * 0.29 / np.sqrt(N_CASES)
    assert found.max() < 1.545 + 5 * 0.29


def test_total_variation_of_draws_from_elsewhere(whole, draws):
    """Draws two standard deviations away share little with the posterior, stuck ones no more than the rest."""
    inside = np.array([e.mass_in_box > 0.99 for e in whole.exact])
    assert inside.any()
    for shift in ([2, 0], [0, 2]):
        # with z the uncut normal's: P(z < 0) - P(z + 2 < 0) = 0.48 over halves alone, and more over quartiles
        moved = draws + whole.sd[:, None] * shift
        assert total_variation(whole, moved)[inside].min() > 0.45
    # half of the draws at one point: a half, less a sixteenth at home, less what the rest's noise hides
    stuck = np.where(np.arange(N_DRAWS)[:, None] < N_DRAWS // 2, draws, draws[:, :1])
    assert total_variation(whole, stuck).min() > 0.5 - 1 / 16 - 0.4 * np.sqrt(16 / N_DRAWS)


def test_useless_data_return_the_prior():
    """With errors a thousand times the scatter, means are the box's centre and widths those of a uniform variable."""
    far = make_cases(BOX, 1000 * SIGMA, seed=3)
    # the observation says nothing, wherever it is: keep it near the mean
    data = jnp.asarray(linear_mean(far.x), "float32"), far.data[1]
    found = jax.tree.map(lambda v: np.asarray(v, float), posterior_grid.summarise_cases(far.grid, *data))
    width = np.array([1.0, 150.0])
    # the log likelihood varies by (15 / 1000)^2 / 2 at most for each output: a tilt of 3e-4
    np.testing.assert_allclose(found.mean, np.tile([1.0, 125.0], (N_CASES, 1)), rtol=3e-4)
    np.testing.assert_allclose(found.sd, np.tile(width / np.sqrt(12), (N_CASES, 1)), rtol=3e-4)
    expected = np.array([0.5, 50.0])[:, None] + width[:, None] * np.array([0.025, 0.16, 0.5, 0.84, 0.975])
    np.testing.assert_allclose(found.quantiles, np.tile(expected, (N_CASES, 1, 1)), rtol=3e-4)


def test_areas_are_those_of_the_densest_cells(whole):
    """As many cells as it takes, densest first, to hold half and 95 % of the posterior."""
    levels = (0.5, 0.95)
    y, error = (values[:4] for values in whole.data)
    answers = posterior_grid.answer_cases(
        jax.random.key(0), None, whole.grid, y, error, wanted=("areas",), levels=levels
    )
    assert answers.summary is None
    for k in range(4):
        mass = np.exp(np.asarray(posterior_grid.log_posterior(whole.grid, y[k], error[k]), float)).ravel()
        held = np.cumsum(np.sort(mass)[::-1]) / mass.sum()
        expected = (1 + np.searchsorted(held, levels)) / mass.size
        # densities are told apart to 6e-5 of their logarithm
        np.testing.assert_allclose(answers.areas[k], expected, rtol=1e-2)
