"""The declaration of births and summaries is the only list of them: more of them need no other one."""

import ast
import json
import re
import subprocess
import sys

import pytest
from project import ROOT

from natal.variables import BIRTH, SUMMARIES

SOURCES = sorted((ROOT / "src" / "natal").rglob("*.py"))

# what computes a summary, or means this one and no other
NAME_SUMMARIES = {"variables.py", "nbody/summaries.py", "figures/clusters.py"}
KNOW_SHAPES = {"api.py", "data", "emulator", "likelihood", "assessment", "posterior", "figures"}

# a fourth summary, and a signed one, which has no logarithm
MORE_SUMMARIES = """
import json
import jax, jax.numpy as jnp, numpy as np
from natal import variables
from natal.variables import Variable, Variables, limits_of

variables.SUMMARIES = Variables(
    *variables.SUMMARIES.values(),
    Variable("r_hp_au", "AU", "log", symbol="r", meaning="a projected radius"),
    Variable("v_out_kms", "km/s", support="real", symbol="v", meaning="an expansion speed"),
)
from natal.emulator.ensemble import untrained_ensemble
from natal.data.normaliser import Normaliser
from natal.likelihood.density import DensityEnsemble, make_density_network, scaling
from natal.likelihood.kinds import DensityLikelihood
from natal.likelihood.mixture import Mixture
from natal.likelihood.mixture_density import LATENT, Counts
from natal.posterior.grid import make_grid, summarise_cases

box = {"q0": (0.5, 1.5), "a_au": (50.0, 200.0)}
ensemble = untrained_ensemble(jax.random.key(0), 2, Normaliser(*map(jnp.ones, (2, 2, 5, 5))), limits_of(box))
network = make_density_network(jax.random.key(1), 4, 1, jnp.ones(5), jnp.ones(5), limits_of(box), Counts(20, 5))
density = DensityEnsemble(jax.tree.map(lambda leaf: leaf[None] if hasattr(leaf, "shape") else leaf, network))
y = density(jnp.array([0.9, 100.0])).observed().sample(jax.random.key(2), (100,))
summary = summarise_cases(make_grid(DensityLikelihood(ensemble, density), box, (4, 3)), y[:2], None)

# independent numbers: what an error does to the signed one is known
law = Mixture(jnp.zeros(1), jnp.array([[1.0, 5.0, 4.5, -2.0, 0.5]]), 0.3 * jnp.eye(5)[None], Counts(20, 5))
seen = jnp.array([0.8, 3.0, 150.0, 90.0, 0.0]) + jnp.array([0.0, 0.0, 0.0, 0.0, 1.0]) * jnp.linspace(-4, 1, 6)[:, None]
errors = {size: size * jnp.array([0.05, 0.1, 5.0, 3.0, 1.0]) for size in (1e-3, 1.0)}
print(json.dumps({
    "latent": LATENT,
    "scaling": scaling(jnp.log(100.0)).tolist(),
    "predicted": ensemble.at_points(np.array([[0.9, 100.0]])).shape,
    "share": (20 * y[:, 0]).tolist(),
    "smallest": y.min(0).tolist(),
    "mean": np.asarray(summary.mean).tolist(),
    "seen": seen[:, 4].tolist(),
    "without": law.observed().log_prob(seen).tolist(),
    "with": {size: law.observed(error).log_prob(seen).tolist() for size, error in errors.items()},
}))
"""


def strings(source):
    """String literals of the code, without docstrings and other texts that stand by themselves."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in alone]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_no_other_list_of_summaries():
    """No module but a few names a summary; nor does a shape count summaries or births."""
    naming, counting = [], []
    for path in SOURCES:
        name, source = str(path.relative_to(ROOT / "src" / "natal")), path.read_text()
        if name not in NAME_SUMMARIES and not name.startswith("studies/"):
            naming += [(name, string) for string in strings(source) if string in (*SUMMARIES, *SUMMARIES.errors)]
        if name.split("/")[0] in KNOW_SHAPES:
            shapes = re.findall(r'(?:Float|Int|Bool)\[[^\[\]"]*, "([^"]*)"\]', source)
            counting += [(name, s) for s in shapes if {str(len(BIRTH)), str(len(SUMMARIES))} & set(s.split())]
    assert not naming
    assert not counting


@pytest.mark.slow
def test_more_summaries_need_no_other_change():
    """Networks, laws and grids take two more; of the signed one a measured value is normal about the predicted one."""
    done = subprocess.run([sys.executable, "-c", MORE_SUMMARIES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["latent"] == ["sigma_v_kms", "r_h_au", "r_hp_au", "v_out_kms", "f_bound"]
    log_a = 4.60517
    assert found["scaling"] == pytest.approx([-0.5 * log_a, log_a, log_a, 0, 0], abs=1e-4)
    assert found["predicted"] == [1, 2, 5]
    assert found["share"] == pytest.approx([round(share) for share in found["share"]], abs=1e-4)
    assert min(found["smallest"][1:4]) > 0 > found["smallest"][4]
    assert all(0.5 < q0 < 1.5 and 50 < a_au < 200 for q0, a_au in found["mean"])

    def apart(error):
        return [-0.5 * (speed + 2.0) ** 2 / (0.3**2 + error**2) for speed in found["seen"]]

    for error, values in ((0.0, found["without"]), (1e-3, found["with"]["0.001"]), (1.0, found["with"]["1.0"])):
        assert [v - values[0] for v in values] == pytest.approx([v - apart(error)[0] for v in apart(error)], abs=2e-2)
    assert found["with"]["0.001"] != found["with"]["1.0"]
