"""Gather the end-of-run summaries of all shards into one table."""

import glob
from pathlib import Path

import pandas as pd

from natal.assessment.metrics import simulation_report
from natal.campaign.inventory import check_digest, set_aside
from natal.errors import NatalError
from natal.files.formats import write_csv, write_json
from natal.progress import track
from natal.running.jobs import script
from natal.simulation.shard_format import EARLIER
from natal.simulation.shard_tables import join_design, read_shard_cost, read_shard_summaries, read_shard_tracks


def read(path: Path, digest: str) -> pd.DataFrame:
    """A shard's summaries; a damaged file is set aside, so that the next run makes it again."""
    try:
        summaries = read_shard_summaries(path)
    except NatalError:
        set_aside([path])
        raise
    try:
        check_digest(path, digest)
    except NatalError as error:
        raise NatalError(f"{error}: run again, and its points are simulated anew") from error
    return summaries


with script(snakemake) as log:
    shards = [Path(path) for path in snakemake.input.shards]
    tables = track(map(read, shards, snakemake.params.shard_digests), total=len(shards), label="read", unit="shards")
    # by realization: a point's later ones may be in another shard
    order = ["point_id", "realization"]
    runs = pd.concat(tables, ignore_index=True).sort_values(order, ignore_index=True)
    table = join_design(runs, pd.read_csv(snakemake.input.design))
    write_csv(snakemake.output.table, table)
    tracks = pd.concat(map(read_shard_tracks, shards)).sort_values([*order, "t_yr"], ignore_index=True)
    tracks["split"] = tracks.point_id.map(table.groupby("point_id").split.first())
    write_csv(snakemake.output.tracks, tracks)
    costs = pd.DataFrame([read_shard_cost(path) for path in shards])
    write_json(snakemake.output.metrics, simulation_report(table, costs))
    # not earlier: until its shard was read and found whole, a checkpoint is what a lost file is made from in no time
    for path in shards:
        path.with_suffix(".checkpoint").unlink(missing_ok=True)
        path.with_suffix(EARLIER).unlink(missing_ok=True)
        # of jobs that died on other nodes
        for left in path.parent.glob(f"{glob.escape(path.name)}.*.partial"):
            left.unlink(missing_ok=True)
    log.info(
        "%d runs, %d dissolved, largest energy error %.2g", len(table), table.dissolved.sum(), table.energy_error.max()
    )
