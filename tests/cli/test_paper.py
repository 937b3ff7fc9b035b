"""`natal export --paper`: figures at the size of print with fonts embedded, tables as LaTeX."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.text import Text

from natal.figures.style import PT_PER_IN
from natal.files.formats import write_json
from natal.population.inference import UNITS
from natal.report.latex import escaped, prose, rounded, with_error
from natal.report.paper import JOURNALS, Finished, drawn_figures

LEVELS = ("50", "68", "90", "95")
NAMES = ["NGC 1333", "50 % & $more_#1", "IC 348"]
REGIONS = ("q0", "a_au", "joint")


def quantiles(name, middle, sd):
    """Columns of a normal posterior."""
    ends = {"q02.5": -1.96, "q16": -1.0, "q50": 0.0, "q84": 1.0, "q97.5": 1.96}
    return {f"{name}_{q}": middle + z * sd for q, z in ends.items()} | {f"{name}_mean": middle, f"{name}_sd": sd}


@pytest.fixture
def finished(campaign, monkeypatch):
    """The small campaign with files of its end."""
    monkeypatch.setattr("natal.running.device.set_up", lambda **_: None)
    rng = np.random.default_rng(0)
    n = 30
    births = {"q0": rng.uniform(0.5, 1.5, n), "a_au": rng.uniform(50, 200, n)}
    splits = {"split": np.repeat(["train", "test", "calibration"], n // 3), "block": "0", "point_id": np.arange(n)}
    pd.DataFrame(splits | births).to_csv(campaign / "design.csv", index=False)
    seen = {"f_bound": rng.uniform(0, 1, n), "sigma_v_kms": rng.uniform(3, 5, n), "r_h_au": rng.uniform(200, 500, n)}
    # the record is of another file: no step of this campaign made it
    (campaign / "provenance" / "summaries.csv.json").unlink()
    summaries = pd.DataFrame(splits | births | seen | {"dissolved": np.arange(n) % 10 == 0, "energy_error": 1e-6})
    summaries.to_csv(campaign / "summaries.csv", index=False)
    recovered = {"case": [f"{k:02}" for k in range(n)], "point_id": np.arange(n) // 2}
    for name, sd in (("q0", 0.06), ("a_au", 30.0)):
        recovered |= {f"{name}_true": births[name], **quantiles(name, births[name] + rng.normal(0, sd, n), sd)}
    pd.DataFrame(recovered).to_csv(campaign / "recovery.csv", index=False)
    shares = {level: dict.fromkeys(REGIONS, int(level) / 100) for level in LEVELS}
    part = {
        "n_cases": n,
        "coverage": shares,
        "coverage_se": {level: dict.fromkeys(REGIONS, 0.0123) for level in LEVELS},
    }
    part |= {"log_score": -2.654, "log_score_se": 0.123, "contraction": {"q0": 0.97, "a_au": 0.55}}
    thirds = [part | {"q0_min": k, "q0_max": k + 1.0} for k in range(3)]
    write_json(campaign / "metrics.json", {"recovery": part | {"by_q0_tercile": thirds}})
    observed = {"case": NAMES, "sigma_los_kms": [0.62, np.nan, 1.0], "sigma_los_kms_err_low": [0.06, 0, 0]}
    observed |= {"sigma_los_kms_err_high": [0.09, 0, 0], "sigma_los_kms_upper": [np.nan, 0.8, np.nan], "n_stars": 310.0}
    observed |= quantiles("q0", np.array([0.75, 0.99, 1.2]), 0.13) | quantiles("sfe", np.array([0.7, 0.5, 0.4]), 0.1)
    observed |= quantiles("a_au", np.array([5e4, 3e4, 4e4]), 1.1e4) | {"prior_a_au_low": 1e4, "prior_a_au_high": 9e4}
    observed |= {"prior_predictive_p": [0.5, 0.004, 0.2], "remarks": ["", "unlike anything: 3 % of q0 & more", ""]}
    pd.DataFrame(observed).to_csv(campaign / "observed.csv", index=False)
    xr.DataTree.from_dict({"/": xr.Dataset(attrs={"likelihood": "joint"})}).to_netcdf(campaign / "observed.nc")
    population(campaign, rng)
    return campaign


def population(campaign, rng):
    """Files of a population of three clusters."""
    q0, a_au = np.linspace(0.55, 1.45, 10), np.geomspace(1e4, 9e4, 8)
    groups = {}
    for law in ("normal", "binned"):
        names = ("q0_location", "q0_scale", "ln_a_location", "ln_a_scale")
        draws = {name: (("chain", "draw"), rng.normal(1, 0.1, (2, 100))) for name in names}
        draws["density_q0"] = (("chain", "draw", "q0"), rng.uniform(0.8, 1.2, (2, 100, 10)))
        draws["density_ln_a"] = (("chain", "draw", "a_au"), rng.uniform(0.4, 0.5, (2, 100, 8)))
        groups[law] = xr.Dataset(draws, {"q0": q0, "a_au": a_au})
    alone = (("case", "q0", "a_au"), rng.dirichlet(np.ones(80), 3).reshape(3, 10, 8))
    groups["clusters"] = xr.Dataset({"alone": alone}, {"q0": q0, "a_au": a_au})
    xr.DataTree.from_dict(groups).to_netcdf(campaign / "population.nc", engine="h5netcdf")
    ends = {"q02.5": 0.5, "q16": 0.8, "q50": 1.04, "q84": 1.2, "q97.5": 1.5}
    row = {"mean": 1.0, "sd": 0.2, "rhat": 1.0, "prior": "half-normal, scale 0.5"} | ends
    pd.DataFrame([{"law": "normal", "parameter": name} | row for name in UNITS]).to_csv(
        campaign / "population.csv", index=False
    )
    clusters = {"case": NAMES, "left_out": ["", "", "unlike"]}
    for end in ("_alone", ""):
        for name, middle in (("q0", 1.0), ("a_au", 4e4)):
            clusters |= {f"{one}{end}": value for one, value in quantiles(name, middle, 0.1 * middle).items()}
    pd.DataFrame(clusters).to_csv(campaign / "population_clusters.csv", index=False)


def test_figures_have_the_size_of_print(natal, finished, tmp_path):
    """A column and a page wide, with TrueType fonts; all files are named."""
    pypdf = pytest.importorskip("pypdf")
    for columns, width, figure in (("1", 242.27, "recovery"), ("2", 513.12, "design")):
        asked = ["--columns", columns, "--figure", figure]
        done = natal("export", finished, "--paper", "--out", tmp_path / columns, *asked)
        assert done.exit_code == 0, done.output
        written = sorted(path.name for path in (tmp_path / columns).iterdir())
        assert sorted(line.rpartition("/")[2] for line in done.stdout.splitlines()) == written
        pdfs = [name for name in written if name.endswith(".pdf")]
        assert pdfs == [f"{name}.pdf" for name in sorted(re.findall(r"fig:(\w+)", figures_tex(tmp_path / columns)))]
        for name in pdfs:
            (page,) = pypdf.PdfReader(tmp_path / columns / name).pages
            # a PDF's points are 72 to the inch
            assert float(page.mediabox.width) == pytest.approx(width * 72 / PT_PER_IN, abs=0.01)
            fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
            assert fonts
            for font in fonts:
                inner = [one.get_object() for one in font.get("/DescendantFonts", [font])]
                assert {font["/Subtype"], *(one["/Subtype"] for one in inner)} <= {
                    "/TrueType",
                    "/Type0",
                    "/CIDFontType2",
                }
                assert all("/FontFile2" in one["/FontDescriptor"] for one in inner)


def figures_tex(folder):
    return (folder / "figures.tex").read_text()


@pytest.mark.parametrize("columns", [None, 1])
def test_type_is_of_seven_to_nine_points(finished, columns):
    """Whatever a figure writes, and nothing of it is cut off."""
    asked = Finished(finished, {"campaign": "mine", "report": {"corner_cases": 2}}, {}, None)
    names = ["design", "summaries", "recovery", "population"]
    asked.config["design"] = {"box": {"q0": [0.5, 1.5], "a_au": [50, 200]}, "virial_convention": "K/|W|"}
    drawn = drawn_figures(asked, names, JOURNALS["mnras"], columns)
    assert len(drawn) == 7
    for name, figure in drawn.items():
        figure.draw_without_rendering()
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        sizes = {text.get_fontsize() for text in texts}
        assert 7 <= min(sizes) <= max(sizes) <= 9, name
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.02, (name, box)
        assert figure.get_suptitle() == ""


def test_tables_are_latex(natal, finished, tmp_path):
    """Each row has as many cells as the header, names are escaped, units stand below their columns."""
    for journal, rule in (("aas", "deluxetable"), ("mnras", "tabular")):
        out = tmp_path / journal
        done = natal("export", finished, "--paper", "--out", out, "--journal", journal, "--figure", "design")
        assert done.exit_code == 0, done.output
        tables = {path.stem.removeprefix("table_"): path.read_text() for path in out.glob("table_*.tex")}
        assert set(tables) == {"simulations", "coverage", "data", "births", "population"}
        for name, text in tables.items():
            assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
            assert sorted(re.findall(r"\\begin\{(.*?)\}", text)) == sorted(re.findall(r"\\end\{(.*?)\}", text))
            assert rf"\label{{tab:{name}}}" in text
            assert rule in text
            rows = [line for line in text.splitlines() if re.search(r"(?<!\\)&", line)]
            parts = [part for row in rows for part in re.split(r"\\\\", row) if "&" in part]
            assert len({len(re.findall(r"(?<!\\)&", part)) for part in parts}) == 1, text
        births = tables["births"]
        assert r"50 \% \& \$more\_\#1 & $0.99 \pm 0.13$ & $0.50 \pm 0.10$ & $0.145 \pm 0.053$ & $0.004$" in births
        assert r"$\mathrm{pc}$" in births
        assert r"unlike anything: 3\,\% of $Q_0$ \& more." in births
        assert r"NGC 1333 & $310$ & $0.620^{+0.090}_{-0.060}$" in tables["data"]
        assert "$<0.8$" in tables["data"]
        assert r"$50.0 \pm 1.2$" in tables["coverage"]
        assert r"centre of $Q_0$ &  & $1.04^{+0.16}_{-0.24}$ & $0.50$ to $1.50$" in tables["population"]
        assert "$10$ at $10$ births, $1$ dissolved" in tables["simulations"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize(("journal", "document"), [("aas", "aastex631"), ("mnras", "mnras")])
def test_the_example_compiles(natal, finished, tmp_path, journal, document):
    """In the journal's own class, with nothing broader than the page."""
    if subprocess.run(["kpsewhich", f"{document}.cls"], capture_output=True).returncode:
        pytest.skip(f"no {document}.cls on this machine")
    natal("export", finished, "--paper", "--out", tmp_path, "--journal", journal, "--figure", "population")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "example.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_what_is_not_there_is_said(natal, finished):
    """A figure without files is refused if it was asked for, and named if not; options of the other kind, too."""
    done = natal("export", finished, "--paper", "--figure", "calibration")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith("natal: figure calibration: there is no results/mine/calibration.csv\n") or (
        f"there is no {finished}/calibration.csv" in done.stderr
    )
    done = natal("export", finished, "--figure", "recovery")
    assert (done.exit_code, done.stderr) == (2, "natal: --figure goes with --paper (try natal export --help)\n")
    done = natal("export", finished, "--paper", "--figure", "nonsense")
    assert done.exit_code == 2
    assert "'nonsense' is not one of 'design'" in done.stderr


@pytest.mark.parametrize(
    ("numbers", "cell"),
    [
        ((0.7499, 0.1293, 0.1293), r"$0.75 \pm 0.13$"),
        ((50911.7, 14761.0, 14761.0), r"$51000 \pm 15000$"),
        ((1.0, 0.0996, 0.0996), r"$1.00 \pm 0.10$"),
        ((0.73, 0.1, 0.17), r"$0.73^{+0.17}_{-0.10}$"),
        ((3.14159, 0.0, 0.0), r"$3.14$"),
        ((-2.654, 0.0122, 0.0118), r"$-2.654 \pm 0.012$"),
    ],
)
def test_values_are_rounded_with_their_errors(numbers, cell):
    """To two digits of the smaller one."""
    assert with_error(*numbers) == cell
    assert rounded(numbers[0], *numbers[1:])[0] == re.match(r"\$(-?[\d.]+)", cell)[1]


def test_text_is_escaped():
    """LaTeX's own characters, and natal's names as symbols."""
    assert escaped(r"a\b~^{}<") == r"a\textbackslash{}b\textasciitilde{}\textasciicircum{}\{\}$<$"
    assert prose("68 % of Q0, f_bound and sub_q0") == r"68\,\% of $Q_0$, $f_{\rm bound}$ and sub\_q0"
