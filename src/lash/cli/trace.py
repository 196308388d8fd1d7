"""`lash trace view`: a trace as one page that needs nothing else."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lash.tracing import read_trace


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash trace`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    view = actions.add_parser(
        "view", help="write the trace as a self-contained HTML page", allow_abbrev=False
    )
    view.add_argument(
        "file", metavar="FILE", help="a trace of JSON lines, as lash.open(…, trace=FILE) writes it"
    )
    view.add_argument("--out", metavar="PAGE", help="where to write the page; FILE with .html by default")
    view.add_argument("--stdout", action="store_true", help="print the page instead of writing it")
    view.add_argument("--title", help="the page's title; the file's name by default")


def run(options: argparse.Namespace) -> int:
    """Write the page."""
    from lash.tracing.page import trace_page

    source = Path(options.file)
    page = trace_page(read_trace(source), title=options.title or source.name)
    if options.stdout:
        sys.stdout.write(page)
        return 0
    target = Path(options.out) if options.out else source.with_suffix(".html")
    target.write_text(page, encoding="utf-8")
    print(target)
    return 0
