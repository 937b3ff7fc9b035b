"""What tests of simulations share: programs that are the same are compiled once."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(scope="session")
def compile_folder(tmp_path_factory):
    """Where compiled programs lie: another program than those there is compiled as ever."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def compile_cache(compile_folder):
    """A compile cache for the tests of a module."""
    settings = {
        "jax_compilation_cache_dir": str(compile_folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for values in (settings, before):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if values is settings:
            yield
