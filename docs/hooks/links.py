"""Names of pages, such as `docs/architecture.md`, become links: in pages, in docstrings and in what is included."""

import logging
import re
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger("mkdocs.hooks.links")

DOCS = Path(__file__).parents[1]
NAMED = re.compile(r"<code>docs/([\w/]+)\.(md|ipynb)</code>")
# files that are part of a page
SHOWN = {"config/README.md": "reference/configuration", "CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing"}
SHOWN_NAME = re.compile(rf"<code>({'|'.join(map(re.escape, SHOWN))})</code>")


def on_page_content(content: str, page: Any, files: Any, **_: Any) -> str:
    """Link what is named; a page that is not there is a warning, which ends a strict build."""

    def link(said: str, name: str) -> str:
        file = files.get_file_from_path(f"{name}.md")
        if file is None:
            log.warning(f"{page.file.src_uri} names {said}, which is no page")
            return f"<code>{said}</code>"
        return f'<a href="{file.url_relative_to(page.file)}">{_title(name) or said}</a>'

    content = NAMED.sub(lambda found: link(f"docs/{found[1]}.{found[2]}", found[1]), content)
    return SHOWN_NAME.sub(lambda found: link(found[1], SHOWN[found[1]]), content)


@cache
def _title(name: str) -> str:
    path = DOCS / f"{name}.md"
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.M) if path.exists() else None
    return heading[1].replace("`", "") if heading else ""
