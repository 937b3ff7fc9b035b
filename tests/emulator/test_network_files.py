"""One file holds an ensemble: it comes back to the last bit, or not at all."""

import dataclasses
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closed_form import BOX, blank_ensemble, diagonal_widths, make_runs, uniform_points

from natal.data.normaliser import Normaliser
from natal.data.runs import design_digest
from natal.emulator.ensemble import Header, load_ensemble, save_ensemble, untrained_ensemble
from natal.emulator.network_files import read_header
from natal.emulator.perceptron import ACTIVATIONS
from natal.errors import NatalError
from natal.files.formats import write_json
from natal.likelihood.loading import load_likelihood, load_likelihoods
from natal.likelihood.widths import widths_to_json

DIGEST = "0123456789abcdef"
MADE_BY = {"version_natal": "0.2.0", "commit": "0" * 40}


@pytest.fixture(scope="module")
def small():
    """Two untrained members."""
    return blank_ensemble()


@pytest.fixture
def path(small, tmp_path):
    """A saved ensemble."""
    save_ensemble(tmp_path / "ensemble.eqx", small, DIGEST, MADE_BY)
    return tmp_path / "ensemble.eqx"


def split_file(path):
    """(header as a dictionary, bytes of the leaves)."""
    line, _, leaves = path.read_bytes().partition(b"\n")
    return json.loads(line), leaves


def change_header(path, **changes):
    """Write other values into the header."""
    header, leaves = split_file(path)
    path.write_bytes(json.dumps(header | changes).encode() + b"\n" + leaves)


def change_leaf(path, position, function):
    """Replace one array of the file."""
    header, content = split_file(path)
    stream, arrays = io.BytesIO(content), []
    while stream.tell() < len(content):
        arrays.append(np.load(stream))
    arrays[position] = function(arrays[position])
    with open(path, "wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            np.save(file, array)


def assert_refused(path, *words, **expected):
    """Loading ends in one line that names the file and says what is wrong."""
    with pytest.raises(NatalError) as caught:
        load_ensemble(path, **expected)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


def test_a_trained_ensemble_comes_back_to_the_last_bit(ensemble, runs, tmp_path):
    """Weights, normaliser, box and so predictions are identical."""
    path, digest = tmp_path / "deep" / "ensemble.eqx", design_digest(runs.train)
    save_ensemble(path, ensemble, digest, {})
    loaded = load_ensemble(path, box=BOX, design_digest=digest)
    assert loaded.box == ensemble.box
    for found, expected in zip(jax.tree.leaves(loaded), jax.tree.leaves(ensemble), strict=True):
        np.testing.assert_array_equal(found, expected)
    x = uniform_points(100, np.random.default_rng(0))
    for found, expected in zip(loaded(x), ensemble(x), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [file.name for file in path.parent.iterdir()] == ["ensemble.eqx"]


def test_the_header_is_one_line_of_json(path):
    """It says what the numbers behind it mean, to a reader without natal."""
    header, leaves = split_file(path)
    versions = header.pop("versions")
    assert header == {
        "format": "natal-ensemble-1",
        "members": 2,
        "hidden": [64, 64],
        "activation": "relu",
        "dtype": "float32",
        "inputs": ["q0", "a_au"],
        "outputs": ["f_bound", "sigma_v_kms", "r_h_au"],
        "input_units": ["K/|W|", "AU"],
        "output_units": ["1", "km/s", "AU"],
        "virial_convention": "K/|W|",
        "box": {"q0": [0.5, 1.5], "a_au": [50.0, 200.0]},
        "design_digest": DIGEST,
        "n_parameters": 4547,
        "log10": [],
    }
    assert versions == MADE_BY
    assert leaves.startswith(b"\x93NUMPY")
    assert dataclasses.asdict(read_header(path, Header, refusal="is no ensemble")) == header | {"versions": versions}


def test_every_number_follows_the_header(path):
    """The leaves are plain NumPy arrays: 2 x 4,547 weights and 10 numbers of the normaliser."""
    _, content = split_file(path)
    stream, arrays = io.BytesIO(content), []
    while stream.tell() < len(content):
        arrays.append(np.load(stream))
    assert {array.dtype for array in arrays} == {np.dtype("float32")}
    assert sum(array.size for array in arrays) == 2 * 4547 + 10


def test_nothing_but_the_file_is_needed(path):
    """Without a box or digest to compare with, any ensemble is loaded."""
    assert load_ensemble(path).n_members == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "natal-ensemble-0"),
        ("dtype", "float64"),
        ("hidden", [32, 32]),
        ("hidden", [64, 64, 64]),
        ("hidden", [64, 0]),
        ("activation", "swish"),
        ("log10", ["n_bound"]),
        ("n_parameters", 4548),
        ("inputs", ["a_au", "q0"]),
        ("outputs", ["f_bound", "sigma_v_kms"]),
        ("virial_convention", "2K/|W|"),
    ],
)
def test_another_kind_of_emulator_is_refused(path, key, value):
    """The error names what differs, and both values."""
    change_header(path, **{key: value})
    assert_refused(path, key, str(value), "train the emulator again")


def test_a_file_from_before_there_were_logarithms_is_read(path, small):
    """Without the header's newest field, nothing is a logarithm."""
    header, leaves = split_file(path)
    del header["log10"]
    path.write_bytes(json.dumps(header).encode() + b"\n" + leaves)
    assert load_ensemble(path).normaliser.log10 == ()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_logarithm_comes_back(tmp_path, activation):
    """The loaded ensemble predicts what the saved one did, to the last bit."""
    one = jnp.ones(3)
    normaliser = Normaliser(one[:2], one[:2], one, one, log10=("a_au", "sigma_v_kms"))
    saved = untrained_ensemble(jax.random.key(1), 2, normaliser, (BOX["q0"], BOX["a_au"]), activation)
    save_ensemble(tmp_path / "ensemble.eqx", saved, DIGEST, {})
    header = read_header(tmp_path / "ensemble.eqx", Header, refusal="is no ensemble")
    assert (header.activation, header.log10) == (activation, ["a_au", "sigma_v_kms"])
    x = uniform_points(20, np.random.default_rng(1))
    loaded = load_ensemble(tmp_path / "ensemble.eqx")
    np.testing.assert_array_equal(loaded.at_points(x), saved.at_points(x))


@pytest.mark.parametrize("hidden", [(), (32,), (7, 9, 5)])
def test_every_architecture_comes_back(tmp_path, hidden):
    """The header says which layers there are; the loaded ensemble predicts what the saved one did."""
    one = jnp.ones(3)
    normaliser = Normaliser(one[:2], one[:2], one, one)
    saved = untrained_ensemble(jax.random.key(1), 2, normaliser, (BOX["q0"], BOX["a_au"]), hidden=hidden)
    save_ensemble(tmp_path / "ensemble.eqx", saved, DIGEST, {})
    assert read_header(tmp_path / "ensemble.eqx", Header, refusal="is no ensemble").hidden == list(hidden)
    x = uniform_points(20, np.random.default_rng(1))
    np.testing.assert_array_equal(load_ensemble(tmp_path / "ensemble.eqx").at_points(x), saved.at_points(x))


@pytest.mark.parametrize("name", ["q0", "a_au"])
def test_another_box_is_refused(path, name):
    """An emulator knows only the box it was trained in."""
    other = BOX | {name: (BOX[name][0], BOX[name][1] * 1.01)}
    assert_refused(path, "box", box=other)


def test_other_training_points_are_refused(path):
    """The digest ties an emulator to the design behind it."""
    assert_refused(path, "design_digest", DIGEST, "fedcba9876543210", design_digest="fedcba9876543210")


def test_a_truncated_file_is_refused_wherever_it_ends(path):
    """Cut in the header, between or inside the arrays, or one byte short."""
    content = path.read_bytes()
    line = content.index(b"\n") + 1
    cuts = {1, line // 2, line - 1, line, line + 1, line + 64, line + 127, line + 128, len(content) - 1}
    cuts |= set(np.linspace(line, len(content) - 1, 12).astype(int).tolist())
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        assert_refused(path)


@pytest.mark.parametrize("extra", [b"\n", b"\0", b"\x93NUMPY"])
def test_trailing_bytes_are_refused(path, extra):
    """A file with more than its header announces is not what was written."""
    path.write_bytes(path.read_bytes() + extra)
    assert_refused(path, "more than its header announces")


@pytest.mark.parametrize("position", [0, 3, -1])
def test_an_array_of_another_shape_is_refused(path, position):
    """A layer or the normaliser with one row less."""
    change_leaf(path, position, lambda leaf: leaf[..., :-1])
    assert_refused(path, "damaged or foreign weights")


@pytest.mark.parametrize("dtype", ["float64", "float16", "int32"])
def test_an_array_of_another_precision_is_refused(path, dtype):
    """Weights are not converted in silence."""
    change_leaf(path, 2, lambda leaf: leaf.astype(dtype))
    assert_refused(path, "damaged or foreign weights")


@pytest.mark.parametrize("members", [-1, 0, 1, 3])
def test_another_number_of_members_is_refused(path, members):
    """The header's count must be that of the weights."""
    change_header(path, members=members)
    assert_refused(path)


@pytest.mark.parametrize("box", [{}, {"q0": [0.5, 1.5]}, {"q0": [0.5], "a_au": [50.0, 200.0]}])
def test_a_header_without_a_whole_box_is_refused(path, box):
    """Without a box to compare with, too."""
    change_header(path, box=box)
    assert_refused(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"point_id,realization,split\n0,0,train\n",
        b"[1, 2, 3]\n",
        b"null\n",
        b'{"format": "natal-ensemble-1"}\n',
        b"\x89HDF\r\n\x1a\n" + bytes(range(256)),
    ],
)
def test_other_files_are_no_ensembles(tmp_path, content):
    """A table, other JSON, an HDF5 file, an empty file: each is called what it is."""
    path = tmp_path / "something"
    path.write_bytes(content)
    assert_refused(path, "is not a natal ensemble")


def test_a_missing_file_is_no_ensemble(tmp_path):
    """A file that is not there is named."""
    assert_refused(tmp_path / "nothing.eqx", "is not a natal ensemble", "No such file")


def test_a_likelihood_belongs_to_its_ensemble(ensemble, runs, tmp_path):
    """A width fitted to an emulator of other training points is refused."""
    digest = design_digest(runs.train)
    save_ensemble(tmp_path / "ensemble.eqx", ensemble, digest, {})
    fitted = {"kind": "constant", **widths_to_json(diagonal_widths([0.06, 0.4, 60.0]))}
    write_json(tmp_path / "likelihood.json", fitted | {"design_digest": digest})
    likelihood = load_likelihood(tmp_path / "ensemble.eqx", tmp_path / "likelihood.json", BOX)
    np.testing.assert_array_equal(likelihood.sigma_total, np.array([0.06, 0.4, 60.0], "float32"))
    kinds = ["constant_full", "ensemble"]
    assert list(load_likelihoods(tmp_path / "ensemble.eqx", tmp_path / "likelihood.json", BOX, kinds)) == kinds

    other = design_digest(make_runs("train", 200, 8, seed=99))
    write_json(tmp_path / "likelihood.json", fitted | {"design_digest": other})
    with pytest.raises(NatalError, match="design_digest"):
        load_likelihood(tmp_path / "ensemble.eqx", tmp_path / "likelihood.json", BOX)
