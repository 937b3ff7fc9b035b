"""natal's posteriors of a finished campaign against three other ways to them; `make bench-inference`.

The grid against one written by hand in NumPy, NUTS against plain NumPyro, both against neural posterior estimation with
the `sbi` package, which learns from the campaign's own simulations. Clusters are the surviving calibration draws. These
codes take turns within every round and ratios are medians over rounds, since machines are shared and noisy. Compiling
is left out of all speeds, and said beside them.
"""

import argparse
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from other_posteriors import bulk_ess, neural_posteriors, numpy_grid, plain_nuts

import natal
from natal.data.runs import Runs, read_runs
from natal.emulator.network_files import DTYPE
from natal.files.formats import read_json
from natal.likelihood.density_training import latent
from natal.likelihood.kinds import DensityLikelihood
from natal.posterior.grid import CaseAnswers, answer_cases, make_grid
from natal.posterior.nuts import sample_cases
from natal.settings.inference import NutsSettings
from natal.variables import Box

RESULTS = Path(__file__).with_name("results")
SHAPE = (256, 256)
ROUNDS = 4
N_DRAWS = 1000
LEVELS = (0.68, 0.95)
CORES = len(os.sched_getaffinity(0))


def natal_grid(likelihood: DensityLikelihood, box: Box) -> Callable[[Runs], tuple[CaseAnswers, float]]:
    """The answers of natal's grid for clusters, draws included, and the seconds they took."""
    grid = jax.block_until_ready(make_grid(likelihood, box, SHAPE))
    wanted = "summary", "draws", "truths"

    def run(cases: Runs) -> tuple[CaseAnswers, float]:
        y, truth = jnp.asarray(cases.y, DTYPE), jnp.asarray(cases.x, DTYPE)
        started = time.perf_counter()
        answers = answer_cases(
            jax.random.key(0), likelihood, grid, y, None, wanted=wanted, n_draws=N_DRAWS, truth=truth
        )
        return answers, time.perf_counter() - started

    return run


def natal_nuts(likelihood: DensityLikelihood, box: Box) -> Callable[[Runs], tuple[float, float, float]]:
    """natal's NUTS: bulk ESS of all clusters together, seconds with those of its coordinates, seconds of compiling."""
    grid = jax.block_until_ready(make_grid(likelihood, box, SHAPE))

    def run(cases: Runs) -> tuple[float, float, float]:
        y = jnp.asarray(cases.y, DTYPE)
        started = time.perf_counter()
        found = answer_cases(jax.random.key(0), None, grid, y, None, wanted=("coordinates",))
        on_grid = time.perf_counter() - started
        result = sample_cases(jax.random.key(1), likelihood, box, y, None, found.coordinates, NutsSettings())
        ess = sum(bulk_ess(draws) for draws in result.draws)
        return ess, on_grid + result.timing_s["sample"], result.timing_s["compile"]

    return run


def distances(answers: CaseAnswers, hand: dict[str, np.ndarray], which: np.ndarray) -> dict[str, float]:
    """Largest differences of the grid by hand from natal's, over these clusters."""
    mean, sd = (np.asarray(leaf, float)[which] for leaf in answers.summary[:2])
    found = {"mean/sd": (hand["mean"] - mean) / sd, "sd/sd": hand["sd"] / sd - 1}
    for name in ("hpd_level", "log_density"):
        found[name] = hand[name] - np.asarray(getattr(answers.truths, name), float)[which]
    return {name: np.abs(values).max() for name, values in found.items()}


def scores(log_density: np.ndarray, hpd_level: np.ndarray, natals: np.ndarray) -> dict[str, float]:
    """Mean log density at the truths per unit Q0 and AU, natal's less that, and coverage of joint regions."""
    coverage = {f"coverage_{100 * level:.0f}": (hpd_level < level).mean() for level in LEVELS}
    apart = natals - log_density
    behind = {"behind_natal": apart.mean(), "behind_natal_se": apart.std(ddof=1) / np.sqrt(len(apart))}
    return {"log_score": log_density.mean(), **behind, **coverage}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--campaign", type=Path, default=Path("results/default"), help="a finished campaign's folder")
    parser.add_argument("--cases", type=int, default=10**6, help="calibration draws, by default all")
    parser.add_argument("--short", action="store_true", help="a look: 16 clusters, one round, networks hardly trained")
    given = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", CORES)
    campaign = natal.load_campaign(given.campaign)
    likelihood, box = campaign.likelihood, campaign.box
    if not isinstance(likelihood, DensityLikelihood):
        parser.error("the campaign needs `likelihood: mixture`: the grid by hand knows no other law")
    train, cases = (read_runs(given.campaign / "dataset" / f"{name}.csv", name) for name in ("train", "calibration"))
    cases = cases.at(np.arange(min(len(cases), 16 if given.short else given.cases)))
    rounds, n_nuts, n_hand, n_plain = (1, 16, 4, 2) if given.short else (ROUNDS, 64, 8, 2)

    def some(n: int, turn: int = 0) -> Runs:
        return cases.at(np.arange(turn * n, (turn + 1) * n) % len(cases))

    # first calls compile
    grid, by_hand = natal_grid(likelihood, box), numpy_grid(likelihood, box, SHAPE)
    nuts, plain = natal_nuts(likelihood, box), plain_nuts(likelihood, box)
    (answers, grid_first_s), (_, plain_first_s) = grid(cases), plain(some(1))
    by_hand(some(n_hand))
    nuts(some(n_nuts))
    turns, apart, compile_s = [], [], []
    for turn in range(rounds):
        (_, grid_s), (hand, hand_s) = grid(cases), by_hand(some(n_hand, turn))
        (ess, nuts_s, nuts_compile_s), (plain_ess, plain_s) = nuts(some(n_nuts)), plain(some(n_plain, turn))
        rates = {"grid": len(cases) / grid_s, "hand": n_hand / hand_s, "nuts": n_nuts / nuts_s}
        rates |= {"plain": n_plain / plain_s, "nuts_ess": ess / nuts_s, "plain_ess": plain_ess / plain_s}
        turns.append(rates)
        compile_s.append([grid_first_s - grid_s, nuts_compile_s, plain_first_s - plain_s / n_plain])
        apart.append(distances(answers, hand, np.arange(turn * n_hand, (turn + 1) * n_hand) % len(cases)))
        print(f"round {turn + 1}: " + ", ".join(f"{name} {rate:.4g}/s" for name, rate in rates.items()), flush=True)
    print(
        "by hand and natal's grid differ at most by "
        + ", ".join(f"{k} {v:.1e}" for k, v in pd.DataFrame(apart).max().items())
    )

    speed = pd.DataFrame(turns)
    median, (grid_s, nuts_s, plain_s) = speed.median(), np.median(compile_s, axis=0)
    log_density, hpd_level = (
        np.asarray(leaf, float) for leaf in (answers.truths.log_density, answers.truths.hpd_level)
    )
    trained = given.campaign / "metrics" / "density.json"
    rows = [
        {"method": "natal grid", "cases": len(cases), "clusters_per_s": median.grid, "compile_s": grid_s}
        # as the campaign measured it
        | ({"train_s": read_json(trained)["density"]["mixture"]["seconds"]} if trained.exists() else {})
        | scores(log_density, hpd_level, log_density),
        {"method": "NumPy grid", "cases": rounds * n_hand, "clusters_per_s": median.hand}
        | {"natal_faster": (speed.grid / speed.hand).median()},
        {"method": "natal NUTS", "cases": n_nuts, "clusters_per_s": median.nuts, "ess_per_s": median.nuts_ess}
        | {"compile_s": nuts_s},
        {"method": "plain NumPyro", "cases": rounds * n_plain, "clusters_per_s": median.plain}
        | {"ess_per_s": median.plain_ess, "compile_s": plain_s, "natal_faster": (speed.nuts / speed.plain).median()}
        | {"natal_faster_ess": (speed.nuts_ess / speed.plain_ess).median()},
    ]
    if find_spec("sbi") is None:
        print("sbi is not installed: neural posterior estimation is left out (pip install -e '.[bench]')")
    else:
        n_stars = likelihood.density.members.counts.n_stars
        learned, asked = ((runs.x, latent(runs.y, n_stars)) for runs in (train, cases))
        for estimator in ("maf", "nsf"):
            epochs = 3 if given.short else 2**31 - 1
            cost, *found = neural_posteriors(estimator, learned, asked, box, N_DRAWS, epochs)
            rows.append({"method": f"sbi {estimator}", "cases": len(cases), **cost, **scores(*found, log_density)})
            rows[-1]["natal_faster"] = median.grid / cost["clusters_per_s"]
    table = pd.DataFrame(rows)
    print(table.set_index("method").T.map(lambda value: "" if pd.isna(value) else f"{value:.4g}").to_string())
    if not given.short:
        RESULTS.mkdir(exist_ok=True)
        table.round(4).to_csv(RESULTS / "inference.csv", index=False)


if __name__ == "__main__":
    main()
