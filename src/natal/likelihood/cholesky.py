"""Cholesky factors and forward substitution of small matrices, written out.

Batched LAPACK calls of jaxlib (0.10.2) hand parts of their work to XLA's threads and keep their own thread waiting for
them. As many such calls at once as there are threads wait for ever, and two that do not need each other's result are
run at once. For two or three rows they are slow besides.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

SMALLEST_PIVOT = 1e-12
"""Of the diagonal element: rounding must not make a root of a negative number."""


def cholesky(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The lower triangle L of positive definite matrices L L^T."""
    n = matrix.shape[-1]
    rows: list[list[Array]] = []
    for i in range(n):
        row: list[Array] = []
        for j in range(i):
            row.append((matrix[..., i, j] - _dot(row, rows[j], j)) / rows[j][j])
        pivot = matrix[..., i, i] - _dot(row, row, i)
        row.append(jnp.sqrt(jnp.maximum(pivot, SMALLEST_PIVOT * matrix[..., i, i])))
        rows.append(row)
    zero = jnp.zeros_like(matrix[..., 0, 0])
    return jnp.stack([jnp.stack([*row, *[zero] * (n - len(row))], axis=-1) for row in rows], axis=-2)


def solve_lower(factor: Float[Array, "*#batch n n"], vector: Float[Array, "*#batch n"]) -> Float[Array, "*#batch n"]:
    """The x of L x = `vector`, L being the lower triangle of `factor`."""
    solved: list[Array] = []
    for i in range(vector.shape[-1]):
        known = sum((factor[..., i, j] * x for j, x in enumerate(solved)), start=jnp.zeros_like(vector[..., i]))
        solved.append((vector[..., i] - known) / factor[..., i, i])
    return jnp.stack(solved, axis=-1)


def _dot(one: list[Array], other: list[Array], n: int) -> Array | float:
    return sum((one[k] * other[k] for k in range(n)), start=0.0)
