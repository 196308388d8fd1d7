"""A data task in code mode: the model writes programs that work through two files, and submits a typed answer.

    python examples/code_mode_data_task.py [DATABASE]

The script stands in for a model; the programs are what a model writes. The files are real: orders.csv is read by
a tool, payments.json is bound by reference: programs read it under the name `payments`, and no prompt holds it.
"""

import asyncio
import csv
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

import lash
from lash.testing import ScriptedModel

DATA = Path(__file__).parent / "data"


class Report(msgspec.Struct):
    """What the accountant wants to know."""

    unpaid_total: float
    overpaid_total: float
    to_call: list[str]


@lash.tool(effect="read_only")
def read_csv(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this folder, one record a row, every value as text."""
    with (DATA / Path(name).name).open(newline="") as file:
        return list(csv.DictReader(file))


@lash.tool(effect="idempotent")
def write_letter(order_id: str, text: str) -> str:
    """Put a letter to a customer into the outbox."""
    return f"letter about {order_id} is in the outbox: {text}"


def read_bound_file(uri: str) -> Any:
    """Return the value behind `file:NAME`."""
    return json.loads((DATA / Path(uri.removeprefix("file:")).name).read_text())


LOOK = """I look at what there is before I compute anything.
```lashlang
orders = await tools.read_csv({ name: "orders.csv" })?
print [len(orders), orders[0], len(payments), payments[0]]
```"""

MATCH = """Payments have to be added up for each order first.
```lashlang
paid = {}
for p in payments { paid[p.order_id] = round((paid[p.order_id] ?? 0) + p.amount, 2) }
wrong = []
for o in orders {
  due = round(to_float(o.unit_price) * to_int(o.quantity), 2)
  got = paid[o.order_id] ?? 0
  if due != got { wrong = push(wrong, { id: o.order_id, who: o.customer, due: due, got: got }) }
}
print wrong
```"""

ACT = """```lashlang
short = [w for w in wrong if w.got < w.due]
over = [w for w in wrong if w.got > w.due]
letters = await [
  tools.write_letter({ order_id: w.id, text: format("{}: {} of {} is missing", w.who, round(w.due - w.got, 2), w.due) })
  for w in short
]
submit {
  unpaid_total: round(sum([w.due - w.got for w in short]), 2),
  overpaid_total: round(sum([w.got - w.due for w in over]), 2),
  to_call: unique([w.who for w in over]),
}
```"""

agent = lash.Agent(
    "accountant",
    model=ScriptedModel([LOOK, MATCH, ACT], by_request=True),
    instructions="You look after the books of a small shop.",
    tools=[read_csv, write_letter],
    protocol="code",
    output=Report,
    code=lash.CodeOptions(
        bindings={
            "payments": lash.Binding.ref(
                "file:payments.json",
                type="list[{ payment: str, order_id: str, amount: float }]",
                preview="what the bank says was paid",
            )
        },
        resolvers={"file": read_bound_file},
    ),
)


async def main(database: str) -> None:
    async with lash.open(database, agent) as runtime:
        session = await runtime.session("books")
        result = await session.turn(
            "Which orders were not paid as they should be? Write to those who owe us."
        )
        print(result.output)
        print(f"{len(result.tool_calls)} calls in {result.model_calls} programs")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "memory:"))
