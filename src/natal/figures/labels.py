"""Symbols, units and labels of the variables, for axes and titles."""

from natal.variables import BIRTH, SUMMARIES

VARIABLES = {**BIRTH, **SUMMARIES}
SYMBOLS = {name: variable.symbol for name, variable in VARIABLES.items()} | {"joint": "joint"}
UNITS = {name: f" {variable.shown_unit}".rstrip() for name, variable in VARIABLES.items()}
LABELS = {name: variable.label for name, variable in VARIABLES.items()}
