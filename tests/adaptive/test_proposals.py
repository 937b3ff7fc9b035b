"""Proposed points: where members disagree, spread, the same every time, and better than filling the box."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from closed_form import BOX, LIMITS, make_runs
from matplotlib.colors import to_hex

from natal.adaptive.gain import fit_laws, fit_means, learning_curves, savings, surprise
from natal.adaptive.proposals import choose_batch, disagreement, fill_space, information, propose_points
from natal.data.outcomes import Outcomes, final_outcomes
from natal.errors import NatalError
from natal.figures.adaptive import ARM_STYLES, gain_figure
from natal.likelihood.density import DensityEnsemble, make_density_network
from natal.likelihood.mixture_density import Counts
from natal.settings.adaptive import GainSettings
from natal.settings.density import DensitySettings
from natal.settings.emulator import TrainingSettings

LOW, HIGH = np.array(LIMITS).T
N_STARS = 100


def in_unit_square(x):
    """Places in sides of the box."""
    return (x - LOW) / (HIGH - LOW)


def square(n=30):
    """A regular grid over the unit square."""
    steps = (np.arange(n) + 0.5) / n
    return np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)


def hill(x):
    """An acquisition with a peak at Q0 = 1.25, a = 87.5 AU on a low plain."""
    apart = in_unit_square(x) - [0.75, 0.25]
    return 0.01 + np.exp(-0.5 * (apart**2).sum(1) / 0.1**2)


def nearest_neighbour(place):
    """Distance of each point to the nearest other one."""
    squared = ((place[:, None] - place) ** 2).sum(-1)
    return np.sqrt((squared + 9.0 * np.eye(len(place))).min(1))


def test_disagreement_is_the_members_variance(ensemble):
    """Mean over outputs, in units of the training runs' standard deviations; beyond the box the members part."""
    x = np.array([[0.7, 80.0], [1.2, 160.0], [4.0, 600.0]])
    found = disagreement(ensemble, x)
    spread = np.asarray(ensemble(x[:2])[1]) / np.asarray(ensemble.normaliser.y_std)
    np.testing.assert_allclose(found[:2], (spread**2).mean(1), rtol=1e-4)
    assert found[2] > 20 * found[:2].max()


def density_ensemble(log_odds, shifts, scale=1.0):
    """Networks without inputs' influence: survival log-odds and locations of ln sigma_v are given, a row a member."""
    zeros, ones = jnp.zeros(3), jnp.full(3, scale)

    def make(key, odds, shift):
        network = make_density_network(key, 4, 1, zeros, ones, LIMITS, Counts(N_STARS, 0))
        last = network.network.layers[-1]
        # log-odds, weight, three locations, three ln scales, three below the diagonal
        bias = jnp.concatenate([odds[None], jnp.zeros(1), shift, jnp.zeros(6)])
        return eqx.tree_at(
            lambda n: (n.network.layers[-1].weight, n.network.layers[-1].bias), network, (0 * last.weight, bias)
        )

    keys = jax.random.split(jax.random.key(0), len(log_odds))
    return DensityEnsemble(eqx.filter_vmap(make)(keys, jnp.asarray(log_odds), jnp.asarray(shifts)))


@pytest.mark.slow
def test_information_of_members_that_agree_is_nothing():
    """However wide their laws are."""
    for scale in (0.1, 3.0):
        ensemble = density_ensemble([2.0, 2.0, 2.0], np.zeros((3, 3), "float32"), scale)
        assert information(jax.random.key(1), ensemble, np.array([[1.0, 100.0]])) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_information_of_members_far_apart_is_the_logarithm_of_their_number():
    """One outcome tells which member is right: ln 3 nats, if the cluster survives."""
    apart = 20 * np.eye(3, dtype="float32")[[0, 1, 2]] * [[1, 1, 0]]
    ensemble = density_ensemble([12.0, 12.0, 12.0], np.asarray(apart, "float32"))
    found = information(jax.random.key(1), ensemble, np.array([[1.0, 100.0]]))
    assert found == pytest.approx(np.log(3), abs=0.02)


@pytest.mark.slow
def test_information_about_survival():
    """Two members that agree about survivors, but not about survival: the information of a coin of two biases."""
    odds = np.array([2.0, -1.0], "float32")
    found = information(
        jax.random.key(1), density_ensemble(odds, np.zeros((2, 3), "float32")), np.array([[1.0, 100.0]])
    )
    p = 1 / (1 + np.exp(-odds))

    def entropy(p):
        return -(p * np.log(p) + (1 - p) * np.log(1 - p))

    assert found == pytest.approx(entropy(p.mean()) - entropy(p).mean(), rel=1e-3)


@pytest.mark.slow
def test_information_counts_disagreement_in_units_of_the_scatter():
    """For normal laws apart by a small part of their width it grows with the square of that ratio."""
    shifts = np.array([[0.1, 0, 0], [-0.1, 0, 0]], "float32")
    key, x = jax.random.key(3), np.array([[1.0, 100.0]])
    near, far = (information(key, density_ensemble([12.0, 12.0], s * shifts), x)[0] for s in (1, 4))
    # ln sigma_v has scatter 1: 0.2 apart is 0.01^1/2 each from the mean, half the variance ratio
    assert far == pytest.approx(0.5 * np.log(1 + 0.16), abs=0.03)
    assert near < 0.25 * far


def test_proposals_lie_where_the_acquisition_is_large():
    """Within two widths of the peak lie pi 0.2^2 = 13 % of the box, and half of 12 points."""
    proposal = propose_points(hill, BOX, 12, seed=1)
    place = in_unit_square(proposal.x)
    assert ((place >= 0) & (place <= 1)).all()
    distance = np.hypot(*(place - [0.75, 0.25]).T)
    assert (distance < 0.2).sum() >= 6
    assert np.all(np.diff(proposal.score) <= 1e-12)
    assert np.all(proposal.score > 0)


def test_a_batch_is_diverse():
    """No two points as near as the best candidates are to each other: these crowd on the peak."""
    place = in_unit_square(propose_points(hill, BOX, 12, seed=1).x)
    grid = square(45)
    crowd = grid[np.argsort(-hill(LOW + grid * (HIGH - LOW)))[:12]]
    assert nearest_neighbour(place).min() > 3 * nearest_neighbour(crowd).min()
    # half of the mean distance 1 / sqrt(12) is the length at which a point teaches
    assert nearest_neighbour(place).min() > 0.5 * 0.5 / np.sqrt(12)


def test_without_a_preference_a_batch_fills_the_box():
    """Under a flat acquisition 25 points keep half the distance of a regular grid's, and some are in each quarter."""
    place = in_unit_square(propose_points(lambda x: np.ones(len(x)), BOX, 25, seed=2).x)
    assert nearest_neighbour(place).min() > 0.5 / 5
    quarters = np.unique((place > 0.5) @ [1, 2], return_counts=True)[1]
    assert quarters.min() >= 4


def test_proposals_follow_from_the_seed():
    """The same seed, the same bits; another seed, other candidates."""
    first, again, other = (propose_points(hill, BOX, 6, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.score, again.score)
    assert not np.isin(first.x, other.x).any()


def test_a_chosen_point_has_the_largest_fall_of_the_mean():
    """One point: the maximum over all of the mean of k(x, x')^2 / (k(x, x) + 0.1 v(x)), computed here in the open."""
    place = square(12)
    variance = hill(LOW + place * (HIGH - LOW))
    (chosen,), (score,) = choose_batch(place, variance, 1)
    length = 0.5
    falls = [np.mean(variance * np.exp(-((place - one) ** 2).sum(1) / length**2)) / 1.1 for one in place]
    assert chosen == np.argmax(falls)
    assert score == pytest.approx(max(falls), rel=1e-5)


def test_only_allowed_points_are_chosen_and_none_twice():
    """A pool that is used up to its last point."""
    place = square(5)
    allowed = np.arange(25) % 2 == 0
    chosen, _ = choose_batch(place, np.ones(25), 13, allowed)
    assert sorted(chosen) == np.flatnonzero(allowed).tolist()
    with pytest.raises(NatalError, match="14 points are asked for, but there are 13 to choose from"):
        choose_batch(place, np.ones(25), 14, allowed)


def test_no_disagreement_is_no_defect():
    """Members that agree to the last bit: any points will do, none twice."""
    chosen, score = choose_batch(square(5), np.zeros(25), 4)
    assert len(set(chosen)) == 4
    assert score.tolist() == [0, 0, 0, 0]


def test_filling_space():
    """From a corner: the opposite corner, the other two, the middle."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.5], [0.4, 0.5]])
    found = fill_space(corners, [0], 4)
    assert found[:2] == [0, 3]
    assert set(found[2:4]) == {1, 2}
    assert found[4] == 4


def front(x):
    """Flat but for a steep, curved front across the box, 0.04 wide in Q0."""
    place = in_unit_square(x)
    step = np.tanh((x[:, 0] - 0.8 - 0.15 * np.sin(3 * place[:, 1])) / 0.02)
    q0 = x[:, 0]
    return np.column_stack([0.2 * q0 + 0.5 * step, place[:, 1] - 0.5 * step + 0.3 * q0, q0 + 0.3 * step])


@pytest.fixture(scope="module")
def front_curves():
    """Learning curves on the front: 16, 32 and 48 of 400 points, 3 repeats, 4 members."""
    pool = make_runs("train", 400, 1, seed=5, mean=front, sigma=0.01)
    validation = make_runs("validation", 400, 1, seed=6, mean=front, sigma=1e-6)
    settings = TrainingSettings(members=4, learning_rate=3e-3, max_epochs=600)
    fit = fit_means(pool, validation, np.arange(400), pool.x, BOX, settings)
    return learning_curves(
        jax.random.key(1), in_unit_square(pool.x), fit, GainSettings(start=16, step=16, stop=48, repeats=3)
    )


@pytest.mark.slow
def test_adaptive_points_beat_space_filling_ones_at_a_sharp_feature(front_curves):
    """At 48 points the error is a fifth lower in each of 3 repeats; 48 space-filling points are worth 38 at most."""
    error = front_curves.pivot(index=["repeat", "n_points"], columns="arm", values="error").unstack("repeat")
    np.testing.assert_array_equal(error.adaptive.loc[16], error.space_filling.loc[16])
    assert (error.adaptive.loc[48] < 0.8 * error.space_filling.loc[48]).all()
    gain = savings(front_curves, np.random.default_rng(0)).set_index("n_points")
    assert gain.saved[48] > 10
    assert gain.saved_low[48] > 0


@pytest.mark.slow
def test_surprise_is_that_of_the_mean_law():
    """Two members that differ: by hand, for a cluster that survived and one that did not."""
    odds = np.array([2.0, -1.0], "float32")
    ensemble = density_ensemble(odds, np.array([[0.5, 0, 0], [-0.5, 0.2, 1]], "float32"))
    x, y = np.array([[0.8, 100.0]]), np.array([[0.4, 1.5, 120.0]])
    one_x, one_y = jnp.asarray(x[0], "float32"), jnp.asarray(y[0], "float32")
    each = eqx.filter_vmap(lambda member: member(one_x).observed().log_prob(one_y))(ensemble.members)
    p = 1 / (1 + np.exp(-odds))
    alive, dissolved = -np.log(np.exp(each).mean()), -np.log((1 - p).mean())
    assert surprise(ensemble, Outcomes(x, y, np.array([True]))) == pytest.approx(alive, rel=1e-4)
    assert surprise(ensemble, Outcomes(x, y * np.nan, np.array([False]))) == pytest.approx(dissolved, rel=1e-4)
    both = Outcomes(np.repeat(x, 2, 0), np.concatenate([y, y * np.nan]), np.array([True, False]))
    assert surprise(ensemble, both) == pytest.approx((alive + dissolved) / 2, rel=1e-4)


def tracks_of(n_points, seed):
    """Snapshots at half time and at the end (100 yr) of two clusters at each point; the first one dissolves."""
    rng = np.random.default_rng(seed)
    point = np.repeat(np.arange(n_points), 4)
    x = LOW + rng.random((n_points, 2))[point] * (HIGH - LOW)
    table = pd.DataFrame({"point_id": point, "t_yr": np.tile([50.0, 100.0], 2 * n_points), "q0": x[:, 0]})
    table["a_au"] = x[:, 1]
    table["dissolved"] = np.arange(len(table)) < 2
    table["f_bound"] = np.round(N_STARS * (1.5 - x[:, 0]).clip(0.1, 0.9) + rng.integers(-5, 5, len(table))) / N_STARS
    table["sigma_v_kms"] = rng.lognormal(1.0, 0.2, len(table))
    table["r_h_au"] = x[:, 1] * rng.lognormal(0.5, 0.2, len(table))
    return table


@pytest.mark.slow
def test_laws_are_fitted_to_chosen_points_only():
    """What the other points' runs say changes nothing; the acquisition is known at all of them."""
    settings = DensitySettings(members=2, width=8, steps=250, batch_size=64, learning_rate=1e-2)
    tracks, x = tracks_of(40, 1), LOW + np.random.default_rng(2).random((40, 2)) * (HIGH - LOW)
    validation = final_outcomes(tracks_of(20, 3))
    changed = tracks.copy()
    changed.loc[changed.point_id >= 20, "sigma_v_kms"] *= 3
    found = []
    for table in (tracks, changed):
        fit = fit_laws(table, 100.0, validation, np.arange(40), x, BOX, Counts(N_STARS, 0), settings)
        found.append(fit(jax.random.key(5), np.arange(20)))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][1].shape == (40,)
    assert found[0][1].min() >= 0
    assert found[0][1].max() > 0


def curves_of(adaptive, filling):
    """Learning curves of given errors [repeat, size] at 10, 20 and 40 points."""
    rows = [
        (repeat, arm, n, error)
        for arm, errors in (("adaptive", adaptive), ("space_filling", filling))
        for repeat, row in enumerate(errors)
        for n, error in zip((10, 20, 40), row, strict=True)
    ]
    return pd.DataFrame(rows, columns=["repeat", "arm", "n_points", "error"])


def test_savings_are_read_off_the_mean_curves():
    """An error of 0.6, that 40 points reach, is reached adaptively half way between 20 and 40."""
    gain = savings(curves_of([[1, 0.7, 0.5]] * 2, [[1, 0.8, 0.6]] * 2), np.random.default_rng(0))
    assert gain.n_points.tolist() == [20, 40]
    assert gain.target_error.tolist() == [0.8, 0.6]
    np.testing.assert_allclose(gain.n_adaptive, [10 + 10 * 2 / 3, 30])
    np.testing.assert_allclose(gain.saved, [10 / 3, 10])
    np.testing.assert_allclose(gain.saved_low, gain.saved)


def test_savings_have_a_spread_and_a_sign():
    """The same curves in both arms save nothing; worse ones cost; repeats that differ leave a range."""
    same = [[1, 0.8, 0.6], [1.2, 0.9, 0.7]]
    assert savings(curves_of(same, same), np.random.default_rng(0)).saved.tolist() == [0, 0]
    gain = savings(curves_of([[1, 0.95, 0.8]] * 2, [[1, 0.8, 0.7]] * 2), np.random.default_rng(0))
    assert gain.saved.tolist() == [-20, 0]
    mixed = savings(curves_of([[1, 0.6, 0.5], [1, 0.95, 0.6]], [[1, 0.8, 0.6]] * 2), np.random.default_rng(0))
    assert mixed.saved_low[0] < 0 < mixed.saved[0] < mixed.saved_high[0]


def test_a_pool_too_small_is_refused():
    """In the words of the configuration."""
    with pytest.raises(
        NatalError, match=r"adaptive.gain.stop = 30 is not allowed: the campaign has 25 training points"
    ):
        learning_curves(
            jax.random.key(0),
            square(5),
            lambda key, chosen: (0.0, np.ones(25)),
            GainSettings(start=4, step=2, stop=30, repeats=2),
        )


def test_the_figure_shows_mean_and_standard_error():
    """Of both arms, over repeats."""
    curves = curves_of([[1, 0.7, 0.5], [1, 0.9, 0.7]], [[1, 0.8, 0.6], [1, 0.9, 0.8]])
    (ax,) = gain_figure(curves, "disagreement").axes
    for arm, (line, _, (bars,)) in zip(ARM_STYLES, ax.containers, strict=True):
        assert to_hex(line.get_color()) == to_hex(ARM_STYLES[arm]["color"])
        table = curves[curves.arm == arm].groupby("n_points").error
        np.testing.assert_allclose(line.get_data(), [[10, 20, 40], table.mean()])
        heights = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
        np.testing.assert_allclose(heights, table.sem())
    assert "standard deviations" in ax.get_ylabel()
