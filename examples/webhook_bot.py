"""A bot behind a webhook that is delivered at least once: what comes twice is done once.

The sender numbers its deliveries and repeats one until it gets its answer, so the same event comes more than
once. Its number is the idempotency key: `emit` records it once, and the process that it starts charges once.
"""

import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lash

ORDERS = lash.EventSource(
    type="shop.order",
    payload={
        "type": "object",
        "properties": {"number": {"type": "integer"}, "cents": {"type": "integer"}},
        "required": ["number", "cents"],
    },
)


async def charge(number: int, cents: int) -> str:
    """Move the money. Run once for each order, whatever is killed or repeated."""
    print(f"charging {cents} cents for order {number}")
    return f"order {number} is paid"


@lash.process
async def handle_order(ctx: lash.ProcessContext, order: dict[str, int]) -> str:
    """Handle one order."""
    return await ctx.step(charge, order["number"], order["cents"])


def webhook(runtime: lash.Runtime) -> ThreadingHTTPServer:
    """Return a server for POST requests with a JSON body and the number of the delivery in a header."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                emitted = runtime.emit_sync(ORDERS, body, idempotency_key=f"shop:{self.headers['Delivery']}")
            except lash.LashError as problem:
                self.answer(400, {"code": problem.code})
            else:
                started = [delivery.process_id for delivery in emitted.deliveries]
                self.answer(202, {"replayed": emitted.replayed, "started": started})

        def answer(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass  # the example prints what matters

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def send(url: str, delivery: int, body: object) -> dict:
    """Deliver a webhook, as a shop would."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Delivery": str(delivery)})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


def main(database: str) -> None:
    with lash.open(database, handle_order, events=[ORDERS]) as runtime:
        runtime.call_sync(runtime.triggers.subscribe("shop", ORDERS, handle_order, name="orders"))
        server = webhook(runtime)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        order = {"number": 7, "cents": 1250}
        first, again = send(url, 1, order), send(url, 1, order)
        print(f"delivered twice, the same process: {first['started'] == again['started']}")
        print(runtime.call_sync(runtime.processes.wait(first["started"][0])))
        print(send(url, 2, {"number": "seven"}))
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "webhook.db")
