"""Expressions as canonical source.

An expression is printed flat when it fits; else the outermost bracket is opened over several lines, and a
chain is cut behind its operators, where a line break never ends a statement. Parentheses stand where the
tree needs them and nowhere else.
"""

from __future__ import annotations

from typing import Final, assert_never

from lashlang.syntax import ast, type_expr
from lashlang.syntax.ast import Expr
from lashlang.syntax.spelling import spell_key, spell_number, spell_text
from lashlang.syntax.type_printer import format_field, format_object, format_type

WIDTH: Final = 100
INDENT: Final = "  "

_FULL, _TERNARY, _COALESCE, _OR, _AND, _COMPARE, _ADD, _MULTIPLY, _PREFIX, _POSTFIX = range(10)
_LOGIC_LEVEL: Final = {"??": _COALESCE, "or": _OR, "and": _AND}
_CHAIN_LEVEL: Final = {"+": _ADD, "-": _ADD, "*": _MULTIPLY, "/": _MULTIPLY, "%": _MULTIPLY}
_ACTING_WORDS: Final = frozenset(
    ("start", "wait", "signal", "wait_signal", "signal_run", "Type", "try", "parallel")
)


def format_expr(node: Expr) -> str:
    """`node` on one line, as a full expression."""
    return _flat(node)


def layout(node: Expr, indent: int, used: int) -> str:
    """`node` as a full expression that starts `used` columns behind an indentation of `indent` levels."""
    flat = _flat(node)
    if "\n" not in flat and len(INDENT) * indent + used + len(flat) <= WIDTH:
        return flat
    return _broken(node, indent, flat)


def leading_word(node: Expr) -> str | None:
    """The name with which the text of `node` starts, if it starts with one."""
    while True:
        match node:
            case ast.Name(name=name) | ast.Call(name=name):
                return None if name in _ACTING_WORDS else name
            case ast.Field(target=inner) | ast.Index(target=inner) | ast.MethodCall(receiver=inner):
                node = inner
            case ast.OperationCall(receiver=inner) | ast.Unwrap(value=inner):
                node = inner
            case ast.Chain(operands=operands) | ast.Logic(operands=operands):
                node = operands[0]
            case ast.Ternary(condition=inner):
                node = inner
            case ast.Authority(path=path) | ast.HostValue(constructor=path):
                return path.partition(".")[0]
            case ast.ProcessValue(name=name):
                return name
            case _:
                return None


def _level(node: Expr) -> int:
    match node:
        case ast.Try() | ast.Sleep() | ast.Ternary():
            return _TERNARY
        case ast.SignalRun(signal=signal):
            return _TERNARY if signal is None else _POSTFIX
        case ast.Logic(operator=operator):
            return _LOGIC_LEVEL[operator]
        case ast.Chain(operators=operators):
            return _CHAIN_LEVEL.get(operators[0], _COMPARE)
        case ast.Negate() | ast.Not() | ast.Await():
            return _PREFIX
        case _:
            return _POSTFIX


def _at(node: Expr, level: int) -> str:
    """`node` where the grammar wants an operand of `level` or tighter."""
    text = _flat(node)
    return text if _level(node) >= level else f"({text})"


def _base(node: Expr) -> str:
    """`node` in front of a postfix step."""
    text = _at(node, _POSTFIX)
    return f"({text})" if isinstance(node, ast.Number | ast.WaitSignal) else text


def _flat(node: Expr) -> str:
    match node:
        case ast.Null():
            return "null"
        case ast.Bool(value=truth):
            return "true" if truth else "false"
        case ast.Number(value=number):
            return spell_number(number)
        case ast.Text(value=text):
            return spell_text(text)
        case ast.Name(name=name):
            return f"({name})" if name in _ACTING_WORDS else name
        case ast.ListLiteral(items=items):
            return f"[{_commas(items)}]"
        case ast.RecordLiteral(entries=entries):
            return _braces([f"{spell_key(entry.key)}: {_flat(entry.value)}" for entry in entries])
        case ast.Comprehension():
            return f"[{_comprehension(node)}]"
        case ast.TypeLiteral(ty=ty):
            if isinstance(ty, type_expr.TypeObject):
                return f"Type {format_object(ty.fields)}"
            return format_type(ty)
        case _:
            return _flat_operator(node)


def _flat_operator(node: Expr) -> str:
    match node:
        case ast.Negate(value=value):
            return f"-{_at(value, _PREFIX)}"
        case ast.Not(value=value):
            return f"not {_at(value, _PREFIX)}"
        case ast.Await(value=value):
            return f"await {_at(value, _PREFIX)}"
        case ast.Try(value=value):
            return f"try {_try_operand(value)}"
        case ast.Chain(operands=operands, operators=operators):
            parts = _operands(operands, _level(node))
            return parts[0] + "".join(f" {op} {part}" for op, part in zip(operators, parts[1:], strict=True))
        case ast.Logic(operands=operands, operator=operator):
            return f" {operator} ".join(_operands(operands, _level(node)))
        case ast.Ternary(condition=condition, then=then, otherwise=otherwise):
            return f"{_at(condition, _COALESCE)} ? {_flat(then)} : {_flat(otherwise)}"
        case ast.Field(target=target, name=name):
            return f"{_base(target)}.{spell_key(name)}"
        case ast.Index(target=target, index=index):
            return f"{_base(target)}[{_flat(index)}]"
        case ast.Unwrap(value=value):
            inner = _base(value)
            return f"({inner})?" if isinstance(value, ast.Unwrap) else f"{inner}?"
        case _:
            return _flat_call(node)


def _flat_call(node: Expr) -> str:
    match node:
        case ast.Call(name=name, args=args):
            text = f"{name}({_commas(args)})"
            return f"({text})" if name in _ACTING_WORDS else text
        case ast.MethodCall(receiver=receiver, operation=operation, args=args):
            return f"{_base(receiver)}.{spell_key(operation)}({_commas(args)})"
        case ast.OperationCall(receiver=receiver, operation=operation, args=args):
            return f"{_base(receiver)}.{spell_key(operation)}({_commas(args)})"
        case ast.Start(process=process, args=named):
            texts = [f"{spell_key(arg.name)}: {_flat(arg.value)}" for arg in named]
            return f"start {process}({', '.join(texts)})"
        case ast.Sleep(mode=mode, value=value):
            return f"sleep {mode} {_flat(value)}"
        case ast.WaitSignal(signal=signal):
            return "wait signal" if signal is None else f"wait_signal({spell_text(signal)})"
        case ast.SignalRun(run=run, payload=payload, signal=None):
            return f"signal run {_flat(run)} with {_flat(payload)}"
        case ast.SignalRun(run=run, payload=payload, signal=signal):
            return f"signal_run({_flat(run)}, {spell_text(signal or '')}, {_flat(payload)})"
        case ast.Authority(path=path):
            return path
        case ast.ProcessValue(name=name):
            return name
        case ast.HostValue(constructor=constructor, argument=argument):
            return f"{constructor}({_flat(argument)})"
        case ast.TriggerEvent():
            return "trigger.event"
        case _:
            raise AssertionError(f"no spelling for {type(node).__name__}")


def _try_operand(value: Expr) -> str:
    """The operand of `try`, which must not look like a subtraction, an index or a block."""
    text = _flat(value)
    return text if text[0] not in "-[{" else f"({text})"


def _commas(items: tuple[Expr, ...]) -> str:
    return ", ".join([_flat(item) for item in items])


def _braces(texts: list[str]) -> str:
    return "{ " + ", ".join(texts) + " }" if texts else "{}"


def _operands(operands: tuple[Expr, ...], level: int) -> list[str]:
    return [_at(operand, level + 1) for operand in operands]


def _comprehension(node: ast.Comprehension) -> str:
    return " ".join([_flat(node.element), *(_clause(clause) for clause in node.clauses)])


def _clause(clause: ast.ForClause | ast.IfClause) -> str:
    match clause:
        case ast.ForClause(name=name, iterable=iterable):
            return f"for {name} in {_flat(iterable)}"
        case ast.IfClause(condition=condition):
            return f"if {_flat(condition)}"
        case _:
            assert_never(clause)


# --- Over several lines -------------------------------------------------------------------------------


def _broken(node: Expr, indent: int, flat: str) -> str:
    """`node` over several lines where its outermost brackets or operators allow it, else `flat`."""
    match node:
        case ast.ListLiteral(items=items) if items:
            return _lines("[", [layout(item, indent + 1, 1) for item in items], "]", indent)
        case ast.RecordLiteral(entries=entries) if entries:
            return _lines("{", [_entry(entry.key, entry.value, indent) for entry in entries], "}", indent)
        case ast.Comprehension(element=element, clauses=clauses):
            inner = INDENT * (indent + 1)
            parts = [layout(element, indent + 1, 1), *(_clause(clause) for clause in clauses)]
            return "[\n" + "".join(f"{inner}{part}\n" for part in parts) + INDENT * indent + "]"
        case ast.TypeLiteral(ty=type_expr.TypeObject(fields=fields)) if fields:
            return "Type " + _lines("{", [format_field(field) for field in fields], "}", indent)
        case ast.Call(name=name, args=args) if args and name not in _ACTING_WORDS:
            return name + _arguments(args, indent)
        case ast.MethodCall(args=args) | ast.OperationCall(args=args) if args:
            return f"{_base(node.receiver)}.{spell_key(node.operation)}" + _arguments(args, indent)
        case ast.Start(process=process, args=named) if named:
            texts = [_entry(arg.name, arg.value, indent) for arg in named]
            return f"start {process}" + _lines("(", texts, ")", indent)
        case ast.Await(value=value) if _level(value) >= _PREFIX:
            return "await " + layout(value, indent, 6)
        case ast.Unwrap(value=value) if _level(value) >= _POSTFIX and not isinstance(value, ast.Unwrap):
            return layout(value, indent, 1) + "?" if _is_call(value) else flat
        case ast.Chain() | ast.Logic() | ast.Ternary():
            return _broken_operators(node, indent)
        case _:
            return flat


def _is_call(node: Expr) -> bool:
    return isinstance(
        node, ast.Call | ast.MethodCall | ast.OperationCall | ast.RecordLiteral | ast.ListLiteral
    )


def _broken_operators(node: ast.Chain | ast.Logic | ast.Ternary, indent: int) -> str:
    inner = "\n" + INDENT * (indent + 2)
    match node:
        case ast.Chain(operands=operands, operators=operators):
            parts = _operands(operands, _level(node))
            return parts[0] + "".join(
                f" {op}{inner}{part}" for op, part in zip(operators, parts[1:], strict=True)
            )
        case ast.Logic(operands=operands, operator=operator):
            return f" {operator}{inner}".join(_operands(operands, _level(node)))
        case ast.Ternary(condition=condition, then=then, otherwise=otherwise):
            branches = (layout(then, indent + 2, 2), layout(otherwise, indent + 2, 2))
            return f"{_at(condition, _COALESCE)}{inner}? {branches[0]}{inner}: {branches[1]}"
        case _:
            assert_never(node)


def _entry(key: str, value: Expr, indent: int) -> str:
    name = spell_key(key)
    return f"{name}: {layout(value, indent + 1, len(name) + 3)}"


def _arguments(args: tuple[Expr, ...], indent: int) -> str:
    if len(args) == 1 and isinstance(args[0], ast.RecordLiteral | ast.ListLiteral):
        return "(" + _broken(args[0], indent, _flat(args[0])) + ")"
    return _lines("(", [layout(arg, indent + 1, 1) for arg in args], ")", indent)


def _lines(opener: str, texts: list[str], closer: str, indent: int) -> str:
    inner = INDENT * (indent + 1)
    return f"{opener}\n" + "".join(f"{inner}{text},\n" for text in texts) + INDENT * indent + closer
