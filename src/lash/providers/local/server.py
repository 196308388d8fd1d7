"""The parent's side of the child process that serves a local model."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any

from lash.providers.failures import failed

_STOP_SECONDS = 5
_TOLD_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the child serves. `key` keeps other users of this machine out."""

    path: Path
    alias: str
    key: str
    context_window_tokens: int
    threads: int = 1


class LocalServer:
    """Starts the child when it is first needed, and again when it has died.

    Threads do the waiting, so that one server can be used from several event loops.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None
        self._address = ""

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    async def address(self) -> str:
        """Return the address of a running server, such as `http://127.0.0.1:41234`.

        Raises:
            ModelCallError: `model_local_failed` when it does not start.
        """
        return await asyncio.to_thread(self._running)

    async def stop(self) -> None:
        """Stop the child, if it runs."""
        await asyncio.to_thread(self._stopped)

    def _running(self) -> str:
        with self._lock:
            if self.pid is None:
                self._discard()
                self._start()
            return self._address

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the child
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "lash.providers.local.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        settings = self.settings
        order = {
            "path": str(settings.path),
            "alias": settings.alias,
            "key": settings.key,
            "context_window_tokens": settings.context_window_tokens,
            "threads": settings.threads,
        }
        reply: dict[str, Any] = {}
        try:
            assert process.stdin is not None  # both are pipes
            assert process.stdout is not None
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            reply = json.loads(process.stdout.readline() or "{}")
        except (BrokenPipeError, json.JSONDecodeError) as problem:
            reply = {"error": str(problem)}
        if "address" not in reply:
            why = reply.get("error") or self._last_words()
            self._discard()
            raise failed("model_local_failed", f"no server for {settings.path}: {why}")
        self._address = reply["address"]

    def _last_words(self) -> str:
        """Return the end of what a child that died has printed."""
        assert self._errors is not None  # there was a child
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace").strip()
        return text[-_TOLD_CHARS:] or "it ended without a word"

    def _stopped(self) -> None:
        with self._lock:
            self._discard()

    def _discard(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()  # the child ends when its standard input does
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._errors is not None:
            self._errors.close()
            self._errors = None
