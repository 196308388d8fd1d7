"""Makes the environment of the peers: lash from this checkout, and each peer at its pinned release.

    python bench/peers/install.py .venv-peers

A peer that cannot be installed is named and left out; only lash has to be there. Runs on the standard library
of whichever Python made the environment.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent


def pins() -> list[str]:
    """Return the pinned requirements."""
    lines = (HERE / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def fingerprint() -> str:
    """Return what has to change for the installation to be repeated."""
    sources = (HERE / "requirements.txt", CHECKOUT / "pyproject.toml")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def pip(environment: Path, *arguments: str) -> str:
    """Run pip in the environment; return why it failed, or nothing."""
    run = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "-q", *arguments],
        capture_output=True,
        text=True,
    )
    said = run.stderr.strip().splitlines()
    return "" if run.returncode == 0 else (said[-1] if said else f"pip ended with {run.returncode}")


def main() -> int:
    environment = Path(sys.argv[1])
    stamp = environment / ".peers"
    if stamp.exists() and stamp.read_text() == fingerprint():
        return 0
    if not (environment / "bin" / "python").exists():
        venv.create(environment, with_pip=True)
    print(f"installing lash and its peers in {environment}", flush=True)
    if failed := pip(environment, "install", "-e", str(CHECKOUT)):
        print(f"lash cannot be installed: {failed}", file=sys.stderr)
        return 1
    if not pip(environment, "install", *pins()):
        stamp.write_text(fingerprint())
        return 0
    # One of them is in the way of all: each by itself, so that the others still run.
    for pin in pins():
        if failed := pip(environment, "install", pin):
            print(f"NOT INSTALLED {pin}: {failed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
