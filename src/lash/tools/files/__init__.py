"""Read-only tools over a directory tree that cannot be escaped."""

from __future__ import annotations

import os
from typing import Any

from lash.tools.definition import Tool


def file_tools(
    root: str | os.PathLike[str], *, page_lines: int = 380, page_bytes: int = 15 * 1024
) -> tuple[Tool[..., Any], ...]:  # of every signature
    """Return `read_file`, `list_files`, `glob`, `grep` and `stat` for the files below a directory.

    All of them only read, and nothing outside `root` can be reached: not by `..`, not by an absolute path,
    not by a symbolic link, not by exchanging a name while it is looked at. Links that stay inside work.
    What a hard link or a mount puts inside counts as inside.

    Args:
        root: The directory.
        page_lines: Lines of one answer; keep it below the budget of the tool set.
        page_bytes: Bytes of one answer; keep it below the budget of the tool set.

    Raises:
        LashError: `root_invalid`.
    """
    # Defining the tools reads their signatures, which `import lash` must not pay for.
    from lash.tools.files.reading import PageSize
    from lash.tools.files.root import Root
    from lash.tools.files.toolbox import FileTools

    return FileTools(Root(root), PageSize(lines=page_lines, bytes=page_bytes)).tools()


__all__ = ["file_tools"]
