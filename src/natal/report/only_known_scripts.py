"""Does a report run only the scripts that natal wrote into it?"""

from html.parser import HTMLParser
from pathlib import Path

from natal.errors import NatalError

TEMPLATES = Path(__file__).with_name("templates")

ACTIVE = {"iframe", "frame", "object", "embed", "applet", "base", "form", "portal", "link"}
"""Elements that load or send something. A report has none except a link to its icon."""

DATA_TYPES = {"application/json"}
"""Types of script elements that hold data; no browser runs these."""


def check_report(path: Path) -> None:
    """Check that a report has no script but natal's own, and nothing that loads or runs anything else.

    Args:
        path: The HTML file.

    Raises:
        NatalError: If it has.
    """
    known = {file.read_text(encoding="utf-8").strip() for file in TEMPLATES.rglob("*.js")}
    reader = _Reader()
    try:
        text = path.read_text(encoding="utf-8")
        reader.feed(text)
        reader.close()
    except (UnicodeDecodeError, AssertionError) as error:
        raise NatalError(f"{path} is no HTML page: {error}") from error
    found = [*reader.found, *("a script that is not natal's" for one in reader.scripts if one.strip() not in known)]
    for one in reader.scripts:
        text = text.replace(one, "")
    # Browsers read comments and processing instructions in another way than Python does. natal writes none.
    if text.count("<!") > 1 or "<?" in text or text.lower().count("<script") != reader.n_scripts:
        found.append("a comment, or what a browser may take for a script")
    if found:
        raise NatalError(f"{path} holds {found[0]}")


class _Reader(HTMLParser):
    """Collects scripts, and what else is active."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.found: list[str] = []
        self.n_scripts = 0
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note scripts and other active elements, and attributes that load or run something."""
        given = {name: (value or "").strip() for name, value in attrs}
        self.n_scripts += tag == "script"
        if tag == "script" and given.get("type", "").lower() not in DATA_TYPES:
            if "src" in given:
                self.found.append("a script from elsewhere")
            self._in_script = True
            self.scripts.append("")
        if tag in ACTIVE and not (tag == "link" and given.get("rel") == "icon" and given["href"].startswith("data:")):
            self.found.append(f"an element {tag}")
        if tag == "meta" and given.get("http-equiv", "").lower() not in ("", "content-security-policy"):
            self.found.append("a meta element that acts")
        for name, value in given.items():
            # browsers leave out white space and control characters within a scheme
            scheme = "".join(value.split()).lower()
            if name.startswith("on"):
                self.found.append(f"an attribute {name}")
            elif name in ("href", "src", "action", "formaction", "xlink:href") and not scheme.startswith(
                ("#", "data:image/", "data:,")
            ):
                self.found.append(f"a reference to {value[:60]!r}")
            elif name in ("srcdoc", "srcset"):
                self.found.append(f"an attribute {name}")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a script."""
        if tag == "script":
            self._in_script = False

    def handle_data(self, data: str) -> None:
        """Collect the text of scripts."""
        if self._in_script:
            self.scripts[-1] += data
