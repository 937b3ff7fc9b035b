"""What more training runs are worth to the likelihood `mixture`: log score and coverage on fresh draws from the prior.

    .venv/bin/python benchmarks/training_runs.py                                  on a GPU, some six minutes
    .venv/bin/python benchmarks/training_runs.py --sets 2 --points 64 --fresh 500  a look without one

Simulates independent sets of training and validation runs of the default campaign's size, and fresh draws that nothing
learns from. Trains the law on each set and on all of them together, and scores each on the same draws, on all cells of
a grid, with and without tempering. The tables of docs/measurements/training_runs.md.
"""

import argparse
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from natal.assessment.trust import coverage_by_region
from natal.campaign.design import latin_hypercube, prior_draws
from natal.data.outcomes import Outcomes, fewest_bound, final_outcomes, rescaled_outcomes
from natal.likelihood.density import DensityEnsemble
from natal.likelihood.density_training import train_density
from natal.likelihood.mixture_density import Counts
from natal.settings.density import DensitySettings
from natal.settings.integration import Integration
from natal.simulation.run import simulate_clusters
from natal.variables import BIRTH, SUMMARIES, Box

BOX: Box = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}
REALIZATIONS, VALIDATION_SHARE = 4, 96 / 512
CELLS = (256, 192)
CLUSTERS_AT_A_TIME = 6000
CASES_AT_A_TIME = 16
TEMPERINGS = (0.0, 0.25, 0.5, 0.75)


def tracks_of(x: Float[np.ndarray, "run birth"], seed: int) -> pd.DataFrame:
    """Simulate one cluster at each x; one row a run and snapshot, as `tracks.csv` has them."""
    parts = []
    for first in range(0, len(x), CLUSTERS_AT_A_TIME):
        some = x[first : first + CLUSTERS_AT_A_TIME]
        clusters = simulate_clusters(*some.T, seed=seed + first)
        columns = {name: clusters.summaries[name].ravel() for name in (*SUMMARIES, "n_bound", "dissolved")}
        births = {name: np.repeat(some[:, k], len(clusters.time_yr)) for k, name in enumerate(BIRTH)}
        run = np.repeat(first + np.arange(len(some)), len(clusters.time_yr))
        parts.append(pd.DataFrame({"run": run, "t_yr": np.tile(clusters.time_yr, len(some)), **births, **columns}))
        print(f"simulated {first + len(some)} of {len(x)} clusters", flush=True)
    return pd.concat(parts)


def score(law: DensityEnsemble, draws: Outcomes, tempering: float) -> tuple[np.ndarray, ...]:
    """Of each draw: ln posterior density at its birth, mass of the denser region, entropy, posterior mean (births)."""
    edges = [np.linspace(*BOX[name], n + 1) for name, n in zip(BIRTH, CELLS, strict=True)]
    centres = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    area = float(np.prod([edge[1] - edge[0] for edge in edges]))
    cells = jnp.asarray(np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, len(BIRTH)), "float32")
    table = eqx.filter_jit(lambda law, cells: jax.vmap(lambda x: law(x).tabulated())(cells))(law, cells)
    table = replace(table, tempering=tempering)
    arrays, static = eqx.partition(table, eqx.is_array)
    arrays = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), arrays)

    def one(case: tuple[Array, Array]) -> tuple[Array, ...]:
        y, cell = case
        log_density = jax.nn.log_softmax(eqx.combine(arrays, static).log_prob(y)) - np.log(area)
        mass, at_truth = area * jnp.exp(log_density), log_density[cell]
        denser = jnp.sum(jnp.where(log_density > at_truth, mass, 0)) + 0.5 * mass[cell]
        return at_truth, denser, -mass @ log_density, mass @ cells

    places = [np.searchsorted(edge[1:-1], draws.x[:, k]) for k, edge in enumerate(edges)]
    cases = jnp.asarray(draws.y, "float32"), jnp.asarray(np.ravel_multi_index(tuple(places), CELLS))
    found = jax.jit(lambda cases: jax.lax.map(one, cases, batch_size=CASES_AT_A_TIME))(cases)
    return tuple(np.asarray(values, float) for values in found)


def row(law: DensityEnsemble, draws: Outcomes, tempering: float) -> dict[str, float]:
    """What the table says of one law."""
    log_density, level, entropy, mean = score(law, draws, tempering)
    regions = coverage_by_region(mean, level)
    hot = regions[(regions.by == "q0") & (regions.third == "high")].iloc[0]
    return {
        "log_score": log_density.mean(),
        "promised": -entropy.mean(),
        **{f"all_{level}": 100 * regions[f"share_{level}"][0] for level in (50, 68, 95)},
        **{f"hot_{level}": 100 * hot[f"share_{level}"] for level in (50, 68, 95)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=8, help="independent training sets")
    parser.add_argument("--points", type=int, default=512, help="training points of a set, of four runs each")
    parser.add_argument("--fresh", type=int, default=20000, help="draws from the prior to score on")
    given = parser.parse_args()
    rng = np.random.default_rng(20261127)
    settings = DensitySettings()
    t_end_yr = Integration().t_end_yr

    def split(points: int) -> pd.DataFrame:
        x = np.concatenate([latin_hypercube(points, BOX, rng).repeat(REALIZATIONS, axis=0) for _ in range(given.sets)])
        tracks = tracks_of(x, int(rng.integers(2**31)))
        return tracks.assign(set=tracks.run // (points * REALIZATIONS))

    train, validation = split(given.points), split(max(8, round(given.points * VALIDATION_SHARE)))
    fresh = tracks_of(prior_draws(given.fresh, BOX, rng), int(rng.integers(2**31)))
    draws = final_outcomes(fresh[fresh.t_yr == t_end_yr])
    draws = Outcomes(*(values[draws.survived] for values in draws))
    counts = Counts(100, fewest_bound(train, 100))
    rows = {}
    for name, chosen in [*((str(k), [k]) for k in range(given.sets)), ("all", list(range(given.sets)))]:
        some, judges = (table[table.set.isin(chosen)] for table in (train, validation))
        steps = settings.steps if len(chosen) == 1 else 2 * settings.steps
        law, _ = train_density(
            jax.random.key(len(rows)),
            rescaled_outcomes(some, t_end_yr, BOX["a_au"][1]),
            final_outcomes(judges[judges.t_yr == t_end_yr]),
            BOX,
            counts,
            settings.model_copy(update={"steps": steps}),
        )
        for tempering in TEMPERINGS:
            rows[name, tempering] = {"runs": some.run.nunique()} | row(law, draws, tempering)
        print(pd.DataFrame(rows).T.round(4).to_string(), flush=True)


if __name__ == "__main__":
    main()
