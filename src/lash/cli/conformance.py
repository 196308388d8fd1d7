"""`lash conformance`: run the kit against a backend, on throw-away databases."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lash.cli.options import add_json, print_json

if TYPE_CHECKING:
    from lash.testing.conformance import Case


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash conformance`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--backend",
        metavar="URL",
        help="memory:, sqlite:///PATH or postgres://… (templates: databases are made beside the path, schemas in "
        "the database, and removed), the URL of an installed backend, or module:factory",
    )
    what.add_argument("--list", action="store_true", help="name every case and the claim it makes; run none")
    parser.add_argument("--case", action="append", metavar="NAME", help="run only this case (repeatable)")
    parser.add_argument(
        "--guarantees",
        metavar="FILE",
        type=Path,
        help="write a page of what the backend guarantees, from all cases; not with --case",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Run the cases, or list them; status 1 unless every case passed that the backend does not decline."""
    from lash.testing.conformance import all_cases, find_cases, run_cases, source_for

    cases = all_cases() if options.case is None else find_cases(options.case)
    unknown = set(options.case or ()) - {case.name for case in cases}
    if unknown:
        from lash.errors import LashError

        raise LashError(
            "conformance_case_unknown",
            f"there is no case called {', '.join(sorted(unknown))}; --list names all",
        )
    if options.list:
        _print_cases(cases, as_json=options.json)
        return 0
    if options.guarantees is not None and options.case is not None:
        from lash.errors import LashError

        raise LashError("invalid_argument", "--guarantees is about all cases; leave --case out")
    report = asyncio.run(run_cases(cases, source_for(options.backend)))
    if options.json:
        print_json(report.plain())
    else:
        print("\n".join(report.lines()))
    if options.guarantees is not None:
        from lash.testing.conformance import guarantees_page

        options.guarantees.write_text(guarantees_page(report, _name_of(options.backend)), encoding="utf-8")
    return 0 if report.is_ok else 1


def _name_of(backend: str) -> str:
    """Return what a page calls a backend: its scheme, never the whole URL, which may hold a password."""
    scheme, colon, _ = backend.partition(":")
    if not colon or not scheme.isidentifier():
        return "sqlite"
    return "postgres" if scheme == "postgresql" else scheme


def _print_cases(cases: Sequence[Case], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "name": case.name,
                    "contract": case.contract,
                    "rules": list(case.rules),
                    "seed": case.is_seed,
                    "needs": sorted(case.needs),
                    "claim": case.claim,
                }
                for case in cases
            ]
        )
        return
    for case in cases:
        rules = f" [{' '.join(case.rules)}]" if case.rules else ""
        print(f"{case.contract}  {case.name}{rules}{' (seed)' if case.is_seed else ''}: {case.claim}")
    print(f"{len(cases)} cases, {sum(case.is_seed for case in cases)} of them the seed's")
