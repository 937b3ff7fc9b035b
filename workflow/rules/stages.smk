# What a stage of the campaign or of a study depends on, and what it draws.
import sys
from functools import reduce
from operator import getitem

from natal.provenance.digests import stage_digest


def digest(script, *keys, **more):
    """One string for a stage's code and each of its settings, by name: Snakemake's reasons quote it.

    'inference.prior' means one key of a section.
    """
    settings = {key: reduce(getitem, key.split("."), config) for key in keys}
    return stage_digest(str(SCRIPTS / script), settings | more)


def pictures(folder, *names):
    """The files of figures: each as PNG and as PDF."""
    return [folder / f"{name}.{kind}" for name in names for kind in ("png", "pdf")]
