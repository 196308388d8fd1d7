"""What is known of models by name: a data file that an application can override.

Everything about a model that changes often is data, never code: windows, what it can read, which effort
levels it takes. An unknown model works on cautious figures and says so once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from lash.contracts import ModelCapabilities
from lash.errors import LashError
from lash.values import ModelSpec, Record

TABLE_VARIABLE = "LASH_MODEL_TABLE"


class ModelTraits(Record, frozen=True, kw_only=True):
    """What a model takes and gives.

    Attributes:
        sampling: Whether temperature and top_p may be sent.
        reasoning: How effort is asked for: by an `effort` word, by `adaptive` thinking with such a word,
            or by a token `budget`.
        efforts: The words that it takes; empty when they are not known.
        effort_aliases: Words that stand for another one.
    """

    context_window_tokens: int
    output_token_capacity: int | None = None
    tools: bool = True
    output_schema: bool = True
    images: bool = False
    documents: bool = False
    sampling: bool = True
    reasoning: Literal["none", "effort", "adaptive", "budget"] = "none"
    efforts: tuple[str, ...] = ()
    effort_aliases: dict[str, str] = {}

    def spec(self, model: str) -> ModelSpec:
        return ModelSpec(
            id=model,
            context_window_tokens=self.context_window_tokens,
            output_token_capacity=self.output_token_capacity,
        )

    def capabilities(self) -> ModelCapabilities:
        return ModelCapabilities(
            tools=self.tools, output_schema=self.output_schema, attachments=self.images or self.documents
        )


class TableRow(Record, frozen=True, kw_only=True):
    """Traits for the models of `provider` whose names match `model` (`*`, `?`, `[…]`)."""

    provider: str
    model: str
    traits: ModelTraits


class CapabilityTable(Record, frozen=True, kw_only=True):
    """Rows in order of precedence, and per provider what to assume of a model that no row matches."""

    models: tuple[TableRow, ...] = ()
    unknown: dict[str, ModelTraits] = {}

    def traits(self, provider: str, model: str) -> ModelTraits:
        """Return what is known of a model; warn once when nothing is."""
        known = self.known(provider, model)
        if known is not None:
            return known
        assumed = self.unknown.get(provider) or self.unknown["*"]
        warnings.warn(
            f"lash knows nothing of the model {provider}:{model} and assumes a window of"
            f" {assumed.context_window_tokens} tokens. Put a row for it into the file that"
            f" {TABLE_VARIABLE} names, or state context_window_tokens.",
            UserWarning,
            stacklevel=3,
        )
        return assumed

    def known(self, provider: str, model: str) -> ModelTraits | None:
        """Return the traits of the first row that matches."""
        for row in self.models:
            if row.provider == provider and fnmatchcase(model, row.model):
                return row.traits
        return None

    def over(self, other: CapabilityTable) -> CapabilityTable:
        """Return a table in which this one's rows come before the other's."""
        return CapabilityTable(models=self.models + other.models, unknown={**other.unknown, **self.unknown})


@lru_cache(maxsize=1)
def shipped_table() -> CapabilityTable:
    """Return the table that comes with lash."""
    path = Path(__file__).with_name("capabilities.json")
    return _decoded(path.read_bytes(), str(path))


def effective_table(environ: Mapping[str, str]) -> CapabilityTable:
    """Return the shipped table under the one that `LASH_MODEL_TABLE` names, if it does.

    Raises:
        LashError: `model_table_invalid` when that file cannot be read or is no table.
    """
    path = environ.get(TABLE_VARIABLE)
    if not path:
        return shipped_table()
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise LashError(
            "model_table_invalid",
            f"{TABLE_VARIABLE} names {path}, which cannot be read: {problem}",
            path=path,
        ) from problem
    return _decoded(data, path).over(shipped_table())


def _decoded(data: bytes, path: str) -> CapabilityTable:
    try:
        return msgspec.json.decode(data, type=CapabilityTable)
    except msgspec.DecodeError as problem:
        raise LashError(
            "model_table_invalid", f"{path} is no table of models: {problem}", path=path
        ) from problem
