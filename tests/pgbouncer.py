"""A pooler in transaction mode in front of the tests' PostgreSQL server, where `pgbouncer` is installed."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

_PORT = 6432  # names a socket in a folder of our own, not a port
_SETTINGS = """[databases]
* = host={folder} user=lash pool_size=8
[pgbouncer]
pool_mode = transaction
auth_type = any
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
max_client_conn = 400
max_db_connections = 20
server_idle_timeout = 5
"""
_START_SECONDS = 30


class NoPooler(Exception):
    """No pooler could be started; the text says why."""


class Pooler:
    """A running pooler. It is of the account of the server, because it refuses to be root's."""

    def __init__(self, server: Any) -> None:
        """Start one.

        Args:
            server: A `PostgresServer`.

        Raises:
            NoPooler: With the reason.
        """
        program = shutil.which(
            "pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
        )
        if program is None:
            raise NoPooler("install pgbouncer (on Debian: apt-get install pgbouncer)")
        self._server = server
        self.folder: Path = server.folder
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(folder=self.folder, port=_PORT))
        settings.chmod(0o644)
        self._command = [program, "-q", str(settings)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, direct_url: str, *, listens: bool = True) -> str:
        """Return the URL of a database through the pooler, with the way past it for those who listen."""
        pooled = f"{direct_url}&port={_PORT}"
        return f"{pooled}&direct_url={quote(direct_url, safe='')}" if listens else pooled

    def start(self) -> None:
        """Start it, also after `stop`.

        Raises:
            NoPooler: With the reason.
        """
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._server.apart()
        )
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it; whoever is connected through it is cut off."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(timeout=_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up_at:
            if process.poll() is not None:
                break
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url(self._server.url("postgres"), listens=False)).close()
                return
            time.sleep(0.05)
        log = self.folder / "pgbouncer.log"
        detail = log.read_text()[-500:] if log.exists() else "it said nothing"
        raise NoPooler(f"pgbouncer did not start: {detail}")
