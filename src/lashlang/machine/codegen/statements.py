"""Statements and bodies of the intermediate form as Python functions.

Every body is one structured function that runs straight through while the host answers at once. At an effect that
the host does not answer, it returns the site and all its slots; to go on, it is called again with that site as `pc`,
and each statement steps over what lies before it: `if not pc` around plain statements, and a comparison with the
range of sites inside around branches and loops (sites are numbered in program order). Once the site is reached `pc`
is 0 again and no guard costs more than a test of a local.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lashlang.machine import ir
from lashlang.machine.codegen.expressions import Expressions
from lashlang.machine.inference import ANY, LIST, NUM, REC, STR, Inference
from lashlang.machine.values import Value

MAX_HANDED_OUT: Final = 20_000
"""Names in the return statements of one body, all together."""


class BodyWriter:
    """Writes the function of one body as lines of Python."""

    def __init__(self, body: ir.Body, constants: list[Value]) -> None:
        self._body = body
        self._kinds = Inference(body)
        self._expr = Expressions(self._kinds, body, constants)
        self._lines: list[str] = []
        self._depth = 1
        self._owners = frozenset(body.owners)
        self._shared_fuel = body.calls_fn or body.kind == "fn"
        self._loops: list[ir.Each] = []
        self._large = is_large(body)

    def lines(self) -> list[str]:
        """The function, as lines of text."""
        body = self._body
        if body.kind == "fn":
            names = [f"v{body.variables.index(param)}" for param in body.params]
            self._lines.append(f"def fn_{body.name}({', '.join(['h', *names])}):")
            for slot in body.slots:
                if slot not in names and slot[0] in "vo":
                    self._line(f"{slot} = {'U' if slot[0] == 'v' else 'False'}")
            self._line("#0")
            self._line("enter(h)")
            self._line("d = h.calls")
        else:
            self._lines.append("def step(h, pc, rv, slots, perform):")
            self._line("#0")
            if body.slots:
                self._line(f"{', '.join(body.slots)}, = slots")
            if not self._shared_fuel:
                self._line("f = h.f; m = h.m")
        if body.size_bytes:
            if body.sites:
                self._line("if not pc:")
                self._depth += 1
            self._charge(body.size_bytes)
            self._depth = 1
        self._block(body.statements)
        if body.kind != "fn" and not (body.statements and isinstance(body.statements[-1], ir.End)):
            self._leave("-2", "None")
        return self._lines

    # --- layout ---

    def _line(self, text: str, at: int = 0) -> None:
        indent = " " * self._depth
        if at:
            self._lines.append(f"{indent}#{at}")
        self._lines.append(f"{indent}{text}")

    def _nest(self, statements: list[ir.Stmt]) -> None:
        self._depth += 1
        if statements:
            self._block(statements)
        else:
            self._line("pass")
        self._depth -= 1

    def _block(self, statements: list[ir.Stmt]) -> None:
        """Statements in order; those before the last effect can be stepped over."""
        last = max((at for at, node in enumerate(statements) if _sites(node)), default=-1)
        guarded = False
        for at, node in enumerate(statements):
            if _sites(node) or at > last:
                if guarded:
                    self._depth -= 1
                guarded = False
            elif not guarded:
                self._line("if not pc:")
                self._depth += 1
                guarded = True
            self._expr.fresh_statement()
            self._WRITE[type(node)](self, node)

    def _charge(self, size_bytes: int, at: int = 0) -> None:
        """Memory for literals, from the slice in hand."""
        slice_ = "h.m" if self._shared_fuel else "m"
        self._line(f"{slice_} -= {size_bytes}")
        self._line(f"if {slice_} < 0: {slice_} = grab(h, {slice_})", at)

    def _turn(self, size_bytes: int, at: int) -> None:
        """One turn of a loop: fuel, and the memory of what the body's literals make."""
        if self._shared_fuel:
            self._line("h.f -= 1")
            self._line("if h.f < 0: h.f = refill(h)", at)
        else:
            self._line("f -= 1")
            self._line("if f < 0: f = refill(h)", at)
        if size_bytes:
            self._charge(size_bytes, at)

    def _leave(self, code: str, value: str, at: int = 0) -> None:
        if self._large:
            self._line(f"stop({code}, {value})", at)
            return
        slots = "".join(f"{slot}, " for slot in self._body.slots)
        if not self._shared_fuel:
            self._line("h.f = f; h.m = m")
        self._line(f"return ({code}, {value}, ({slots}))", at)

    # --- plain statements ---

    def _let(self, node: ir.Let) -> None:
        self._line(f"{node.slot} = ({self._expr.value(node.value)})", node.at)
        self._own(node.slot, owned=node.owned)

    def _own(self, slot: str, *, owned: bool) -> None:
        if slot in self._owners:
            self._line(f"o{slot[1:]} = {owned}")

    def _put(self, node: ir.Put) -> None:
        slot, flag = node.slot, f"o{node.slot[1:]}"
        steps = [self._named(place, node.at) for place in node.path]
        value = self._named(node.value, node.at)
        if not node.sure:
            name = repr(self._body.variables[int(slot[1:])])
            self._line(f"if {slot} is U: undefined({name})", node.at)
        path = "".join(f"{name}, " for name in steps)
        slow = f"{slot} = store(h, {slot}, ({path}), {value}, {flag}); {flag} = True"
        if len(steps) > 1:
            self._line(slow, node.at)
            return
        step, kinds, place = steps[0], self._kinds.slots.get(slot, ANY), self._kinds.of(node.path[0])
        word = "if"
        if kinds.mask & LIST and place.mask & NUM:
            a_list = "" if kinds.only(LIST) else f" and type_({slot}) is list_"
            an_int = "" if place.integer() else f" and type_({step}) is int_"
            low = "" if place.natural and not an_int else "0 <= "
            test = f"{flag}{a_list}{an_int} and {low}{step} < len_({slot})"
            self._line(f"if {test}: {slot}[{step}] = {value}")
            word = "elif"
        if kinds.mask & REC and place.mask & STR:
            a_record = "" if kinds.only(REC) else f" and type_({slot}) is dict_"
            a_text = "" if place.only(STR) else f" and type_({step}) is str_"
            self._line(f"{word} {flag}{a_record}{a_text} and {step} in {slot}: {slot}[{step}] = {value}")
            word = "elif"
        self._line(f"else: {slow}" if word == "elif" else slow, node.at)

    def _named(self, node: ir.Expr, at: int) -> str:
        """A name or literal for the value of `node`, evaluated now."""
        if isinstance(node, ir.Const) and type(node.value) in (str, int, bool, type(None)):
            return self._expr.constant(node.value)
        if isinstance(node, ir.Var) and node.sure:
            return node.slot
        text = self._expr.value(node)
        name = self._expr.scratch()
        self._line(f"{name} = ({text})", at)
        return name

    def _push(self, node: ir.Push) -> None:
        slot, flag = node.slot, f"o{node.slot[1:]}"
        item = self._named(node.item, node.at)
        a_list = "" if self._kinds.slots.get(slot, ANY).only(LIST) else f" and type_({slot}) is list_"
        self._line(f"if {flag}{a_list}: append({slot}, {item})")
        self._line(f"else: {slot} = push(h, {slot}, {item}, {flag}); {flag} = True", node.at)

    def _extend(self, node: ir.Extend) -> None:
        slot, flag = node.slot, f"o{node.slot[1:]}"
        items = self._expr.value(ir.Items(node.items))
        self._line(f"{slot} = extend(h, {slot}, {items}, {flag}); {flag} = True", node.at)

    def _collect(self, node: ir.Collect) -> None:
        self._line(f"append({node.slot}, {self._expr.value(node.item)})", node.at)

    def _forget(self, node: ir.Forget) -> None:
        self._line(" = ".join([*node.slots, "None"]))

    def _disown(self, node: ir.Disown) -> None:
        self._line(" = ".join([*(f"o{slot[1:]}" for slot in node.slots), "False"]))

    def _do(self, node: ir.Do) -> None:
        self._line(f"({self._expr.value(node.value)})", node.at)

    def _reject(self, node: ir.Reject) -> None:
        self._line(f"reject({node.code!r}, {node.message!r})", node.at)

    def _print(self, node: ir.Print) -> None:
        self._line(f"say(h, {self._expr.value(node.value)})", node.at)

    # --- control ---

    def _branch(self, node: ir.Branch) -> None:
        first, then_last, last = node.sites
        test = self._expr.condition(node.condition)
        if first:
            self._line(f"if (({test}) if not pc else pc <= {then_last}):", node.at)
        else:
            self._line(f"if ({test}):", node.at)
        self._nest(node.then)
        if not node.otherwise:
            return
        ladder = len(node.otherwise) == 1 and isinstance(node.otherwise[0], ir.Branch)
        if first:
            self._line(f"elif not pc or pc <= {last}:")
        elif ladder:
            self._elif(node.otherwise[0])  # type: ignore[arg-type]  # as tested
            return
        else:
            self._line("else:")
        self._nest(node.otherwise)

    def _elif(self, node: ir.Branch) -> None:
        mark = len(self._lines)
        self._expr.fresh_statement()
        self._branch(node)
        at = next(n for n in range(mark, len(self._lines)) if not self._lines[n].lstrip().startswith("#"))
        self._lines[at] = self._lines[at].replace("if (", "elif (", 1)

    def _loop(self, node: ir.Loop) -> None:
        test = self._expr.condition(node.condition)
        if node.sites[0]:
            self._line(f"while (({test}) if not pc else pc <= {node.sites[1]}):", node.at)
        else:
            self._line(f"while ({test}):", node.at)
        self._depth += 1
        if node.sites[0]:
            self._line("if not pc:")
            self._depth += 1
            self._turn(node.size_bytes, node.at)
            self._depth -= 1
        else:
            self._turn(node.size_bytes, node.at)
        self._block(node.body)
        self._depth -= 1

    def _each(self, node: ir.Each) -> None:
        number, variable, effects = node.number, node.variable, bool(node.sites[0])
        if effects:
            self._line("if not pc:")
            self._depth += 1
        self._line(f"q{number} = {self._iterable(node)}", node.at)
        if node.restores:
            self._line(f"s{number} = {variable}")
        if effects:
            self._line(f"i{number} = 0")
            self._depth -= 1
            self._line(f"while (i{number} < len_(q{number}) if not pc else pc <= {node.sites[1]}):")
        else:
            self._line(f"for {variable} in q{number}:")
        self._depth += 1
        self._head(node)
        self._loops.append(node)
        self._block(node.body)
        self._loops.pop()
        self._depth -= 1
        if effects:
            self._line("if not pc:")
            self._depth += 1
        self._restore(node)
        self._line(f"q{number} = None")
        if effects:
            self._line(f"i{number} = None")
            self._depth -= 1

    def _head(self, node: ir.Each) -> None:
        """The start of a turn: the next item (where position is data), fuel, ownership."""
        if node.sites[0]:
            self._line("if not pc:")
            self._depth += 1
            self._line(f"{node.variable} = q{node.number}[i{node.number}]")
            self._line(f"i{node.number} += 1")
        self._turn(node.size_bytes, node.at)
        self._own(node.variable, owned=False)
        if node.sites[0]:
            self._depth -= 1

    def _iterable(self, node: ir.Each) -> str:
        if node.ranged:
            args = "".join(f"{self._expr.value(arg)}, " for arg in node.iterable)
            return f"spread(({args}))"
        text = self._expr.value(node.iterable[0])
        if isinstance(node.iterable[0], ir.Rows):
            return f"({text})"
        return f"({text})" if self._kinds.of(node.iterable[0]).only(LIST) else f"iterable({text})"

    def _restore(self, node: ir.Each) -> None:
        if node.restores:
            self._line(f"{node.variable} = s{node.number}; s{node.number} = Z")
            self._own(node.variable, owned=False)

    def _attempt(self, node: ir.Attempt) -> None:
        if node.sites[0]:
            self._line(f"if not pc or pc <= {node.sites[1]}:")
            self._depth += 1
        self._line("try:")
        self._nest(node.body)
        self._line("except Fault as e:")
        self._line(f" {node.slot} = failed(h, e, {'d' if self._body.kind == 'fn' else '0'})", node.at)
        if node.holders:
            self._line(f" {' = '.join(node.holders)} = None")
        if node.sites[0]:
            self._depth -= 1

    def _perform(self, node: ir.Perform) -> None:
        args = "".join(f", {self._expr.value(arg)}" for arg in node.args)
        self._line("if not pc:")
        self._depth += 1
        self._line(f"e = perform({node.site}{args})", node.at)
        if not self._large:
            self._line("if e is P:")
            self._depth += 1
            self._leave(str(node.site), "None")
            self._depth -= 1
        self._depth -= 1
        self._line(f"elif pc == {node.site}:")
        self._line(" pc = 0")
        self._line(" e = answered(rv)", node.at)
        if node.slot is not None:
            self._line("if not pc:")
            self._line(f" {node.slot} = e")
            self._depth += 1
            self._own(node.slot, owned=True)
            self._depth -= 1

    def _end(self, node: ir.End) -> None:
        value = self._expr.scratch()
        text = self._expr.value(node.value)
        if node.how == "return":
            self._line(f"{value} = ({text})", node.at)
            self._line(f"return leave(h, {value})")
            return
        self._line(f"{value} = sent(h, ({text}))", node.at)
        for loop in reversed(self._loops):
            self._restore(loop)
        self._leave("0" if node.how == "finish" else "-1", value)

    _WRITE: Final[dict[type, Callable[..., None]]] = {
        ir.Let: _let,
        ir.Put: _put,
        ir.Push: _push,
        ir.Extend: _extend,
        ir.Collect: _collect,
        ir.Forget: _forget,
        ir.Disown: _disown,
        ir.Do: _do,
        ir.Reject: _reject,
        ir.Print: _print,
        ir.Branch: _branch,
        ir.Loop: _loop,
        ir.Each: _each,
        ir.Stop: lambda self, node: self._line("break"),
        ir.Again: lambda self, node: self._line("continue"),
        ir.Attempt: _attempt,
        ir.Perform: _perform,
        ir.End: _end,
    }


def is_large(body: ir.Body) -> bool:
    """Whether handing out every slot at every site would make the text quadratic; such a body leaves by raising."""
    return len(body.slots) * (len(body.sites) + body.ends) > MAX_HANDED_OUT


def _sites(node: ir.Stmt) -> bool:
    """Whether the body can wait inside `node`."""
    match node:
        case ir.Perform():
            return True
        case ir.Branch() | ir.Loop() | ir.Each() | ir.Attempt():
            return bool(node.sites[0])
        case _:
            return False
