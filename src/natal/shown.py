"""Which cases a report shows in full."""

import numpy as np


def shown_cases(q0_true: np.ndarray, n: int) -> np.ndarray:
    """Indices of `n` cases at even steps through the true Q0, the extremes left out; some twice if there are fewer."""
    by_q0 = np.argsort(q0_true, kind="stable")
    return by_q0[np.linspace(0, len(by_q0) - 1, n + 2)[1:-1].round().astype(int)]
