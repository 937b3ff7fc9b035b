"""Try settings of the section `density` side by side, on prior draws that no report of another campaign uses.

    make check-trust ARGS="--config campaign=select seed=4242"
    .venv/bin/python benchmarks/select_density.py results/select
    .venv/bin/python benchmarks/select_density.py results/select width=64 weight_decay=0.1,0.3

The first command simulates a campaign of its own and fresh draws from the prior. Each combination of the settings given
is trained on the campaign's training rows and scored on these draws: log score, and what the posteriors promise; shares
of truths in joint 68 and 95 % regions, over all and by third of the recovered Q0 and a. Differences in log score are
paired with the first combination.
"""

import itertools
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import yaml

from natal.api import load_emulator
from natal.assessment.trust import coverage_by_region
from natal.campaign import plan
from natal.data.outcomes import fewest_bound, final_outcomes, rescaled_outcomes
from natal.data.runs import read_runs
from natal.likelihood.density_training import train_density
from natal.likelihood.kinds import DensityLikelihood
from natal.likelihood.mixture_density import Counts
from natal.posterior.grid import answer_cases, make_grid
from natal.settings.density import DensitySettings


def main(folder: Path, given: dict[str, list[float]]) -> None:
    """Print one line a combination."""
    config = yaml.safe_load((Path(__file__).parent.parent / "config" / "config.yaml").read_text(encoding="utf-8"))
    box, n_stars = plan.box(config), config["cluster"]["n_stars"]
    tracks, summaries = (pd.read_csv(folder / f"{name}.csv") for name in ("tracks", "summaries"))
    tracks = tracks[tracks.split == "train"]
    train = rescaled_outcomes(tracks, config["integration"]["t_end_yr"], box["a_au"][1])
    validation = final_outcomes(summaries[summaries.split == "validation"])
    draws = read_runs(folder / "checks" / "trust_runs.csv", "trust")
    counts = Counts(n_stars, fewest_bound(tracks, n_stars))
    first, emulator = None, load_emulator(folder)
    for values in itertools.product(*given.values()):
        changes = dict(zip(given, values, strict=True))
        settings = DensitySettings(**{**config["density"], "components": 5, **changes})
        density, _ = train_density(jax.random.key(config["seed"]), train, validation, box, counts, settings)
        law = DensityLikelihood(emulator, density)
        grid = make_grid(law, box, config["inference"]["grid"])
        wanted = ("summary", "truths")
        found = answer_cases(jax.random.key(0), law, grid, draws.y, None, wanted=wanted, truth=draws.x)
        score = np.asarray(found.truths.log_density, float)
        first = score if first is None else first
        gain, error = (score - first).mean(), (score - first).std() / np.sqrt(len(score))
        regions = coverage_by_region(np.asarray(found.summary.mean, float), np.asarray(found.truths.hpd_level, float))
        shares = ("  ".join(f"{100 * share:.1f}" for share in regions[f"share_{level}"]) for level in (68, 95))
        promised = -np.asarray(found.summary.entropy, float).mean()
        print(
            f"{changes}: {score.mean():.4f} (promised {promised:.4f}; {gain:+.4f} +- {error:.4f})", *shares, sep=" | "
        )


if __name__ == "__main__":
    assignments = (argument.split("=") for argument in sys.argv[2:])
    main(Path(sys.argv[1]), {key: yaml.safe_load(f"[{text}]") for key, text in assignments})
