# What the process that plans and submits jobs does by itself; jobs read this file, too, but skip it.
from natal.running.driver import Driver

DRIVER = Driver(workflow, config, RESULTS, SHARDS, shard_digest, shard_stem, list(LIKELIHOOD.values()), runs_in_time)


onstart:
    DRIVER.start()


onerror:
    DRIVER.fail()
