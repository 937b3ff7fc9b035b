"""`natal check` and `natal provenance`: all mistakes at once, where they stand."""

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty one."""
    monkeypatch.chdir(tmp_path)


def test_all_mistakes_of_a_configuration_are_said_with_their_lines(natal, table):
    """Of the file that has the key, else of its section."""
    table(
        "campaign: mine\ncluster:\n  n_stars: many\n  softening: 2\nintegration: {dt_yr: -1}\nseed: 1\nseed: 2\n",
        "a.yaml",
    )
    done = natal("check", "a.yaml")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "natal: a.yaml, line 7: the key seed is given twice",
        "a.yaml, line 3: cluster.n_stars = 'many' is not allowed: a whole number from 5 up",
        "a.yaml, line 4: unknown key cluster.softening (did you mean softening_au?); allowed: n_stars, star_mass_msun, "
        "imf, imf_mass_range_msun, softening_au, truncation_radius",
        "a.yaml, line 5: integration.dt_yr = -1 is not allowed: a positive number (yr)",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("campaign: [a\n", "a.yaml is not YAML: "),
        ("- a\n", "a.yaml: must be a mapping of keys, not ['a']"),
        ("campaign: a\nobservations: none.csv\n", "observations: there is no file none.csv"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(natal, table, text, line):
    """In one line."""
    table(text, "a.yaml")
    done = natal("check", "a.yaml")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"natal: {line}")
    assert done.stderr.count("\n") == 1


def test_all_mistakes_of_a_table_are_said_with_their_lines(natal, table):
    """Rows as the table has them, lines as an editor does."""
    table('name,f_bound,sigma_v_kms,r_h_au\n"A",0.8,4.5,450\n\nA,1.8,x,450\nB,0.8,4.5\nC,0.8,4.5,450\n')
    done = natal("check", "clusters.csv")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "natal: clusters.csv, row 2 (line 4), column name: 'A' is empty or not unique",
        "clusters.csv, row 2 (line 4), column f_bound: 1.8 must be above 0 and at most 1",
        "clusters.csv, row 2 (line 4), column sigma_v_kms: 'x' is not a finite number",
        "clusters.csv, row 3 (line 5): expected 4 values, one a column",
    ]


@pytest.mark.parametrize(("form", "name"), [("fits", "a.fits"), ("votable", "a.vot"), ("ascii.ecsv", "a.ecsv")])
def test_mistakes_of_a_table_without_lines_are_said_with_their_rows(natal, tmp_path, monkeypatch, form, name):
    """One line for each; of formats that are no lines of text, or another kind of them, rows alone are named."""
    from astropy.table import Table

    monkeypatch.chdir(tmp_path)
    Table({"name": ["A", "A", "B"], "r_hp_pc": [0.4, 0.5, -1.0]}).write(name, format=form)
    done = natal("check", name)
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"natal: {name}, row 2, column name: 'A' is empty or not unique",
        f"{name}, row 3, column r_hp_pc: -1.0 pc (-206265 AU) must be above 0",
    ]


def test_lines_before_the_header_count(natal, table):
    """They are lines of an editor, but no rows."""
    table("# my clusters\n\n# of today\nname,r_hp_pc\nA,0.4\nB,-1\n")
    said = natal("check", "clusters.csv").stderr
    assert said.startswith("natal: clusters.csv, row 2 (line 6), column r_hp_pc: -1 pc")


def test_hundreds_of_mistakes_are_counted(natal, table):
    """The first ones are named."""
    table("name,f_bound,sigma_v_kms,r_h_au\n" + "".join(f"{k},2,4.5,450\n" for k in range(50)))
    lines = natal("check", "clusters.csv").stderr.splitlines()
    assert (len(lines), lines[-1]) == (21, "and 30 mistakes more")


def test_what_is_right_is_said_to_be(natal, table):
    """Exit code 0; a table and a configuration that names it."""
    table("name,f_bound,sigma_v_kms,r_h_au\nA,0.8,4.5,450\n")
    table("campaign: a\nobservations: clusters.csv\n", "a.yaml")
    done = natal("check", "a.yaml", "clusters.csv")
    assert (done.exit_code, done.stdout) == (0, "no mistakes in a.yaml, clusters.csv\n")


def test_provenance_prints_what_made_a_file(natal, campaign):
    """Each of several, and one line for what is no file."""
    done = natal("provenance", "results/mine/summaries.csv", "results/mine/report.html")
    assert done.exit_code == 0
    assert done.stdout.count("made by") == 2
    done = natal("provenance", "no.csv")
    assert (done.exit_code, done.stderr) == (1, "natal: no file no.csv\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["anser"], "natal: No such command 'anser'. Did you mean 'answer'? (try natal --help)"),
        (
            ["predict", "--q0", "x"],
            "natal: Invalid value for '--q0': 'x' is not a valid float. (try natal predict --help)",
        ),
        (["answer"], "natal: Missing argument 'TABLE'. (try natal answer --help)"),
    ],
)
def test_a_slip_in_the_command_line_is_one_line(natal, arguments, line):
    """Exit code 2."""
    done = natal(*arguments)
    assert (done.exit_code, done.stderr) == (2, f"{line}\n")


def test_help_teaches(natal):
    """Every command with an example that begins with natal."""
    done = natal("--help")
    assert done.exit_code == 0
    for name in ("answer", "predict", "init", "run", "status", "provenance", "check", "export", "load"):
        assert f"\n  {name} " in done.stdout
        text = natal(name, "--help").stdout
        assert name == "status" or f"\n  natal {name}" in text.split("\n", 1)[1]
