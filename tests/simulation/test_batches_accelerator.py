"""The program for accelerators, lowered for CUDA without one: no array of pairs, no reduced precision.

What the device's compiler makes of it was looked at by hand (docs/explanation/speed.md). These tests
hold the form it needs.
"""

import math
import re

import jax
import jax.numpy as jnp
import pytest

from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.batches import _advance, _birth, _measure

BATCH, N_STARS = 6, 70


def lowered(platform):
    """The whole program of a batch, from random keys to summaries, in StableHLO for a platform."""

    def program(*inputs):
        cluster, integration = ClusterModel(n_stars=N_STARS), Integration(t_end_yr=1.0, snapshots=2)
        stars = _birth(jax.random.key(1), *inputs, cluster=cluster)
        later = _advance(jnp.int32(20), *stars, cluster=cluster, dt_yr=integration.dt_yr)
        return later, _measure(*later, cluster=cluster)

    with jax.enable_x64(True):
        dtypes = (jnp.uint32, jnp.uint32, jnp.float64, jnp.float64)
        inputs = [jax.ShapeDtypeStruct((BATCH,), dtype) for dtype in dtypes]
        return jax.jit(program).trace(*inputs).lower(lowering_platforms=(platform,)).as_text()


@pytest.fixture(scope="module")
def on_cuda():
    """Lowered for an NVIDIA GPU."""
    return lowered("cuda")


def largest_array(module):
    """Elements of the largest array that any operation yields."""
    shapes = set(re.findall(r"tensor<((?:\d+x)+)\w+>", module))
    return max(math.prod(int(n) for n in shape.split("x") if n) for shape in shapes)


def test_no_array_of_pairs(on_cuda):
    """Nothing is larger than the twelve random numbers a star of its speed, while on a CPU the pairs are."""
    assert largest_array(on_cuda) == 12 * BATCH * N_STARS
    assert largest_array(lowered("cpu")) >= BATCH * N_STARS**2


def test_forces_are_one_kernel(on_cuda):
    """natal's own, once for the birth and once in the loop over steps; a CPU has none."""
    assert on_cuda.count("custom_call @__gpu$xla.gpu.triton") == 2
    assert "triton" not in lowered("cpu")


def test_no_product_that_could_run_in_reduced_precision(on_cuda):
    """TF32 is a mode of matrix products: there are none."""
    assert "dot_general" not in on_cuda
    assert "dot_general" in lowered("cpu")


def test_double_precision_throughout(on_cuda):
    """No coordinate is rounded to single precision on the way."""
    assert re.search(r"tensor<(\d+x)*f64>", on_cuda)
    assert not re.search(r"tensor<(\d+x)*(f32|f16|bf16)>", on_cuda)
