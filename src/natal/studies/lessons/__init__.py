"""What goes wrong with networks, and what cures it, on problems so small that the truth is known."""
