"""Where a process may be killed: named boundaries, counted as they are passed.

A boundary is named `what:phase#n`, such as `commit_runtime_state:after#1`. A process that is told one of
them kills itself with SIGKILL when it gets there; without one it writes down every boundary it passes.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

PORTS = ("turn_ingress", "effect_journal", "attachment_store", "session_catalog", "durable_waits")


class KillSwitch:
    def __init__(self, target: str | None, log: Path | None) -> None:
        self._target = target
        self._log = log
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, boundary: str) -> None:
        with self._lock:
            self._passed[boundary] += 1
            name = f"{boundary}#{self._passed[boundary]}"
            if self._log is not None:
                with self._log.open("a") as out:
                    out.write(name + "\n")
        if name == self._target:
            os.kill(os.getpid(), signal.SIGKILL)


class WatchedPort:
    """A port whose every operation has a boundary before and after it."""

    def __init__(self, port: Any, switch: KillSwitch) -> None:
        self._port = port
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        return self._watched(name, found)

    def _watched(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **options: Any) -> Any:
            self._switch.reach(f"{name}:before")
            result = await operation(*args, **options)
            self._switch.reach(f"{name}:after")
            return result

        return run


class WatchedDatabase:
    """A database whose ports are watched."""

    def __init__(self, database: Any, switch: KillSwitch) -> None:
        self._database = database
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._database, name)
        return WatchedPort(found, self._switch) if name in PORTS else found

    def runtime_persistence(self, session_id: str | None = None) -> Any:
        return WatchedPort(self._database.runtime_persistence(session_id), self._switch)


class WatchedDisk(apsw.VFS):
    """The file system of SQLite, with a boundary around each sync and each write of the log."""

    def __init__(self, switch: KillSwitch) -> None:
        self.switch = switch
        super().__init__("watched", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: Any) -> apsw.VFSFile:
        return WatchedFile(self.switch, name, flags)


class WatchedFile(apsw.VFSFile):
    def __init__(self, switch: KillSwitch, name: Any, flags: Any) -> None:
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._label = "wal" if str(filename).endswith("-wal") else "db"
        self._switch = switch
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._switch.reach(f"{self._label}.write:before")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._switch.reach(f"{self._label}.sync:before")
        super().xSync(flags)
        self._switch.reach(f"{self._label}.sync:after")
