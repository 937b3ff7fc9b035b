"""Training of the joint law, and its file."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from joint_law import REACH, random_law

from natal.errors import NatalError
from natal.likelihood.joint import log_tau, speed_kms
from natal.likelihood.joint_network import load_joint, save_joint
from natal.likelihood.joint_training import joint_outcomes, reach_of, train_joint
from natal.likelihood.mixture_density import Counts
from natal.observables.declared import OBSERVABLES
from natal.settings.density import DensitySettings
from natal.simulation.lines_of_sight import LinesOfSight

COUNTS = Counts(100, 5)
TIMES = np.array([200.0, 500.0])


def seen(n, seed):
    """Clusters whose r_hp is a tau^0.3, with a scatter of 10 %, and whose bound share falls with Q0; no masses."""
    rng = np.random.default_rng(seed)
    birth = np.column_stack([rng.uniform(0.5, 1.5, n), rng.uniform(50, 200, n)])
    tau = np.exp(log_tau(TIMES, 100.0, birth[:, 1:]))
    speed = speed_kms(100.0, birth[:, 1])[:, None]
    observables = np.full((n, 2, 3, len(OBSERVABLES)), np.nan, "float32")
    radius = birth[:, 1:] * tau**0.3
    for line in range(3):
        noise = 1 + 0.1 * rng.standard_normal((4, n, 2))
        columns = (speed / tau**0.2 * noise[0], speed / tau**0.2 * noise[1], radius * noise[2], 0.1 * speed * noise[3])
        observables[:, :, line, :4] = np.stack(columns, -1)
    share = np.round(100 * np.clip(1.3 - 0.8 * birth[:, :1] + 0.03 * rng.standard_normal((n, 2)), 0, 1)) / 100
    dissolved = share < 0.05
    lonely = np.where(dissolved, np.nan, 1.0)
    summaries = np.stack([share, lonely * speed / tau**0.2, lonely * radius * rng.lognormal(0, 0.05, (n, 2))], -1)
    return LinesOfSight(
        np.arange(n), 0 * np.arange(n), birth, np.full(n, 100.0), TIMES, summaries, dissolved, observables
    )


def test_outcomes_are_in_the_clusters_own_units():
    """Radii over a, speeds over sqrt(G M / a), logarithms; mass segregation that nobody has is left out."""
    clusters = seen(50, 0)
    outcomes, latents = joint_outcomes(clusters, COUNTS)
    assert latents.of_all == ("sigma_los_kms", "sigma_pm_kms", "r_hp_au", "v_out_kms")
    row = 2 * 7 + 1
    np.testing.assert_allclose(outcomes.x[row], [clusters.birth[7, 0], log_tau(500.0, 100.0, clusters.birth[7, 1])])
    speed, a_au = speed_kms(100.0, clusters.birth[7, 1]), clusters.birth[7, 1]
    expected = clusters.observables[7, 1, 2] / [speed, speed, a_au, speed, 1]
    np.testing.assert_allclose(outcomes.sizes[row, 2, :4], [*np.log(expected[:3]), expected[3]], rtol=1e-6)
    assert outcomes.n_bound[row] == pytest.approx(100 * clusters.summaries[7, 1, 0])
    np.testing.assert_array_equal(outcomes.survived, ~clusters.dissolved.ravel())


def test_mass_segregation_is_part_of_the_law_where_masses_differ():
    """As its logarithm; a snapshot of too few stars for it is left out, a campaign is not."""
    clusters = seen(50, 0)
    ratio = np.random.default_rng(3).lognormal(0, 0.2, clusters.observables.shape[:3])
    clusters.observables[..., OBSERVABLES.names.index("lambda_msr")] = ratio
    clusters.observables[4, 0, 1, OBSERVABLES.names.index("lambda_msr")] = np.nan
    outcomes, latents = joint_outcomes(clusters, COUNTS)
    assert latents.of_all == OBSERVABLES.names
    assert len(outcomes.x) == 99
    # behind the snapshot that is left out
    row, k = 2 * 7 + 1 - 1, latents.of_all.index("lambda_msr")
    np.testing.assert_allclose(outcomes.sizes[row, :, k], np.log(ratio[7, 1]), rtol=1e-5)


@pytest.mark.slow
def test_a_law_is_learned_and_comes_back_from_its_file(tmp_path):
    """Means of ln r_hp over a to 0.03, widths to a quarter."""
    (train, latents), (validation, _) = (joint_outcomes(seen(n, seed), COUNTS) for n, seed in ((400, 1), (150, 2)))
    settings = DensitySettings(members=1, components=1, width=16, steps=1000, batch_size=384, weight_decay=0.01)
    ensemble, history = train_joint(jax.random.key(0), train, validation, latents, reach_of(train), settings)
    assert history.best_step[0] > 0
    reach = REACH.__class__(*reach_of(train), REACH.a_au, 500.0, 100.0)
    save_joint(tmp_path / "joint.eqx", ensemble, reach, 4.0, {})
    loaded, same, header = load_joint(tmp_path / "joint.eqx")
    assert (same, header.aperture) == (reach, 4.0)
    place = latents.names.index("r_hp_au")
    for q0, tau in ((0.7, 2.2), (1.2, 2.8), (1.0, 3.5)):
        x = jnp.array([q0, tau], "float32")
        law = ensemble(x)
        np.testing.assert_array_equal(loaded(x).location, law.location)
        assert float(law.location[0, place]) == pytest.approx(0.3 * tau, abs=0.03)
        assert float(law.between_numbers(place, place)[0]) ** 0.5 == pytest.approx(0.1, rel=0.25)


def test_files_of_other_laws_are_refused(tmp_path):
    """One line with the remedy."""
    law = random_law()
    save_joint(tmp_path / "joint.eqx", law.ensemble, REACH, 4.0, {})
    content = (tmp_path / "joint.eqx").read_bytes()
    (tmp_path / "short.eqx").write_bytes(content[:-100])
    with pytest.raises(NatalError, match=r"short\.eqx has damaged or foreign weights .*: train it again"):
        load_joint(tmp_path / "short.eqx")
    (tmp_path / "other.eqx").write_bytes(content.replace(b"natal-joint-1", b"natal-joint-9"))
    with pytest.raises(NatalError, match=r"format = natal-joint-9"):
        load_joint(tmp_path / "other.eqx")


def test_what_does_not_vary_is_named():
    """All clusters with the same bound radius over a."""
    outcomes, latents = joint_outcomes(seen(30, 3), COUNTS)
    outcomes.sizes[..., latents.sizes.index("r_h_au")] = 0.5
    with pytest.raises(NatalError, match="all have the same r_h_au"):
        train_joint(jax.random.key(0), outcomes, outcomes, latents, reach_of(outcomes), DensitySettings())
