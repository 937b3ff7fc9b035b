"""Newton's gravity for star clusters: births, motion and what one observes of them."""
