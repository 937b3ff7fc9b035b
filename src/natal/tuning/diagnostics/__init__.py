"""Is the training of a campaign's networks healthy? Checks of its curves, its layers and its data."""
