# The environment of every rule, for `snakemake --sdm conda`; read last.
from natal.running.snakemake_internals import give_environment

give_environment(workflow, FOLDER / "workflow" / "envs" / "natal.yaml")
