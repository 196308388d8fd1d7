"""The dialects of chat completions: what differs from server to server, stated by the host."""

from __future__ import annotations

from typing import Any, Literal

from lash.values import Record


class ChatDialect(Record, frozen=True, kw_only=True):
    """How one server speaks.

    Attributes:
        tool_mode: `native` sends `tools`. `schema` is for servers that ignore them: the answer is then
            constrained to a JSON schema that is either one call or an answer.
        free_prose: In schema mode, let the model only say *that* it answers, and ask again without any
            constraint for the answer itself. Small models write worse inside JSON; costs a second call.
        answer_repeated_calls: In schema mode, take a call that the turn has made already, with the same
            arguments, for the wish to answer: small models repeat themselves instead of reading results.
        max_tokens_field: Newer models of OpenAI refuse `max_tokens`, most other servers know nothing else.
        tolerate_eof: Take the end of the stream for the end of the answer, for servers that never say
            why they stopped. Without it such a stream is a cut one.
        reasoning_replay: Whether thoughts go back in `reasoning_content`; signed or encrypted reasoning
            details always go back to where they came from.
        text_max_chars: In schema mode, the longest text that an argument may be.
        list_max_items: In schema mode, the longest list.
        extra_body: Further fields for each request, as the server wants them.
    """

    tool_mode: Literal["native", "schema"] = "native"
    free_prose: bool = False
    answer_repeated_calls: bool = False
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    tolerate_eof: bool = False
    reasoning_replay: Literal["none", "reasoning_content"] = "none"
    text_max_chars: int = 2_000
    list_max_items: int = 32
    extra_body: dict[str, Any] = {}  # the server's own JSON
