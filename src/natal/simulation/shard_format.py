"""Names that readers and writers of shard files share. Standard library only: planning reads shards, too."""

FORMAT = "natal-simulations-2"


EARLIER = ".h5.earlier"
"""A shard that ends sooner than wanted, or at other times: its job goes on from it."""
