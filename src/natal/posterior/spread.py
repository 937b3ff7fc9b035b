"""Runs one compiled function for many cases, spread over the local devices, in parts that fit into memory."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from natal.posterior.programs import call, device_mesh
from natal.progress import track

CASES_PER_CALL = 256


def map_cases(
    function: Callable[..., Any], shared: Any, cases: Any, *settings: Any, label: str, unit: str = "cases"
) -> Any:
    """Call `function(shared, case, *settings)` for every case.

    Args:
        function: It must be defined in a module, and not anew for each call: it is compiled once for each `settings`.
        shared: Arrays and modules that all cases need.
        cases: A tree of arrays with a leading axis of cases.
        settings: What else the function takes; hashable.
        label: Text of the progress bar.
        unit: What the progress bar counts.

    Returns:
        The function's results as NumPy arrays with a leading axis of cases.

    Examples:
        >>> map_cases(lambda shared, case: shared * case, 10.0, np.arange(3.0), label="example").tolist()
        [0.0, 10.0, 20.0]
    """
    n, n_devices = len(jax.tree.leaves(cases)[0]), len(jax.local_devices())
    n_calls = -(-n // CASES_PER_CALL)
    per_call = -(-n // (n_calls * n_devices)) * n_devices
    # each device gets its own cases only
    split = NamedSharding(device_mesh(), PartitionSpec("device"))
    found = []
    for first in track(range(0, n, per_call), total=n_calls, label=label, unit=f"x {per_call} {unit}"):
        # every call has the same shape: the last is filled up with copies of its last case
        chosen = np.minimum(np.arange(first, first + per_call), n - 1)
        batch = jax.device_put(jax.tree.map(lambda array: array[chosen], cases), split)  # noqa: B023
        found.append(jax.device_get(call(_one_call, function, shared, batch, settings)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *found)


def _one_call(function: Callable[..., Any], shared: Any, cases: Any, settings: tuple[Any, ...]) -> Any:
    arrays, static = eqx.partition(shared, eqx.is_array)

    def some(arrays: Any, cases: Any) -> Any:
        together = eqx.combine(arrays, static)
        return lax.map(lambda case: function(together, case, *settings), cases)

    split = PartitionSpec("device")
    spread = jax.shard_map(
        some, mesh=device_mesh(), in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False
    )
    return spread(arrays, cases)
