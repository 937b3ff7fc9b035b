"""`python -m natal.provenance FILE` prints what made a file."""

from natal.provenance.describe import main

main()
