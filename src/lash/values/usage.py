"""Token usage: one call's, and the ledger rows that commits append."""

from __future__ import annotations

from lash.values.record import Record


class TokenUsage(Record, frozen=True, kw_only=True):
    """Tokens of one or more model calls.

    `input_tokens` includes the cached ones: adapters normalise vendors that report them apart.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total(self) -> int:
        """Input, output and reasoning; cached input is part of the input already."""
        return self.input_tokens + self.output_tokens + self.reasoning_tokens

    @property
    def is_zero(self) -> bool:
        return not (
            self.input_tokens
            or self.output_tokens
            or self.cached_input_tokens
            or self.reasoning_tokens
            or self.cache_write_tokens
        )

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


class TokenLedgerEntry(Record, frozen=True, kw_only=True):
    """Usage under a label (`turn`, `subagent`, …) and a model.

    `key` is the replay key of the effect that was paid for. Unique per session, so that a retried commit
    cannot count twice (contract 5, B-15); entries without one are always added.
    """

    source: str
    model: str
    usage: TokenUsage
    key: str | None = None
