"""The mass function of Kroupa (2001, MNRAS 322, 231), eq. 2, without its brown-dwarf segment: dN/dm ~ m^-slope."""

KROUPA_SLOPES = (1.3, 2.3)

KROUPA_BREAK_MSUN = 0.5
"""Where the slope changes."""
