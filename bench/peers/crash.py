"""A child: the toy agent of one system. With the trap set it kills itself inside its tool; run again, it recovers.

python -m peers.crash SYSTEM FOLDER trap|recover
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from pathlib import Path

from peers.children import Rows
from peers.systems import CHARGERS
from peers.workload import Scene


def main() -> None:
    label, folder, act = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    rows, scene = Rows(), Scene(folder)
    module, mode = CHARGERS[label]
    if act == "trap":
        scene.set_trap()
    ended = asyncio.run(import_module(f"peers.{module}").charge_once(scene, mode))
    charges = scene.charges()
    rows.row(
        f"crash inside a tool call: {label}",
        charged=len(charges),
        distinct_keys=len(set(charges)),
        model_calls=scene.times_asked(),
        user_messages=ended.user_messages,
        told_unknown=float(ended.answer == "unknown"),
    )
    sys.stderr.flush()
    os._exit(0)  # what a peer left running in threads has nothing more to add


if __name__ == "__main__":
    main()
