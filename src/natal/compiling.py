"""How much XLA optimises: little where a program runs for moments, all it can where one runs for long.

Most of a small job's time goes into compiling programs that run once.
"""

import os

# an unknown flag ends the process: jaxlib 0.10 and 0.11 know these
BRIEF = "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"


def optimise_little() -> None:
    """Compile quickly from now on; call before JAX's first computation. The user's own `XLA_FLAGS` stay as they are."""
    os.environ.setdefault("XLA_FLAGS", BRIEF)


def long_running(**options: str | int | bool) -> dict[str, str | int | bool]:
    """The `compiler_options` of a program that runs for long: `options`, and XLA's own defaults again."""
    if os.environ.get("XLA_FLAGS") != BRIEF:
        return options
    return {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False, **options}
