"""What the report's own script is given: networks as they are, and sliders about what was seen."""

import base64
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from joint_law import REACH, random_law

from natal.likelihood.density import DensityEnsemble, make_density_network
from natal.likelihood.in_page import joint_law_of_page, law_of_page
from natal.likelihood.mixture_density import Counts
from natal.variables import SUMMARIES, limits_of

BOX = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}


@pytest.fixture
def ensemble():
    def member(key):
        shift, scale = jnp.array([0.5, -0.2, 1.0]), jnp.array([0.3, 0.4, 1.5])
        return make_density_network(key, 8, 2, shift, scale, limits_of(BOX), Counts(100, 5))

    return DensityEnsemble(eqx.filter_vmap(member)(jax.random.split(jax.random.key(0), 3)))


def through(layers, x):
    """A network's raw outputs, as the script has them."""
    for k, layer in enumerate(layers):
        weight, bias = (np.frombuffer(base64.b64decode(text), "<f4") for text in layer)
        x = weight.reshape(len(bias), -1) @ np.array(x) + bias
        x = np.tanh(x) if k < len(layers) - 1 else x
    return x


def test_the_pages_networks_give_the_same_laws(ensemble):
    """Read back as the script does: weights, locations and triangles of every component, to single precision."""
    rng = np.random.default_rng(0)
    seen = rng.uniform([0.1, 2, 100], [1, 9, 800], (500, 3))
    law = json.loads(json.dumps(law_of_page(ensemble, seen, 0.5)))
    x = np.array([0.8, 90.0])
    place = [
        np.sqrt(3) * (2 * ((np.log(v) if one["log"] else v) - one["low"]) / (one["high"] - one["low"]) - 1)
        for v, one in zip(x, law["inputs"], strict=True)
    ]
    found = []
    for member in law["members"]:
        raw = through(member["layers"], place)
        for c in range(law["components"]):
            own = raw[3 + 9 * c : 3 + 9 * (c + 1)]
            moved = np.array(law["powers"]) * (np.log(x[1]) - np.where(law["lengths"], 0, law["middle"]))
            diagonal = np.array(member["scale"]) * np.exp(own[3:6])
            found.append(
                [*(member["shift"] + member["scale"] * own[:3] + moved), *diagonal, member["scale"][2] * own[8]]
            )
    expected = ensemble(jnp.asarray(x, "float32"))
    corners = np.asarray(expected.cholesky)
    whole = np.column_stack([expected.location, corners[:, [0, 1, 2], [0, 1, 2]], corners[:, 2, 1]])
    np.testing.assert_allclose(found, whole, rtol=2e-5)
    for field, (low, high) in zip(law["fields"], np.quantile(seen, [0.005, 0.995], axis=0).T, strict=True):
        assert low < field["low"] < field["value"] < field["high"] < high


@pytest.mark.slow
def test_the_pages_networks_of_observables_give_the_same_laws():
    """Weights, locations and covariances of every component, to single precision; every observable has a slider."""
    ensemble = random_law().ensemble
    law = json.loads(json.dumps(joint_law_of_page(ensemble, REACH)))
    x = np.array([0.8, 2.3])
    limits = np.array([law["q0"], law["log_tau"]])
    place = np.sqrt(12) * (x - limits.mean(1)) / np.ptp(limits, axis=1)
    n, components = len(law["sizes"]) + 1, law["components"]
    found = []
    for member in law["members"]:
        raw = through(member["layers"], place)
        weights, rest = raw[1 : 1 + components], raw[1 + components :].reshape(components, -1)
        for weight, own in zip(weights - np.log(np.exp(weights).sum()), rest, strict=True):
            lower = np.zeros((n, n))
            lower[np.diag_indices(n)] = np.exp(own[n : 2 * n])
            lower[np.tril_indices(n, -1)] = own[2 * n :]
            scale = np.array(member["scale"])
            covariance = (scale[:, None] * (lower @ lower.T) * scale)[np.tril_indices(n)]
            found.append([weight - np.log(len(law["members"])), *(member["shift"] + scale * own[:n]), *covariance])
    expected = ensemble(jnp.asarray(x, "float32"))
    whole = np.column_stack([expected.log_weight, expected.location, expected.covariance])
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-6)
    assert {field["name"] for field in law["fields"]} == {*ensemble.latents.names} > {*SUMMARIES}
    assert all(field["low"] < field["value"] < field["high"] for field in law["fields"])
