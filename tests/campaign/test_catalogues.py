"""Tables of observed clusters as astronomers have them, and the line that each mistake gets."""

import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.time import Time
from project import ROOT

from natal.campaign import tables
from natal.campaign.catalogues import read_catalogue
from natal.errors import NatalError
from natal.observables.declared import CIRCUMSTANCES, MEASURABLE

EXAMPLES = ROOT / "config" / "examples"
PC_AU = 648_000 / np.pi
HEADER = "name,f_bound,sigma_v_kms,r_h_au"


@pytest.fixture
def read(tmp_path):
    """Write a CSV table and read it."""

    def written(text, strict=False, encoding="utf-8"):
        path = tmp_path / "clusters.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read_catalogue(str(path), strict=strict)

    return written


def one_line(caught, *parts):
    """A message is one line, and says all of `parts`."""
    message = str(caught.value if hasattr(caught, "value") else caught)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def given(catalogue):
    """Rows as dictionaries, without what is not given."""
    return [row.dropna().to_dict() for _, row in catalogue.clusters.drop(columns="row").iterrows()]


def test_columns_are_those_of_all_that_can_be_measured(read):
    """Five for each variable; what is not given is NaN, the error of a value 0."""
    clusters = read("name,r_hp_pc\nA,2\n").clusters
    parts = ("", "_err_low", "_err_high", "_lower", "_upper")
    assert clusters.columns.tolist() == [
        *("name", "row"),
        *(variable + part for variable in (*MEASURABLE, *CIRCUMSTANCES) for part in parts),
        "n_stars",
    ]
    assert set(map(str, clusters.dtypes[2:])) == {"float64"}
    assert given(read("name,r_hp_pc\nA,2\n")) == [
        {"name": "A", "r_hp_au": pytest.approx(2 * PC_AU), "r_hp_au_err_low": 0, "r_hp_au_err_high": 0}
    ]


def test_todays_tables_are_read_as_before(read, tmp_path):
    """The same numbers, to the last bit, as by `read_observations`."""
    clusters = read(f"{HEADER},r_h_au_err\nA,0.8,4.5,450.1,20\nB,1,7,200,\n").clusters
    observed = tables.read_observations(str(tmp_path / "clusters.csv"))
    for name in ("name", "f_bound", "sigma_v_kms", "r_h_au"):
        assert clusters[name].tolist() == [row[name] for row in observed]
    for side in ("low", "high"):
        assert clusters[f"r_h_au_err_{side}"].tolist() == [20, 0]
    assert clusters.row.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("column", "text", "variable", "value"),
    [
        ("r_hp_pc", "2", "r_hp_au", 2 * PC_AU),
        ("R_HP_PC", "2", "r_hp_au", 2 * PC_AU),
        ("r_hp [pc]", "2", "r_hp_au", 2 * PC_AU),
        ("r_hp_kpc", "0.002", "r_hp_au", 2 * PC_AU),
        ("r_h_au", "450", "r_h_au", 450),
        ("sigma_los_m_s", "700", "sigma_los_kms", 0.7),
        ("sigma_los_km_s", "0.7", "sigma_los_kms", 0.7),
        ("sigma_los (km/s)", "0.7", "sigma_los_kms", 0.7),
        ("sigma_los km s-1", "0.7", "sigma_los_kms", 0.7),
        ("v_out_kms", "-0.2", "v_out_kms", -0.2),
        ("f_bound", "0.8", "f_bound", 0.8),
        ("f_bound_percent", "80", "f_bound", 0.8),
        ("f_bound (%)", "80", "f_bound", 0.8),
        ("lambda_msr", "1.1", "lambda_msr", 1.1),
    ],
)
def test_units_come_from_names(read, column, text, variable, value):
    """A suffix in any case, or brackets."""
    assert read(f"name,{column}\nA,{text}\n").clusters[variable].tolist() == [pytest.approx(value, rel=1e-12)]


@pytest.mark.parametrize(
    ("column", "value"), [("age_yr", 2e6), ("age_myr", 2), ("age_Myr", 2), ("age_gyr", 0.002), ("age_kyr", 2000)]
)
def test_ages_and_masses_have_units_too(read, column, value):
    """A Julian year; a mass of the Sun."""
    (row,) = given(read(f"name,r_hp_pc,{column},{column}_err,mass_msun\nA,1,{value},{value / 4},300\n"))
    assert row["age_yr"] == pytest.approx(2e6)
    assert row["age_yr_err_low"] == row["age_yr_err_high"] == pytest.approx(5e5)
    assert row["mass_msun"] == 300


@pytest.mark.parametrize("names", ["r_hp_pc_{}", "r_hp_{}_pc"])
def test_errors_and_limits_stand_before_or_behind_the_unit(read, names):
    """One error for both sides, two, or limits without a value; each row of its own kind."""
    parts = ("err_low", "err_high", "lower", "upper")
    header = ",".join(["name", "r_hp_pc", *(names.format(part) for part in parts)])
    rows = given(read(f"{header},n_stars\nA,1,0.1,0.2,,,40\nB,,,,2,3,\nC,,,,,3,\nD,1,,,,,\nE,,,,0,3,\nF,,0,0,,3,\n"))
    low, high, lower, upper = (f"r_hp_au_{part}" for part in parts)
    in_au = lambda **values: pytest.approx({name: value * PC_AU for name, value in values.items()})  # noqa: E731
    assert rows[0].pop("n_stars") == 40
    assert [row.pop("name") for row in rows] == list("ABCDEF")
    assert rows == [
        in_au(r_hp_au=1, **{low: 0.1, high: 0.2}),
        in_au(**{lower: 2, upper: 3}),
        in_au(**{upper: 3}),
        in_au(r_hp_au=1, **{low: 0, high: 0}),
        # above 0 says nothing of a radius
        in_au(**{upper: 3}),
        in_au(**{upper: 3}),
    ]


def test_one_error_counts_for_both_sides(read):
    """As in today's tables."""
    (row,) = given(read("name,v_out_kms,v_out_kms_err\nA,-0.5,0.1\n"))
    assert row == {"name": "A", "v_out_kms": -0.5, "v_out_kms_err_low": 0.1, "v_out_kms_err_high": 0.1}


def test_a_velocity_outwards_may_have_any_limit(read):
    """It is the one that may be negative; its lower limit 0 says that a cluster expands."""
    rows = given(read("name,v_out_kms_lower,v_out_kms_upper\nA,-0.5,-0.1\nB,0,\n"))
    assert rows[0] == {"name": "A", "v_out_kms_lower": -0.5, "v_out_kms_upper": -0.1}
    assert rows[1] == {"name": "B", "v_out_kms_lower": 0}


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", '""'])
def test_gaps_are_gaps(read, cell):
    """Blank or NaN, of values, errors and circumstances."""
    text = f"name,r_hp_pc,sigma_los_kms,sigma_los_kms_err,age_myr\nA,{cell},0.5,{cell},{cell}\n"
    assert given(read(text)) == [
        {"name": "A", "sigma_los_kms": 0.5, "sigma_los_kms_err_low": 0, "sigma_los_kms_err_high": 0}
    ]


def test_what_is_about_something_else_is_ignored_and_named(read):
    """Also what only begins like a variable; a column without name and content is not worth a word."""
    catalogue = read("name,ra,r_hp_pc,age_ref,mass_function,log_age,\nA,84.1,1,Kim,Kroupa,6.3,\n")
    assert catalogue.ignored == ["ra", "age_ref", "mass_function", "log_age"]
    assert read(",name,r_hp_pc\n0,A,1\n").ignored == ["(no name)"]


NAMES = [
    *("NA", "None", "null", "nan", "007", "1e5", "True", "2024-01-15", "NGC 2264/G", "ρ Oph", "星団 1", "=1+1"),
    *("<b>bold</b>", "a&b", "$\\rho$ Oph", "$\\object{IC348}$", "../../etc", "'quoted'", "x" * 300),
]


def test_names_are_text(read):
    """As they stand."""
    assert read("name,r_hp_pc\n" + "".join(f"{name},1\n" for name in NAMES)).clusters.name.tolist() == NAMES


@pytest.mark.parametrize(
    "text",
    [
        f"# my clusters, 2025\n#\n\n# from Gaia\n{HEADER}\nA,0.8,4.5,450\n",
        f"\ufeff{HEADER}\nA,0.8,4.5,450",
        f"{HEADER}\rA,0.8,4.5,450\r",
        f"# mine\r\n{HEADER}\r\nA,0.8,4.5,450\r\n\r\n",
        f"{HEADER},\nA,0.8,4.5,450,\n",
        f"{HEADER.upper()}\nA,0.8,4.5,450\n",
        f"{HEADER}\nA,0.8,4.5,450\n,,,\n,,,,\n",
        "r_h_au, sigma_v_kms ,f_bound,name\n450, 4.5 ,0.8, A\n",
        '"name","f_bound","sigma_v_kms","r_h_au"\n"A","0.8","4.5","450"\n',
        gzip.compress(f"{HEADER}\nA,0.8,4.5,450\n".encode(), mtime=0),
    ],
)
def test_csv_may_look_as_editors_and_spreadsheets_write_it(read, text):
    """Comments before the header, a byte-order mark, any ends of lines, empty lines and cells at the end, gzip."""
    (row,) = given(read(text))
    assert (row["name"], row["f_bound"], row["sigma_v_kms"], row["r_h_au"]) == ("A", 0.8, 4.5, 450)


@pytest.fixture
def table():
    """Clusters with gaps, and units by name, by column and none."""
    return Table(
        {
            "name": ["007", "rho Oph", "C"],
            "r_hp": MaskedColumn([0.1, 0.2, np.nan], unit="pc", mask=[False, True, False]),
            "r_hp_err": MaskedColumn([0.01, 0.02, 0], unit="pc", mask=[False, True, True]),
            "sigma_los_kms": np.array([500, 600, 700], dtype=np.int32) / 1000,
            "sigma_pm": MaskedColumn(np.array([500, 600, 700], dtype=np.int16), unit="m/s", mask=[True, False, False]),
            "age": [1, 2, 3] * units.Myr,
            "mass_msun": MaskedColumn([100.0, 200, 300], unit="solMass"),
            "lambda_msr": [1.0, 1.1, 1.2],
            "ra": [84.0, 85, 86] * units.deg,
        }
    )


FORMS = {"ascii.ecsv": "ecsv", "fits": "fits", "votable": "vot"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [Table, QTable])
@pytest.mark.parametrize("packed", [False, True])
def test_all_formats_say_the_same(table, tmp_path, form, kind, packed):
    """By content: no suffix helps. Units of files, masked cells and NaN."""
    path = tmp_path / "clusters"
    kind(table).write(path, format=form)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    catalogue = read_catalogue(str(path))
    assert (catalogue.refused, catalogue.ignored) == ([], ["ra"])
    assert catalogue.clusters.name.tolist() == ["007", "rho Oph", "C"]
    expected = {
        "r_hp_au": [0.1 * PC_AU, np.nan, np.nan],
        "r_hp_au_err_low": [0.01 * PC_AU, np.nan, np.nan],
        "sigma_los_kms": [0.5, 0.6, 0.7],
        "sigma_pm_kms": [np.nan, 0.6, 0.7],
        "age_yr": [1e6, 2e6, 3e6],
        "age_yr_err_high": [0, 0, 0],
        "mass_msun": [100, 200, 300],
        "lambda_msr": [1, 1.1, 1.2],
    }
    np.testing.assert_allclose(catalogue.clusters[list(expected)].T, list(expected.values()), rtol=1e-12)


def test_a_fits_table_by_hand(tmp_path):
    """Names in capitals, units that the standard does not know, behind an image; infinite is no number."""
    columns = [
        fits.Column("NAME", "10A", array=["a", "b"]),
        fits.Column("R_HP", "E", unit="pc", array=[1, 2]),
        fits.Column("AGE", "E", unit="Myr", array=[2, np.nan]),
        fits.Column("MASS", "J", unit="Msun", null=-999, array=[100, -999]),
        fits.Column("SIGMA_LOS_ERR", "D", unit="km s-1", array=[0.1, np.inf]),
        fits.Column("SIGMA_LOS", "D", unit="km/s", array=[1, 1]),
    ]
    path = tmp_path / "clusters.dat"
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2))), fits.BinTableHDU.from_columns(columns)]
    fits.HDUList(hdus).writeto(path)
    catalogue = read_catalogue(str(path))
    (row,) = given(catalogue)
    assert (row["name"], row["mass_msun"], row["sigma_los_kms_err_low"]) == ("a", 100, 0.1)
    assert row["r_hp_au"] == pytest.approx(PC_AU)
    one_line(catalogue.refused[0], "clusters.dat, row 2, column SIGMA_LOS_ERR", "'inf'", "finite number")


@pytest.mark.parametrize("form", ["ascii.ecsv", "fits"])
def test_columns_of_other_kinds_do_no_harm(tmp_path, form):
    """Dates, places in the sky, lists, true or false."""
    path = tmp_path / "clusters"
    others = {"seen": Time([2016.0], format="jyear"), "at": SkyCoord([84.0], [-1.0], unit="deg")}
    QTable({"name": ["A"], "r_hp": [2.0] * units.pc, **others, "ids": [[1, 2]], "member": [True]}).write(
        path, format=form
    )
    catalogue = read_catalogue(str(path))
    assert given(catalogue)[0]["r_hp_au"] == pytest.approx(2 * PC_AU)
    assert {"seen", "ids", "member"} < set(catalogue.ignored)


def test_names_of_other_types_and_wide_integers(tmp_path):
    """A catalogue's numbers are names to the last digit."""
    path = tmp_path / "clusters.fits"
    names = [3_220_049_255_692_359_936, 3_220_049_255_692_359_937]
    Table({"name": names, "r_hp": [1.0, 2.0] * units.pc}).write(path)
    assert read_catalogue(str(path)).clusters.name.tolist() == [str(name) for name in names]


def test_the_example_tables_are_read():
    """The same clusters in CSV and ECSV; published ones with their source."""
    invented, same, published = (
        read_catalogue(str(EXAMPLES / name)) for name in ("invented.csv", "invented.ecsv", "published.csv")
    )
    pd.testing.assert_frame_equal(invented.clusters, same.clusters)
    assert [invented.refused, same.refused] == [[], []]
    # an age without a mass, or a mass without an age
    assert [line.partition(", row ")[2][:1] for line in published.refused] == ["2", "3", "6"]
    assert [invented.ignored, published.ignored] == [["notes"], ["source"]]
    assert invented.clusters.name.str.startswith("invented").all()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("r_hp", ["column r_hp has no unit", "write r_hp_pc"]),
        ("r_hp_pc,age", ["column age has no unit", "write age_myr"]),
        ("r_hp_pc,r_hp_err", ["column r_hp_err has no unit", "write r_hp_pc_err"]),
        ("r_hp_kms", ["column r_hp_kms is in km/s", "must be a length", "r_hp_pc"]),
        ("age_pc", ["column age_pc is in pc", "must be a time", "age_myr"]),
        ("r_hp_arcmin", ["column r_hp_arcmin is in arcmin, an angle", "a length", "distance"]),
        ("sigma_pm_mas_yr", ["column sigma_pm_mas_yr is in mas/yr, an angle", "a velocity", "distance", "4.74 km/s"]),
        ("lambda_msr (pc)", ["lambda_msr (pc) is in pc", "must be a number"]),
        ("r_hp (parsecs)", ["a unit that is not known, 'parsecs'", "r_hp_pc"]),
        ("r_hp_pc (AU)", ["two units that contradict each other: pc and AU"]),
        ("r_hp_Mpc", ["column r_hp_Mpc ends in 'Mpc'", "au, pc, kpc"]),
        ("r_hp_pc,r_hp_au", ["columns r_hp_pc and r_hp_au give the same"]),
        ("r_hp_pc,R_HP_PC", ["columns r_hp_pc and R_HP_PC give the same"]),
        ("r_hp_pc,r_hp_pc_err,r_hp_pc_err_low", ["columns r_hp_pc_err and r_hp_pc_err_low give the same"]),
        ("r_hp_pc,r_hp_pc_err_high,r_hp_au_err", ["columns r_hp_pc_err_high and r_hp_au_err give the same"]),
        ("r_h_au,r_h_au_err_lo,r_h_au_err_hi", ["column r_h_au_err_lo", "write r_h_au_err, r_h_au_err_low"]),
        ("r_hp_pc,e_r_hp", ["column e_r_hp looks like an error or a limit of r_hp", "r_hp_pc_err"]),
        ("r_hp_pc,r_hp_max_pc", ["column r_hp_max_pc looks like an error or a limit", "r_hp_pc_upper"]),
        ("v_out_kms,sigma_v_out_kms", ["column sigma_v_out_kms looks like an error or a limit of v_out"]),
        ("age_myr,mass_msun", ["no column of an observable (f_bound, sigma_v_kms", "the header is 'name,age_myr"]),
        ("r_hp_pc_err", ["no column of an observable"]),
        ("name,r_hp_pc", ["2 columns are called name"]),
    ],
)
def test_a_column_that_cannot_be_understood_refuses_the_file(read, columns, said):
    """File and column, what is wrong, what to write."""
    with pytest.raises(NatalError) as caught:
        read(f"name,{columns}\nA,{','.join('1' for _ in columns.split(','))}\n")
    one_line(caught, "clusters.csv: ", *said)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "unit", "said"),
    [
        ("r_hp_pc", "AU", ["column r_hp_pc has two units that contradict each other: pc and AU"]),
        ("r_hp", "K", ["column r_hp is in K", "must be a length"]),
        ("r_hp", "arcmin", ["column r_hp is in arcmin, an angle", "distance"]),
        ("r_hp", None, ["column r_hp has no unit", "r_hp_pc"]),
        ("r_hp", "furlong", ["column r_hp has a unit that is not known, 'furlong'"]),
    ],
)
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning", "ignore::astropy.io.votable.exceptions.W50")
def test_units_of_files_are_not_believed_blindly(tmp_path, form, name, unit, said):
    """What a name says must agree."""
    path = tmp_path / "clusters"
    kept = units.Unit(unit, parse_strict="silent") if unit else None
    Table({"name": ["A"], name: MaskedColumn([1.0], unit=kept)}).write(path, format=form)
    with pytest.raises(NatalError) as caught:
        read_catalogue(str(path))
    one_line(caught, "clusters: ", *said)


def test_logarithms_and_lists_are_refused(tmp_path):
    """An age as dex(yr), a list in each cell, true or false."""
    path = str(tmp_path / "clusters")
    for column, said in (
        (MaskedColumn([6.0], unit=units.dex(units.yr)), "is a logarithm (dex(yr))"),
        (MaskedColumn([[1.0, 2.0]], unit="Myr"), "must have one number a cell"),
        (MaskedColumn([True], unit="Myr"), "must have one number a cell"),
    ):
        Table({"name": ["A"], "r_hp_pc": [1.0], "age": column}).write(path, format="ascii.ecsv", overwrite=True)
        with pytest.raises(NatalError) as caught:
            read_catalogue(path)
        one_line(caught, "clusters: column age", said)


GOOD = "good,1,0.1,,,,,"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,-1,,,,,,", ["column r_hp_pc: -1 pc", "must be above 0"]),
        ("A,0,,,,,,", ["column r_hp_pc: 0 pc", "must be above 0"]),
        ("A,1e30,,,,,,", ["column r_hp_pc: 1e30 pc (2.06265e+35 AU) must be at most 1e+15"]),
        ("A,1e-30,,,,,,", ["column r_hp_pc: 1e-30 pc", "must be at least 1e-15"]),
        ("A,1,-0.1,,,,,", ["column r_hp_pc_err: -0.1 pc", "must not be negative"]),
        ("A,1,1e15,,,,,", ["column r_hp_pc_err: 1e15 pc", "must be at most"]),
        ("A,,,-1,,,,", ["column r_hp_pc_lower: -1 pc", "must be above 0"]),
        ("A,,,,0,,,", ["column r_hp_pc_upper: 0 pc", "must be above 0"]),
        ("A,,,3,2,,,", ["column r_hp_pc_lower: 3 pc", "must be below the upper limit"]),
        ("A,,,2,2,,,", ["column r_hp_pc_lower: 2 pc", "must be below the upper limit"]),
        ("A,1,,,2,,,", ["column r_hp_pc_upper: 2 pc", "a limit beside a value"]),
        ("A,,0.1,,2,,,", ["column r_hp_pc_err: 0.1 pc", "the error of a value that is missing"]),
        ("A,,,,,2,0.5,", ["columns r_hp_pc, r_hp_pc_err, r_hp_pc_lower, r_hp_pc_upper", "at least one observable"]),
        ("A,,,0,,2,0.5,", ["at least one observable"]),
        ("A,1,,,,2,,", ["column age_myr: give age and mass, or neither"]),
        ("A,1,,,,-2,,", ["column age_myr: -2 Myr (-2e+06 yr) must be above 0"]),
        ("A,1,,,,2,0.5,0", ["column n_stars: 0 must be above 0"]),
        ("A,1,,,,2,0.5,12.5", ["column n_stars: 12.5 must be a whole number"]),
        ("good,1,,,,,,", ["column name: 'good' is empty or not unique"]),
        (",1,,,,,,", ["column name: '' is empty"]),
        ("Orion\u2028A,1,,,,,,", [r"column name: 'Orion\u2028A' holds a line break"]),
        ('"Orion\nA",1,,,,,,', [r"column name: 'Orion\nA' holds a line break"]),
        ("A\0,1,,,,,,", [r"column name: 'A\x00' holds"]),
        ('A,"0,8",,,,,,', ["column r_hp_pc: '0,8' is not a finite number", "like 0.8"]),
        ('A,"1,450",,,,,,', ["column r_hp_pc: '1,450' is not a finite number"]),
        ("A,1_450,,,,,,", ["column r_hp_pc: '1_450' is not a finite number"]),
        ("A,4.5D0,,,,,,", ["column r_hp_pc: '4.5D0' is not a finite number", "1.2e3"]),
        ("A,<3,,,,,,", ["column r_hp_pc: '<3' is not a finite number"]),
        ("A,--,,,,,,", ["column r_hp_pc: '--' is not a finite number", "leave the cell empty"]),
        ("A,inf,,,,,,", ["column r_hp_pc: 'inf' is not a finite number"]),
        (f"A,{'9' * 5000},,,,,,", ["column r_hp_pc", "not a finite number"]),
        ("A,1,,,,2", ["expected 8 values, one a column, but there are 6"]),
        ("A,1,,,,2,0.5,40,9", ["expected 8 values, one a column, but there are 9"]),
        ("# A,1,,,,,,", ["begins with #"]),
        ("\0\0\0", ["expected 8 values"]),
    ],
)
def test_a_bad_row_is_left_out_and_named(read, row, said):
    """File, row, column, what is wrong, what is allowed; the others are answered, or none where asked for."""
    header = "name,r_hp_pc,r_hp_pc_err,r_hp_pc_lower,r_hp_pc_upper,age_myr,age_myr_err,n_stars"
    text = f"{header}\n{GOOD}\n{row}\n"
    catalogue = read(text)
    assert catalogue.clusters.name.tolist() == ["good"]
    (line,) = catalogue.refused
    one_line(line, "clusters.csv, row 2", *said)
    assert len(line) < 600
    with pytest.raises(NatalError) as caught:
        read(text, strict=True)
    assert str(caught.value) == line


def test_an_error_to_one_side_is_none(read):
    """The other may be 0, but must be said."""
    columns = "name,r_hp_pc,r_hp_pc_err_low,r_hp_pc_err_high"
    catalogue = read(f"{columns}\nA,1,0.1,\nB,1,,0.1\nC,1,0,0.1\nD,1,,\n")
    assert catalogue.clusters.name.tolist() == ["C", "D"]
    one_line(catalogue.refused[0], "row 1, column r_hp_pc_err_low: 0.1 pc", "error to one side")
    one_line(catalogue.refused[1], "row 2, column r_hp_pc_err_high: 0.1 pc", "error to one side")


def test_a_fraction_above_one_is_refused(read):
    """In percent, too; as a limit, too."""
    catalogue = read("name,f_bound_percent,f_bound_percent_upper\nA,80,\nB,101,\nC,,100\nD,,101\n")
    assert catalogue.clusters.row.tolist() == [1, 3]
    one_line(catalogue.refused[0], "row 2, column f_bound_percent: 101 percent (1.01) must be above 0 and at most 1")
    one_line(catalogue.refused[1], "row 4, column f_bound_percent_upper: 101 percent")


def test_a_row_of_units_is_recognised(read):
    """As some spreadsheets and catalogues have below the header; rows count from there."""
    catalogue = read(f"{HEADER}\n,,km/s,AU\nA,0.8,4.5,450\n")
    assert catalogue.clusters.row.tolist() == [2]
    one_line(catalogue.refused[0], "row 1: looks like units", "r_hp_pc")


def test_a_quote_that_is_not_closed_swallows_no_row_in_silence(read):
    """The line says that rows are missing."""
    catalogue = read('name,r_hp_pc\nA,1\n"B,2\nC,3\n')
    one_line(catalogue.refused[0], "row 2", "over several lines: is a quote not closed?")


def test_a_table_without_a_good_row_is_refused(read):
    """With the first line, and how many there were."""
    with pytest.raises(NatalError) as caught:
        read("name,r_hp_pc\nA,-1\nB,-2\n")
    one_line(caught, "row 1, column r_hp_pc: -1 pc", "none of the table's 2 rows can be answered")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", ["0 columns are called name", "the header is ''"]),
        (b"name,r_hp_pc\n", ["the table has no rows"]),
        (b"name,r_hp_pc\n,\n", ["the table has no rows"]),
        (b"# name,r_hp_pc\nA,1\n", ["0 columns are called name", "the header is 'A,1'", "begin with #"]),
        (b"cluster,r_hp_pc\nA,1\n", ["0 columns are called name", "the header is 'cluster,r_hp_pc'"]),
        (b"name;r_hp_pc\nA;1\n", ["separated by commas", "the header is 'name;r_hp_pc'"]),
        (b"name r_hp_pc\nA 1\n", ["separated by commas"]),
        ("name,r_hp_pc\nA,1\n".encode("utf-16"), ["UTF-8"]),
        ("name,r_hp_pc\nPléiades,1\n".encode("latin-1"), ["UTF-8"]),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00\x21\x00\xb5", ["UTF-8"]),
        (b"name,r_hp_pc\n" + b"A" * 131_073 + b",1\n", ["field larger than field limit (131072)", "line 2"]),
        (b"\x1f\x8b\x08\x00junk", ["is damaged, or is not in gzip"]),
        (gzip.compress(b"name,r_hp_pc\nA,1\n", mtime=0)[:-9], ["is damaged, or is not in gzip"]),
        (b"<html><body>Not found</body></html>", ["separated by commas", "<html>"]),
        (b"<?xml version='1.0'?><VOTABLE version='1.4'><RESOURCE>", ["cannot be read as a table in VOTable"]),
        (b"<?xml version='1.0'?><VOTABLE version='1.4'></VOTABLE>", ["cannot be read as a table in VOTable"]),
        (
            b'<?xml version="1.0"?>\n<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="name"/></TABLE>'
            b"</RESOURCE></VOTABLE>",
            ["no column of an observable"],
        ),
        (b"SIMPLE  =                    T / cut off", ["cannot be read as a table in FITS"]),
        (b"# %ECSV 1.0\n# ---\n# datatype: [\nname\nA\n", ["cannot be read as a table in ECSV"]),
        (
            b"# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: name, datatype: string}\n"
            b"name,r_hp_pc\nA,1\n",
            ["cannot be read as a table in ECSV", "do not match"],
        ),
        (
            b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: name, datatype: string}\n"
            b"# - {name: r_hp, unit: pc, datatype: float64}\nname r_hp\nA 1_450\n",
            ["'1_450' is not a finite number"],
        ),
        (
            b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: name, datatype: string}\n"
            b"# - {name: r_hp, unit: pc, datatype: float64}\nname r_hp\nA wide\n",
            ["cannot be read as a table in ECSV", "r_hp"],
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(read, data, said):
    """Whatever the readers raise."""
    with pytest.raises(NatalError) as caught:
        read(data)
    one_line(caught, "clusters.csv", *said)
    assert len(str(caught.value)) < 600


def test_a_fits_file_without_a_table(tmp_path):
    """Such as an image."""
    path = tmp_path / "image.fits"
    fits.PrimaryHDU(np.ones((3, 3))).writeto(path)
    with pytest.raises(NatalError) as caught:
        read_catalogue(str(path))
    one_line(caught, "image.fits cannot be read as a table in FITS", "No table found")


def test_a_missing_file_is_named():
    """With the setting."""
    with pytest.raises(NatalError, match=r"observations: there is no file nowhere/clusters\.fits"):
        read_catalogue("nowhere/clusters.fits")


def test_windows_ends_of_lines_in_ecsv(table, tmp_path):
    """And a byte-order mark."""
    path = tmp_path / "clusters.ecsv"
    table.write(path, format="ascii.ecsv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_catalogue(str(path)).clusters.name.tolist() == ["007", "rho Oph", "C"]


def test_planning_needs_no_astropy(tmp_path):
    """Neither to import the reader nor to read today's tables."""
    path = tmp_path / "clusters.csv"
    path.write_text(f"{HEADER}\nA,0.8,4.5,450\n")
    code = (
        "import sys\n"
        "sys.modules['astropy'] = None\n"
        "from natal.campaign import catalogues, tables\n"
        "assert not {'numpy', 'pandas'} & set(sys.modules)\n"
        f"assert len(tables.read_observations({str(path)!r})) == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
