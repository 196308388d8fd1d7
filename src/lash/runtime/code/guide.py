"""The language in one page, for a model that has never seen it.

Every block of it is a program that runs (the tests hold it to that). It belongs to the fixed part of the prompt:
a change costs every user a cold cache once.
"""

from __future__ import annotations

from typing import Final

GUIDE: Final = """\
Programs are written in lashlang, a small language of its own. It is not Python and not JavaScript.

Values are null, booleans, numbers, strings, lists and records. Assignment copies: no two variables share a list.
```lash
n = 3
name = "Ada"
rows = [{ id: 1, tags: ["a"] }, { id: 2, tags: [] }]
rows[0].tags = push(rows[0].tags, "b")
rows[1]["note"] = r"raw \\d text"
total = n * 2 + len(rows)
text = format("{} has {} rows", name, len(rows))
print text
```
Conditions and loops. `if` is a statement; the ternary has a blank before its `?`. There is no `+=`, and no `return`.
```lash
count = 0
for i in range(1, 6) {
  if i % 2 == 0 { continue }
  count = count + i
}
while count > 10 { count = count - 5 }
size = count > 5 ? "big" : "small"
evens = [x * 10 for x in range(6) if x % 2 == 0]
known = null ?? "none"
print [count, size, evens, known, 3 in [1, 2, 3], not false and true]
```
Pure functions see their parameters only; the last expression is the result.
```lash
fn clamp(x: int, low: int, high: int) { x < low ? low : (x > high ? high : x) }
print clamp(12, 0, 10)
```
Builtins: len empty keys values contains find grep_text starts_with ends_with split join trim replace lower upper
slice(x, start, end) push sort sort_by(list, "field") unique reverse sum min max round abs range ceil_div floor_div
merge(a, b) remove(record, key) to_string to_int to_float to_json json_parse format validate(value, Type). They are
called like functions (`len(xs)`, never `xs.len()`).

Operations are the only way out. One takes one record and gives `{ ok, value }` or `{ ok, error }`; a `?` right behind
the call gives the value, and ends the program when it failed. Several in one `await` run side by side.
```
r = await tools.lookup({ key: "a" })
if r.ok { print r.value } else { print r.error }
both = await { a: tools.lookup({ key: "a" })?, b: tools.lookup({ key: "b" })? }
many = await [tools.lookup({ key: k }) for k in ["x", "y"]]
```
`try expression` gives such a wrapper instead of failing. `print value` shows a value to you; print what you need to
see, not everything. `submit value` ends the work with that value. Variables stay from one program to the next;
functions, types and processes do not."""

PROCESSES: Final = """\
A `process` runs in the background, survives restarts, and sees its parameters only.
```
process watch(url: str, tries: int) {
  for i in range(tries) {
    r = await tools.fetch({ url: url })
    if r.ok { finish r.value }
    wake { text: format("try {} failed", i + 1) }
    sleep for "10m"
  }
  fail { gave_up: url }
}
job = start watch(url: "https://example.org", tries: 3)
done = await job
```
`start` gives a handle; `await handle` gives a wrapper, `cancel handle` stops it. In a process, `finish v` and `fail v`
end it, `yield v` records progress, `wake { text: "…" }` tells this conversation, `wait signal` waits for
`signal run handle with value`. `sleep for "5s"` and `sleep until "2030-01-01T00:00:00Z"` work everywhere."""

SLEEP: Final = '`sleep for "5s"` (or `"10m"`, `"2h"`) and `sleep until "2030-01-01T00:00:00Z"` wait.'

TRIGGERS: Final = """\
A trigger starts a process for every event of a source, also long after this conversation. The source is made in the
same program, the target is a process of the program, and every parameter gets the event or a fixed value.
```
process each_morning(tick: schedule.Tick, who: str) { wake { text: format("{}: {}", who, tick.due_at) } }
handle = await triggers.register({
  source: schedule.Cron({ expression: "0 7 * * *", tz: "Europe/Rome" }),
  target: each_morning,
  inputs: { tick: trigger.event, who: "Ada" },
  name: "morning",
})?
print await triggers.list({ name: "morning" })?
gone = await triggers.cancel({ handle: handle })?
```"""
