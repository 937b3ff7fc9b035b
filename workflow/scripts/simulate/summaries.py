"""Gather the end-of-run summaries of all shards into one table."""

from pathlib import Path

import pandas as pd

from natal.assessment.metrics import simulation_report
from natal.campaign.inventory import check_digest, set_aside
from natal.errors import NatalError
from natal.files.formats import write_csv, write_json
from natal.progress import track
from natal.running.jobs import script
from natal.running.side_by_side import side_by_side
from natal.simulation.shard_format import EARLIER
from natal.simulation.shard_tables import ShardTables, concatenated, join_design, read_shard

# shards that a process gets at a time: they are read in a moment
SHARDS_AT_A_TIME = 100


def read(path: Path, digest: str) -> ShardTables | NatalError:
    """A shard's tables; a damaged file is set aside, so that the next run makes it again."""
    try:
        tables = read_shard(path)
    except NatalError as error:
        set_aside([path])
        return error
    try:
        check_digest(path, tables.digest, digest)
    except NatalError as error:
        return NatalError(f"{error}: run again, and its points are simulated anew")
    return tables


with script(snakemake) as log:
    paths = [Path(path) for path in snakemake.input.shards]
    digests, n_processes = snakemake.params.shard_digests, snakemake.threads
    reading = side_by_side(read, paths, digests, n_processes=n_processes, at_a_time=SHARDS_AT_A_TIME)
    found = list(track(reading, total=len(paths), label="read", unit="shards"))
    if errors := [error for error in found if isinstance(error, NatalError)]:
        others = f" (and {len(errors) - 1} more shards are not as they should be)" if len(errors) > 1 else ""
        raise NatalError(f"{errors[0]}{others}")
    # a point's later realizations may be in another shard
    order = ["point_id", "realization"]
    runs = concatenated(shard.summaries for shard in found).sort_values(order, ignore_index=True)
    table = join_design(runs, pd.read_csv(snakemake.input.design))
    write_csv(snakemake.output.table, table)
    tracks = concatenated(shard.tracks for shard in found).sort_values([*order, "t_yr"], ignore_index=True)
    tracks["split"] = tracks.point_id.map(table.groupby("point_id").split.first())
    write_csv(snakemake.output.tracks, tracks)
    write_json(snakemake.output.metrics, simulation_report(table, pd.DataFrame([shard.cost for shard in found])))
    # not earlier: until a shard was read and found whole, it can be made again quickly from its checkpoint
    there = {path.name for path in paths[0].parent.iterdir()}
    for path in paths:
        for left in (path.with_suffix(".checkpoint"), path.with_suffix(EARLIER)):
            if left.name in there:
                left.unlink(missing_ok=True)
    # unfinished files of jobs that died on other nodes
    written = {path.name for path in paths}
    for name in there:
        if name.endswith(".partial") and f"{name.partition('.h5.')[0]}.h5" in written:
            (paths[0].parent / name).unlink(missing_ok=True)
    log.info(
        "%d runs, %d dissolved, largest energy error %.2g", len(table), table.dissolved.sum(), table.energy_error.max()
    )
