"""Codes of the linker: names, functions, types and processes that do not fit."""

from __future__ import annotations

from typing import Final

from lashlang.catalogue.entry import Explanation


def _entry(code: str, title: str, text: str, wrong: str, right: str, *, closed: bool = False) -> Explanation:
    return Explanation(code, "link", title, text, wrong, right, closed)


_WAITER: Final = 'process p() signals { go: bool } { finish wait_signal("go") }\n'

LINKING: Final = (
    _entry(
        "duplicate_declaration",
        "one name declared twice",
        "Types, processes and functions each have one namespace per block.",
        "process p() { finish 1 }\nprocess p() { finish 2 }",
        "process p() { finish 1 }\nprocess q() { finish 2 }",
    ),
    _entry(
        "duplicate_process_param",
        "a process with two parameters of one name",
        "Arguments of a process are given by name, so each name stands once.",
        "process p(a: int, a: str) { finish a }",
        "process p(a: int, b: str) { finish a }",
    ),
    _entry(
        "duplicate_function_param",
        "a function with two parameters of one name",
        "Each parameter needs a name of its own.",
        "fn f(a, a) { a }",
        "fn f(a, b) { a + b }",
    ),
    _entry(
        "feature_disabled",
        "something that this host does not offer",
        "Processes, sleeping, process signals, triggers and labels are abilities that a host turns on."
        " Where one is"
        " off, the program has to do without.",
        'sleep for "1s"',
        'sleep for "1s"',
        closed=True,
    ),
    _entry(
        "process_lifecycle_outside_process",
        "waiting for a signal in the foreground",
        "Only a running process has signals to wait for.",
        "m = wait signal",
        "process waiter() { m = wait signal\n  finish m }\nh = start waiter()",
    ),
    _entry(
        "unknown_type",
        "a type name that nothing declares",
        "A type is built in, declared in this block with `type`, or offered by the host.",
        "process p(a: Widget) { finish a }",
        "type Widget = { id: str }\nprocess p(a: Widget) { finish a.id }",
    ),
    _entry(
        "recursive_type_value",
        "a type that contains itself, used as a value",
        "As a value a type is a schema, which is written out in full; one that contains itself never ends. In"
        " declarations such types are fine.",
        "type Tree = { kids: list[Tree] }\nx = validate({ kids: [] }, Tree)",
        "type Tree = { kids: list[dict] }\nx = validate({ kids: [] }, Tree)",
    ),
    _entry(
        "unknown_process",
        "a process that this block does not declare",
        "`start` finds only processes of its own block; declarations do not outlive their block.",
        "h = start work()",
        "process work() { finish 1 }\nh = start work()",
    ),
    _entry(
        "missing_process_argument",
        "a parameter that `start` leaves out",
        "Every parameter of a process is given once, by name.",
        "process p(a: int) { finish a }\nh = start p()",
        "process p(a: int) { finish a }\nh = start p(a: 1)",
    ),
    _entry(
        "unexpected_process_argument",
        "an argument without a parameter",
        "The process declares no parameter of this name.",
        "process p() { finish 1 }\nh = start p(a: 1)",
        "process p(a: int) { finish a }\nh = start p(a: 1)",
    ),
    _entry(
        "duplicate_process_argument",
        "an argument given twice",
        "Every parameter of a process is given once, by name.",
        "process p(a: int) { finish a }\nh = start p(a: 1, a: 2)",
        "process p(a: int) { finish a }\nh = start p(a: 1)",
    ),
    _entry(
        "incompatible_process_argument",
        "a value where a module is wanted",
        "A parameter whose type is an authority, such as `Mail`, takes a module of that authority.",
        "process p(m: Mail) { finish 1 }\nh = start p(m: 5)",
        "process p(m: Mail) { finish 1 }\nh = start p(m: mail.work)",
    ),
    _entry(
        "incompatible_process_return",
        "a result that is not of the declared type",
        "Every reachable `finish` must give the type behind `->`; falling off the end gives null.",
        'process p(c: bool) -> str {\n  if c { finish "yes" }\n}',
        'process p(c: bool) -> str | null {\n  if c { finish "yes" }\n}',
    ),
    _entry(
        "unknown_name",
        "a name that is bound to nothing",
        "A process or function sees its parameters and what it assigns itself, never the variables of the"
        " foreground. Pass values in as parameters.",
        "limit = 3\nprocess p() { finish limit }",
        "process p(limit: int) { finish limit }\nh = start p(limit: 3)",
    ),
    _entry(
        "unknown_builtin",
        "a function that does not exist",
        "What is called by a bare name is a builtin or a `fn` of this block.",
        'x = uppercase("a")',
        'x = upper("a")',
    ),
    _entry(
        "function_arity",
        "a function called with too few or too many arguments",
        "A `fn` takes exactly its parameters.",
        "fn f(a, b) { a + b }\nx = f(1)",
        "fn f(a, b) { a + b }\nx = f(1, 2)",
    ),
    _entry(
        "incompatible_function_argument",
        "an argument that is not of the parameter's type",
        "Both types are known, and no value of the one is a value of the other.",
        'fn double(n: int) { n * 2 }\nx = double("a")',
        "fn double(n: int) { n * 2 }\nx = double(2)",
    ),
    _entry(
        "incompatible_function_return",
        "a function whose result is not of its declared type",
        "The result of a `fn` is the value of its last statement.",
        "fn size(x: str) -> int { x }",
        "fn size(x: str) -> int { len(x) }",
    ),
    _entry(
        "function_as_value",
        "a function used as a value",
        "Functions are called; they cannot be stored or passed on.",
        "fn f(a) { a }\ng = f",
        "fn f(a) { a }\ng = f(1)",
    ),
    _entry(
        "function_shadows_builtin",
        "a function with the name of a builtin",
        "Builtins keep their meaning everywhere.",
        "fn len(x) { 0 }",
        "fn length(x) { 0 }",
    ),
    _entry(
        "impure_function",
        "an effect inside a function",
        "A `fn` only computes: no operations, `await`, `start`, `sleep`, signals, `print` or `finish`.",
        "fn f(a) { print a }",
        "fn f(a) { a + 1 }\nprint f(1)",
    ),
    _entry(
        "bare_tool_call",
        "an operation called without its module",
        "Operations are called by their full path, bare calls are builtins.",
        "x = fetch({ id: 1 })",
        "x = await tools.fetch({ id: 1 })?",
    ),
    _entry(
        "ambiguous_module_operation",
        "only the beginning of a module path",
        "Several modules start like this; the message lists them.",
        'x = await mail.send({ to: "a", body: "b" })',
        'x = await mail.work.send({ to: "a", body: "b" })',
    ),
    _entry(
        "unresolved_receiver",
        "`.name(…)` on something that is no module",
        "A call with a dot is an operation of a module. Values have no methods: builtins take them as"
        " arguments.",
        "xs = [1]\nxs.push(2)",
        "xs = [1]\nxs = push(xs, 2)",
    ),
    _entry(
        "unknown_resource_operation",
        "an operation that the module does not have",
        "The module exists, and offers other operations.",
        "x = await tools.fetsh({})?",
        "x = await tools.fetch({})?",
    ),
    _entry(
        "incompatible_operation_input",
        "an argument that the operation cannot take",
        "The argument's type is known and does not fit what the operation declares.",
        "x = await files.read({ path: 5 })?",
        'x = await files.read({ path: "notes.txt" })?',
    ),
    _entry(
        "incompatible_constructor_input",
        "an argument that the constructor cannot take",
        "A constructor takes exactly one argument of its declared type.",
        "s = timer.Schedule({ expr: 5 })",
        's = timer.Schedule({ expr: "0 7 * * *" })',
    ),
    _entry(
        "opaque_host_value_access",
        "reading inside an opaque value",
        "Values that a host constructor makes are for handing back to the host.",
        's = timer.Schedule({ expr: "x" })\ny = s.expr',
        'expr = "x"\ns = timer.Schedule({ expr: expr })\ny = expr',
    ),
    _entry(
        "unknown_signal",
        "a signal that the process does not declare",
        "A process with a `signals {…}` clause takes exactly the signals in it.",
        'process p() signals { go: bool } { finish wait_signal("stop") }',
        'process p() signals { go: bool } { finish wait_signal("go") }',
    ),
    _entry(
        "incompatible_signal_payload",
        "a payload that is not of the signal's type",
        "The `signals {…}` clause of the process says what each signal carries.",
        _WAITER + 'h = start p()\nsignal_run(h, "go", 5)',
        _WAITER + 'h = start p()\nsignal_run(h, "go", true)',
    ),
)
