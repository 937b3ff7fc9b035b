"""The type checker that conftest.py applies to all of natal while it is tested."""

from beartype import BeartypeConf, beartype

# whole numbers count as real ones, as in YAML: `t_end_yr: 500`
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
