"""What the report's own script is given: networks as they are, and sliders about what was seen."""

import base64
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from natal.likelihood.density import DensityEnsemble, make_density_network
from natal.likelihood.in_page import law_of_page
from natal.likelihood.mixture_density import Counts
from natal.variables import limits_of

BOX = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}


@pytest.fixture
def ensemble():
    def member(key):
        shift, scale = jnp.array([0.5, -0.2, 1.0]), jnp.array([0.3, 0.4, 1.5])
        return make_density_network(key, 8, 2, shift, scale, limits_of(BOX), Counts(100, 5))

    return DensityEnsemble(eqx.filter_vmap(member)(jax.random.split(jax.random.key(0), 3)))


def test_the_pages_networks_give_the_same_laws(ensemble):
    """Read back as the script does: weights, locations and triangles of every component, to single precision."""
    rng = np.random.default_rng(0)
    seen = rng.uniform([0.1, 2, 100], [1, 9, 800], (500, 3))
    law = json.loads(json.dumps(law_of_page(ensemble, seen)))
    x = np.array([0.8, 90.0])
    place = [
        np.sqrt(3) * (2 * ((np.log(v) if one["log"] else v) - one["low"]) / (one["high"] - one["low"]) - 1)
        for v, one in zip(x, law["inputs"], strict=True)
    ]
    found = []
    for member in law["members"]:
        raw = np.array(place)
        for k, layer in enumerate(member["layers"]):
            weight, bias = (np.frombuffer(base64.b64decode(text), "<f4") for text in layer)
            raw = weight.reshape(len(bias), -1) @ raw + bias
            raw = np.tanh(raw) if k < len(member["layers"]) - 1 else raw
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
