"""The likelihoods that a campaign may choose, by name (config key `likelihood`).

constant        diagonal Gaussian about the emulator, one width everywhere
constant_full   the same with the outputs' covariance
ensemble        the emulator's own covariance at each point, and a constant remainder
heteroscedastic mean and covariance both predicted, one component a network (`natal.likelihood.density`)
mixture         several components a network: skewed, bounded and discrete as the summaries are
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from natal.emulator.box import refuse_outside
from natal.emulator.ensemble import Ensemble
from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.likelihood.density import DensityEnsemble
from natal.likelihood.gaussian import DiagonalGaussian, FullGaussian
from natal.likelihood.mixture import Mixture
from natal.likelihood.protocols import Likelihood
from natal.likelihood.widths import Widths
from natal.settings.likelihood import KINDS


class ConstantLikelihood(eqx.Module):
    """Diagonal Gaussian about the ensemble mean, of the same width everywhere.

    The width is the root-mean-square residual of single validation runs, so it holds the simulator's scatter
    and the emulator's error together; neither may be added again.
    """

    ensemble: Ensemble
    sigma_total: Float[Array, " summary"]

    def conditional(self, x: Float[Array, " birth"]) -> DiagonalGaussian:
        return DiagonalGaussian(self.ensemble.mean(x), self.sigma_total)


class FullConstantLikelihood(eqx.Module):
    """Gaussian about the ensemble mean with the covariance of validation residuals, the same everywhere."""

    ensemble: Ensemble
    covariance: Float[Array, "summary summary"]

    def conditional(self, x: Float[Array, " birth"]) -> FullGaussian:
        return FullGaussian(self.ensemble.mean(x), self.covariance)


class EnsembleLikelihood(eqx.Module):
    """Gaussian whose covariance is that of the members' predictions at the point plus a constant remainder.

    The remainder is what validation residuals hold beyond the members' own mean covariance, so that on average over
    the validation points the two add up to the residual covariance.
    """

    ensemble: Ensemble
    remainder: Float[Array, "summary summary"]

    def conditional(self, x: Float[Array, " birth"]) -> FullGaussian:
        members = self.ensemble.members(x)
        return FullGaussian(members.mean(0), jnp.cov(members.T) + self.remainder)


class DensityLikelihood(eqx.Module):
    """Everything predicted: survival, location, width, correlation, and with several components the shape."""

    ensemble: Ensemble
    density: DensityEnsemble

    def conditional(self, x: Float[Array, " birth"]) -> Mixture:
        refuse_outside(x, self.ensemble.box)
        return self.density(x)


def make_likelihood(
    kind: str, ensemble: Ensemble, widths: Widths, densities: dict[str, DensityEnsemble] | None = None
) -> Likelihood:
    """Build the likelihood named by the config key `likelihood`.

    `densities` holds the trained networks of 'heteroscedastic' and 'mixture', if these are asked for. Raises
    `NatalError` for an unknown name.
    """
    if kind == "constant":
        return ConstantLikelihood(ensemble, jnp.asarray(widths.sigma_total, DTYPE))
    if kind == "constant_full":
        return FullConstantLikelihood(ensemble, jnp.asarray(widths.covariance, DTYPE))
    if kind == "ensemble":
        return EnsembleLikelihood(ensemble, jnp.asarray(widths.remainder, DTYPE))
    if kind in KINDS and densities is not None:
        return DensityLikelihood(ensemble, densities[kind])
    raise NatalError(f"likelihood = {kind!r} is not known; allowed: {', '.join(KINDS)}")
