"""`lash conformance`: run the kit against a backend, on throw-away databases."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
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
        help="memory:, sqlite:///PATH (a template: databases are made beside it and removed), "
        "or module:factory",
    )
    what.add_argument("--list", action="store_true", help="name every case and the claim it makes; run none")
    parser.add_argument("--case", action="append", metavar="NAME", help="run only this case (repeatable)")
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
    report = asyncio.run(run_cases(cases, source_for(options.backend)))
    if options.json:
        print_json(report.plain())
    else:
        print("\n".join(report.lines()))
    return 0 if report.is_ok else 1


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
