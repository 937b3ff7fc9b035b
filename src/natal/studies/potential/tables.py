"""The study's tables: accuracy, also by radius, and what becomes of orbits."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from natal.studies.potential.accuracy import (
    MEASURES,
    as_numpy,
    relative_errors,
    relative_errors_by_radius,
    rounding,
    torque,
)
from natal.studies.potential.fields import Sample, SoftenedParticles, plummer_sphere, sample_field
from natal.studies.potential.network import LearnedField, in_double_precision, predict
from natal.studies.potential.orbits import Tracks, distance, energy_change, follow, momentum_change, start_of

EXACT, SPHERE, HALVED = "exact", "plummer", "halved_step"
"""Fields that stand beside networks; `halved_step` is the exact field, followed with half the time step."""
NO_SEED = -1
N_SHELLS = 20


class Predictor(NamedTuple):
    """A network, or a field that stands in its place.

    Attributes:
        terms: Combination of loss terms, or the name of the field.
        seed: Number of the network; `NO_SEED` for a field.
        field: Has the methods potential and acceleration, at one point.
    """

    terms: str
    seed: int
    field: Any  # with methods potential and acceleration at one point


def predictors(networks: dict[str, list[eqx.nn.MLP]], true: SoftenedParticles, is_sphere: bool) -> Iterator[Predictor]:
    """All networks by combination of terms and seed, then the true field and, for particles, the smooth sphere.

    Args:
        networks: By combination of terms, one a seed.
        true: The true field.
        is_sphere: Whether this is the Plummer sphere.
    """
    for terms, seeds in networks.items():
        for seed, network in enumerate(seeds):
            yield Predictor(terms, seed, LearnedField(network))
    yield Predictor(EXACT, NO_SEED, true)
    if not is_sphere:
        yield Predictor(SPHERE, NO_SEED, plummer_sphere())


def predicted(predictor: Predictor, at: Sample) -> Sample:
    """The predictor's field at a sample's points; networks in the single precision in which they were trained.

    Args:
        predictor: A network, or a field that is known.
        at: A sample, of which only the points count.
    """
    if isinstance(predictor.field, LearnedField):
        return as_numpy(predict(predictor.field.network, jnp.asarray(at.position, jnp.float32)))
    with jax.enable_x64(True):
        return as_numpy(sample_field(predictor.field, jnp.asarray(at.position)))


def accuracy_tables(
    chosen: list[Predictor], references: dict[str, Sample], trained_radius: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Relative errors (rms error over rms value), and each network's torque and rounding.

    Args:
        chosen: The predictors.
        references: Fields that errors are against, all at the same points.
        trained_radius: Within which networks were trained.

    Returns:
        Errors within and beyond the trained radius, and errors by shells of radius.
    """
    whole, shells = [], []
    any_reference = next(iter(references.values()))
    radius = np.linalg.norm(any_reference.position, axis=1)
    edges = np.linspace(0.0, radius.max(), N_SHELLS + 1)
    within = radius <= trained_radius
    for predictor in chosen:
        sample = predicted(predictor, any_reference)
        row: dict[str, Any] = {"terms": predictor.terms, "seed": predictor.seed}
        own: dict[str, float] = {}
        if isinstance(predictor.field, LearnedField):
            own["torque"] = torque(_part(sample, within))
            for name, value in rounding(predictor.field.network, np.asarray(any_reference.position)[within]).items():
                own[f"rounding_{name}"] = value
        for reference, true in references.items():
            if reference == predictor.terms:
                continue
            for region, part in (("within", within), ("beyond", ~within)):
                errors = relative_errors(_part(sample, part), _part(true, part))
                extra = own if region == "within" else {}
                whole.append(row | {"reference": reference, "region": region} | errors | extra)
            by_radius = relative_errors_by_radius(sample, true, edges)
            shells.append(
                pd.DataFrame(row | {"reference": reference, "r_low_a": edges[:-1], "r_high_a": edges[1:]} | by_radius)
            )
    return pd.DataFrame(whole), pd.concat(shells, ignore_index=True)


def _part(sample: Sample, chosen: np.ndarray) -> Sample:
    return Sample(*(values[chosen] for values in sample))


def orbit_tables(
    chosen: list[Predictor], true: SoftenedParticles, section: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Tracks]]:
    """Orbits in every predictor's field, compared with those in the true field.

    The true field is also followed with half the step: this tells how much of a distance comes from the integration.

    Args:
        chosen: The predictors.
        true: The true field.
        section: The configuration's section `orbits`.

    Returns:
        One row a predictor, orbit and time: distance from the true orbit (in a), relative change of the energy with the
        predictor's own potential and with the true one, and change of the angular momentum. And the tracks for the
        first seed of each combination, and for the true field (`exact`).
    """
    position, velocity = start_of(section["starts"])
    options = {"time": section["time"], "snapshots": section["snapshots"]}
    reference = follow(true.acceleration, position, velocity, dt=section["dt"], **options)
    tracks, rows = {EXACT: reference}, []
    halved = follow(true.acceleration, position, velocity, dt=section["dt"] / 2, **options)
    rows.append(_orbit_rows(Predictor(EXACT, NO_SEED, true), reference, reference, true, section))
    rows.append(_orbit_rows(Predictor(HALVED, NO_SEED, true), halved, reference, true, section))
    for predictor in chosen:
        if predictor.terms == EXACT:
            continue
        field = predictor.field
        if isinstance(field, LearnedField):
            with jax.enable_x64(True):
                field = LearnedField(in_double_precision(field.network))
        followed = follow(field.acceleration, position, velocity, dt=section["dt"], **options)
        tracks.setdefault(predictor.terms, followed)
        rows.append(_orbit_rows(predictor._replace(field=field), followed, reference, true, section))
    return pd.concat(rows, ignore_index=True), tracks


@eqx.filter_jit
def _potential_along(field: Any, position: jax.Array) -> jax.Array:
    potential: jax.Array = jax.vmap(jax.vmap(field.potential))(position)
    return potential


def _orbit_rows(
    predictor: Predictor, followed: Tracks, reference: Tracks, true: SoftenedParticles, section: dict[str, Any]
) -> pd.DataFrame:
    with jax.enable_x64(True):
        own, exact = (
            np.asarray(_potential_along(field, jnp.asarray(followed.position))) for field in (predictor.field, true)
        )
    columns = {
        "distance_a": distance(followed, reference),
        "energy_change_own": energy_change(followed, own),
        "energy_change_true": energy_change(followed, exact),
        "momentum_change": momentum_change(followed),
    }
    names = list(section["starts"])
    n_times = len(followed.time)
    return pd.DataFrame(
        {
            "terms": predictor.terms,
            "seed": predictor.seed,
            "orbit": np.tile(names, n_times),
            "time": np.repeat(followed.time, len(names)),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )


def line_table(chosen: list[Predictor], line: Sample) -> pd.DataFrame:
    """Phi, the x component of the force and 4 pi G rho along a line, for every predictor's first seed.

    Args:
        chosen: The predictors.
        line: Points along the x axis.

    Returns:
        Columns terms, x_a (units of a) and the measures.
    """
    rows = []
    for predictor in chosen:
        if predictor.seed > 0:
            continue
        sample = predicted(predictor, line)
        columns = dict(zip(MEASURES, (sample.potential, sample.acceleration[:, 0], sample.laplacian), strict=True))
        rows.append(pd.DataFrame({"terms": predictor.terms, "x_a": line.position[:, 0]} | columns))
    return pd.concat(rows, ignore_index=True)
