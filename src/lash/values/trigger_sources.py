"""Where events come from: a type and the configuration of one source of it (contract 1.19)."""

from __future__ import annotations

from lash.values.record import Json, JsonRecord
from lash.values.triggers import trigger_source_key


class TriggerSource(JsonRecord, frozen=True, kw_only=True, eq=False):
    """One source of events. Equal ones have equal keys, whoever made them, in whatever order of members."""

    type: str
    value: Json = None

    @property
    def key(self) -> str:
        return trigger_source_key(self.type, self.value)
