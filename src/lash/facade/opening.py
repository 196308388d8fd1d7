"""`lash.open`: a database and life for agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from lash.agents import Agent, ProcessDefinition
    from lash.contracts import AttachmentStore
    from lash.facade.runtime import Runtime
    from lash.runtime.events import EventSource
    from lash.tracing import TraceLike
    from lash.values import Clock, IdSource


def open(
    url: str | PathLike[str],
    *agents: Agent | ProcessDefinition[Any],
    resources: Mapping[type, Any] | Sequence[Any] | None = None,
    attachments: AttachmentStore | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    lease_ttl_ms: int = 30_000,
    max_concurrent_turns: int = 256,
    max_concurrent_processes: int = 256,
    process_grace_ms: int = 1_000,
    retention_ms: int | None = 7 * 24 * 3_600_000,
    trace: TraceLike | None = None,
    work: bool = True,
    frame_key: bytes = b"",
    events: Sequence[EventSource] = (),
) -> Runtime:
    """Return a runtime over a database. Nothing is opened before `async with` (or `with`, in a script).

    Entering it opens or creates the database, and starts recovery: turns that an earlier process left
    unfinished are driven on at once.

    Args:
        url: A path or `sqlite:///PATH`, or `memory:`.
        agents: Whose work this runtime takes up: agents, with those that they have as tools, and
            `@lash.process`es. Work of others is left alone.
        resources: Live objects for tools (a pool, a client), by type or as a list. Never persisted.
        attachments: Where attachment bytes are kept, such as `lash.backends.files.FileAttachmentStore(FOLDER)`; in
            the database by default. A durable database wants a durable store.
        clock: Where time comes from; the machine's by default.
        ids: Where fresh ids come from; the machine's randomness by default.
        lease_ttl_ms: How long a driver that vanished without a trace keeps its session from others. A
            process that was killed on this machine is noticed at once.
        max_concurrent_turns: How many turns run at the same time.
        max_concurrent_processes: How many processes run at the same time; those that wait do not count.
        process_grace_ms: How long a process, or a tool that waits for one, may wait in memory before it is let
            go of, to be taken up again when it may go on.
        retention_ms: How long settled effects and settled queue rows are kept as evidence: seven days by
            default, None for ever. What is in the history, and the receipts of turns, is never deleted.
        trace: Where to write what turns do and how long it takes: a path for JSON lines (`lash trace view`
            shows them), a sink such as `lash.tracing.otel.OTelTraceSink`, or a `lash.Trace` that also says
            whether content is kept (it is not by default) and what is redacted.
        work: False to only look and to accept: this runtime drives nothing.

        frame_key: A secret of this deployment. Programs that wait (`protocol="code"`) are stored authenticated
            with it, so that whoever can write the database still cannot forge one. Without it, damage is
            found, forgery is not. Keep it: what was stored under another key is refused with `frame_key`.
        events: The sources of events whose payloads are checked, whoever emits them.

    Raises:
        LashError: `backend_unknown_scheme`; `agent_duplicate` for two agents of one name;
            `invalid_argument` for a negative retention. On entering:
            see `Database.connect`; `model_unknown_provider`, `model_key_missing`, `extra_missing`;
            `resource_missing`.
    """
    # Imported here: naming `lash.open` should not cost what running it does.
    from lash.backends import open_database
    from lash.facade.runtime import Runtime

    return Runtime(
        database=open_database(str(url), clock=clock, ids=ids, attachments=attachments),
        agents=agents,
        resources=resources,
        clock=clock,
        ids=ids,
        lease_ttl_ms=lease_ttl_ms,
        max_concurrent_turns=max_concurrent_turns,
        max_concurrent_processes=max_concurrent_processes,
        process_grace_ms=process_grace_ms,
        retention_ms=retention_ms,
        trace=trace,
        work=work,
        frame_key=frame_key,
        events=events,
    )
