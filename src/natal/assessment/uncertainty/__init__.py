"""Other ways to put an uncertainty on the emulator, beside the ensemble's, and one table that compares them all."""
