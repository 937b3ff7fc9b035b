"""Points that teach the emulator most, and what they save."""
