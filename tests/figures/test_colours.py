"""Colours stay apart for colour-blind readers."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from natal.figures import colours

# from linear RGB to what is seen without one kind of cone (Machado, Oliveira & Fernandes 2009, severity 1)
SEEN = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
# sRGB's primaries and white (IEC 61966-2-1)
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def cielab(rgb, kind):
    """CIE 1976 L*a*b* of sRGB colours as a reader of this kind sees them."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ np.transpose(SEEN[kind])
    xyz = np.clip(linear, 0, 1) @ TO_XYZ.T / TO_XYZ.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / 3 / (6 / 29) ** 2 + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def test_the_distance_is_what_it_should_be():
    """White, and a pair whose distances were taken from another program (colorspacious 1.1.2)."""
    np.testing.assert_allclose(cielab([1.0, 1.0, 1.0], "all"), [100, 0, 0], atol=1e-9)
    pair = [to_rgb(colours.ORANGE), to_rgb(colours.VERMILLION)]
    found = [np.linalg.norm(np.subtract(*cielab(pair, kind))) for kind in SEEN]
    np.testing.assert_allclose(found, [33.4, 25.2, 18.3, 30.0], atol=0.1)


@pytest.mark.parametrize("kind", SEEN)
def test_every_two_colours_stay_apart(kind):
    """By 15 in CIE 1976 L*a*b*, where 2.3 can just be told apart."""
    palette = {name: to_rgb(value) for name, value in vars(colours).items() if str(value).startswith("#")}
    assert len(palette) == 8
    lab = {name: cielab(rgb, kind) for name, rgb in palette.items()}
    near = {pair: np.linalg.norm(lab[pair[0]] - lab[pair[1]]) for pair in combinations(lab, 2)}
    assert min(near.values()) > 15, min(near, key=near.get)


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("name", ["viridis", "cividis"])
def test_maps_are_read_by_their_lightness(name, kind):
    """It rises from end to end."""
    lightness = cielab(colormaps[name](np.linspace(0, 1, 33))[:, :3], kind)[:, 0]
    assert (np.diff(lightness) > 0).all()
