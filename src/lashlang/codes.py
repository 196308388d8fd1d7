"""Every stable code of the language with its meaning and what to do about it: the text of `lash lang explain`."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Phase = Literal["parse", "link", "run", "bound", "frame", "artifact", "host"]


class Explanation(msgspec.Struct, frozen=True):
    """What a code means, and what to write or do instead."""

    phase: Phase
    meaning: str
    remedy: str = ""


def _table(phase: Phase, *rows: tuple[str, str, str]) -> dict[str, Explanation]:
    return {code: Explanation(phase, meaning, remedy) for code, meaning, remedy in rows}


_PARSE = _table(
    "parse",
    ("unexpected_char", "A character that no token can begin with.", "Delete it, or put it in a string."),
    (
        "unterminated_string",
        "A string is still open where the text ends.",
        "Close it with the delimiter that opened it.",
    ),
    (
        "invalid_number",
        "A number is spelled in a way that has no value.",
        "Write digits with at most one point.",
    ),
    (
        "expected",
        "The grammar allows only one thing here, and it is missing.",
        "Write what the message names.",
    ),
    (
        "unexpected",
        "This word or sign cannot stand here.",
        "See the hint: it names the form that the language has.",
    ),
    (
        "loop_control_outside_loop",
        "`break` or `continue` without a loop around it.",
        "Move it into a `for` or `while`.",
    ),
    (
        "process_control_outside_block",
        "`yield`, `wake` or `fail` outside a process.",
        "The foreground ends with `submit` or `finish`; declare a process for the rest.",
    ),
    (
        "foreground_control_inside_process",
        "`submit` or `print` inside a process.",
        "A process ends with `finish` and reports with `yield` or `wake`.",
    ),
    (
        "declarative_trigger_removed",
        "There are no trigger declarations.",
        "Call `await triggers.register({ source: …, target: process_name, inputs: { … } })?`.",
    ),
    (
        "invalid_label_annotation",
        "A label needs a `title`, may have a `description`, each once and as a string.",
        "",
    ),
    ("invalid_label_target", "Only statements and processes can be labelled.", ""),
    (
        "nesting_too_deep",
        "The program nests deeper than 64 levels (16 for loops).",
        "Name intermediate results.",
    ),
    (
        "program_too_large",
        "The program, or one expression of it, has more parts than can be compiled.",
        "Split it.",
    ),
)

_LINK = _table(
    "link",
    ("duplicate_declaration", "Two declarations of one kind have the same name.", "Rename one."),
    ("duplicate_process_param", "A parameter name is used twice.", "Rename one."),
    (
        "feature_disabled",
        "The host has this part of the language switched off.",
        "Do without it, or ask the host.",
    ),
    ("process_lifecycle_outside_process", "`wait signal` works only inside a process.", ""),
    ("unknown_type", "No type has this name.", "Declare it with `type`, or use a type of the host."),
    (
        "unknown_process",
        "This block declares no process of this name.",
        "Processes live in the block that declares them.",
    ),
    ("missing_process_argument", "`start` leaves out a parameter.", "Give every parameter by name, once."),
    ("unexpected_process_argument", "`start` names a parameter that the process does not have.", ""),
    ("duplicate_process_argument", "`start` gives a parameter twice.", ""),
    ("incompatible_process_argument", "An argument cannot have the type of its parameter.", ""),
    ("incompatible_process_return", "A process can finish with something that its `->` does not allow.", ""),
    (
        "unknown_name",
        "Nothing of this name is bound here.",
        "A process sees its parameters, not the foreground.",
    ),
    ("unknown_builtin", "No function has this name.", "See the suggestions of the message."),
    ("bare_tool_call", "A tool is called without its module.", "Write `await tools.name({…})?`."),
    ("unknown_resource", "No module has this path.", ""),
    (
        "ambiguous_module_operation",
        "Several modules below this prefix have the operation.",
        "Write the full path.",
    ),
    (
        "unresolved_receiver",
        "What stands before the dot is not a module.",
        "Values have no methods; use a builtin.",
    ),
    ("unknown_resource_operation", "The module has no such operation.", ""),
    ("incompatible_operation_input", "The argument cannot be what the operation takes.", ""),
    ("incompatible_constructor_input", "The argument cannot be what the constructor takes.", ""),
    ("opaque_host_value_access", "This host value has no inside that a program may read.", ""),
    (
        "invalid_trigger_registration",
        "A registration needs one record with `source`, `target` and `inputs`.",
        "",
    ),
    (
        "unknown_trigger_source_type",
        "The source is not one that the host can watch.",
        "Build it with a constructor.",
    ),
    ("invalid_trigger_target", "The target must be a process of this block.", ""),
    ("invalid_trigger_inputs", "`inputs` must be a literal record.", ""),
    ("unknown_trigger_input", "The target has no such parameter.", ""),
    ("duplicate_trigger_input", "An input is given twice.", ""),
    ("missing_trigger_input", "A parameter of the target gets no input.", ""),
    ("missing_trigger_event_input", "No input is `trigger.event`.", "Pass the event to one parameter."),
    ("trigger_event_mismatch", "The event's type does not fit the parameter.", ""),
    ("trigger_event_outside_inputs", "`trigger.event` exists only in the `inputs` of a registration.", ""),
    ("trigger_event_projection", "Only the whole event can be an input.", "Read its fields in the process."),
    ("invalid_trigger_list", "`triggers.list` takes one record of filters.", ""),
    ("invalid_trigger_cancel", "`triggers.cancel` takes one record with `handle`.", ""),
    ("module_hash", "The module could not be given an identity.", ""),
    ("surface_conflict", "The host's description of itself contradicts itself.", ""),
)

_RUN = _table(
    "run",
    (
        "undefined_variable",
        "A variable is read that holds nothing.",
        "Assign it first on every way that leads here.",
    ),
    (
        "non_list_iteration",
        "`for` runs over lists only.",
        'Use `keys(record)`, `split(text, "")` or `range(n)`.',
    ),
    (
        "type_error",
        "A value has the wrong kind for what is done with it.",
        "Convert it, or check it with `validate`.",
    ),
    (
        "value_error",
        "A value has the right kind but cannot be used.",
        "Keep the wrapper or use `try` to go on.",
    ),
    ("not_finished", "The program waits for something that cannot come.", ""),
    (
        "internal_error",
        "The runtime failed at something that it should have foreseen.",
        "Please report the program.",
    ),
)

_BOUND = _table(
    "bound",
    ("fuel_exhausted", "The program used up the steps that the host allowed.", "Do less in one block."),
    (
        "memory_exhausted",
        "The program holds more than the host allowed.",
        "Drop what is not needed any more.",
    ),
    ("time_exhausted", "The program computed for longer than the host allowed.", ""),
    ("cancelled", "The host asked the program to stop.", ""),
    ("value_too_large", "A string, list or record is larger than any may be.", ""),
    ("call_depth_exceeded", "Functions are nested deeper than 150 calls.", "Use a loop."),
)

_FRAME = _table(
    "frame",
    ("frame_codec", "The bytes are not a suspended program.", ""),
    (
        "frame_version",
        "The suspended program has another format.",
        "Resume it with the release that wrote it.",
    ),
    ("frame_key", "The key is missing or wrong, or the bytes were changed.", ""),
    (
        "frame_code_mismatch",
        "The suspended program belongs to other code.",
        "Resume it with the code of its hash.",
    ),
    ("frame_stale", "The suspended program does not fit its code.", ""),
    ("not_waiting", "The run does not wait for an answer.", ""),
    ("not_ready", "The run has ended, or waits for an answer.", ""),
    ("replay_mismatch", "The program asks for something else than it did when it was recorded.", ""),
)

_ARTIFACT = _table(
    "artifact",
    ("artifact_codec", "The bytes are not a stored module.", ""),
    ("artifact_version", "The stored module has a newer format.", "Read it with the release that wrote it."),
    (
        "artifact_hash_mismatch",
        "A stored module is not what its name says.",
        "It was changed; compile it again.",
    ),
    ("not_canonical", "The data has no canonical form.", ""),
)

_HOST = _table(
    "host",
    ("invalid_host_value", "The host handed over something that is not plain data.", ""),
    ("invalid_outcome", "The host answered an effect with something that is no outcome.", ""),
    ("corpus_invalid", "A line of a corpus is not a case.", ""),
    ("file_unreadable", "The file cannot be read as text.", ""),
    ("host_invalid", "The host file is not a JSON object.", ""),
)

CODES: Final[dict[str, Explanation]] = {**_PARSE, **_LINK, **_RUN, **_BOUND, **_FRAME, **_ARTIFACT, **_HOST}
