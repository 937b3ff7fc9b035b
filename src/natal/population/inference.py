"""The posterior of a population's law, and each cluster's posterior given all other clusters."""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.infer import MCMC, NUTS, init_to_median

from natal.emulator.network_files import DTYPE
from natal.errors import NatalError
from natal.files.formats import write_csv
from natal.population.laws import CENTRES, FLOOR, LAWS, model
from natal.population.terms import Selection, Terms, centres, first_of, terms_of
from natal.posterior import mixing
from natal.posterior.catalogue import Law, without_refused
from natal.posterior.grid import QUANTILES
from natal.posterior.spread import map_cases
from natal.posterior.tables import write_posteriors
from natal.random import stage_key
from natal.settings.population import Population
from natal.variables import BIRTH

log = logging.getLogger("natal")

N_LAWS = 200
"""Number of draws of the law over which clusters' posteriors are averaged."""

MAX_RHAT = 1.01
"""R-hat of a parameter without a remark (Vehtari et al. 2021, Bayesian Analysis 16, 667)."""

MIN_ESS = 400
"""Effective draws of a parameter without a remark: a hundred for each of four chains (the same)."""

MAX_DIVERGING = 0.01
"""Share of diverging draws above which there is a remark."""

STEEP_EDGE = 1.5
"""Density of a population at the box's edge, over its mean density, above which there is a remark."""

LEVELS = np.array(list(QUANTILES.values()))


class Walk(NamedTuple):
    """Draws of one law, and the sampler's health.

    Attributes:
        parameters: Draws of each parameter, and of moments of the population, shape (chain, draw).
        q0: The population's share of births in each cell of Q0, shape (chain, draw, cell).
        ln_a: The same for cells of ln a.
        diverging: Whether a draw's trajectory diverged, shape (chain, draw).
        rhat: R-hat of each parameter.
        ess: Bulk effective sample size of each parameter.
    """

    parameters: dict[str, np.ndarray]
    q0: np.ndarray
    ln_a: np.ndarray
    diverging: np.ndarray
    rhat: dict[str, float]
    ess: dict[str, float]


class PopulationAnswer(NamedTuple):
    """What a table says of the population behind it.

    Attributes:
        law: Rows of population.csv, one a law and parameter.
        clusters: Rows of population_clusters.csv.
        tree: Groups of population.nc: draws of both laws, and the clusters' posteriors by cell.
        remarks: Sentences: why the answer may mean less than it seems.
    """

    law: pd.DataFrame  # rows of population.csv
    clusters: pd.DataFrame  # rows of population_clusters.csv
    tree: xr.DataTree  # population.nc
    remarks: list[str]


class Scales(NamedTuple):
    """The hyperprior's scales, as arrays: new values do not compile the program anew."""

    q0_scale: Any
    ln_a_scale: Any
    roughness: Any

    @classmethod
    def of(cls, settings: Population) -> "Scales":
        """Take them from the section `population` of a configuration."""
        return cls(*(jnp.asarray(getattr(settings.prior, name), DTYPE) for name in cls._fields))


def sample_laws(key: PRNGKeyArray, law: str, populations: list[Terms], settings: Population) -> list[Walk]:
    """Sample the parameters of one law with NUTS (Hoffman & Gelman 2014, by NumPyro), for each population.

    Chains are spread over the local devices. Populations with as many clusters share one compiled program.

    Args:
        key: For the chains.
        law: "normal" or "binned" (`natal.population.laws`).
        populations: What the clusters of each population say.
        settings: Hyperprior, bins and sampler.

    Returns:
        Draws for each population.
    """
    asked = settings.sampler
    prior = Scales.of(settings)
    keys = jax.random.split(key, (len(populations), asked.chains))
    sizes = [(len(terms.likelihood), len(terms.in_table)) for terms in populations]
    walks: dict[int, Walk] = {}
    for size in dict.fromkeys(sizes):
        places = [k for k, own in enumerate(sizes) if own == size]
        # a case is one chain
        stacked = jax.tree.map(
            lambda *leaves: np.repeat(np.stack(leaves), asked.chains, axis=0), *(populations[k] for k in places)
        )
        chains = keys[np.array(places)].reshape(-1)
        found = map_cases(
            _chain, prior, (chains, stacked), law, settings.bins, asked.warmup, asked.draws, label=law, unit="chains"
        )
        for k, place in enumerate(places):
            own = slice(k * asked.chains, (k + 1) * asked.chains)
            walks[place] = _walk(populations[place], *jax.tree.map(lambda leaf: leaf[own], found))  # noqa: B023
    return [walks[place] for place in range(len(populations))]


def _chain(prior: Scales, case: Any, law: str, bins: int, warmup: int, draws: int) -> tuple[dict[str, Array], Array]:
    key, terms = case
    kernel = NUTS(partial(model, law, bins=bins), dense_mass=True, init_strategy=init_to_median)
    mcmc = MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=1, progress_bar=False)
    mcmc.run(key, terms=terms, prior=prior, extra_fields=("diverging",))
    return mcmc.get_samples(), mcmc.get_extra_fields()["diverging"]


def _walk(terms: Terms, samples: dict[str, np.ndarray], diverging: np.ndarray) -> Walk:
    found = {name: np.asarray(values, float) for name, values in samples.items()}
    q0, ln_a = found.pop("share_q0"), found.pop("share_ln_a")
    found.pop("steps", None)
    found |= _moments(terms, q0, ln_a)
    return Walk(
        found,
        q0,
        ln_a,
        diverging,
        {name: float(mixing.rhat(values[..., None])[0]) for name, values in found.items()},
        {name: float(mixing.ess_bulk(values[..., None])[0]) for name, values in found.items()},
    )


def _moments(terms: Terms, q0: np.ndarray, ln_a: np.ndarray) -> dict[str, np.ndarray]:
    """Moments of each drawn population within the box, and its mean star formation efficiency."""
    at = centres(terms)
    found: dict[str, np.ndarray] = {}
    for name, share in zip(BIRTH, (q0, ln_a), strict=True):
        mean = share @ at[name]
        found |= {f"{name}_mean": mean, f"{name}_sd": np.sqrt(np.maximum(share @ at[name] ** 2 - mean**2, 0))}
    return found | {"sfe_mean": q0 @ np.minimum(0.5 / at["q0"], 1.0)}


UNITS = {
    "q0_location": "K/|W|",
    "q0_scale": "K/|W|",
    "roughness": "1",
    "ln_a_location": "ln AU",
    "ln_a_scale": "1",
    "q0_mean": "K/|W|",
    "q0_sd": "K/|W|",
    "a_au_mean": "AU",
    "a_au_sd": "AU",
    "sfe_mean": "1",
}
"""Units of a population's parameters; `docs/explanation/population.md` says what they are."""


def hyperprior(name: str, terms: Terms, settings: Population) -> str:
    """A parameter's prior in words, for the table.

    Args:
        name: The parameter.
        terms: Its cells give the box.
        settings: The scales of the priors.

    Returns:
        A phrase; empty if the parameter follows from others and has no prior of its own.
    """
    if name in CENTRES:
        edges = terms.q0 if CENTRES[name] == "q0" else terms.ln_a
        return f"uniform, {edges[0]:.4g} to {edges[-1]:.4g}"
    scale = getattr(settings.prior, name, None)
    return "" if scale is None else f"half-normal, scale {scale:g}"


def summarise_walk(law: str, walk: Walk, terms: Terms, settings: Population) -> pd.DataFrame:
    """Rows of population.csv: mean, sd, quantiles and the sampler's health, for each parameter of a law.

    Args:
        law: The law's name.
        walk: Its draws.
        terms: Its cells give the box.
        settings: The scales of the priors.
    """
    rows = []
    for name, draws in walk.parameters.items():
        flat = draws.ravel()
        row: dict[str, Any] = {"law": law, "parameter": name, "unit": UNITS[name]}
        row |= {"mean": flat.mean(), "sd": flat.std(ddof=1)}
        row |= dict(zip(QUANTILES, np.quantile(flat, LEVELS), strict=True))
        row |= {"rhat": walk.rhat[name], "ess_bulk": walk.ess[name], "divergences": int(walk.diverging.sum())}
        row |= {"prior": hyperprior(name, terms, settings)}
        rows.append(row | {"remarks": "; ".join(map(str, _mixing(row["rhat"], row["ess_bulk"])))})
    return pd.DataFrame(rows)


def in_its_light(terms: Terms, walk: Walk) -> tuple[np.ndarray, np.ndarray]:
    """Each cluster's posterior by itself, and given the population.

    By itself means a prior that is uniform in Q0 and a, as for answers to single clusters. Given the population, the
    prior is the population's law; the posterior is the mean over draws of the law (docs/explanation/population.md).

    Args:
        terms: What the clusters say.
        walk: Draws of the law.

    Returns:
        Two arrays of posterior mass by cell, shape (cluster, nq, na): by itself, and given the population.
    """
    q0, ln_a = (np.concatenate(shares) for shares in (walk.q0, walk.ln_a))
    chosen = np.linspace(0, len(q0) - 1, min(N_LAWS, len(q0))).round().astype(int)
    shares = jnp.asarray(q0[chosen], DTYPE), jnp.asarray(ln_a[chosen], DTYPE)
    flat = np.diff(np.exp(np.asarray(terms.ln_a, float)))
    alone = np.asarray(terms.likelihood) * flat
    return alone / alone.sum((1, 2), keepdims=True), np.asarray(_averaged(jnp.asarray(terms.likelihood), *shares))


@jax.jit
def _averaged(
    likelihood: Float[Array, "cluster nq na"], q0: Float[Array, "draw nq"], ln_a: Float[Array, "draw na"]
) -> Float[Array, "cluster nq na"]:
    def one(cells: Array) -> Array:
        each = jnp.einsum("qa,dq,da->d", cells, q0, ln_a)
        law = jnp.einsum("dq,da,d->qa", q0, ln_a, 1 / jnp.maximum(each, FLOOR))
        whole = cells * law
        return whole / whole.sum()

    averaged: Array = lax.map(one, likelihood)
    return averaged


def moments_of_cells(terms: Terms, mass: Float[np.ndarray, "cluster nq na"], label: str) -> dict[str, np.ndarray]:
    """Mean, sd and quantiles of Q0 and a for each cluster.

    Args:
        terms: Its cells.
        mass: Posterior mass by cell.
        label: What the columns' names end with.

    Returns:
        Columns by name.
    """
    columns = {}
    edges = np.asarray(terms.q0, float), np.exp(np.asarray(terms.ln_a, float))
    for k, (name, middle) in enumerate(centres(terms).items()):
        marginal = mass.sum(2 - k).astype(float)
        mean = marginal @ middle
        within = np.diff(edges[k]) ** 2 / 12
        columns[f"{name}_mean{label}"] = mean
        columns[f"{name}_sd{label}"] = np.sqrt(np.maximum(marginal @ (middle**2 + within) - mean**2, 0))
        cumulative = np.pad(np.cumsum(marginal, axis=1), ((0, 0), (1, 0)))
        found = np.array([np.interp(LEVELS, row / row[-1], edges[k]) for row in cumulative])
        columns |= {f"{name}_{q}{label}": found[:, j] for j, q in enumerate(QUANTILES)}
    return columns


def answer_population(seed: int, law: Law, clusters: pd.DataFrame, settings: Population) -> PopulationAnswer:
    """The distribution of births behind a table of clusters.

    Args:
        seed: The campaign's seed.
        law: What the campaign knows.
        clusters: A table as `posterior.catalogue.clusters_table` makes it, without rows that have no answer.
        settings: Selection, hyperprior and sampler.

    Returns:
        Parameters of both laws. A row for each cluster: `left_out`, its posterior by itself (columns that end in
        `_alone`), and its posterior given the normal law. Draws of both laws and all posteriors. Remarks.

    Raises:
        NatalError: If fewer than three clusters can be used, if the campaign does not know an observable of the
            selection, or if the sampler found nothing.
    """
    key = stage_key(seed, "population")
    key_p, key = jax.random.split(key)
    terms, table = terms_of(key_p, law, clusters, Selection.of(settings), keep_unlike=settings.keep_unlike)
    used = np.flatnonzero(table.left_out == "")
    log.info("population: %d of %d clusters, two laws", len(used), len(table))
    rows, groups, walks = [], {}, {}
    for k, name in enumerate(LAWS):
        (walk,) = sample_laws(jax.random.fold_in(key, k), name, [terms], settings)
        walks[name] = walk
        rows.append(summarise_walk(name, walk, terms, settings))
        groups[name] = _dataset(walk, terms)
    if not all(np.isfinite(list(walk.rhat.values())).all() and walk.diverging.mean() < 0.5 for walk in walks.values()):
        raise NatalError("the sampler did not find any population: look at the clusters' own answers first")
    alone, together = in_its_light(terms, walks["normal"])
    columns = moments_of_cells(terms, alone, "_alone") | moments_of_cells(terms, together, "")
    whole = table.assign(**{name: np.full(len(table), np.nan) for name in columns})
    for name, values in columns.items():
        whole.loc[used, name] = values
    coordinates = {"case": table.case.to_numpy()[used].astype(str), **centres(terms)}
    cells = ("case", *BIRTH)
    groups["clusters"] = xr.Dataset(
        {"alone": (cells, alone.astype("float32")), "together": (cells, together.astype("float32"))}, coordinates
    )
    law_table = pd.concat(rows, ignore_index=True)
    return PopulationAnswer(law_table, whole, xr.DataTree.from_dict(groups), remarks(law_table, walks, whole))


def _dataset(walk: Walk, terms: Terms) -> xr.Dataset:
    """Draws of a law: its parameters, and the density of Q0 and of ln a by cell."""
    at = centres(terms)
    variables: dict[str, Any] = {
        name: (("chain", "draw"), values.astype("float32"), {"unit": UNITS[name]})
        for name, values in walk.parameters.items()
    }
    for name, share, edges in (("q0", walk.q0, terms.q0), ("ln_a", walk.ln_a, terms.ln_a)):
        axis = "q0" if name == "q0" else "a_au"
        density = (share / np.diff(np.asarray(edges, float))).astype("float32")
        variables[f"density_{name}"] = (("chain", "draw", axis), density)
    return xr.Dataset(variables, at)


def _mixing(rhat: float, ess: float) -> Iterator[UserWarning]:
    """Why not to trust the draws of a parameter."""
    if not rhat <= MAX_RHAT:
        yield UserWarning(f"R-hat = {rhat:.3f}, above {MAX_RHAT:g}")
    if not ess >= MIN_ESS:
        yield UserWarning(f"{ess:.0f} effective draws, fewer than {MIN_ESS}")


def remarks(table: pd.DataFrame, walks: dict[str, Walk], clusters: pd.DataFrame) -> list[str]:
    """Why an answer may mean less than it seems.

    Args:
        table: Rows of population.csv.
        walks: Draws of each law.
        clusters: Rows of population_clusters.csv.

    Returns:
        Sentences.
    """
    return list(_remarks(table, walks, clusters))


def _remarks(table: pd.DataFrame, walks: dict[str, Walk], clusters: pd.DataFrame) -> Iterator[str]:
    """Why an answer may mean less than it seems."""
    for law, rows in table.groupby("law", sort=False):
        doubted = rows[rows.remarks != ""]
        if len(doubted):
            named = ", ".join(f"{row.parameter} ({row.remarks})" for row in doubted.itertuples())
            yield str(UserWarning(f"law {law}: sample longer (population.sampler), the chains did not mix: {named}"))
        walk = walks[str(law)]
        if (share := walk.diverging.mean()) > MAX_DIVERGING:
            yield str(UserWarning(f"law {law}: {100 * share:.1f} % of the draws diverged"))
    for axis, share in (("Q0", walks["normal"].q0), ("a", walks["normal"].ln_a)):
        if (at_edge := max(share[..., 0].mean(), share[..., -1].mean()) * share.shape[-1]) > STEEP_EDGE:
            said = (
                f"the population of {axis} is cut by the box: at its edge its density is {at_edge:.1f} times the mean"
            )
            yield str(UserWarning(f"{said}, and what lies beyond is not known"))
    left_out = (clusters.left_out != "").sum()
    if left_out:
        yield str(UserWarning(f"{left_out} of {len(clusters)} clusters are left out: " + _first_reasons(clusters)))


def answer_to_files(
    seed: int,
    law: Law,
    clusters: pd.DataFrame,
    refused: list[str],
    source: str,
    settings: Population,
    files: tuple[str | Path, str | Path, str | Path],
    made_by: Mapping[str, str],
) -> tuple[PopulationAnswer, list[str]]:
    """Answer for the population behind a table, but for the rows that have no answer, and write what comes out.

    Args:
        seed: The campaign's.
        law: What the campaign knows.
        clusters: The rows that could be read, with the column `row`, their number in the file.
        refused: Lines of the rows that could not.
        source: The table's file, for lines.
        settings: Selection, hyperprior and sampler.
        files: What to write: population.csv, population_clusters.csv and population.nc.
        made_by: What the last one shall say of its making.

    Returns:
        The answer, and a line for each row of the table that was left out.

    Raises:
        NatalError: As `answer_population`; no row has an answer.
    """
    left, said = without_refused(law, clusters, source, refused)
    try:
        answer = answer_population(seed, law, left, settings)
    except NatalError as error:
        if not said:
            raise
        # these rows may be why clusters are too few
        raise NatalError(f"{error}; without an answer: {first_of(said)}") from error
    write_csv(files[0], answer.law)
    write_csv(files[1], answer.clusters)
    answer.tree.attrs |= {**made_by, "virial_convention": "K/|W|"}
    write_posteriors(files[2], answer.tree)
    return answer, said


def told(answer: PopulationAnswer, settings: Population, refused: list[str]) -> dict[str, Any]:
    """What the report says besides the table of parameters.

    Args:
        answer: What the table says of the population.
        settings: Whether only clusters that survived can be in the table.
        refused: Lines for rows of the table that have no answer.
    """
    n = len(answer.clusters)
    used = int((answer.clusters.left_out == "").sum())
    return {"n": n, "n_used": used, "survivors": settings.survivors, "remarks": [*answer.remarks, *refused]}


def _first_reasons(clusters: pd.DataFrame) -> str:
    rows = clusters[clusters.left_out != ""]
    return first_of([f"{row.case} ({row.left_out})" for row in rows.itertuples()])
