"""What a condition tells about the variables in it: that one is not null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lashlang.check.relations import NULL, without_null
from lashlang.syntax import Chain, Expr, Logic, Name, Not, Null, TypeNull, TypeUnion

if TYPE_CHECKING:
    from lashlang.check.checker import Checker


def narrow(checker: Checker, condition: Expr, *, truth: bool) -> None:
    """Binds in the current branch what follows from `condition` being `truth`."""
    match condition:
        case Name(name=name) if truth:
            _not_null(checker, name)
        case Not(value=value):
            narrow(checker, value, truth=not truth)
        case Logic(operator="and", operands=operands) if truth:
            for operand in operands:
                narrow(checker, operand, truth=True)
        case Logic(operator="or", operands=operands) if not truth:
            for operand in operands:
                narrow(checker, operand, truth=False)
        case Chain(operands=(Name(name=name), Null()) | (Null(), Name(name=name)), operators=(operator,)):
            if (operator == "!=") == truth and operator in ("==", "!="):
                _not_null(checker, name)
            elif operator in ("==", "!="):
                _null(checker, name)
        case _:
            pass


def _not_null(checker: Checker, name: str) -> None:
    ty = checker.scope.get(name)
    if isinstance(ty, TypeUnion):
        checker.scope.bind(name, without_null(ty))


def _null(checker: Checker, name: str) -> None:
    ty = checker.scope.get(name)
    if isinstance(ty, TypeUnion) and any(isinstance(option, TypeNull) for option in ty.options):
        checker.scope.bind(name, NULL)
