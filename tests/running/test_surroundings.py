"""Modules of another Python on PYTHONPATH."""

import sys

import pytest

from natal.errors import NatalError
from natal.running.surroundings import check_packages


@pytest.fixture
def python_path(tmp_path, monkeypatch):
    """A folder on PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_another_numpy_is_refused_in_one_line(python_path):
    """It is named, and what to do."""
    (python_path / "numpy").mkdir()
    (python_path / "numpy" / "__init__.py").touch()
    with pytest.raises(NatalError, match="unset PYTHONPATH") as caught:
        check_packages()
    assert f"another numpy ({python_path}/numpy/__init__.py)" in str(caught.value)


def test_a_users_own_modules_are_not(python_path):
    """Nor packages that are there twice by one name for one place."""
    (python_path / "mine.py").touch()
    check_packages()


def test_without_pythonpath_nothing_is_looked_at(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    check_packages()
