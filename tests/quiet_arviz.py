"""ArviZ, the reference for diagnostics, without the warning about its next major version that 0.23 gives at import."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    import arviz as az

__all__ = ["az"]
