"""Linking rules of statements: what they bind, where control goes on, what a block's last value is.

Every rule returns the linked statement and the type of its value, which matters only at the end of a `fn`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from lashlang.check.expressions import check_condition
from lashlang.check.narrowing import narrow
from lashlang.check.paths import written
from lashlang.check.relations import ANY, NULL, union
from lashlang.check.suggestions import hint_for_name
from lashlang.syntax import (
    Arm,
    Assign,
    Block,
    Bool,
    Break,
    Cancel,
    Continue,
    Evaluate,
    Expr,
    Fail,
    FieldStep,
    Finish,
    For,
    If,
    IndexStep,
    Labelled,
    Print,
    Statement,
    Target,
    TypeExpr,
    Wake,
    While,
    Yield,
    format_type,
)

if TYPE_CHECKING:
    from lashlang.check.checker import Checker

Linked = tuple[Statement, TypeExpr]


def link_block(checker: Checker, block: Block) -> tuple[Block, TypeExpr]:
    """Links a block; returns it with the type of its last statement's value."""
    statements, ty = link_statements(checker, block.statements)
    return (
        block if statements is block.statements else Block(statements, start=block.start, end=block.end)
    ), ty


def link_statements(
    checker: Checker, statements: tuple[Statement, ...]
) -> tuple[tuple[Statement, ...], TypeExpr]:
    """Links statements in order; returns them with the type of the last one's value."""
    linked: list[Statement] = []
    ty: TypeExpr = NULL
    changed = False
    for statement in statements:
        if not checker.scope.reachable and linked:
            _warn_unreachable(checker, statement)
        new, ty = link_statement(checker, statement)
        linked.append(new)
        changed = changed or new is not statement
    return (tuple(linked) if changed else statements), ty


def link_statement(checker: Checker, statement: Statement) -> Linked:
    """Links one statement."""
    return _STATEMENTS[type(statement)](checker, statement)


def _warn_unreachable(checker: Checker, statement: Statement) -> None:
    if not checker.warnings.mentions("unreachable", (0, statement.start)):
        checker.warning("unreachable", statement, "this is never reached", hint="")


def _assign(checker: Checker, node: Assign) -> Linked:
    target = _target(checker, node.target)
    value, ty = checker.expr(node.value)
    known = checker.scope.get(target.name)
    checker.scope.bind(target.name, written(checker, known or ANY, target.steps, ty))
    if target is node.target and value is node.value:
        return node, NULL
    return Assign(target, value, node.let, start=node.start, end=node.end), NULL


def _target(checker: Checker, target: Target) -> Target:
    if not target.steps:
        return target
    if checker.scope.place != "main" and not checker.is_local(target.name):
        hint = hint_for_name(target.name, checker.scope.names()) or f"make it first: {target.name} = {{}}"
        span = (target.start, target.start + len(target.name))
        checker.error("unknown_name", span, f"nothing is called `{target.name}` here", hint=hint)
    steps: list[FieldStep | IndexStep] = []
    changed = False
    for step in target.steps:
        if isinstance(step, IndexStep):
            index, _ = checker.expr(step.index)
            if index is not step.index:
                changed = True
                step = IndexStep(index, start=step.start, end=step.end)
        steps.append(step)
    return Target(target.name, tuple(steps), start=target.start, end=target.end) if changed else target


def _evaluate(checker: Checker, node: Evaluate) -> Linked:
    value, ty = checker.expr(node.value)
    return (node if value is node.value else Evaluate(value, start=node.start, end=node.end)), ty


# --- Branches and loops -------------------------------------------------------------------------------


def _if(checker: Checker, node: If) -> Linked:
    scope = checker.scope
    entering = scope.reachable
    outcomes: list[tuple[dict[str, TypeExpr], bool]] = []
    values: list[TypeExpr] = []
    arms: list[Arm] = []
    scope.enter()  # holds what follows from the conditions so far being false
    for arm in node.arms:
        condition, ty = checker.expr(arm.condition)
        check_condition(checker, arm.condition, ty)
        scope.enter()
        narrow(checker, condition, truth=True)
        body, value = link_block(checker, arm.body)
        outcomes.append((scope.leave(), scope.reachable))
        values.append(value)
        scope.reachable = entering
        narrow(checker, condition, truth=False)
        arms.append(Arm(condition, body, start=arm.start, end=arm.end))
    otherwise = node.otherwise
    value = NULL
    if otherwise is not None:
        otherwise, value = link_block(checker, otherwise)
    outcomes.append((scope.leave(), scope.reachable))
    scope.join(outcomes)
    scope.reachable = any(reachable for _, reachable in outcomes)
    return If(tuple(arms), otherwise, start=node.start, end=node.end), union([*values, value])


def _for(checker: Checker, node: For) -> Linked:
    scope = checker.scope
    iterable, ty = checker.expr(node.iterable)
    body = _loop(checker, node.body, (node.name, checker.relations.item(ty)), None)
    if not checker.is_local(node.name):
        scope.bind(node.name, ANY)
    return For(node.name, iterable, body, node.name_at, start=node.start, end=node.end), NULL


def _while(checker: Checker, node: While) -> Linked:
    _widen(checker, node.body)
    condition, ty = checker.expr(node.condition)
    check_condition(checker, node.condition, ty)
    reachable = checker.scope.reachable
    body = _loop(checker, node.body, None, condition)
    endless = isinstance(condition, Bool) and condition.value and not _breaks(node.body.statements)
    checker.scope.reachable = reachable and not endless
    return While(condition, body, start=node.start, end=node.end), NULL


def _loop(
    checker: Checker, body: Block, variable: tuple[str, TypeExpr] | None, condition: Expr | None
) -> Block:
    scope = checker.scope
    entering = scope.reachable
    _widen(checker, body)
    scope.enter()
    if variable is not None:
        scope.bind(*variable)
    if condition is not None:
        narrow(checker, condition, truth=True)
    linked, _ = link_block(checker, body)
    changed = scope.leave()
    if variable is not None:
        changed.pop(variable[0], None)
    scope.join([(changed, True), ({}, True)])
    scope.reachable = entering
    return linked


def _widen(checker: Checker, body: Block) -> None:
    """Forgets what is known of variables that a loop assigns: its second turn starts with the first one's
    values.
    """
    for name in dict.fromkeys(_assigned(body.statements)):
        if checker.is_local(name):
            checker.scope.bind(name, ANY)


def _assigned(statements: Iterable[Statement]) -> Iterable[str]:
    for statement in statements:
        inner = statement.statement if isinstance(statement, Labelled) else statement
        match inner:
            case Assign(target=target):
                yield target.name
            case If(arms=arms, otherwise=otherwise):
                for arm in arms:
                    yield from _assigned(arm.body.statements)
                if otherwise is not None:
                    yield from _assigned(otherwise.statements)
            case For(body=body) | While(body=body):
                yield from _assigned(body.statements)
            case _:
                pass


def _breaks(statements: Iterable[Statement]) -> bool:
    """Whether a `break` in `statements` leaves the loop around them."""
    for statement in statements:
        inner = statement.statement if isinstance(statement, Labelled) else statement
        match inner:
            case Break():
                return True
            case If(arms=arms, otherwise=otherwise):
                if any(_breaks(arm.body.statements) for arm in arms):
                    return True
                if otherwise is not None and _breaks(otherwise.statements):
                    return True
            case _:
                pass
    return False


def _break(checker: Checker, node: Break) -> Linked:
    checker.scope.reachable = False
    return node, NULL


def _continue(checker: Checker, node: Continue) -> Linked:
    checker.scope.reachable = False
    return node, NULL


# --- Effects and ends ---------------------------------------------------------------------------------


def _print(checker: Checker, node: Print) -> Linked:
    checker.pure(node, "`print`")
    value, _ = checker.expr(node.value)
    return (node if value is node.value else Print(value, start=node.start, end=node.end)), NULL


def _cancel(checker: Checker, node: Cancel) -> Linked:
    checker.pure(node, "`cancel`")
    handle, _ = checker.expr(node.handle)
    return (node if handle is node.handle else Cancel(handle, start=node.start, end=node.end)), NULL


def _finish(checker: Checker, node: Finish) -> Linked:
    scope = checker.scope
    if scope.place == "fn":
        hint = "the last expression of a fn is its result"
        checker.error("impure_function", node, f"`{node.word}` is not allowed in a fn", hint=hint)
    value, ty = (None, NULL) if node.value is None else checker.expr(node.value)
    if scope.place == "process" and scope.reachable:
        checker.outputs.append(ty)
        _check_return(checker, node, ty)
    scope.reachable = False
    if value is node.value:
        return node, NULL
    return Finish(value, node.word, start=node.start, end=node.end), NULL


def _check_return(checker: Checker, node: Finish, ty: TypeExpr) -> None:
    process = checker.process
    if process is None or process.returns is None:
        return
    declared = checker.processes[process.name].output
    if not checker.relations.assignable(ty, declared):
        message = f"the process `{process.name}` gives {format_type(declared)}, but this is {format_type(ty)}"
        related = (("the type is declared here", process.returns.span),)
        checker.error("incompatible_process_return", node.value or node, message, related=related)


def _fail(checker: Checker, node: Fail) -> Linked:
    value, _ = checker.expr(node.value)
    checker.scope.reachable = False
    return (node if value is node.value else Fail(value, start=node.start, end=node.end)), NULL


def _yield(checker: Checker, node: Yield) -> Linked:
    value, _ = checker.expr(node.value)
    return (node if value is node.value else Yield(value, start=node.start, end=node.end)), NULL


def _wake(checker: Checker, node: Wake) -> Linked:
    value, _ = checker.expr(node.value)
    return (node if value is node.value else Wake(value, start=node.start, end=node.end)), NULL


def _labelled(checker: Checker, node: Labelled) -> Linked:
    statement, ty = link_statement(checker, node.statement)
    return Labelled(node.label, statement, start=node.start, end=node.end), ty


_STATEMENTS: Final[
    dict[type, Callable[[Checker, Any], Linked]]
] = {  # Any: each rule takes its own node class
    Assign: _assign,
    Evaluate: _evaluate,
    If: _if,
    For: _for,
    While: _while,
    Break: _break,
    Continue: _continue,
    Print: _print,
    Cancel: _cancel,
    Finish: _finish,
    Fail: _fail,
    Yield: _yield,
    Wake: _wake,
    Labelled: _labelled,
}
