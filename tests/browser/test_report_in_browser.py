"""report.html in a real browser: whole, quiet, offline, readable on a screen and on paper."""

import json
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from axe import AXE, RULES_MISSING, serious
from matplotlib import image

from natal import load_campaign
from natal.likelihood.joint_network import load_joint
from natal.posterior.catalogue import CELLS, Law, clusters_table, grouped
from natal.posterior.grid import log_posterior, make_grid
from natal.posterior.joint_grid import log_likelihoods, pairs_of
from natal.report.page import format_number
from natal.variables import BIRTH, SUMMARIES

pytestmark = pytest.mark.browser

BROKEN = '[...document.images].filter((i) => !(i.complete && i.naturalWidth > 0)).map((i) => i.alt || "unnamed")'
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
HEADINGS = 'const headings = document.querySelector("#index ~ details table").tHead.rows[0].cells'
ROWS = 'const rows = [...document.querySelector("#index ~ details table").tBodies[0].rows]'


def inside(statements: str, value: str) -> str:
    """An expression with statements of its own."""
    return f"(() => {{ {statements}; return {value}; }})()"


def test_the_browser_notices_what_is_wrong(browser, tmp_path):
    """A page with a defect of each kind: what the other tests find nothing of can be found."""
    (tmp_path / "bad.html").write_text(
        '<img alt="torn" src="data:image/png;base64,AAAA"><img alt="far" src="http://127.0.0.1:9/x.png">'
        '<div style="width: 3000px">wide</div><script>nonsense()</script>'
    )
    browser.open(tmp_path / "bad.html")
    assert any("nonsense is not defined" in line for line in browser.console)
    assert "http://127.0.0.1:9/x.png" in browser.requests
    assert browser.evaluate(BROKEN) == ["torn", "far"]
    needed, there = browser.evaluate(WIDTHS)
    assert needed > there


def test_nothing_is_wrong_and_nothing_is_fetched(page, report):
    """No line on the console, no image that does not show, no request but for the file itself."""
    assert page.console == []
    assert page.evaluate(BROKEN) == []
    assert page.evaluate("document.images.length") >= 20
    assert {url for url in page.requests if not url.startswith("data:")} == {report.resolve().as_uri()}
    assert report.stat().st_size < 6e6


def test_the_key_numbers_are_on_the_page(page, report):
    """As the reader sees them, from metrics.json."""
    metrics = json.loads(report.with_name("metrics.json").read_text())
    text = re.sub(r"\s+", " ", page.evaluate("document.body.innerText"))
    simulation, recovery, emulator = (metrics[name] for name in ("simulation", "recovery", "emulator"))
    joint = (recovery["coverage"]["95"]["joint"], recovery["coverage_se"]["95"]["joint"])
    baselines = [part["rmse_mean"]["r_h_au"] for part in metrics["baselines"].values()]
    for words in (
        f"{format_number(simulation['n_runs'])} runs at {format_number(simulation['n_points'])} points",
        f"largest energy error {format_number(simulation['max_energy_error'])}",
        "{:.1f} ± {:.1f} % of the truths inside joint 95 % regions".format(*(100 * value for value in joint)),
        f"log score {format_number(recovery['log_score'])}",
        f"R-hat at most {format_number(metrics['nuts']['max_rhat'], 5)}",
        f"{format_number(metrics['timing']['speed']['speedup_batched'])} times faster",
        *(format_number(width) for width in metrics["sigma_total"].values()),
        *map(format_number, (*emulator["rmse"].values(), *emulator["rmse_mean"].values(), *baselines)),
    ):
        assert words in text


@pytest.mark.parametrize("width", [1280, 1000, 700, 380])
def test_the_page_fits_its_window(page, width):
    """Nothing needs scrolling sideways, and the contents stand beside or above the text, not on it."""
    page.resize(width, 800)
    needed, there = page.evaluate(WIDTHS)
    assert needed <= there
    nav, main = (
        page.evaluate(f"(({{left, right, top, bottom}}) => [left, right, top, bottom])({box}.getBoundingClientRect())")
        for box in ('document.querySelector("nav")', 'document.querySelector("main")')
    )
    assert nav[1] <= main[0] or nav[3] <= main[2]
    smallest = page.evaluate("Math.min(...[...document.images].map((i) => i.getBoundingClientRect().width))")
    assert smallest > 0.25 * width


def test_clicks_on_headings_sort_the_index(page, report):
    """Up, then down, numbers as numbers; every case stays in its row."""
    table = pd.read_csv(report.with_name("recovery.csv")).astype({"case": str}).set_index("case")
    cells = inside(ROWS, "rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))")
    for column, name in ((1, "q0_true"), (4, "q0_sd"), (6, "a_au_mean"), (9, "rhat"), (13, "hpd_level")):
        for sign in (1, -1):
            page.evaluate(inside(HEADINGS, f"headings[{column}].click()"))
            rows = page.evaluate(cells)
            assert sorted(row[0] for row in rows) == sorted(table.index)
            shown = np.array([float(row[column]) for row in rows])
            assert (sign * np.diff(shown) >= 0).all()
            np.testing.assert_allclose(shown, table.loc[[row[0] for row in rows], name], atol=0.051)
    page.evaluate(inside(HEADINGS, "headings[0].click()"))
    assert [row[0] for row in page.evaluate(cells)] == sorted(table.index)


def test_the_index_leads_to_the_corner_plots(page):
    """A click on a case shows its figure."""
    links = page.evaluate(inside(ROWS, 'rows.map((row) => row.querySelector("a")?.hash).filter(Boolean)'))
    assert links
    assert len(set(links)) == len(links)
    for link in links:
        page.evaluate(f"document.querySelector('a[href=\"{link}\"]').click()")
        top, case = page.evaluate(
            f'[document.querySelector("{link}").getBoundingClientRect().top, '
            f'document.querySelector("{link} figcaption").textContent]'
        )
        assert -5 <= top < 800
        assert page.evaluate(f"document.querySelector('a[href=\"{link}\"]').textContent") in case


def test_the_contents_name_every_chapter(page):
    """In the order of the page, each with its heading."""
    titles = page.evaluate('[...document.querySelectorAll("nav a")].map((a) => [a.hash, a.textContent])')
    targets = page.evaluate('[...document.querySelectorAll("h2")].map((h) => "#" + h.id)')
    assert [name for name, _ in titles if name != "#index"] == targets
    tops = [page.evaluate(f'document.querySelector("{name}").getBoundingClientRect().top') for name, _ in titles]
    assert tops == sorted(tops)


def test_the_contents_follow_the_reader(page):
    """Down and up, by steps and in one leap: the chapter at the top of the window is marked, and in sight."""
    names = page.evaluate('[...document.querySelectorAll("nav a")].map((a) => a.hash.slice(1))')
    assert names[0] == "short"
    marked = """new Promise((done) => setTimeout(() => {
      const here = [...document.querySelectorAll("nav a[aria-current]")];
      const { left, right, top, bottom } = here[0].getBoundingClientRect();
      const seen = left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight;
      done([here.map((a) => a.hash.slice(1)), seen]);
    }, 300))"""
    for width in (1280, 380):
        page.resize(width, 700)
        for name in ("likelihood", "methods", "provenance", "calibration", "short"):
            page.evaluate(f'document.getElementById("{name}").scrollIntoView()')
            # the last chapter may be too short to reach the top
            last = page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 1")
            assert page.evaluate(marked) == [[name if not last else names[-1]], True]
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate('getComputedStyle(document.querySelector("nav")).display') == "none"


def test_without_scripts_the_page_is_all_there(browser, report):
    """Contents, chapters, tables and figures; no sliders without an answer, no mark that would stand still."""
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(report)
    document = browser.call("DOM.getDocument", depth=0)["root"]["nodeId"]

    def shown(selector):
        found = browser.call("DOM.querySelectorAll", nodeId=document, selector=selector)["nodeIds"]
        return [node for node in found if has_box(node)]

    def has_box(node):
        try:
            return bool(browser.call("DOM.getBoxModel", nodeId=node))
        except AssertionError:
            return False

    assert len(shown("nav li")) == len(shown("h2")) + len(shown("h3#index"))
    assert len(shown("main img")) >= 20
    assert not shown("#asking")
    assert not shown("nav.follows, [aria-current]")


@pytest.mark.skipif(not AXE.is_file(), reason=RULES_MISSING)
@pytest.mark.parametrize("width", [1280, 380])
def test_everybody_can_read_it(page, width):
    """axe-core finds nothing serious, all tables unfolded; it does find what is wrong where something is."""
    page.resize(width, 800)
    page.evaluate('document.querySelectorAll("details").forEach((one) => { one.open = true; })')
    # boxes that scroll are made focusable once they are laid out
    page.evaluate("new Promise((done) => setTimeout(done, 500))")
    assert serious(page) == []
    page.evaluate('document.images[0].removeAttribute("alt")')
    assert [name for name, *_ in serious(page)] == ["image-alt"]


def test_it_can_be_printed(page, tmp_path):
    """On paper no table hides behind a scroll bar, nothing is wider than the page, and there are at most 20 pages."""
    page.print_to_pdf(tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    n_pages = len(re.findall(rb"/Type\s*/Page\b", content))
    print(f"{n_pages} pages")
    assert 8 <= n_pages <= 20
    page.call("Emulation.setEmulatedMedia", media="print")
    # A4 less its margins, in CSS pixels
    page.resize(round((210 - 28) / 25.4 * 96), 1000)
    hidden = (
        '[...document.querySelectorAll(".scroll, .wide")].filter((e) => e.scrollHeight > e.clientHeight + 1).length'
    )
    assert page.evaluate(hidden) == 0
    needed, there = page.evaluate(WIDTHS)
    assert needed <= there


def laws_of(page):
    """What the page's sliders answer with."""
    return json.loads(page.evaluate('document.getElementById("law").textContent'))


def test_sliders_answer_as_python_does(page, report):
    """200 observations, exact and with errors up to 30 %: total variation from natal's posterior below 0.01."""
    campaign = load_campaign(report.parent)
    law = laws_of(page)
    assert page.evaluate('document.getElementById("asking").hidden') is False
    prior = dict(zip(BIRTH, map(tuple, law["prior"]), strict=True))
    grid = make_grid(campaign.likelihood, prior, tuple(law["cells"]))
    rows = pd.read_csv(report.parent / "dataset" / "test.csv")[list(SUMMARIES)].dropna().to_numpy()
    rows = rows[np.arange(200) % len(rows)]
    exact = eqx.filter_jit(lambda y: log_posterior(grid, y, None))
    measured = eqx.filter_jit(lambda y, e: log_posterior(grid, y, e))
    apart, slowest = [], 0.0
    for k, y in enumerate(rows):
        relative = (0.0, 0.02, 0.05, 0.15, 0.3)[k % 5]
        error = relative * y * np.array([0.3, 1, 1])
        call = f"natalAnswer({y.tolist()}, {error.tolist()})"
        start = "const start = performance.now(); const mass = " + call
        found, milliseconds = page.evaluate(inside(start, "[mass, performance.now() - start]"))
        y32, error32 = jnp.asarray(y, "float32"), jnp.asarray(error, "float32")
        log_density = exact(y32) if relative == 0 else measured(y32, error32)
        expected = np.exp(np.asarray(log_density, float))
        expected /= expected.sum()
        apart.append(0.5 * np.abs(expected.ravel() - found).sum())
        slowest = max(slowest, milliseconds if k else 0.0)
    print(f"total variation: largest {max(apart):.2g}, median {np.median(apart):.2g}; slowest answer {slowest:.0f} ms")
    assert max(apart) < 0.01


def observed_clusters(fields, law, n=60):
    """Rows of a table: six subsets of what can be observed, exact or with errors up to 30 %, four ages and masses."""
    rng = np.random.default_rng(3)
    # all, one, and some
    subsets = [rng.permutation(len(fields))[:k] for k in (len(fields), 1, 1, 2, 3, 5)]
    rows = []
    for k in range(n):
        age, mass = ((1, 1), (1.2, 1.5), (4000, 3), (0.3, 1))[k % 4]
        size = (age**2 * mass) ** (1 / 3) if age > 100 else 1.0
        units = {"AU": size, "km/s": (mass / size) ** 0.5}
        row = {"name": str(k), "age_yr": age * law.reach.t_end_yr, "mass_msun": mass * law.reach.mass_msun}
        for place in subsets[k % len(subsets)]:
            field, relative = fields[place], (0.0, 0.05, 0.1, 0.3)[k // 12 % 4]
            unit = units.get(field["unit"], 1.0)
            # about the middle of what was simulated
            share = rng.uniform(0.3, 0.7)
            value = unit * (share * field["low"] + (1 - share) * field["high"])
            error = relative * abs(value) * (0.3 if field["unit"] == "1" else 1)
            row |= {field["name"]: value, f"{field['name']}_err": error}
        rows.append(row)
    return rows


def test_sliders_of_observables_answer_as_python_does(page, report):
    """Any subset of what can be observed, at any age and mass: total variation from natal's posterior below 0.01."""
    law = Law(*load_joint(report.parent / "emulator" / "joint.eqx")[:2])
    fields = laws_of(page)["observables"]["fields"]
    assert {field["name"] for field in fields} == {*law.names}
    rows = observed_clusters(fields, law)
    apart, times = [], []
    for group in grouped(law, clusters_table(rows)):
        table = law.table(group.pattern)
        found = eqx.filter_jit(log_likelihoods)
        for place, row in enumerate(rows[k] for k in group.rows):
            case = jax.tree.map(lambda leaf, place=place: jnp.asarray(leaf[place]), group.cases)
            low, high = (float(end) for end in case.a_au)
            a_au = low + (high - low) * (np.arange(CELLS[1]) + 0.5) / CELLS[1]
            _, _, *of_node, _ = pairs_of(case, group.n_nodes)
            values, _, simulated = found(table, case.seen, group.pattern, jnp.asarray(a_au, "float32"), tuple(of_node))
            log_density = np.where(simulated, np.asarray(values, float), -np.inf)[..., 0]
            expected = np.exp(log_density - log_density.max())
            seen = {name: [row[name], row[f"{name}_err"]] for name in law.names if name in row}
            call = f"natalAnswerAny({json.dumps(seen)}, {row['age_yr']}, {row['mass_msun']})"
            # the second one is a move of a slider
            start = f"{call}; const start = performance.now(); const found = {call}"
            mass, middles, milliseconds = page.evaluate(inside(start, "[...found, performance.now() - start]"))
            np.testing.assert_allclose(middles[1], a_au, rtol=1e-5)
            apart.append(0.5 * np.abs(expected.ravel() / expected.sum() - mass).sum())
            times.append(milliseconds)
    print(f"total variation: largest {max(apart):.2g}, median {np.median(apart):.2g}; {len(apart)} observations")
    print(f"a move takes {np.median(times):.0f} ms, at most {max(times):.0f} ms")
    assert len(apart) >= 50
    assert max(apart) < 0.01


def test_sliders_of_observables_are_moved(page):
    """What is moved counts as known; age and mass move the prior; nothing known is said, not answered."""
    page.evaluate('document.querySelector("#asking canvas").scrollIntoView()')
    page.evaluate("natalAnswer([0.9, 5, 300], [0, 0, 0])")
    names = 'const by = document.querySelector("[data-by]"), ends = document.querySelectorAll("[data-a]")'
    rows = 'const rows = [...document.querySelectorAll("[data-observable]")], set = (f, v) => { f.value = v;'
    rows += ' f.dispatchEvent(new Event("input")); }'
    move = 'const r = document.querySelector("[data-observable=r_hp_au]"); set(r.querySelector("[type=range]"), 300)'
    ticked = 'const moved = [r.querySelector("[data-use]").checked, by.textContent, ends[1].textContent]'
    age = 'set(document.querySelector("[data-age]"), 2e6)'
    untick = 'rows.forEach((row) => { const use = row.querySelector("[data-use]"); use.checked = false;'
    untick += ' use.dispatchEvent(new Event("change")); })'
    (known, by, end), later, said = page.evaluate(
        inside(
            "; ".join((names, rows, move, ticked, age, "const later = ends[1].textContent", untick)),
            '[moved, later, document.querySelector("#asking [role=status]").textContent]',
        )
    )
    assert known is True
    assert by == "the law of all observables"
    assert float(later) > 10 * float(end)
    assert "Switch something on" in said


def test_sliders_are_moved(page):
    """A slider, its number and the answer follow each other; what cannot be is said, not answered."""
    page.evaluate('document.querySelector("#asking canvas").scrollIntoView()')
    page.evaluate("natalAnswer([0.9, 5, 300], [0, 0, 0])")
    row = 'const row = document.querySelector("[data-observable=f_bound]"), slider = row.querySelector("[type=range]")'
    number = 'const number = row.querySelector("[data-value]")'
    number += ', shown = () => document.querySelector("[data-answer]").textContent'
    move = "slider.value = slider.max; slider.dispatchEvent(new Event('input')); const first = shown()"
    back = "number.value = slider.min; number.dispatchEvent(new Event('input'))"
    wrong = "const second = shown(); number.value = 3; number.dispatchEvent(new Event('input'))"
    said = 'document.querySelector("#asking [role=status]").textContent'
    first, second, low, high, message = page.evaluate(
        inside(
            "; ".join((row, number, move, "const top = number.value", back, "const bottom = slider.value", wrong)),
            f"[first, second, Number(bottom) === Number(slider.min), Number(top) === Number(slider.max), {said}]",
        )
    )
    assert re.fullmatch(r"[\d.]+ ± [\d.]+ \(95 %: [\d.]+ to [\d.]+\)", first)
    assert first != second
    assert (low, high) == (True, True)
    assert "at most 1" in message


def test_it_looks_like_a_page(page, tmp_path):
    """A screenshot has text and colour on white."""
    page.screenshot(tmp_path / "top.png")
    pixels = image.imread(tmp_path / "top.png")[..., :3]
    assert pixels.shape[:2] == (800, 1280)
    assert 0.6 < (pixels.min(-1) > 0.99).mean() < 0.99
    assert (pixels.max(-1) < 0.3).any()
