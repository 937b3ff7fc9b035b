"""Work on many files in several processes: HDF5 reads one file at a time in each."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def side_by_side(
    function: Callable[..., T], *arguments: Sequence[Any], n_processes: int, at_a_time: int
) -> Iterator[T]:
    """Like `map`, in several processes.

    Args:
        function: Gets one of each of the arguments; it must not have started JAX.
        arguments: As many of each.
        n_processes: How many processes; with one, or too little to do for two, the work is done in this one.
        at_a_time: Calls that a process gets at once: so many that handing them over does not count.

    Yields:
        What the function returns, in order.
    """
    if n_processes == 1 or len(arguments[0]) <= at_a_time:
        yield from map(function, *arguments)
        return
    with ProcessPoolExecutor(n_processes, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(function, *arguments, chunksize=at_a_time)
