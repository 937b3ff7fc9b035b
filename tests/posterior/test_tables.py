"""What a recovery leaves behind: one table, one netCDF file, the sampler's report. All tell the same numbers."""

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from closed_form import BOX
from quiet_arviz import az
from scipy.stats import chi2

from natal.posterior.tables import nuts_report, posterior_dataset, posterior_tree, recovery_table, write_posteriors
from natal.variables import BIRTH

NAMES = [f"{point}-00" for point in range(32)]
MADE_BY = {"likelihood": "constant", "version_natal": "0.2.0"}
SUMMARIES = ["f_bound", "sigma_v_kms", "r_h_au"]
DIAGNOSTICS = ["rhat", "ess_bulk", "divergences", "tv_grid", "chi2_best", "edge_mass_q0", "edge_mass_a_au", "at_edge"]
POSTERIOR = ["mean", "sd", "q02.5", "q16", "q50", "q84", "q97.5"]


@pytest.fixture(scope="module")
def cases(recovery):
    """Identification and truths of the recovered clusters; the row labels mean nothing."""
    columns = {"case": NAMES, "point_id": recovery.point_id, "realization": 0}
    columns |= {"q0_true": recovery.x[:, 0], "a_au_true": recovery.x[:, 1]}
    return pd.DataFrame(columns, index=np.arange(32)[::-1])


@pytest.fixture(scope="module")
def table(cases, recovery):
    """The table of test cases."""
    return recovery_table(cases, recovery.recovered, recovery.truths)


@pytest.fixture(scope="module")
def path(recovery, tmp_path_factory):
    """The netCDF file of test cases."""
    path = tmp_path_factory.mktemp("recovery") / "posteriors.nc"
    error = np.tile([0.01, 0.2, 5.0], (32, 1))
    write_posteriors(path, posterior_tree(NAMES, recovery.recovered, recovery.y, error, recovery.x, MADE_BY))
    return path


@pytest.fixture
def tree(path):
    """The open file."""
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        yield tree


def test_the_columns_of_a_test_cases_row(table):
    """Identification, truth, posterior of either parameter, honesty, diagnostics; in this order."""
    expected = ["case", "point_id", "realization", "q0_true", "a_au_true"]
    expected += [f"{name}_{label}" for name in ("q0", "a_au") for label in (*POSTERIOR, "pit")]
    assert table.columns.tolist() == [*expected, "hpd_level", *DIAGNOSTICS]
    assert table.case.tolist() == NAMES
    assert not table.isna().any(axis=None)


def test_without_truths_nothing_is_said_of_them(recovery):
    """A user's own cluster has no PIT and no HPD level."""
    observed = pd.DataFrame({"case": NAMES, "f_bound": recovery.y[:, 0]})
    found = recovery_table(observed, recovery.recovered, None)
    expected = ["case", "f_bound"] + [f"{name}_{label}" for name in ("q0", "a_au") for label in POSTERIOR]
    assert found.columns.tolist() == [*expected, *DIAGNOSTICS]


def test_a_row_sums_up_its_draws(table, recovery):
    """Means, standard deviations (ddof = 1) and quantiles of all chains' draws together."""
    for k, draws in enumerate(recovery.recovered.nuts.draws.reshape(32, -1, 2).astype(float)):
        for axis, name in enumerate(BIRTH):
            expected = [draws[:, axis].mean(), draws[:, axis].std(ddof=1)]
            expected += np.quantile(draws[:, axis], [0.025, 0.16, 0.5, 0.84, 0.975]).tolist()
            found = table.loc[k, [f"{name}_{label}" for label in POSTERIOR]].to_numpy(float)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_quantiles_are_ordered_and_within_the_prior(table):
    """And PIT and HPD level are probabilities."""
    for name, (low, high) in BOX.items():
        quantiles = table[[f"{name}_{label}" for label in POSTERIOR[2:]]].to_numpy()
        assert np.all(np.diff(quantiles, axis=1) > 0)
        assert np.all((low <= quantiles) & (quantiles <= high))
        assert table[f"{name}_pit"].between(0, 1).all()
    assert table.hpd_level.between(0, 1).all()


def test_the_pit_in_the_table_is_that_of_the_draws(table, recovery):
    """The grid's cumulative probability at the truth is the share of draws below it, within Monte Carlo error."""
    below = recovery.recovered.nuts.draws < recovery.x[:, None, None]
    ess = az.ess(posterior_dataset(below.astype(float), None), method="mean")
    for axis, name in enumerate(BIRTH):
        pit = table[f"{name}_pit"].to_numpy()
        # truths with next to no draws on one side have no error to speak of
        inner = (pit > 0.02) & (pit < 0.98)
        error = np.sqrt(pit * (1 - pit) / ess[name].values)
        # 4.5 sigma for 64 deviates; cells of less than 0.2 sd add 2 x 0.2^2 / 8 = 0.01 (test_grid_posterior)
        assert np.all(np.abs(below[..., axis].mean((1, 2)) - pit)[inner] < (4.5 * error + 0.01)[inner])


def test_mass_at_the_edges_is_that_of_the_draws(table, recovery):
    """The share of draws within 2 % of the box's width of the edge that has more of them; flagged above 10 %."""
    draws = recovery.recovered.nuts.draws.reshape(32, -1, 2)
    flags = np.zeros(32, bool)
    for axis, (name, (low, high)) in enumerate(BOX.items()):
        reach = 0.02 * (high - low)
        at_edge = np.stack([draws[..., axis] < low + reach, draws[..., axis] > high - reach]).mean(2).max(0)
        mass = table[f"edge_mass_{name}"].to_numpy()
        # 4.5 sigma for 64 deviates of some 400 effective draws; cells of a 64th of the box add a tenth
        assert np.all(np.abs(at_edge - mass) < 4.5 * np.sqrt(mass * (1 - mass) / 400) + 0.1 * mass + 1e-3)
        flags |= mass > 0.1
    np.testing.assert_array_equal(table.at_edge, flags)
    assert 0 < flags.sum() < 32


def test_diagnostics_are_arvizs_own(table, tree):
    """The worse of the two parameters' R-hat and bulk ESS, recomputed from the file's draws."""
    posterior = tree["posterior"].to_dataset()
    rhat, ess = (
        np.column_stack([found[name].values for name in BIRTH]) for found in (az.rhat(posterior), az.ess(posterior))
    )
    np.testing.assert_allclose(table.rhat, rhat.max(1), rtol=1e-12)
    np.testing.assert_allclose(table.ess_bulk, ess.min(1), rtol=1e-12)
    for k, name in enumerate(BIRTH):
        np.testing.assert_allclose(tree[f"sample_stats/rhat_{name}"], rhat[:, k], rtol=1e-12)
        np.testing.assert_allclose(tree[f"sample_stats/ess_bulk_{name}"], ess[:, k], rtol=1e-12)
    np.testing.assert_array_equal(table.divergences, tree["sample_stats/diverging"].sum(("chain", "draw")))
    np.testing.assert_array_equal(table.tv_grid, tree["sample_stats/tv_grid"])


def test_the_groups_of_the_file(tree):
    """Draws, sampler statistics, data and truths, each over named cases."""
    assert sorted(tree.children) == ["observed_data", "posterior", "sample_stats", "true_parameters"]
    assert tree["posterior"].sizes == {"case": 32, "chain": 4, "draw": 500}
    for group in tree.children.values():
        assert group.coords["case"].values.tolist() == NAMES
    assert set(tree["posterior"].data_vars) == set(BIRTH)
    assert set(tree["true_parameters"].data_vars) == set(BIRTH)
    assert set(tree["observed_data"].data_vars) == {*SUMMARIES, *(f"{name}_err" for name in SUMMARIES)}
    assert {"diverging", "n_steps", "acceptance_rate"} <= set(tree["sample_stats"].data_vars)


def test_the_file_holds_what_was_sampled(tree, recovery):
    """Draws to the last bit; data, errors and truths as given."""
    for k, name in enumerate(BIRTH):
        np.testing.assert_array_equal(tree[f"posterior/{name}"], recovery.recovered.nuts.draws[..., k])
        np.testing.assert_array_equal(tree[f"true_parameters/{name}"], recovery.x[:, k])
    for k, name in enumerate(SUMMARIES):
        np.testing.assert_array_equal(tree[f"observed_data/{name}"], recovery.y[:, k])
        np.testing.assert_array_equal(tree[f"observed_data/{name}_err"], np.full(32, [0.01, 0.2, 5.0][k]))
    np.testing.assert_array_equal(tree["sample_stats/n_steps"], recovery.recovered.nuts.n_steps)
    np.testing.assert_array_equal(tree["sample_stats/diverging"], recovery.recovered.nuts.diverging)


def test_every_quantity_has_its_unit(tree):
    """As an attribute; the file says which likelihood and what made it."""
    assert tree["posterior/q0"].attrs["unit"] == "K/|W|"
    assert tree["true_parameters/a_au"].attrs["unit"] == "AU"
    assert [tree[f"observed_data/{name}"].attrs["unit"] for name in SUMMARIES] == ["1", "km/s", "AU"]
    assert tree["observed_data/r_h_au_err"].attrs["unit"] == "AU"
    assert tree.attrs == MADE_BY


def test_a_case_is_found_by_its_name(tree, recovery):
    """`sel(case=...)` gives that case's draws."""
    found = tree["posterior/q0"].sel(case="7-00")
    np.testing.assert_array_equal(found, recovery.recovered.nuts.draws[7, ..., 0])


def test_the_file_opens_in_h5py(path, recovery):
    """The same groups and numbers without xarray."""
    with h5py.File(path) as file:
        assert set(file) == {"observed_data", "posterior", "sample_stats", "true_parameters"}
        assert [name.decode() for name in file["posterior/case"][:]] == NAMES
        np.testing.assert_array_equal(file["posterior/a_au"][:], recovery.recovered.nuts.draws[..., 1])
        np.testing.assert_array_equal(file["true_parameters/q0"][:], recovery.x[:, 0])


def test_a_users_own_clusters_have_no_true_parameters(recovery, tmp_path):
    """The group is not there, and names stay as they are, whatever they look like."""
    odd = ["NA", "007", "nan", r"$\object{IC348}$", "<b>bold</b>", "NGC 2264/G", 'x "y"', "../../etc"]
    names = odd + [f"Orión {k}" for k in range(32 - len(odd))]
    tree = posterior_tree(names, recovery.recovered, recovery.y, 0 * recovery.y, None, {})
    write_posteriors(tmp_path / "observed.nc", tree)
    with xr.open_datatree(tmp_path / "observed.nc", engine="h5netcdf") as tree:
        assert sorted(tree.children) == ["observed_data", "posterior", "sample_stats"]
        assert tree["posterior"].coords["case"].values.tolist() == names


def test_the_samplers_report(recovery):
    """What the campaign's metrics promise of NUTS, and what those numbers are."""
    recovered = recovery.recovered
    found = nuts_report(recovered)
    assert {"max_rhat", "min_ess_bulk", "divergences", "seconds", "cases_per_second", "tv_grid_max"} <= set(found)
    assert found["max_rhat"] == recovered.rhat.max() < 1.02
    assert found["min_ess_bulk"] == recovered.ess_bulk.min()
    assert found["divergences"] == recovered.nuts.diverging.sum()
    assert found["share_of_cases_without_divergence"] == 1 - recovered.nuts.diverging.any((1, 2)).mean()
    assert found["cases_per_second"] == pytest.approx(32 / found["seconds"])
    assert found["gradients_per_case"] == recovered.nuts.n_steps.sum() / 32
    assert found["leapfrog_steps_per_draw"] == pytest.approx(recovered.nuts.n_steps.mean())
    assert found["tv_grid_max"] == recovered.tv_grid.max()
    assert found["tv_grid_median"] == np.median(recovered.tv_grid)
    assert set(recovered.timing_s) == {"grid", "nuts_compile", "nuts_sample"}


def test_nuts_and_grid_describe_the_same_posteriors(recovery):
    """Their differences in Monte Carlo standard errors have a root mean square near one."""
    found = nuts_report(recovery.recovered)
    # 32 cases of two correlated parameters: at least 32 degrees of freedom; errors themselves are known to a tenth
    low, high = np.sqrt(chi2.interval(1 - 1e-4, 32) / np.array(32))
    for name in ("mean_z_rms", "sd_z_rms"):
        assert 0.9 * low < found[name] < 1.1 * high


def test_draws_are_as_far_from_the_grid_as_their_number_explains(recovery):
    """Total variation, with the effective number of draws in the place of their number."""
    n = recovery.recovered.ess_bulk.min(1)
    # 16 shares are not means: their ESS can be half that of the mean. Mean and scatter as in test_grid_posterior
    assert np.all(recovery.recovered.tv_grid < (1.6 + 5 * 0.29) / np.sqrt(n / 2))
    assert (recovery.recovered.tv_grid * np.sqrt(n)).mean() < 1.6 * np.sqrt(2)
