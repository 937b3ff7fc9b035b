"""Words are left out of a file's syntax tree; whatever can change a result stays."""

import ast
import re

import pytest

from natal.provenance.source import without_words

MODULE = '''
"""Draws."""

import logging
from typing import TYPE_CHECKING

from natal.errors import NatalError
from natal.files import store
from natal.progress import track
from natal.variables import Variable

if TYPE_CHECKING:
    from natal.network import Network

log = logging.getLogger("natal")
_HINT = "lower dt_yr"
RADIUS = Variable("r", "AU", symbol="r", meaning="a radius")


class Sphere:
    """A sphere."""

    size: int = 3

    def grow(self, by: float) -> "Sphere":
        if by < 0:
            raise self._too_small(by)
        self.size += by
        return self

    def _too_small(self, by):
        return NatalError(f"cannot grow by {by}: give a number above 0")


def draw(n: int, path):
    assert n > 0, "none to draw"
    share = 1 / n
    what = f"{100 * share:g} % of {n} stars" if n > 1 else "one star"
    if n > 1000:
        kept = ", ".join(sorted(str(k) for k in range(n)))
        log.warning("many stars: %s (%s)", kept, _HINT)
    try:
        written = store(path, unit="AU", mode="new")
    except OSError as error:
        log.error("no room: %s", error)
        raise NatalError(f"{path}: {what} {_say(written)}", remedy="make room") from error
    log.info("%s written", written)
    return [_weigh(star) for star in track(range(n), total=n, label="draw", unit="stars")]


def _say(written):
    return "that is all" if written else "nothing"


def _weigh(star):
    return {"mass": 2.0 * star}
'''


def tree(source, **options):
    return ast.dump(without_words(source, **{"labels": False} | options))


def edited(old, new):
    assert MODULE.count(old) == 1, old
    return MODULE.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A sphere."""', '"""A ball."""'),
        ("give a number above 0", "give another"),
        ('return NatalError(f"cannot grow by {by}: give a number above 0")', "return NatalError(str(by))"),
        (', "none to draw"', ""),
        ("% of {n} stars", "per cent of {n}"),
        ('    what = f"{100 * share:g} % of {n} stars" if n > 1 else "one star"\n', ""),
        ("{what} {_say(written)}", "no room"),
        ('"lower dt_yr"', '"lower it"'),
        ('"many stars: %s (%s)", kept, _HINT', '"many stars"'),
        ('return "that is all" if written else "nothing"', 'return "all" if written else ""'),
        ('    log.info("%s written", written)\n', '    log.debug("written")\n'),
        ('    log.info("%s written", written)\n', ""),
        ("    return [_weigh", '    if n == 1:\n        log.info("one only")\n    return [_weigh'),
        ("    return [_weigh", '    for k in range(n):\n        log.info("%d", k)\n    return [_weigh'),
        ('label="draw", unit="stars"', 'label="sample", unit="objects"'),
        (', remedy="make room"', ', remedy="buy disks"'),
        ("n: int, path", "n: int, path: str | None"),
        (' -> "Sphere"', ""),
        ("    from natal.network import Network", "    from natal.network import Ensemble, Network"),
        ('symbol="r", meaning="a radius"', 'symbol="R", meaning="the radius"'),
        ("    share = 1 / n", "    share: float = 1 / n"),
    ],
)
def test_words_do_not_count(old, new):
    """Texts of errors and logs wherever they are made, labels of progress, annotations."""
    assert tree(edited(old, new)) == tree(MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("raise NatalError(", "raise ValueError("),
        ("by < 0", "by <= 0"),
        ("size: int = 3", "size: float = 3"),
        ("assert n > 0", "assert n >= 0"),
        ('unit="AU"', 'unit="pc"'),
        # its result is only logged, but it does something
        ('mode="new"', 'mode="old"'),
        ('{"mass": 2.0', '{"mass_msun": 2.0'),
        ("2.0 * star", "3.0 * star"),
        ("total=n,", "total=2 * n,"),
        ('"r", "AU"', '"r", "pc"'),
        ("except OSError", "except ValueError"),
        ('        log.error("no room: %s", error)\n', '        log.error("no room: %s", error)\n        return []\n'),
        ("    return [_weigh", '    if store(path):\n        log.info("one only")\n    return [_weigh'),
    ],
)
def test_results_count(old, new):
    """Kinds of errors, conditions, units, names of columns, calls that do something."""
    assert tree(edited(old, new)) != tree(MODULE)


def test_labels_count_for_what_is_drawn():
    """A symbol is a word for a network, and part of a figure."""
    other = edited('symbol="r"', 'symbol="R"')
    assert tree(other, labels=True) != tree(MODULE, labels=True)
    assert tree(other) == tree(MODULE)


def test_what_only_words_use_is_left_out():
    """Nothing is left of them: no logger, no helper, no import."""
    left = ast.unparse(ast.fix_missing_locations(without_words(MODULE, labels=False)))
    assert not re.search(r"log|TYPE_CHECKING|Network|_HINT|_say|what|share|kept", left)
    assert "_weigh" in left
    assert "_too_small" in left


OFFERED = {
    "from natal.grid import Grid": "from natal.grid import Grid\n__all__ = ['Grid']",
    "from natal.grid import Grid as Grid": "from natal.grid import Grid as Grid",
    "from natal.grid import *": "from natal.grid import *",
    "def _check": "@register\ndef _check(): pass",
    "n = 2": "def f():\n n = 1\n def g():\n  nonlocal n\n  n = 2\n raise ValueError(n)\n return g",
    "said += ['no']": "def f(said):\n said += ['no']\n raise ValueError(len('no'))",
    "x.n = 3": "def f(x):\n x.n = 3\n raise ValueError('no')",
    "n = 4": "def f():\n class B:\n  n = 4\n raise ValueError(n)\n return B",
}


@pytest.mark.parametrize("kept", OFFERED)
def test_what_others_may_use_stays(kept):
    """Names that are offered, registered, shared with an inner function, or parts of something."""
    assert kept in ast.unparse(ast.fix_missing_locations(without_words(OFFERED[kept], labels=False)))


def test_variables_of_a_script_are_its_own():
    """A module's may be read from elsewhere."""
    source = "with job() as log:\n    n = {}\n    log.info('%s', n)"
    assert tree(source.format(1), script=True) == tree(source.format(2), script=True)
    assert tree(source.format(1)) != tree(source.format(2))
