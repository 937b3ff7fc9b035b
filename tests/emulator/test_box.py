"""Nothing is predicted, and no prior reaches, outside the design box, unless somebody asks for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, LIMITS, LinearLikelihood, blank_ensemble, diagonal_widths, uniform_points

from natal.emulator.box import refuse_outside, refuse_prior_outside
from natal.errors import NatalError
from natal.likelihood.kinds import make_likelihood
from natal.posterior.coordinates import Affine
from natal.posterior.grid import make_grid
from natal.posterior.nuts import sample_cases
from natal.posterior.recovery import recover
from natal.settings.inference import NutsSettings

OUTSIDE = [(0.49, 100.0, "q0 = 0.49"), (1.51, 100.0, "q0 = 1.51"), (1.0, 49.0, "a_au = 49"), (1.0, 201.0, "a_au = 201")]


@pytest.fixture(scope="module")
def small():
    """Two untrained members of the usual box."""
    return blank_ensemble()


@pytest.mark.parametrize(("q0", "a_au", "said"), [*OUTSIDE, (np.nan, 100.0, "q0 = nan"), (1.0, np.inf, "a_au = inf")])
def test_a_point_outside_is_refused(small, q0, a_au, said):
    """By every way of asking the ensemble, in one line with the number and its range, unless extrapolation is asked."""
    x = jnp.array([q0, a_au])
    for ask in (small.members, small.mean, lambda x, **k: small(x[None], **k)):
        with pytest.raises(NatalError) as caught:
            ask(x)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(f"1 of 1 points lie outside the design box: {said} is not in [")
        assert "extrapolate=True" in message
        jax.block_until_ready(ask(x, extrapolate=True))


def test_the_range_that_is_left_is_named(small):
    """The first point of those outside, and how many there are."""
    x = np.array([[1.0, 100.0], [1.0, 300.0], [0.1, 100.0]])
    with pytest.raises(NatalError, match=r"2 of 3 points .*: a_au = 300 is not in \[50, 200\]"):
        small(x)


def test_extrapolation_continues_the_same_function(small):
    """Asking for it changes nothing inside."""
    x = uniform_points(20, np.random.default_rng(0))
    for found, expected in zip(small(x, extrapolate=True), small(x), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("box", [LIMITS, ((0.7, 0.9), (199.0, 199.7))])
def test_edges_are_inside(box, dtype):
    """In single precision, too, where an edge may be rounded to beyond itself."""
    refuse_outside(np.array([[q, a] for q in box[0] for a in box[1]], dtype), box)


def test_compiled_functions_are_not_looked_at(small):
    """What the sampler and the grid evaluate has no value yet; their box was checked before."""
    x = jnp.array([2.0, 100.0])
    for found in (jax.jit(lambda x: small.mean(x))(x), jax.vmap(small.mean)(x[None]), jax.jacobian(small.mean)(x)):
        assert np.isfinite(np.asarray(found)).all()


def test_a_likelihood_refuses_as_its_ensemble_does(small):
    """Evaluated by hand at a point outside; inside it answers."""
    likelihood = make_likelihood("constant", small, diagonal_widths())
    likelihood.conditional(jnp.array([1.5, 200.0]))
    with pytest.raises(NatalError, match=r"q0 = 1.6 is not in"):
        likelihood.conditional(jnp.array([1.6, 100.0]))


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (BOX | {"q0": (0.4, 1.5)}, r"range of q0, \[0.4, 1.5\], must lie within the design box, \[0.5, 1.5\]"),
        (BOX | {"q0": (0.5, 1.6)}, r"range of q0, \[0.5, 1.6\]"),
        (BOX | {"a_au": (49.0, 200.0)}, r"range of a_au, \[49, 200\]"),
        (BOX | {"a_au": (60.0, 210.0)}, r"range of a_au, \[60, 210\], must lie within the design box, \[50, 200\]"),
    ],
)
def test_a_prior_outside_is_refused(prior, said):
    """By the grid, by NUTS and by the recovery, before anything is evaluated."""
    likelihood, y, settings = LinearLikelihood(), np.array([[0.6, 7.0, 500.0]]), NutsSettings()
    data = jnp.asarray(y), jnp.zeros((1, 3)), Affine(jnp.zeros((1, 2)), jnp.eye(2)[None])
    for ask in (
        lambda: make_grid(likelihood, prior, (16, 16)),
        lambda: sample_cases(jax.random.key(0), likelihood, prior, *data, settings),
        lambda: recover(jax.random.key(0), likelihood, prior, y, 0 * y, settings, (16, 16)),
    ):
        with pytest.raises(NatalError, match=said):
            ask()


@pytest.mark.parametrize("prior", [BOX, {"q0": (0.7, 0.8), "a_au": (60.0, 61.0)}, BOX | {"q0": (0.5, 0.6)}])
def test_a_prior_inside_is_not(prior):
    """All of the box, and any part of it."""
    refuse_prior_outside(prior, LIMITS)
