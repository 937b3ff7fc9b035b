"""Many clusters through time: batches on a device, checkpoints, shard files."""
