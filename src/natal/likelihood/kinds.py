"""The likelihoods that a campaign may choose, by name (config key `likelihood`).

constant        independent normal summaries about the emulator's mean; the same widths everywhere
constant_full   the same with the covariance of summaries
ensemble        the covariance of the members' predictions at each point, plus a constant remainder
heteroscedastic mean and covariance both predicted, one component a network (`natal.likelihood.density`)
mixture         several components a network, for skewed, bounded and discrete summaries
"""

from dataclasses import replace

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
    """Independent normal summaries about the ensemble's mean, with the same widths everywhere.

    The widths are root-mean-square residuals of single validation runs. They already hold both the simulator's scatter
    and the emulator's error: neither may be added again.

    Attributes:
        ensemble: The trained emulator.
        sigma_total: Widths in physical units.
    """

    ensemble: Ensemble
    sigma_total: Float[Array, " summary"]

    def conditional(self, x: Float[Array, " birth"]) -> DiagonalGaussian:
        """The law of the summaries at x = (q0, a_au)."""
        return DiagonalGaussian(self.ensemble.mean(x), self.sigma_total)


class FullConstantLikelihood(eqx.Module):
    """Normal summaries about the ensemble's mean with the covariance of validation residuals, the same everywhere.

    Attributes:
        ensemble: The trained emulator.
        covariance: Second moments in physical units.
    """

    ensemble: Ensemble
    covariance: Float[Array, "summary summary"]

    def conditional(self, x: Float[Array, " birth"]) -> FullGaussian:
        """The law of the summaries at x = (q0, a_au)."""
        return FullGaussian(self.ensemble.mean(x), self.covariance)


class EnsembleLikelihood(eqx.Module):
    """Normal summaries whose covariance is that of the members' predictions at the point, plus a constant remainder.

    On average over the validation points the two add up to the covariance of residuals (`natal.likelihood.widths`).

    Attributes:
        ensemble: The trained emulator.
        remainder: The constant part, in physical units.
    """

    ensemble: Ensemble
    remainder: Float[Array, "summary summary"]

    def conditional(self, x: Float[Array, " birth"]) -> FullGaussian:
        """The law of the summaries at x = (q0, a_au)."""
        members = self.ensemble.members(x)
        return FullGaussian(members.mean(0), jnp.cov(members.T) + self.remainder)


class DensityLikelihood(eqx.Module):
    """A law of which everything is predicted: survival, means, widths, correlations; with several components its shape.

    Attributes:
        ensemble: The trained emulator; here only its box is used.
        density: The trained density networks.
        tempering: Of densities (`natal.likelihood.mixture_density.temperature`); 0 for none.
    """

    ensemble: Ensemble
    density: DensityEnsemble
    tempering: float = eqx.field(static=True, default=0.0)

    def conditional(self, x: Float[Array, " birth"]) -> Mixture:
        """The law of the summaries at x = (q0, a_au)."""
        refuse_outside(x, self.ensemble.box)
        return replace(self.density(x), tempering=self.tempering)


def untempered(likelihood: Likelihood) -> Likelihood:
    """The same likelihood with densities that integrate to the probability to survive: for predictions."""
    return replace(likelihood, tempering=0.0) if isinstance(likelihood, DensityLikelihood) else likelihood


def make_likelihood(
    kind: str,
    ensemble: Ensemble,
    widths: Widths,
    densities: dict[str, DensityEnsemble] | None = None,
    tempering: float = 0.0,
) -> Likelihood:
    """Build the likelihood that the config key `likelihood` names.

    Args:
        kind: One of `natal.settings.likelihood.KINDS`.
        ensemble: The trained emulator.
        widths: As fitted to validation runs.
        densities: Trained density networks by the name of their likelihood; only 'heteroscedastic' and 'mixture' need
            theirs.
        tempering: Of the likelihood 'mixture'; the others have none.

    Raises:
        NatalError: If the name is not known.
    """
    if kind == "constant":
        return ConstantLikelihood(ensemble, jnp.asarray(widths.sigma_total, DTYPE))
    if kind == "constant_full":
        return FullConstantLikelihood(ensemble, jnp.asarray(widths.covariance, DTYPE))
    if kind == "ensemble":
        return EnsembleLikelihood(ensemble, jnp.asarray(widths.remainder, DTYPE))
    if kind in KINDS and densities is not None:
        return DensityLikelihood(ensemble, densities[kind], tempering if kind == "mixture" else 0.0)
    raise NatalError(f"likelihood = {kind!r} is not known; allowed: {', '.join(KINDS)}")
