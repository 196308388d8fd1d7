"""The child process that serves a local model: `python -m lash.providers.local.child`.

It reads one line of JSON, answers with one line of JSON that holds the address, and serves until its
standard input closes. So it cannot outlive the process that started it, however that one ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Serve the model that the first line of standard input describes."""
    settings = json.loads(sys.stdin.readline())
    # The engine prints what it likes; the line that the parent waits for has a descriptor of its own.
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server, reply = _served(settings)
    answer.write(json.dumps(reply) + "\n")
    answer.flush()
    if server is not None:
        sys.stdin.read()
    os._exit(0)  # the engine's threads have no stop


def _served(settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:  # the engine has no types
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = {settings["alias"]}
    params.api_keys = [settings["key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = settings["context_window_tokens"]
    params.n_parallel = 1
    # More threads than free cores make the engine's spin barriers slower by a factor of ten.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_ram_mib = 0
    params.ui = False
    params.offline = True
    params.verbosity = 1
    try:
        server = xllamacpp.Server(params)
        return server, {"address": server.listening_address}
    except Exception as problem:  # noqa: BLE001  # whatever it is, the parent has to be told
        return None, {"error": f"{type(problem).__name__}: {problem}"}


if __name__ == "__main__":
    main()
