"""`python -m natal.cli` is `natal`."""

from natal.cli.command import main

main(prog_name="natal")
