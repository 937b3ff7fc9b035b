"""A law of observables with random weights, which tests take for the truth."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from natal.likelihood.joint import Latents
from natal.likelihood.joint_network import JointEnsemble, Reach, make_joint_network
from natal.likelihood.mixture_density import Counts
from natal.posterior.catalogue import Law

LATENTS = Latents(("sigma_los_kms", "r_hp_au", "v_out_kms"), ("sigma_v_kms", "r_h_au"), Counts(100, 5))
REACH = Reach((0.5, 1.5), (0.1, 4.5), (50.0, 200.0), 500.0, 100.0)


def random_law(seed: int = 0, prior=None) -> Law:
    """Two members of two components whose locations change much with Q0 and tau."""
    shift = jnp.array([-0.5, 0.3, 0.2, -0.7, 0.2, 1.0])
    scale = jnp.array([0.5, 0.8, 0.5, 0.5, 0.8, 1.0])

    def member(key):
        network = make_joint_network(key, 8, 2, shift, scale, LATENTS, REACH.q0, REACH.log_tau)
        last = network.network.layers[-1]
        # scatter of about a fifth of what births change
        first_diagonal = 3 + np.arange(2)[:, None] * 27 + 6 + np.arange(6)
        bias = last.bias.at[first_diagonal.ravel()].add(-1.0)
        return eqx.tree_at(
            lambda n: (n.network.layers[-1].weight, n.network.layers[-1].bias), network, (4 * last.weight, bias)
        )

    return Law(JointEnsemble(eqx.filter_vmap(member)(jax.random.split(jax.random.key(seed), 2))), REACH, prior)
