"""An S3-compatible server of our own on the loopback, started when the first test needs it."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

CREDENTIALS = {"access_key_id": "lash", "secret_access_key": "lash"}
_SIGNED = "AWS4-HMAC-SHA256 Credential=lash/20260101/us-east-1/s3/aws4_request"


class Server:
    """Where it listens, and fresh buckets."""

    def __init__(self, endpoint: str) -> None:
        self.options: dict[str, Any] = {
            "endpoint": endpoint,
            "region": "us-east-1",
            "client_options": {"allow_http": True},
            "retry_config": {"max_retries": 2},
            **CREDENTIALS,
        }
        self._endpoint = endpoint
        self._numbers = count(1)

    def new_bucket(self) -> str:
        name = f"bucket-{next(self._numbers)}"
        request = urllib.request.Request(
            f"{self._endpoint}/{name}", method="PUT", headers={"Authorization": _SIGNED}
        )
        with urllib.request.urlopen(request):
            return name


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    server = pytest.importorskip("moto.server", reason="NOT RUN, no S3 server: pip install moto[server]")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield Server(f"http://{host}:{port}")
    running.stop()


@pytest.fixture
def s3_place(s3_server: Server) -> Callable[[], str]:
    return lambda: f"s3://{s3_server.new_bucket()}/attachments"
