"""The TextMate grammar names the words of the language, and colours a program as a reader expects."""

import json
import re
from pathlib import Path

import pytest

from lashlang.check import BUILTINS
from lashlang.syntax.lexer import RESERVED

GRAMMAR = json.loads(
    (Path(__file__).parents[3] / "editors" / "lashlang.tmLanguage.json").read_text(encoding="utf-8")
)
CONTEXTUAL = "let while break continue yield wake finish fail type process fn sleep until"
CONTEXTUAL += " start wait signal run with try"


def rules(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from rules(value)
    elif isinstance(node, list):
        for value in node:
            yield from rules(value)


def patterns():
    return [rule[key] for rule in rules(GRAMMAR) for key in ("match", "begin", "end") if key in rule]


class Painter:
    """As much of a TextMate engine as the grammar uses: the scope of each piece of a text."""

    def __init__(self, source):
        self.source = source
        self.painted = []

    def resolve(self, items):
        for item in items:
            include = item.get("include")
            if include is None:
                yield item if "match" in item or "begin" in item else None
            else:
                target = GRAMMAR["repository"][include[1:]]
                yield from (
                    [target] if "match" in target or "begin" in target else self.resolve(target["patterns"])
                )

    def paint(self, items, at=0, end=None):
        while at < len(self.source):
            best = None
            for rule in self.resolve(items):
                found = re.compile(rule.get("match") or rule["begin"], re.MULTILINE).search(self.source, at)
                if found and (best is None or found.start() < best[0].start()):
                    best = (found, rule)
            closing = re.compile(end, re.MULTILINE).search(self.source, at) if end else None
            if closing and (best is None or closing.start() <= best[0].start()):
                return closing.end()
            if best is None:
                return len(self.source)
            found, rule = best
            at = self.apply(found, rule)
        return at

    def apply(self, found, rule):
        for group, capture in (rule.get("captures") or rule.get("beginCaptures") or {}).items():
            if found.group(int(group)) is not None:
                self.painted.append((found.group(int(group)), capture["name"]))
        if "match" in rule:
            if "name" in rule:
                self.painted.append((found.group(), rule["name"]))
            return max(found.end(), found.start() + 1)
        end = rule["end"].replace("\\1", re.escape(found.group(1))) if "\\1" in rule["end"] else rule["end"]
        stop = self.paint(rule.get("patterns", []), found.end(), end)
        if "name" in rule:
            self.painted.append((self.source[found.start() : stop], rule["name"]))
        return stop


def painted(source):
    painter = Painter(source)
    painter.paint(GRAMMAR["patterns"])
    return [(text, scope.removesuffix(".lashlang")) for text, scope in painter.painted]


@pytest.mark.parametrize("pattern", patterns())
def test_pattern_is_a_regular_expression(pattern):
    re.compile(pattern.replace("\\1", "x"))


def test_every_include_exists():
    includes = {rule["include"] for rule in rules(GRAMMAR) if "include" in rule}
    assert {name.removeprefix("#") for name in includes} <= set(GRAMMAR["repository"])


@pytest.mark.parametrize("word", sorted(RESERVED) + CONTEXTUAL.split())
def test_every_word_of_the_language_is_named(word):
    assert any(re.search(rf"(?:\\b|\W|^){word}(?!\w)", pattern) for pattern in patterns())


def test_builtins_are_those_of_the_checker():
    (rule,) = [rule for rule in rules(GRAMMAR) if rule.get("name") == "support.function.builtin.lashlang"]
    words = re.search(r"\(\?:([^)]*)\)", rule["match"]).group(1).split("|")
    assert set(words) == set(BUILTINS)


@pytest.mark.parametrize(
    ("source", "piece"),
    [
        ("x = 1 # why", ("# why", "comment.line.number-sign")),
        ("x = 1 // why", ("// why", "comment.line.double-slash")),
        ('x = "# no"', ('"# no"', "string.quoted.double")),
        ("x = 'a'", ("'a'", "string.quoted.single")),
        ('x = r"""a\nb"""', ('r"""a\nb"""', "string.quoted.triple.raw")),
        ('x = "a\\n"', ("\\n", "constant.character.escape")),
        ("x = 1_000.5e3", ("1_000.5e3", "constant.numeric")),
        ("process p(a: int) {}", ("p", "entity.name.function")),
        ("type Row = { id: str }", ("Row", "entity.name.type")),
        ("x = len(y)", ("len", "support.function.builtin")),
        ("x = mine(y)", ("mine", "entity.name.function")),
        ("x = await tools.fetch({})?", ("fetch", "entity.name.function.member")),
        ("x = await tools.fetch({})?", ("?", "keyword.operator.unwrap")),
        ("x = { if: 1 }", ("if", "variable.other.property")),
        ("if a and b {}", ("and", "keyword.operator.word")),
        ("submit x", ("submit", "keyword.other.effect")),
        ('@label(title: "t")', ("@label", "entity.name.tag.label")),
        ("x = Type { a: list[str] }", ("list", "support.type")),
        ("x = null", ("null", "constant.language")),
    ],
)
def test_piece_is_coloured_as(source, piece):
    assert piece in painted(source)
