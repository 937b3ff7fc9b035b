"""A textbook's network on clusters of a known law: inputs, scaling, and what it can learn."""

import jax
import numpy as np
import pytest
from evolution_clusters import TIMES, campaign

from natal.studies.evolution import figures, primer
from natal.studies.evolution.settings import PrimerSettings

SETTINGS = PrimerSettings(
    hidden=(24, 12, 12), dropout=0.2, members=1, learning_rate=3e-3, batch_size=256, max_epochs=50, patience=20
)


@pytest.fixture(scope="module")
def tracks():
    """A campaign whose clusters follow a known law."""
    return campaign()


def test_later_states_know_their_first(tracks):
    """Each row has the first snapshot of its own cluster, and comes after it."""
    rows = primer.later_states(tracks)
    assert rows.t_yr.min() > TIMES[0]
    row = rows.iloc[100]
    own = tracks[(tracks.point_id == row.point_id) & (tracks.realization == row.realization)]
    assert row.first_r_h_au == own.r_h_au[own.t_yr == TIMES[0]].item()
    assert row.r_h_au == own.r_h_au[own.t_yr == row.t_yr].item()


def test_inputs_are_those_of_the_text_as_far_as_clusters_have_them(tracks):
    """Dispersion as sqrt(Q0 / a); dimensionless ones do not change when lengths, times and velocities are scaled."""
    rows, s = primer.later_states(tracks).head(50), 1.7
    scaled = rows.assign(
        a_au=s * rows.a_au, t_yr=s**1.5 * rows.t_yr, r_h_au=s * rows.r_h_au, sigma_v_kms=rows.sigma_v_kms / np.sqrt(s)
    )
    born = primer.inputs(rows, "birth")
    np.testing.assert_allclose(np.exp(2 * born[:, 1] + born[:, 0]), rows.q0)
    here, there = (primer.inputs(table, "dimensionless") for table in (rows, scaled))
    np.testing.assert_allclose(here, there)
    learned = [primer.outputs(table) - primer.scaling(table, "dimensionless") for table in (rows, scaled)]
    np.testing.assert_allclose(*learned)
    assert primer.inputs(rows, "first snapshot").shape == (50, 4)


def test_hidden_layers_have_the_widths_that_were_asked_for():
    """100-50-50 of the text: 3 inputs and 3 outputs make 8,153 parameters."""
    network = primer.primer_network(jax.random.key(0), 3, (100, 50, 50))
    assert [layer.weight.shape for layer in network.layers] == [(100, 3), (50, 100), (50, 50), (3, 50)]
    assert primer.count_parameters(network) == 4 * 100 + 101 * 50 + 51 * 50 + 51 * 3 == 8153


@pytest.mark.slow
def test_errors_are_those_of_the_laws_scatter(tracks):
    """Snapshots of the law are independent: nothing errs by less than their scatter, and births come within a fifth."""
    found = primer.compare(jax.random.key(0), tracks, SETTINGS).set_index(["inputs", "dropout", "output"]).rmse
    test = primer.later_states(tracks[tracks.split == "test"])
    scatter = np.sqrt(np.mean((0.06 + 0.1 * test.q0) ** 2))
    print(found.unstack(), scatter)
    for kind in ("birth", "dimensionless"):
        assert 0.85 * scatter < found[kind, 0.0, "sigma_v_kms"] < 1.2 * scatter
    figure = figures.primer(found.reset_index().assign(rmse_se=0.01))
    assert len(figure.axes) == 3
