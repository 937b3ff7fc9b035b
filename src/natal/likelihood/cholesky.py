"""Cholesky factors and forward substitution of small matrices, written out.

Batched LAPACK calls of jaxlib (0.10.2) hand parts of their work to XLA's threads and keep their own thread waiting for
them. As many such calls at once as there are threads wait for ever, and two that do not need each other's result are
run at once. For two or three rows they are slow besides.

A matrix is a list of rows here, each a list of numbers or of arrays of one shape: the numbers of many matrices lie
side by side in memory, and work on them runs at the processor's speed.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

SMALLEST_PIVOT = 1e-12
"""Of the diagonal element: rounding must not make a root of a negative number."""

Rows = Sequence[Sequence[Array]]


def factor(matrix: Rows) -> list[list[Array]]:
    """Rows of the lower triangle L of positive definite matrices L L^T, as long as they are not zero."""
    rows: list[list[Array]] = []
    for i in range(len(matrix)):
        row: list[Array] = []
        for j in range(i):
            row.append((matrix[i][j] - dot(row, rows[j][:j])) / rows[j][j])
        pivot = matrix[i][i] - dot(row, row)
        row.append(jnp.sqrt(jnp.maximum(pivot, SMALLEST_PIVOT * matrix[i][i])))
        rows.append(row)
    return rows


def solve(lower: Rows, vector: Sequence[Array]) -> list[Array]:
    """The x of L x = `vector`, L being a lower triangle."""
    solved: list[Array] = []
    for row, value in zip(lower, vector, strict=True):
        solved.append((value - dot(row, solved)) / row[len(solved)])
    return solved


def dot(one: Sequence[Any], other: Sequence[Any]) -> Array:
    """The scalar product of two vectors, as far as both have elements."""
    product: Array = sum((a * b for a, b in zip(one, other, strict=False)), start=jnp.zeros(()))
    return product


def cholesky(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The lower triangle L of positive definite matrices L L^T, as an array."""
    n = matrix.shape[-1]
    rows = factor([[matrix[..., i, j] for j in range(n)] for i in range(n)])
    zero = jnp.zeros_like(matrix[..., 0, 0])
    return jnp.stack([jnp.stack([*row, *[zero] * (n - len(row))], axis=-1) for row in rows], axis=-2)


def solve_lower(lower: Float[Array, "*#batch n n"], vector: Float[Array, "*#batch n"]) -> Float[Array, "*#batch n"]:
    """The x of L x = `vector`, L being the lower triangle of the array `lower`."""
    n = vector.shape[-1]
    rows = [[lower[..., i, j] for j in range(i + 1)] for i in range(n)]
    return jnp.stack(solve(rows, [vector[..., i] for i in range(n)]), axis=-1)
