"""Agents that work for others: the session and the turn that such a process stands for, and what is said to it."""

from __future__ import annotations

from typing import Any

from lash.contracts import Database
from lash.errors import LashError
from lash.runtime.output import OutputShape
from lash.runtime.processes.awaiting import existing_process
from lash.turn import tidy_text
from lash.values import (
    CausalRef,
    ChildSession,
    EventNode,
    Json,
    Message,
    ProcessRecord,
    SessionMeta,
    SessionTurnInput,
    TurnDraft,
    TurnInput,
    TurnReceipt,
    TurnStatus,
    child_session_id,
)

SUBAGENT_LABEL = "subagent"


def subagent_input(
    process_id: str, agent: str, text: str, *, parent_session_id: str, output: Any = None
) -> SessionTurnInput:
    """Return the input of a process that asks an agent.

    Args:
        process_id: The process.
        agent: Who is asked.
        text: What.
        parent_session_id: For whom.
        output: The type of the answer; None for the agent's own.

    Raises:
        LashError: `output_type_invalid`.
    """
    schema = None if output is None else OutputShape.of(output).spec.schema
    return SessionTurnInput(
        create_request={
            "agent": agent,
            "session_id": child_session_id(parent_session_id, process_id),
            "parent_session_id": parent_session_id,
        },
        turn_input=TurnInput.text(text).replace(output=schema),
        output_contract=schema,
    )


class Subagent:
    """The session and the turn of one such process."""

    def __init__(self, database: Database, process: ProcessRecord) -> None:
        if not isinstance(process.input, SessionTurnInput):
            raise LashError(
                "process_not_a_subagent",
                f"process {process.id!r} is no agent: nothing can be said to it. Send it a signal instead",
                process_id=process.id,
            )
        self._database = database
        self._process = process
        self._input = process.input
        request = process.input.create_request
        missing = [name for name in ("agent", "session_id", "parent_session_id") if not request.get(name)]
        if missing:
            raise LashError(
                "process_session_create_failed",
                f"process {process.id!r} is to ask an agent, and its create request has no {', '.join(missing)}",
                process_id=process.id,
            )
        self.agent = str(request["agent"])
        self.session_id = str(request["session_id"])
        self.parent_session_id = str(request["parent_session_id"])
        self.turn_id = process.id

    async def begin(self, model_id: str) -> TurnStatus:
        """Accept the turn, in its session; done again it is the same turn.

        Raises:
            LashError: `session_deleted`; `agent_mismatch`.
        """
        catalog = self._database.session_catalog
        _, created = await catalog.admit_session(self.session_id, agent=self.agent, labels=[SUBAGENT_LABEL])
        if created:
            persistence = self._database.runtime_persistence(self.session_id)
            await persistence.save_session_meta(self._meta(model_id, self._process.provenance.caused_by))
        draft = TurnDraft(
            session_id=self.session_id, turn_id=self.turn_id, input=self._input.turn_input, agent=self.agent
        )
        return (await self._database.turn_ingress.accept_turn(draft)).status

    async def say(self, text: str, *, turn_id: str) -> None:
        """Say something: it enters the running turn at its next boundary, or begins another one."""
        await self.begin("")
        draft = TurnDraft(
            session_id=self.session_id,
            turn_id=turn_id,
            input=TurnInput.text(text),
            agent=self.agent,
            on_busy="inject",
        )
        await self._database.turn_ingress.accept_turn(draft)

    async def answer(self, receipt: TurnReceipt) -> dict[str, Json]:
        """Return what the process ends with: who answered, and what."""
        persistence = self._database.runtime_persistence(self.session_id)
        text = ""
        for node_id in receipt.node_ids[::-1]:
            node = await persistence.load_node(node_id)
            if node is not None and isinstance(node.payload, EventNode):
                event = node.payload.event
                if isinstance(event, Message):
                    text = tidy_text(event.text) if event.role == "assistant" else ""
                    break
        return {
            "process_id": self._process.id,
            "session_id": self.session_id,
            "text": text,
            "output": receipt.output,
            "has_output": receipt.has_output,
            "stop": receipt.stop,
            "usage": {
                "input_tokens": receipt.usage.input_tokens,
                "output_tokens": receipt.usage.output_tokens,
            },
        }

    def _meta(self, model_id: str, caused_by: CausalRef | None) -> SessionMeta:
        return SessionMeta(
            session_id=self.session_id,
            session_name=f"{self.agent} for {self.parent_session_id}",
            created_at=_rfc3339(self._database.clock.now_ms()),
            model=model_id,
            relation=ChildSession(parent_session_id=self.parent_session_id, caused_by=caused_by),
        )


def answer_of(value: Json, kind: Any = None) -> Any:
    """Return an agent's answer: typed if it has a type, else its text."""
    if not isinstance(value, dict):
        return value
    if not value.get("has_output"):
        return value.get("text", "")
    return value["output"] if kind is None else OutputShape.of(kind).convert(value["output"])


async def say_to_subagent(database: Database, process_id: str, text: str, *, turn_id: str) -> None:
    """Say something to an agent that works as a process; the same turn id again says it once.

    Raises:
        LashError: `process_not_a_subagent`; `process_unknown`; `session_deleted`.
    """
    await Subagent(database, await existing_process(database, process_id)).say(text, turn_id=turn_id)


def _rfc3339(at_ms: int) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
