"""The `lash` command: one file a command, each importing what it needs when it runs."""

from lash.cli.main import main

__all__ = ["main"]
