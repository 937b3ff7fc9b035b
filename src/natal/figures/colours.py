"""Colours and marks: those of Okabe & Ito (2008) and a grey, which stay apart for colour-blind readers."""

from itertools import cycle
from typing import Any

from natal.variables import BIRTH, SPLITS

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"

SPLIT_COLOURS = dict(zip(SPLITS, (BLUE, ORANGE, GREEN), strict=True))
MEMBER_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY)
PARAMETER_COLOURS = dict(zip(BIRTH, cycle((BLUE, VERMILLION, PURPLE)), strict=False)) | {"joint": BLACK}
PARAMETER_MARKERS = dict(zip(BIRTH, cycle("os^"), strict=False)) | {"joint": "D"}
BAND: dict[str, Any] = {"color": GREY, "alpha": 0.25, "linewidth": 0}
# a vector format would otherwise hold thousands of symbols
MANY_POINTS: dict[str, Any] = {"linewidth": 0, "rasterized": True}
