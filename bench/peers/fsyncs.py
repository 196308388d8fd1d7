"""Counting fsyncs from below, alike for every system: a small library between the process and libc.

Needs Linux and a C compiler. Without them the figure is left out, never guessed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path


def built(folder: Path) -> dict[str, str]:
    """Build the library; return the environment that a child needs to be counted, or nothing."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return {}
    library = folder / "fsyncs.so"
    source = Path(__file__).with_suffix(".c")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    if subprocess.run(command, capture_output=True).returncode:
        return {}
    others = os.environ.get("LD_PRELOAD")
    return {"LD_PRELOAD": f"{library}:{others}" if others else str(library)}


def so_far() -> int | None:
    """Return the fsyncs of this process until now; None when nobody counts."""
    try:
        counter = ctypes.CDLL(None).lash_bench_fsyncs
    except AttributeError:
        return None
    counter.restype = ctypes.c_long
    return int(counter())
