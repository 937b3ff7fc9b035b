"""Configuration files before they are read as settings."""

import pytest

from natal.errors import NatalError
from natal.settings.reading import check_repeated_keys


def test_a_key_given_twice_is_refused(tmp_path):
    """YAML would take the last: file, line and key of each, at any depth; other files and sections may share keys."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("seed: 1\ncluster: {n_stars: 9}\ndesign:\n  train: [8]\n  train: [4]\nseed: 2\n")
    second.write_text("seed: 3\ncluster: {softening_au: 2.0}\n")
    check_repeated_keys([str(second)])
    with pytest.raises(NatalError) as caught:
        check_repeated_keys([str(second), str(first)])
    assert str(caught.value).splitlines() == [
        f"{first}, line 6: the key seed is given twice",
        f"{first}, line 5: the key train is given twice",
    ]
