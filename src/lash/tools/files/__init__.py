"""Read-only tools over a directory tree that cannot be escaped."""

from lash.tools.files.toolbox import file_tools

__all__ = ["file_tools"]
