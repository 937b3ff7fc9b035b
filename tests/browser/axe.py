"""The accessibility rules of axe-core, which tests/browser/install.sh fetches."""

from pathlib import Path

from chromium import Browser

AXE = Path(__file__).parents[2] / ".cache" / "axe-core-4.14.1" / "axe.min.js"
RULES_MISSING = "axe-core is not there: tests/browser/install.sh fetches it"
ASK = """axe.run().then(({ violations }) => violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .map(({ id, nodes }) => [id, nodes.length, nodes[0].html.slice(0, 200)]))"""


def serious(page: Browser) -> list[list]:
    """What is wrong with an open page: rule, number of places, the first of them."""
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    return page.evaluate(ASK)
