"""A textbook's network for a cluster's evolution: mass, radius and dispersion in, a later state out, with dropout.

The text gives the network what an observer has of a young cluster: mass, radius, concentration, velocity dispersion,
rotation, distance from the galaxy's centre. natal's clusters at birth differ in radius and dispersion (through Q0)
only: all have one mass and a Plummer sphere's concentration, none rotates, none has a galaxy. Three sets of inputs:

birth           ln a, ln of the dispersion at birth, ln t
dimensionless   Q0, ln tau: what the study's laws are given (`network`); outputs are scaled, too
first snapshot  ln of the bound mass, half-mass radius and dispersion at the first stored time, ln t
"""

from functools import partial
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float, PRNGKeyArray

from natal.assessment.coverage import clustered_error
from natal.emulator.layers import TrainingNetwork, training_loss
from natal.emulator.network_files import DTYPE
from natal.emulator.perceptron import ACTIVATIONS, count_parameters, initialise
from natal.emulator.training import train_by_epochs
from natal.settings.emulator import TrainingSettings
from natal.studies.evolution.settings import PrimerSettings
from natal.variables import SUMMARIES

INPUTS = ("birth", "dimensionless", "first snapshot")
STATE = ("f_bound", "sigma_v_kms", "r_h_au")
"""What is predicted: f_bound as it is, the others as logarithms."""


def later_states(table: pd.DataFrame) -> pd.DataFrame:
    """Snapshots after their cluster's first one, which is in columns `first_*`; those alive in both.

    Args:
        table: Tracks (`natal.studies.evolution.tracks.read_tracks`).
    """
    alive = table[~table.dissolved]
    keys, t_first = ["point_id", "realization"], table.t_yr.min()
    first = alive.loc[alive.t_yr == t_first, [*keys, *STATE]].rename(columns={name: f"first_{name}" for name in STATE})
    later: pd.DataFrame = alive[alive.t_yr > t_first].merge(first, on=keys)
    return later


def inputs(rows: pd.DataFrame, kind: str) -> Float[np.ndarray, "row input"]:
    """One of the sets of `INPUTS` for rows of `later_states`, not normalised.

    The dispersion at birth is that of the Plummer sphere, sigma^2 = 2 K / (3 M) = Q0 pi G M / (16 a), but for a factor
    that all clusters share.

    Args:
        rows: Rows of `later_states`.
        kind: `dimensionless`, `birth` or `first snapshot`.
    """
    log_a, log_t = np.log(rows.a_au.to_numpy()), np.log(rows.t_yr.to_numpy())
    if kind == "dimensionless":
        return np.column_stack([rows.q0, log_t - 1.5 * log_a])
    if kind == "birth":
        return np.column_stack([log_a, 0.5 * (np.log(rows.q0) - log_a), log_t])
    seen = np.log(np.maximum(rows[[f"first_{name}" for name in STATE]].to_numpy(), 1e-3))
    return np.column_stack([seen, log_t])


def scaling(rows: pd.DataFrame, kind: str) -> Float[np.ndarray, "row 3"]:
    """What of the outputs need not be learned: for `dimensionless` inputs -ln(a) / 2 of ln sigma_v, ln a of ln r_h.

    Args:
        rows: Rows of `later_states`.
        kind: One of `INPUTS`.

    Returns:
        To be added to f_bound, ln sigma_v and ln r_h; 0 for other inputs.
    """
    given = np.zeros((len(rows), len(STATE)))
    if kind == "dimensionless":
        given[:, 1:] = np.log(rows[["a_au"]].to_numpy()) * [-0.5, 1.0]
    return given


def outputs(rows: pd.DataFrame) -> Float[np.ndarray, "row 3"]:
    """f_bound, ln sigma_v and ln r_h."""
    return np.column_stack([rows.f_bound, np.log(rows.sigma_v_kms), np.log(rows.r_h_au)])


def primer_network(key: PRNGKeyArray, n_inputs: int, hidden: tuple[int, ...]) -> eqx.nn.MLP:
    """An untrained network with ReLU, of hidden layers of any widths, and Glorot's weights.

    Args:
        key: For the weights.
        n_inputs: Numbers that go in.
        hidden: Units of each hidden layer.
    """
    sizes = [n_inputs, *hidden, len(STATE)]
    network = eqx.nn.MLP(
        n_inputs, len(STATE), max(hidden), len(hidden), activation=ACTIVATIONS["relu"], dtype=DTYPE, key=key
    )
    keys = jax.random.split(key, len(sizes) - 1)
    layers = [eqx.nn.Linear(n, m, dtype=DTYPE, key=k) for k, (n, m) in zip(keys, pairwise(sizes), strict=True)]
    return initialise(key, eqx.tree_at(lambda n: n.layers, network, tuple(layers)), "glorot")


def compare(key: PRNGKeyArray, table: pd.DataFrame, settings: PrimerSettings) -> pd.DataFrame:
    """Root mean squared errors on test clusters, for each set of inputs with and without dropout.

    Args:
        key: Of weights, batches and dropout.
        table: Tracks with all splits: training rows train and normalise, validation rows stop, test rows are scored.
        settings: The network and its training.

    Returns:
        One row a set of inputs, dropout rate and output: rmse, its standard error by design points, and the share of
        the output's variance that is explained.
    """
    rows = later_states(table)
    parts = {name: rows[rows.split == name].reset_index(drop=True) for name in ("train", "validation", "test")}
    found = []
    for kind in INPUTS:
        x = {name: inputs(part, kind) for name, part in parts.items()}
        y = {name: outputs(part) - scaling(part, kind) for name, part in parts.items()}
        (x_mean, x_sd), (y_mean, y_sd) = ((v["train"].mean(0), v["train"].std(0)) for v in (x, y))
        data = {
            name: (jnp.asarray((x[name] - x_mean) / x_sd, DTYPE), jnp.asarray((y[name] - y_mean) / y_sd, DTYPE))
            for name in parts
        }
        for rate in (0.0, settings.dropout):
            training = TrainingSettings(dropout_rate=rate, **settings.model_dump(exclude={"hidden", "dropout"}))
            make = partial(primer_network, n_inputs=x["train"].shape[1], hidden=settings.hidden)
            plain = eqx.filter_vmap(make)(jax.random.split(key, settings.members))
            networks = eqx.filter_vmap(partial(TrainingNetwork.around, dropout_rate=rate, batch_norm=False))(plain)
            networks, history = train_by_epochs(
                key,
                networks,
                training_loss,
                data["train"],
                data["validation"],
                training,
                progress_label=f"train on {kind}",
                section="primer",
            )
            said = eqx.filter_vmap(lambda n: n.outputs(data["test"][0])[0])(networks)  # noqa: B023 - called at once
            error = (np.asarray(said, float).mean(0) - np.asarray(data["test"][1], float)) * y_sd
            # of what is predicted, scaling included
            variance = outputs(parts["test"]).var(axis=0)
            for name in SUMMARIES:
                square = error[:, STATE.index(name)] ** 2
                rmse = np.sqrt(square.mean())
                found.append(
                    {
                        "inputs": kind,
                        "dropout": rate,
                        "output": name,
                        "rmse": rmse,
                        "rmse_se": clustered_error(square, parts["test"].point_id.to_numpy()) / (2 * rmse),
                        "explained": 1 - square.mean() / variance[STATE.index(name)],
                        "parameters": count_parameters(plain) // settings.members,
                        "epochs": float(np.mean(history.best_epoch)),
                    }
                )
    return pd.DataFrame(found)
