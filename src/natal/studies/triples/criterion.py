"""The formula to beat, the stability criterion of Mardling & Aarseth (2001, MNRAS 321, 398), and odds from it."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit

from natal.studies.triples.systems import pericentre_ratio

PerTriple = Float[np.ndarray, " triple"]


def critical_pericentre(mass_ratio_outer: PerTriple, e_outer: PerTriple, inclination_rad: PerTriple) -> PerTriple:
    """Smallest stable R_p / a_in, 2.8 [(1 + q_out) (1 + e_out) / sqrt(1 - e_out)]^(2/5) (1 - 0.3 i / 180 deg).

    Source: Mardling & Aarseth (2001); the factor for the mutual inclination i is from Aarseth & Mardling (2001, ASP
    Conf. Ser. 229, 77). R_p = a_out (1 - e_out), q_out = m3 / (m1 + m2).

    Args:
        mass_ratio_outer: q_out.
        e_outer: e_out.
        inclination_rad: i.

    Examples:
        >>> critical_pericentre(np.array([0.0]), np.array([0.0]), np.array([0.0])).tolist()
        [2.8]
    """
    coplanar = 2.8 * ((1 + mass_ratio_outer) * (1 + e_outer) / np.sqrt(1 - e_outer)) ** 0.4
    critical: PerTriple = coplanar * (1 - 0.3 * inclination_rad / np.pi)
    return critical


def criterion_ratio(table: pd.DataFrame) -> PerTriple:
    """R_p / a_in over its critical value: stable above 1, unstable below."""
    critical = critical_pericentre(
        table.mass_ratio_outer.to_numpy(), table.e_outer.to_numpy(), table.inclination_rad.to_numpy()
    )
    ratio: PerTriple = pericentre_ratio(table) / critical
    return ratio


def fit_logistic(x: PerTriple, unstable: Bool[np.ndarray, " triple"]) -> Float[np.ndarray, "2"]:
    """Intercept and slope of the most likely P(unstable | x) = 1 / (1 + exp(-(b0 + b1 x))).

    Args:
        x: One number a triple.
        unstable: Whether the triple is.
    """
    sign = np.where(unstable, 1.0, -1.0)

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (b[0] + b[1] * x)
        slope = -sign * expit(-margin)
        return float(np.logaddexp(0, -margin).mean()), np.array([slope.mean(), (slope * x).mean()])

    return minimize(loss, np.zeros(2), jac=True, method="BFGS").x


def logistic(x: PerTriple, coefficients: Float[np.ndarray, "2"]) -> PerTriple:
    """P(unstable | x) with the coefficients of `fit_logistic`.

    Args:
        x: One number a triple.
        coefficients: Intercept and slope.
    """
    probability: PerTriple = expit(coefficients[0] + coefficients[1] * x)
    return probability
