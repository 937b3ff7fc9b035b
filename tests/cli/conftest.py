"""The command as a user types it, and a small finished campaign."""

from types import SimpleNamespace

import h5py
import jax
import jax.numpy as jnp
import pytest
from click.testing import CliRunner
from closed_form import LIMITS, diagonal_widths

from natal.cli.command import main
from natal.data.normaliser import Normaliser
from natal.emulator.ensemble import save_ensemble, untrained_ensemble
from natal.files.formats import write_json
from natal.files.sealed import SEAL_BYTES, write_seal
from natal.likelihood.widths import widths_to_json
from natal.provenance.records import write_records


@pytest.fixture
def natal():
    """Runs `natal ARGUMENTS`: exit code, stdout, stderr. Never a traceback."""

    def run(*arguments):
        done = CliRunner().invoke(main, [str(one) for one in arguments], prog_name="natal")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output
        return done

    return run


@pytest.fixture
def campaign(smoke_config, tmp_path, monkeypatch):
    """results/mine, in the working directory: untrained networks, files of all kinds and their records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    centre, width = jnp.array([1.0, 120.0]), jnp.array([0.3, 40.0])
    scales = Normaliser(centre, width, jnp.array([0.8, 4.5, 450.0]), jnp.array([0.05, 0.5, 50.0]))
    ensemble = untrained_ensemble(jax.random.key(0), 2, scales, LIMITS)
    config = smoke_config | {"campaign": "mine", "likelihood": "constant"}
    folder = tmp_path / "results" / "mine"
    save_ensemble(folder / "emulator" / "ensemble.eqx", ensemble, "digest", {})
    content = {"kind": "constant", "design_digest": "digest"} | widths_to_json(diagonal_widths())
    content["members_spread"] = {name: {"factor": 1.0} for name in content["sigma_total"]}
    write_json(folder / "emulator" / "likelihood.json", content)
    shard = folder / "simulations" / "train0_000.h5"
    shard.parent.mkdir()
    with h5py.File(shard, "w", userblock_size=SEAL_BYTES) as file:
        file["x"] = [1.0, 2.0]
    write_seal(shard, {"format": "natal-test-1"})
    (folder / "summaries.csv").write_text("q0,a_au\n0.5,100\n")
    (folder / "report.html").write_text("<!DOCTYPE html><html><body><p>Births</p></body></html>")
    for rule, inputs, outputs in (
        ("simulate", [], ["simulations/train0_000.h5"]),
        ("summaries", ["simulations/train0_000.h5"], ["summaries.csv"]),
        ("train", ["summaries.csv"], ["emulator/ensemble.eqx"]),
        ("likelihood", ["emulator/ensemble.eqx", "summaries.csv"], ["emulator/likelihood.json"]),
        ("report", ["emulator/likelihood.json"], ["report.html"]),
    ):
        task = SimpleNamespace(
            rule=rule,
            input=[f"results/mine/{name}" for name in inputs],
            output=[f"results/mine/{name}" for name in outputs],
            wildcards={"shard": "train0_000"} if rule == "simulate" else {},
            params=SimpleNamespace(digest="code:2-0123456789abcdef seed:89abcdef"),
            config=config,
        )
        write_records(task)
    return folder


@pytest.fixture
def table(tmp_path):
    """Writes a table of clusters."""

    def write(text, name="clusters.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
