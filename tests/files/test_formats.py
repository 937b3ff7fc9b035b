"""A name in a table is text, whatever it looks like."""

import csv

import numpy as np
import pandas as pd

from natal.files.formats import read_csv, write_csv

NAMES = ["NA", "None", "null", "nan", "007", "1e5", "True", "2024-01-15", "ρ Oph", "Orion, east", 'x "y"', "=1+1", "-"]


def test_names_come_back_as_they_were(tmp_path):
    """From natal's reader and from any that leaves text alone; numbers that are missing stay missing."""
    numbers = np.arange(len(NAMES)) / 3
    numbers[3] = np.nan
    table = pd.DataFrame({"case": NAMES, "q0_mean": numbers, "at_edge": numbers > 1})
    write_csv(tmp_path / "observed.csv", table)
    found = read_csv(tmp_path / "observed.csv")
    pd.testing.assert_frame_equal(found, table)
    with open(tmp_path / "observed.csv", encoding="utf-8", newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == NAMES


def test_a_table_without_names_is_read_as_well(tmp_path):
    """What is no name has the type that its values have."""
    table = pd.DataFrame({"point_id": [1, 2], "split": ["train", "test"]})
    write_csv(tmp_path / "design.csv", table)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "design.csv"), table)
