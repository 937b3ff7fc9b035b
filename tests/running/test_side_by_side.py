"""Work in several processes gives what it gives in one."""

import subprocess
import sys

import pytest

# in a process of its own: this one may have started JAX, which does not survive a fork
PROGRAM = """
import os, sys
from natal.running.side_by_side import side_by_side

def named(number, name):
    if number == 9:
        raise ValueError("nine")
    return f"{name}{number}", os.getpid()

numbers, (n_processes, at_a_time) = [int(sign) for sign in sys.argv[1]], map(int, sys.argv[2:])
found = list(side_by_side(named, numbers, "abcde", n_processes=n_processes, at_a_time=at_a_time))
print(" ".join(name for name, _ in found), os.getpid() in {process for _, process in found})
"""


def run(*arguments):
    """What the program prints, and says of errors."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True)
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(("n_processes", "at_a_time", "here"), [("2", "2", False), ("1", "2", True), ("2", "5", True)])
def test_results_come_in_order(n_processes, at_a_time, here):
    """From other processes only if there is enough to do."""
    assert run("12345", n_processes, at_a_time)[0] == f"a1 b2 c3 d4 e5 {here}"


def test_errors_come_through():
    """From another process, too."""
    assert "ValueError: nine" in run("19345", "2", "1")[1]
