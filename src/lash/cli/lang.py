"""`lash lang`: the language from the command line. The work is done by `lashlang.console`."""

from __future__ import annotations

import argparse
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Leave the arguments to the language's own console."""
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see `lash lang --help`")


def run(options: argparse.Namespace) -> int:
    """Run one action of the language's console."""
    from lashlang.console import main

    return main(options.arguments, stdout=sys.stdout, stderr=sys.stderr)
