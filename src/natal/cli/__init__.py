"""The `natal` command: one file a group of commands, each a thin call of the library.

What a command needs is imported when it runs: `natal --help` and completion start neither JAX nor rich.
"""
