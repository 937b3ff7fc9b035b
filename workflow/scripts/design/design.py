"""Draw the design and write it as a table."""

from natal.campaign.design import design_files, make_design
from natal.files.formats import write_csv
from natal.running.jobs import script

with script(snakemake, reads=design_files(snakemake.config)) as log:
    design = make_design(snakemake.config)
    write_csv(snakemake.output[0], design)
    log.info("%d points: %s", len(design), design.block.value_counts(sort=False).to_dict())
