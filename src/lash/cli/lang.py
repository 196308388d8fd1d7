"""`lash lang`: the language from the command line. `lashlang.console` does the work; this parses the words."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `lash lang`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    run_ = actions.add_parser("run", help="run a program")
    check = actions.add_parser("check", help="report everything that is wrong with a program")
    for action in (run_, check):
        action.add_argument("file", type=Path, metavar="FILE")
        action.add_argument("--host", type=Path, help="a host file: the `host` object of a corpus case")
        action.add_argument("--json", action="store_true")
    fmt = actions.add_parser("fmt", help="print a program in its canonical spelling")
    fmt.add_argument("file", type=Path, metavar="FILE")
    fmt.add_argument("--check", action="store_true", help="only say whether it is spelled so")
    fmt.add_argument("--write", action="store_true", help="write it back")
    corpus = actions.add_parser("corpus", help="run cases and compare their outcomes")
    corpus.add_argument("file", type=Path, metavar="CASES.jsonl")
    corpus.add_argument("--json", action="store_true")
    explain = actions.add_parser("explain", help="explain the code of a diagnostic")
    explain.add_argument("code", metavar="CODE")
    explain.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Run one action."""
    from lashlang import console

    match options.action:
        case "run":
            output = console.run_file(options.file, options.host, as_json=options.json)
        case "check":
            output = console.check_file(options.file, options.host, as_json=options.json)
        case "fmt":
            output = console.format_file(options.file, check_only=options.check, write=options.write)
        case "corpus":
            output = console.run_corpus(options.file, as_json=options.json)
        case _:
            output = console.explain(options.code, as_json=options.json)
    sys.stdout.write(output.stdout)
    sys.stderr.write(output.stderr)
    return output.status
