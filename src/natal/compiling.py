"""How much XLA optimises a program: little if it runs for moments, all it can if it runs for long.

Most of a small job's time goes into compiling programs that run once.
"""

import os

# XLA ends the process at a flag that it does not know: jaxlib 0.10 and 0.11 know these
BRIEF = "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"


def optimise_little() -> None:
    """Compile quickly from now on.

    Call it before JAX's first computation. A user's own `XLA_FLAGS` stay as they are.
    """
    os.environ.setdefault("XLA_FLAGS", BRIEF)


def long_running(**options: str | int | bool) -> dict[str, str | int | bool]:
    """Options for a program that runs for long, for which XLA is to optimise as much as it usually does.

    Args:
        options: Further compiler options of XLA, by name.

    Returns:
        The `compiler_options` of `jax.jit`.
    """
    if os.environ.get("XLA_FLAGS") != BRIEF:
        return options
    return {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False, **options}
