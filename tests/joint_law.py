"""A law of observables with random weights, which tests take for the truth."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import truncnorm

from natal.likelihood.joint import Latents, Scale, draw_clusters, log_tau, speed_kms
from natal.likelihood.joint_network import JointEnsemble, Reach, make_joint_network
from natal.likelihood.mixture_density import Counts
from natal.posterior.catalogue import Law, clusters_table

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


def births(rng, n):
    """Births of a population within the box."""
    ends = np.log(REACH.a_au)
    q0 = truncnorm((0.5 - 0.9) / 0.15, (1.5 - 0.9) / 0.15, 0.9, 0.15).rvs(n, random_state=rng)
    ln_a = truncnorm((ends[0] - 4.6) / 0.2, (ends[1] - 4.6) / 0.2, 4.6, 0.2).rvs(n, random_state=rng)
    return np.column_stack([q0, np.exp(ln_a)])


def seen_of(law, birth, seed):
    """What is seen of clusters of the law at the campaign's age and mass: observables and whether they survived."""
    tau = log_tau(REACH.t_end_yr, REACH.mass_msun, birth[:, 1])
    laws = jax.vmap(law.ensemble, out_axes=-1)(jnp.asarray(np.column_stack([birth[:, 0], tau]), "float32"))
    a_au = jnp.asarray(birth[:, 1], "float32")
    scale = Scale(a_au, jnp.asarray(speed_kms(REACH.mass_msun, birth[:, 1]), "float32"))
    return draw_clusters(jax.random.key(seed), laws, scale)


def table_of(drawn, chosen):
    """The chosen clusters as answers take them."""
    rows = [
        {"name": str(k)} | {name: float(drawn.values[name][k]) for name in LATENTS.of_all}
        for k in np.flatnonzero(chosen)
    ]
    return clusters_table(rows)
