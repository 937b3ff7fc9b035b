"""When a worker of the tests crashes, the others finish its files and end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

N_FILES, N_TESTS = 6, 3
TEST = """
import os, time
import pytest

@pytest.mark.parametrize("number", range({n_tests}))
def test_it(number):
    time.sleep(0.1)
    if {crashes} and number == 0 and not os.path.exists("crashed"):
        open("crashed", "w").close()
        os._exit(1)
"""


@pytest.mark.slow
def test_a_crash_ends_no_others(tmp_path):
    (tmp_path / "conftest.py").write_text("from by_file import pytest_xdist_make_scheduler")
    for number in range(N_FILES):
        text = TEST.format(n_tests=N_TESTS, crashes=number == N_FILES - 1)
        (tmp_path / f"test_{number}.py").write_text(text)
    options = ["-q", "-n", "2", "--dist", "loadfile", "--max-worker-restart", "2", "-p", "no:cacheprovider"]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    # the test that crashed is run once more
    assert f"1 failed, {N_FILES * N_TESTS} passed" in done.stdout, done.stdout
