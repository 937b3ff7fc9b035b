"""The one exception a user is meant to read."""


class NatalError(Exception):
    """A mistake that a person can mend: one line that names the key, file or case and says what is allowed."""
