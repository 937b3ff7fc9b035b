"""Is it right, may one trust it, what does it cost? Accuracy, coverage, checks against the simulator, other methods."""
