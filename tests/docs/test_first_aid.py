"""The page on messages quotes what natal says, word by word."""

import errno
import os
import re
import runpy

import pytest
from project import ROOT

FIRST_AID = re.compile(r"^## First aid\n(.*?)^## ", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def said() -> str:
    """All that natal can say, and the system's word for a full disk, which natal hands on."""
    found = runpy.run_path(str(ROOT / "docs" / "hooks" / "messages.py"), run_name="messages")["messages"]()
    return "\n".join([*(message.text for message in found), os.strerror(errno.ENOSPC)])


def test_first_aid_quotes_messages(said):
    """Every quotation of the table's first column, in the parts between its dots."""
    page = (ROOT / "docs" / "howto" / "messages.md").read_text(encoding="utf-8")
    first = [line.split("|")[1] for line in FIRST_AID.search(page)[1].splitlines() if line.startswith("| ")]
    parts = [part.strip(" =") for quoted in re.findall("`([^`]+)`", "".join(first)) for part in quoted.split("...")]
    assert len(parts) > 15
    assert [part for part in parts if part not in said] == []
