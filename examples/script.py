"""lash without an event loop: for scripts and notebooks."""

import sys

import lash
from lash.testing import ScriptedModel

echo = lash.Agent("echo", model=ScriptedModel(lambda request: f"You said: {request.messages[-1].text}"))

if __name__ == "__main__":
    with lash.open(sys.argv[1] if len(sys.argv) > 1 else "script.db", echo) as runtime:
        session = runtime.session_sync("chat-1")
        print(session.turn_sync("hello").text)
        print(len(session.history_sync()), "messages")
