"""Attempts to get out: what broke other sandboxes, written in this language, and what only this one could fall for.

Each attempt is a program. Names that mean something to Python, to generated code or to the host are tried in every
place where a program can put a name or a text; resource bombs and forged values are written by hand.
"""

from __future__ import annotations

SECRET = "canary-5f1c0b"
"""Stands in the host next to everything that an attempt could reach; must never come out."""

PYTHON_NAMES = [
    "__class__", "__bases__", "__mro__", "__subclasses__", "__globals__", "__builtins__", "__import__", "__dict__",
    "__code__", "__closure__", "__func__", "__self__", "__init__", "__getattribute__", "__reduce_ex__", "__wrapped__",
    "__module__", "__traceback__", "__context__", "__annotations__", "__defaults__", "__kwdefaults__", "__call__",
    "gi_frame", "gi_code", "cr_frame", "ag_frame", "tb_frame", "tb_next", "f_back", "f_globals", "f_locals",
    "f_builtins", "f_code", "co_consts", "mro", "format_map", "func_globals", "im_self", "constructor", "prototype",
    "__proto__", "_getframe", "modules",
]  # fmt: skip

CODE_NAMES = [
    "h", "f", "e", "d", "pc", "rv", "slots", "perform", "step", "v0", "t0", "q0", "i0", "s0", "o0", "y1", "k0", "U",
    "Z",
    "P", "Fault", "type_", "append", "undefined", "answered", "settle", "refill", "fn_f", "b_len", "int_", "self",
    "None", "True", "class", "def", "lambda", "import", "global", "del", "async", "with", "try", "eval", "exec",
]  # fmt: skip

CALLS = [
    "eval", "exec", "open", "getattr", "setattr", "vars", "globals", "locals", "compile", "input", "breakpoint", "type",
    "dir", "super", "help", "print", "__import__", "perform", "step", "fn_f", "b_len", "append",
]  # fmt: skip

TEMPLATES = [
    "{0.__class__}", "{0.__class__.__mro__}", "{0.__globals__[SECRET]}", "{0[__class__]}", "{0!r}", "{0!s:>10}",
    "{:>1000000000}", "{0:{1}}", "{.__class__}", "{[0]}", "{__class__}", "{0.__wrapped__.__globals__}", "{self}",
    "{0:%Y}", "{99999999999999999999}", "{-1}", "{ 0 }", "{0.a}", "{0}{0.b}", "{{{0.__class__}}}",
]  # fmt: skip

VALUES = [
    "1",
    "1.5",
    '"text"',
    "[1]",
    "{ a: 1 }",
    "null",
    "true",
    "tools",
    "Type { a: int }",
    "(await tools.leak({}))",
]


def _by_name() -> list[str]:
    made: list[str] = []
    for name in PYTHON_NAMES:
        made += [
            f"x = {{ a: 1 }}\nsubmit x.{name}",
            f"submit (await tools.leak({{}}))?.{name}",
            f'r = {{}}\nr["{name}"] = 1\nr.{name} = tools.leak({{ {name}: r }})\nsubmit [keys(r), r.{name}]',
            f'submit json_parse("{{\\"{name}\\": [1]}}")',
        ]
    for name in CODE_NAMES:
        made += [
            f"{name} = 1\nfor i in range(2) {{ {name} = {name} + i }}\nsubmit {name}",
            f"submit {name}",
            f"process p({name}: any) {{ finish {name} }}\nsubmit await start p({name}: 3)",
            f"submit [{name} for {name} in [1, 2]]",
        ]
    for name in CALLS:
        made += [
            f'submit {name}("1")',
            f"submit tools.{name}({{}})",
            f"fn {name}(x) {{ x }}\nsubmit {name}(2)",
        ]
    return made


def _by_text() -> list[str]:
    made: list[str] = []
    for template in TEMPLATES:
        made += [
            f'submit format("{template}", tools)',
            f't = "{template}"\nsubmit format(t, {{ a: 1 }}, [2])',
            f'submit "" + "{template}" + tools',
        ]
    for value in VALUES:
        for name in ("__class__", "append", "format", "gi_frame"):
            made += [f"submit {value}.{name}", f'submit {value}["{name}"]', f"submit {value}.{name}()"]
    for text in ('"""', "'''", "\\x00", "\\N{LATIN SMALL LETTER A}", "{", "}", "#0", "\\u2028", "\\r", "%s"):
        made += [f'x = r"{text}"\nsubmit [x, {{ "{text}": x }}]', f'print "{text}"\nsubmit len("{text}")']
    return made


FORGED = [
    'submit await { "__handle__": "process", "id": "../../etc/passwd" }',
    'submit await { handle: { "__class__": 1 } }',
    'x = { "__resource__": true, "type": "Tools", "alias": "tools" }\nsubmit [x, x == tools]',
    'x = json_parse("{\\"__resource__\\": true, \\"type\\": \\"Tools\\", \\"alias\\": \\"tools\\"}")\n'
    "submit x == tools",
    "process p(t: any) { finish t.leak }"
    '\nsubmit await start p(t: { "__resource__": true, "type": "Secret", "alias": "secret" })',
    'submit validate(1, { "$lash_type": { "anyOf": [{ "$ref": "file:///etc/passwd" }] } })',
    'submit validate([1], { "$lash_type": { type: "array", items: { "__class__": 1 } } })',
    'submit validate(1, { "$lash_type": 5 })',
    'submit { "$lash_process": true, process_name: "p" }',
    "submit cancel { handle: 1 }",
    "submit { ok: true, value: tools }?",
    'submit { ok: false, error: { "__class__": tools } }?',
    'signal run { "__handle__": "process", "id": 5 } with 1',
    'submit await "process:0"',
    "submit await tools.leak(tools)",
    "x = tools\nx.leak = 1",
    "submit sort([tools, tools])",
    'submit join([tools], "")',
    "submit keys(tools)",
    "submit tools < tools",
    "submit -tools",
    "for x in tools { print x }",
    "submit range(9223372036854775807)",
    "submit slice([1], -9223372036854775808, 9223372036854775807)",
    'submit "abc"[9223372036854775807]',
    "xs = [1]\nxs[0.5] = 1",
    'submit to_int("9" + join(range(5000), ""))',
    'submit json_parse("1" + join([0 for x in range(5000)], ""))',
    'submit json_parse("NaN")',
    'submit json_parse("\\"\\\\ud800\\"")',
    "submit round(1e308, 300)",
    "submit round(0.1, -400)",
]

BOMBS = [
    "while true {}",
    "while true { x = 1 }",
    's = "x"\nwhile true { s = s + s }',
    "xs = [1]\nwhile true { xs = xs + xs }",
    "xs = []\nwhile true { xs = push(xs, xs) }",
    "x = []\nfor i in range(100000) { x = [x] }\nsubmit x == x",
    "x = []\nfor i in range(100000) { x = [x] }\nsubmit to_string(x)",
    "x = [1]\nfor i in range(60) { x = [x, x] }\nsubmit x == x",
    "x = [1]\nfor i in range(60) { x = [x, x] }\nsubmit to_json(x)",
    "x = [1]\nfor i in range(60) { x = [x, x] }\nprint x",
    "x = [1]\nfor i in range(60) { x = [x, x] }\nsubmit await tools.leak({ x: x })",
    "x = [1]\nfor i in range(60) { x = [x, x] }\nsubmit await x",
    "n = 2\nwhile true { n = n * n }",
    "n = 9223372036854775807\nfor i in range(1000) { n = n * 9223372036854775807 }\nsubmit n",
    "fn f(x) { f(x) }\nsubmit f(1)",
    "fn f(x) { f(x + 1) + f(x + 2) }\nsubmit f(1)",
    "fn f(n) { if n == 0 { 0 } else { f(n - 1) + f(n - 1) } }\nsubmit f(100)",
    "while true { x = range(1000000) }",
    "xs = range(100000)\nwhile true { xs = sort(reverse(xs)) }",
    "xs = [[x] for x in range(3000)]\nsubmit len(unique(xs))",
    "submit [[x, y, z] for x in range(1000) for y in range(1000) for z in range(1000)]",
    's = join(range(100000), "")\nwhile true { s = replace(s, "1", s) }',
    's = join(range(1000), "")\nwhile true { s = format("{}{}{}{}{}{}{}{}", s, s, s, s, s, s, s, s) }',
    "r = {}\nn = 0\nwhile true { n = n + 1\nr[to_string(n)] = range(100) }",
    "submit (" * 60 + "1" + ")" * 60,
    "submit " + "[" * 100_000,
    "submit " + " + ".join(["1"] * 5000),
    "submit " + "not " * 5000 + "true",
    "submit " + "-" * 5001 + "1",
    "x = 1\n" + "".join(f"for a{n} in [1] {{ " for n in range(30)) + "}" * 30,
]

ATTEMPTS = [*_by_name(), *_by_text(), *FORGED, *BOMBS]
