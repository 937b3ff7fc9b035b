"""What a campaign needs and costs, told before anything runs: the step of its design, its pair interactions, the time.

Standard library only and cheap: every call of Snakemake that a person makes prints it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from natal.campaign import plan
from natal.campaign.inventory import remembered_gint_per_s
from natal.settings.cluster import ClusterModel
from natal.settings.integration import Integration
from natal.simulation.cost import DEFAULT_GINT_PER_S, interactions
from natal.simulation.step import needed_step, step_that_fits

FAR = 2.0
"""In needed steps: with a longer step, more than a few runs exceed the allowed energy error."""

REPORT = Path("metrics") / "simulation.json"
"""What finished simulations of a campaign took, within its results."""


def step_lines(config: plan.Config) -> Iterator[str]:
    """Say which step the densest corner of the design needs, and warn if the configured one is far too long.

    Args:
        config: The configuration in natal's units.

    Yields:
        One or two lines.
    """
    cluster, integration = ClusterModel(**config["cluster"]), Integration(**config["integration"])
    box, dt, limit = plan.box(config), integration.dt_yr, integration.max_energy_error
    needed = needed_step(cluster, box["a_au"][0], box["q0"][0], limit)
    yield (
        f"step: integration.dt_yr = {dt:g} is {_shown(dt / needed.dt_yr)} times the longest step that the design "
        f"allows, {_shown(needed.dt_yr)} yr: heaviest pairs turn in {_shown(needed.encounter_yr)} yr, densest clusters "
        f"are crossed in {_shown(needed.crossing_yr)} yr"
    )
    if dt > FAR * needed.dt_yr:
        yield (
            f"natal: warning: integration.dt_yr = {dt:g} yr is far too long for the design: energy errors will exceed "
            f"integration.max_energy_error = {limit:g}; at most {_shown(needed.dt_yr)} yr are allowed, such as "
            f"{step_that_fits(integration, needed.dt_yr):g}, or raise cluster.softening_au "
            "(docs/explanation/time_step.md)"
        )


def cost_line(config: plan.Config, results: Path, shards: Mapping[str, plan.Shard], cores: int | None) -> str:
    """Say what all simulations of the campaign cost, done or not: pair interactions, and the time that these take.

    Args:
        config: The configuration in natal's units.
        results: The campaign's folder; campaigns beside it may know the machine's speed.
        shards: The simulate jobs by name.
        cores: Cores to share; None if jobs go to a cluster.

    Returns:
        A line.
    """
    integration, n_stars = Integration(**config["integration"]), config["cluster"]["n_stars"]
    n_runs = sum(shard.n_runs for shard in shards.values()) + checking_runs(config)
    work = interactions(n_runs, n_stars, integration.n_steps)
    speed, source = gint_per_core_s(config, results, shards, cores)
    seconds = work / (speed * 1e9) / (cores or 1)
    where = f"on {cores} core{'s' if cores > 1 else ''}" if cores else "of one core or GPU"
    return (
        f"cost: {n_runs:,} clusters x {integration.n_steps:,} steps x {n_stars}^2 pairs = {work:.2g} pair "
        f"interactions: {_duration(seconds)} {where} at {speed * 1e9:.2g} a second each ({source})"
    )


def checking_runs(config: plan.Config) -> int:
    """Clusters that the checks against the simulator add to those of the design.

    Args:
        config: The campaign's configuration.

    Returns:
        Their number.
    """
    brute_force, predictive = config["checks"]["brute_force"], config["checks"]["posterior_predictive"]
    points: int = brute_force["grid"][0] * brute_force["grid"][1] * brute_force["realizations"]
    births: int = predictive["cases"] * predictive["draws"]
    return (points if brute_force["cases"] else 0) + births


def gint_per_core_s(
    config: plan.Config, results: Path, shards: Mapping[str, plan.Shard], cores: int | None
) -> tuple[float, str]:
    """The best known speed of one core.

    That is the configured one; else the lowest of this campaign's finished shards; else that of the campaign beside it
    that was simulated last; else a guess.

    Args:
        config: The campaign's configuration.
        results: The campaign's folder.
        shards: The simulate jobs by name.
        cores: Cores to share; None if jobs go to a cluster.

    Returns:
        1e9 pair interactions a second, and in words where the number is from.
    """
    # as `shard_threads` of workflow/rules/resources.smk
    threads = max(1, (cores or 1) // max(1, len(shards)))
    if given := config["resources"]["gint_per_s"]:
        return given / threads, "resources.gint_per_s"
    if measured := remembered_gint_per_s(results / "simulations"):
        return measured / threads, "measured on this campaign's finished simulations"
    for path in sorted(results.parent.glob(f"*/{REPORT}"), key=_changed, reverse=True):
        try:
            speed = json.loads(path.read_text(encoding="utf-8"))["timing"]["simulate"]["gint_per_core_s"]
            if speed > 0:
                return float(speed), f"measured on {path.parents[1].name}"
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return DEFAULT_GINT_PER_S, "a guess for one core; nothing was measured here yet"


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{_shown(seconds / size)} {unit}"
    return f"{_shown(seconds)} s"


def _shown(number: float) -> str:
    """A number with three digits, without an exponent where a person would not write one."""
    return f"{float(f'{number:.3g}'):,g}"
