"""Cholesky factors and forward substitution for small matrices, written out element by element.

JAX's own batched routines are not used, for two reasons. On CPUs, jaxlib 0.10.2 hands parts of a batched LAPACK call to
XLA's threads, and the call keeps its own thread waiting for them: when as many calls run at once as there are threads,
all wait for ever. And for two or three rows they are slow.

A matrix is a list of rows here, and a row is a list of arrays of one shape. Each array holds one element of many
matrices side by side in memory, so that a processor works on many matrices at once.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

SMALLEST_PIVOT = 1e-12
"""The least square of a pivot, as a share of the matrix's diagonal element: rounding must not make it negative."""

Rows = Sequence[Sequence[Array]]


def factor(matrix: Rows) -> list[list[Array]]:
    """The Cholesky factor L of positive definite matrices L L^T, as rows of its lower triangle.

    Args:
        matrix: Rows of the matrices. Only the lower triangle is read.

    Returns:
        Row i of L has i + 1 elements; what lies above the diagonal is left out.

    Examples:
        >>> matrix = [[jnp.array(4.0)], [jnp.array(2.0), jnp.array(2.0)]]
        >>> [[value.item() for value in row] for row in factor(matrix)]
        [[2.0], [1.0, 1.0]]
    """
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
    """Solve L x = v for x by forward substitution.

    Args:
        lower: Rows of the lower triangle L, as `factor` returns them.
        vector: The right side v, one array for each row.

    Examples:
        >>> lower = [[jnp.array(2.0)], [jnp.array(1.0), jnp.array(1.0)]]
        >>> [value.item() for value in solve(lower, [jnp.array(4.0), jnp.array(5.0)])]
        [2.0, 3.0]
    """
    solved: list[Array] = []
    for row, value in zip(lower, vector, strict=True):
        solved.append((value - dot(row, solved)) / row[len(solved)])
    return solved


def dot(one: Sequence[Any], other: Sequence[Any]) -> Array:
    """The scalar product of two vectors; if one is longer, its last elements are left out.

    Args:
        one: Elements, arrays of one shape.
        other: Elements of the same shape.
    """
    product: Array = sum((a * b for a, b in zip(one, other, strict=False)), start=jnp.zeros(()))
    return product


def cholesky(matrix: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The lower triangle L of positive definite matrices L L^T, as an array with zeros above the diagonal.

    Examples:
        >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 2.0]])).tolist()
        [[2.0, 0.0], [1.0, 1.0]]
    """
    n = matrix.shape[-1]
    rows = factor([[matrix[..., i, j] for j in range(n)] for i in range(n)])
    zero = jnp.zeros_like(matrix[..., 0, 0])
    return jnp.stack([jnp.stack([*row, *[zero] * (n - len(row))], axis=-1) for row in rows], axis=-2)


def solve_lower(lower: Float[Array, "*#batch n n"], vector: Float[Array, "*#batch n"]) -> Float[Array, "*#batch n"]:
    """Solve L x = v for x, for arrays.

    Args:
        lower: Lower triangles L; what lies above the diagonal is not read.
        vector: Right sides v. Axes before the last are broadcast against those of `lower`.

    Examples:
        >>> solve_lower(jnp.array([[2.0, 0.0], [1.0, 1.0]]), jnp.array([4.0, 5.0])).tolist()
        [2.0, 3.0]
    """
    n = vector.shape[-1]
    rows = [[lower[..., i, j] for j in range(i + 1)] for i in range(n)]
    return jnp.stack(solve(rows, [vector[..., i] for i in range(n)]), axis=-1)
