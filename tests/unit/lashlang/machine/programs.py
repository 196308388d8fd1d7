"""Random programs: valid text with every kind of statement and expression, some of it certain to fail."""

from __future__ import annotations

from random import Random

HEAD = """
type Row = { id: str, n: int }
type Any3 = enum["a", "b"] | list[int | null] | { d: dict, p: Process<any, int>, t: TriggerHandle<timer.Tick>, r: Row }
fn twice(x) { x * 2 }
fn pick(xs, i) { if i < len(xs) { xs[i] } else { null } }
fn fact(n) { if n <= 1 { 1 } else { n * fact(n - 1) } }
fn sizes(xs) { out = [] for x in xs { out = push(out, try len(x)) } out }
process job(n: any, log: any) {
  total = 0
  for i in range(3) { total = total + i + n }
  yield { at: total, log: log }
  got = await tools.echo({ n: total })?
  if total % 2 == 1 { fail { odd: total, got: got } }
  finish { even: total, log: log }
}
process waiter() { m = wait signal finish { got: m } }
process gate(mail: Mail) signals { go: any, stop: bool } {
  m = wait_signal("go")
  wake { sent: await mail.send({ to: "a", body: to_string(m) }) }
  finish m
}
process on_tick(tick: timer.Tick, label: any) { wake { label: label, at: tick.fired_at } }
"""

TOOLS = {
    "echo": {"echo": True},
    "fail": {"error": "down"},
    "flaky": {
        "seq": [{"error": "a"}, {"ok": {"n": 1, "xs": [1, 2, [3]]}}, {"ok": 7}, {"error": "b"}, {"ok": [1.5]}]
    },
    "post.send": {"ok": True},
    "files.read": {"ok": "line one\nline two"},
    "mail.work.send": {"ok": True},
}
HOST = {
    "surface": "fixture",
    "tools": TOOLS,
    "abilities": ["processes", "sleep", "process_signals", "triggers", "label_annotations"],
}

BUILTINS = {
    "len": ("t", "l", "r"), "empty": ("t", "l", "r"), "keys": ("r",), "values": ("r",),
    "contains": ("tt", "lx", "rt"), "find": ("tt", "ttn"), "grep_text": ("tt",), "starts_with": ("tt",),
    "ends_with": ("tt",), "split": ("tt",), "join": ("lt",), "trim": ("t",), "slice": ("tnn", "lnn"),
    "push": ("lx",), "range": ("n", "nn", "nnn"), "ceil_div": ("nn",), "floor_div": ("nn",), "to_string": ("x",),
    "to_int": ("t", "n"), "to_float": ("t", "n"), "json_parse": ("t",), "format": ("t", "tx"), "validate": ("xx",),
    "sort": ("l",), "sort_by": ("lt",), "sum": ("l",), "min": ("l", "nn"), "max": ("l", "nnn"), "replace": ("ttt",),
    "lower": ("t",), "upper": ("t",), "unique": ("l",), "reverse": ("l", "t"), "round": ("n", "nn"), "abs": ("n",),
    "merge": ("rr", "rrr"), "remove": ("rt", "ln"), "to_json": ("x",),
}  # fmt: skip
"""Every builtin with the kinds of arguments it takes: text, list, record, number, anything."""

_NAMES = ["a", "b", "c", "xs", "r", "d"]


class Maker:
    """Makes one program from a source of randomness."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.loops = 0
        self.bound: list[str] = []

    def program(self) -> str:
        """Declarations that programs use, then a foreground."""
        body = [self.statement(3) for _ in range(self.random.randint(3, 9))]
        body.insert(self.random.randint(0, len(body)), self.table())
        if self.random.random() < 0.7:
            body.append(f"submit {{ {', '.join(f'{name}: try {name}' for name in _NAMES)} }}")
        return (
            HEAD
            + "\n".join(
                [
                    "xs = [1, 2, 3]",
                    "r = { a: 1, b: { c: [1] } }",
                    "a = 2",
                    "b = 1.5",
                    "c = { n: 3, ok: true, value: [4] }",
                    *body,
                ]
            )
            + "\n"
        )

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    # --- statements ---

    def statement(self, depth: int) -> str:
        choice = self.random.random()
        name = self.pick("a", "b", "c", "d", *(("xs", "r") if self.random.random() < 0.1 else ()))
        if choice < 0.25 or depth <= 0:
            return f"{name} = {self.safe(depth)}"
        if choice < 0.33:
            return f"xs = push(xs, {self.safe(depth - 1)})"
        if choice < 0.38:
            return f"xs = xs + [{self.safe(depth - 1)}]"
        if choice < 0.46:
            return f"{self.target()} = {self.safe(depth - 1)}"
        if choice < 0.52:
            return f"print {self.safe(depth)}"
        if choice < 0.62:
            return self.branch(depth)
        if choice < 0.72:
            return self.loop(depth)
        if choice < 0.78:
            return self.counted(depth)
        if choice < 0.82 and self.loops:
            return self.pick("break", "continue")
        if choice < 0.86:
            return f"{self.pick('b', 'c')} = try (await {self.call(depth)}?)"
        if choice < 0.88:
            return f"if {self.expr(1)} {{ submit {self.expr(1)} }}"
        if choice < 0.90:
            return f'@label(title: "step")\n{name} = {self.expr(1)}'
        if choice < 0.92:
            return "sleep for " + self.pick("0", '"5ms"', '"oops"', "a")
        if choice < 0.95:
            return self.signal()
        if choice < 0.97:
            return self.trigger()
        return f"({self.safe(depth)})" + self.pick("", "  # a note", "  // a note")

    def block(self, depth: int) -> str:
        lines = [self.statement(depth - 1) for _ in range(self.random.randint(0, 3))]
        return "{\n" + "\n".join(lines) + "\n}"

    def branch(self, depth: int) -> str:
        text = f"if ({self.safe(depth - 1)}) {self.block(depth)}"
        if self.random.random() < 0.3:
            text += f" else if ({self.safe(depth - 1)}) {self.block(depth)}"
        return text + (f" else {self.block(depth)}" if self.random.random() < 0.5 else "")

    def loop(self, depth: int) -> str:
        self.loops += 1
        over = self.pick(
            "xs",
            "range(3)",
            "range(1, a)",
            "range(4, 0, -2)",
            "[1, [2], null]",
            f"(try {self.list_of(depth)}).value ?? []",
        )
        text = f"for {self.pick('i', 'a', 'r', 'b')} in {over} {self.block(depth)}"
        self.loops -= 1
        return text

    def list_of(self, depth: int) -> str:
        return f"[{self.expr(depth - 1)}, {self.expr(1)}]"

    def counted(self, depth: int) -> str:
        self.loops += 1
        number = self.random.randint(0, 99)
        test = self.pick(
            f"k{number} < 3",
            f"k{number} < 3 and ({self.safe(1)})",
            f"(await tools.echo({{ v: k{number} < 2 }})?).v",
        )
        text = f"k{number} = 0\nwhile {test} {{\nk{number} = k{number} + 1\n{self.statement(depth - 1)}\n}}"
        self.loops -= 1
        return text

    def table(self) -> str:
        """Many builtins at once, so that each is met often."""
        calls = [f"try {self.fitting(self.atom())}" for _ in range(12)]
        ty = f"Type {{ a: {self.type(2)}, n: {self.type(2)} }}"
        loop = self.pick("break", "continue", "if not (a == 2) { break }", "xs = xs")
        return f"print [{', '.join(calls)}]\nd = {ty}\nfor i in xs {{ {loop} }}"

    def trigger(self) -> str:
        """Something with the host's own values, types and authorities."""
        return self.pick(
            'b = await triggers.register({ source: timer.Schedule({ expr: "0 7 * * *" }), target: on_tick, '
            "inputs: { tick: trigger.event, label: a } })",
            "c = await triggers.list({ target: on_tick })",
            'b = await files.read({ path: "notes" })',
            'c = await mail.home.send({ to: "a", body: "b" })',
            'b = timer.Schedule({ expr: "* * * * *", tz: "UTC" })',
            'h = start gate(mail: mail.work)\nsignal_run(h, "go", [a])\nb = await h',
            "c = mail.work",
            "b = on_tick",
        )

    def type(self, depth: int) -> str:
        """A type, in the form that a Type literal takes."""
        if depth <= 0 or self.random.random() < 0.4:
            return self.pick(
                "str", "int", "float", "bool", "any", "dict", "null", "Row", 'enum["a", "x"]', '"x"'
            )
        one, two = self.type(depth - 1), self.type(depth - 1)
        return self.pick(
            f"list[{one}]", f"{{ a: {one}, n: {two}? }}", f"{one} | {two}", f"{{ ok: bool, value: {one} }}"
        )

    def signal(self) -> str:
        return "h = start waiter()\n" + self.pick(
            "signal run h with { go: a }\nb = await h", "b = await h", "cancel h\nb = await h"
        )

    def target(self) -> str:
        if self.random.random() < 0.7:
            return self.pick("r.a", "r.k", "r.b", 'r["z"]')
        return self.pick(
            "xs[0]", "xs[-1]", "r.a", "r.b.c", "r.b.c[0]", "r[\"k\"]", f"xs[{self.expr(1)}]", f"r[{self.expr(1)}]",
            "d.x", "d[0]", "b.n", f"r.b.c[{self.expr(1)}]",
        )  # fmt: skip

    def safe(self, depth: int) -> str:
        """An expression that mostly does not end the program."""
        return f"try ({self.expr(depth)})" if self.random.random() < 0.93 else self.expr(depth)

    # --- expressions ---

    def expr(self, depth: int) -> str:
        if depth <= 0 or self.random.random() < 0.25:
            return self.atom()
        pick = self.random.randint(0, 29)
        one, two = self.expr(depth - 1), self.expr(depth - 1)
        if self.random.random() < 0.35:
            return f"((try ({one})).value ?? {self.atom()})"
        match pick:
            case 0 | 1 | 2:
                return f"({one} {self.pick('+', '-', '*', '/', '%')} {two})"
            case 3:
                return f"({one} {self.pick('==', '!=', '<', '<=', '>', '>=')} {two})"
            case 4:
                return f"({one} {self.pick('and', 'or', '??')} {two})"
            case 5:
                return f"({one} ? {two} : {self.expr(depth - 1)})"
            case 6:
                return f"[{one}, {two}]"
            case 7:
                return f"{{ a: {one}, n: {two} }}"
            case 8:
                return f"({one}).{self.pick('a', 'b', 'n', 'ok', 'value')}"
            case 9:
                return f"({one})[{two}]"
            case 10:
                return f"(try ({one}))"
            case 11:
                return f"[y * 2 for y in {self.pick('xs', one)} if {self.pick('y', 'y != 2', two)}]"
            case 12:
                return f"[{{ a: z, n: await tools.echo({{ z: z }}) }} for z in {self.pick('xs', '[1, 2]')}]"
            case 13:
                return f"twice({one})"
            case 14:
                return f"pick({one}, {two})"
            case 15:
                return f"fact({self.pick('3', '5', '25', one)})"
            case 16:
                return f"({one})?"
            case 17 | 18:
                return self.effect(depth - 1)
            case 19:
                return f"({one} {self.pick('in', 'not in')} {two})"
            case 20:
                return f'format("{{}}-{{}}", {one}, {two})'
            case 21:
                return f'("s" + {one} + {two})'
            case 22:
                return self.pick(
                    f"-({one})", f"(not {one})", f"len({one})", f"to_string({one})", f"sizes({one})"
                )
            case 23:
                return self.builtin(one, two)
            case 26 | 27 | 28:
                return self.fitting(one)
            case 29:
                return f"[{self.pick('files', 'mail.work', 'tools')}, {one}]"
            case 24:
                a_type = f"Type {{ a: {self.type(2)}, n: {self.type(1)}? }}"
                return f"validate({one}, {self.pick('Row', a_type, a_type, 'a', 'Any3')})"
            case _:
                return f"({one} + {two} + {self.atom()} + 1)"

    def builtin(self, one: str, two: str) -> str:
        return self.pick(
            f"push({one}, {two})", f"keys({one})", f"values({one})", f"contains({one}, {two})", f"range({one}, {two})",
            f"slice({one}, 0, {two})", f"join({one}, \"-\")", f"split(\"a-b\", {one})", f"sort({one})",
            f"merge({one}, {two})", f"to_int({one})", f"round({one})", f"floor_div({one}, {two})", f"sum({one})",
            f"unique({one})", f"reverse({one})", f"json_parse(to_json({one}))", f"remove({one}, {two})", "len(1, 2)",
        )  # fmt: skip

    def fitting(self, one: str) -> str:
        """A builtin with arguments that it takes, of which one is now and then another."""
        texts = ['"a-b,c"', '" x\\ny "', '"12"', "to_string(a)", 'join(split("a b", " "), "-")', '"Ünder é"']
        lists = ["xs", "[3, 1, 2]", "range(4)", '["b", "a"]', "[{ n: 2 }, { n: 1 }]", "[1, 1.0, [1], [1]]"]
        records = ["r", "c", "{ a: 1, n: 2 }"]
        numbers = ["a", "b", "7", "-2.5", "0", "1e3"]
        kinds = {"t": texts, "l": lists, "r": records, "n": numbers, "x": [one, "a", "xs", "r"]}
        name = self.pick(*BUILTINS)
        args = [
            one if self.random.random() < 0.07 else self.pick(*kinds[each])
            for each in self.pick(*BUILTINS[name])
        ]
        return f"{name}({', '.join(args)})"

    def effect(self, depth: int) -> str:
        one = self.expr(depth)
        return self.pick(
            f"(await {self.call(depth)})",
            f"(await {self.call(depth)}?)",
            f"(await [{self.call(depth)}, {one}, {self.call(depth)}?])",
            f"(await {{ x: {self.call(depth)}, y: [{one}, {self.call(depth)}] }})",
            f"(await start job(n: {one}, log: [a]))",
            f"(await [start job(n: 1, log: {one}), start job(n: 2, log: xs)])",
            f"(await {one})",
        )

    def call(self, depth: int) -> str:
        one = self.expr(depth)
        return self.pick(
            f"tools.echo({{ v: {one} }})", f"tools.echo({one})", "tools.fail({})", "tools.flaky({})",
            f"post.send({one}, {self.atom()})", "tools.echo()",
        )  # fmt: skip

    def atom(self) -> str:
        return self.pick(
            *_NAMES[:5], *_NAMES[:5], "xs", "r", self.pick("i", "unknown", "d", "a", "b", "c"),
            "0", "1", "2", "-3", "7.5", "9223372036854775807", "4611686018427387904", "0.1",
            "true", "false", "null", '"x"', '"12"', '""', "[]", "{}", "[1, 2]", "unknown", "tools",
        )  # fmt: skip
