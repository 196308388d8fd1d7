"""`Compaction`: when the prompt nears the model's window, a summary takes the history's place.

The summary is the model's own, and its cost is counted as `compaction`. The history stays: it is behind a frame,
and readable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lash.plugins.contexts import TurnContext
from lash.plugins.plugin import Plugin
from lash.turn import MessageDraft
from lash.values import (
    AttachmentPart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    canonical_json,
)

_CHARS_PER_TOKEN = 4  # the usual estimate, where no vendor tells
_PART_CHARS = 4_000
_INSTRUCTIONS = (
    "You condense a conversation between a user and an assistant, so that the assistant can go on from your text "
    "alone. Keep: what the user wants, decisions and their reasons, facts and figures that were found, names, ids "
    "and paths word for word, what was done and with what result, what is still open. Leave out: greetings, "
    "detours, repetition. Write plain notes in the language of the conversation, and nothing else."
)


class Compaction(Plugin):
    """Summarises the history when it takes up too much of the window.

    Args:
        threshold: The share of the model's window that the last prompt may have taken.
        summary_tokens: The most that a summary may take.
    """

    id = "compaction"

    def __init__(self, *, threshold: float = 0.8, summary_tokens: int = 2_000) -> None:
        self._threshold = threshold
        self._summary_tokens = summary_tokens

    async def wants_compaction(self, turn: TurnContext) -> bool:
        """Whether the session's last prompt and its answer came near the window."""
        last = turn.state.last_prompt_usage
        if last is None:
            return False
        return last.input_tokens + last.output_tokens >= self._threshold * turn.model.context_window_tokens

    async def compact(self, turn: TurnContext, focus: str | None) -> Sequence[MessageDraft]:
        """Return the summary, made piece by piece where the history does not fit the model at once."""
        budget = max(1_000, turn.model.context_window_tokens * _CHARS_PER_TOKEN // 2)
        summary = ""
        for piece in _pieces(turn.history, budget):
            summary = await self._condensed(turn, summary, piece, focus)
        text = f"What was said and done before, condensed:\n\n{summary}"
        return (MessageDraft.text("event", text),)

    async def _condensed(self, turn: TurnContext, before: str, piece: str, focus: str | None) -> str:
        parts = [f"Your notes so far:\n{before}" if before else "", f"The conversation:\n{piece}"]
        if focus:
            parts.append(f"Pay most attention to this: {focus}")
        parts.append("Write the notes.")
        question = Message(
            id="compaction", role="user", parts=(TextPart(text="\n\n".join(filter(None, parts))),)
        )
        answer = await turn.complete(
            [question],
            instructions=_INSTRUCTIONS,
            usage_source="compaction",
            max_output_tokens=self._summary_tokens,
        )
        return "".join(part.text for part in answer.parts if isinstance(part, TextPart)).strip()


def _pieces(messages: Iterable[Message], budget_chars: int) -> list[str]:
    """Return a conversation as texts of at most about that length."""
    pieces: list[str] = []
    lines: list[str] = []
    length = 0
    for message in messages:
        line = _line(message)
        if lines and length + len(line) > budget_chars:
            pieces.append("\n".join(lines))
            lines, length = [], 0
        lines.append(line)
        length += len(line)
    return [*pieces, "\n".join(lines)] if lines else pieces


def _line(message: Message) -> str:
    texts = []
    for part in message.parts:
        match part:
            case TextPart(text=text):
                texts.append(_cut(text))
            case ToolCallPart(name=name, args=args):
                texts.append(f"[calls {name} {_cut(canonical_json(args).decode())}]")
            case ToolResultPart(name=name, content=content):
                shown = content if isinstance(content, str) else canonical_json(content).decode()
                texts.append(f"[{name} gave: {_cut(shown)}]")
            case AttachmentPart(ref=ref):
                texts.append(f"[attachment {ref.label or ref.id}]")
            case ReasoningPart():
                pass
    return f"{message.role}: {' '.join(texts)}"


def _cut(text: str) -> str:
    if len(text) <= _PART_CHARS:
        return text
    half = _PART_CHARS // 2
    return f"{text[:half]} … {text[-half:]}"
