"""The table of campaigns side by side."""

import numpy as np
import pytest

from natal.errors import NatalError
from natal.files.formats import write_json
from natal.report.compare import comparison, finished_campaigns


def test_numbers_of_all_campaigns_side_by_side(tmp_path):
    write_json(tmp_path / "one" / "metrics.json", {"rmse": {"q0": 0.5}, "kind": "mixture", "widths": [1, 2]})
    write_json(tmp_path / "two" / "metrics.json", {"rmse": {"q0": 0.25}, "passed": True})
    (tmp_path / "unfinished").mkdir()
    assert finished_campaigns(tmp_path) == ["one", "two"]
    table = comparison(tmp_path).set_index("metric")
    assert list(table.index) == ["rmse.q0", "widths.0", "widths.1"]
    assert table.loc["rmse.q0"].tolist() == [0.5, 0.25]
    np.testing.assert_array_equal(table["two"], [0.25, np.nan, np.nan])


def test_nothing_to_compare_is_said(tmp_path):
    with pytest.raises(NatalError, match=r"no campaign has a metrics\.json"):
        comparison(tmp_path)


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "metrics.json").write_text("{")
    with pytest.raises(NatalError, match=r"one/metrics\.json is no JSON"):
        comparison(tmp_path)
