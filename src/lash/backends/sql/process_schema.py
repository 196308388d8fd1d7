"""The tables of processes, host events and module artifacts, in SQLite's dialect; `schema` joins them in.

* A process's row is small and changes with every event; what it was registered with never changes and lies
  apart. How it ended is not stored twice: the row names the terminal event.
* An event's key is `pid << 32 | sequence`, so a log is a range of neighbours, and appending writes at its end.
* `change_seq` numbers the changes of all processes. It is taken inside the one writer, so that no number
  appears after a larger one was seen; a dialect with several writers has to see to that in another way.
* Which processes want to be run is an index of its own: those that are parked, over, or run elsewhere are not in
  it, however many there are.
"""

from __future__ import annotations

PROCESSES = """
CREATE TABLE process (
    pid INTEGER PRIMARY KEY,
    process_id TEXT NOT NULL UNIQUE,
    change_seq INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL DEFAULT 0,
    terminal_sequence INTEGER,               -- NULL: it runs
    attempts INTEGER NOT NULL DEFAULT 0,
    abandon_requested INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    external_ref BLOB,
    fencing_token INTEGER NOT NULL DEFAULT 0,
    lease_owner_id TEXT,
    lease_token TEXT,
    lease_claimed_at_ms INTEGER NOT NULL DEFAULT 0,
    lease_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    ended_under TEXT,                        -- the token of the lease that it was completed under
    host_profile TEXT NOT NULL DEFAULT 'default',
    is_external INTEGER NOT NULL DEFAULT 0,  -- nobody here runs it
    park_id TEXT,                            -- set while it is parked
    parked_on BLOB,
    is_resumable INTEGER NOT NULL DEFAULT 0, -- its next start goes on with the attempt that was parked
    pruned_at_ms INTEGER                     -- only its id is left
);
CREATE UNIQUE INDEX process_changes ON process (change_seq);
CREATE INDEX process_running ON process (process_id) WHERE terminal_sequence IS NULL;
CREATE INDEX process_ready ON process (host_profile, process_id)
    WHERE terminal_sequence IS NULL AND park_id IS NULL AND is_external = 0;
CREATE INDEX process_leased ON process (lease_owner_id) WHERE lease_owner_id IS NOT NULL;
CREATE INDEX process_over ON process (updated_at_ms, change_seq)
    WHERE terminal_sequence IS NOT NULL AND pruned_at_ms IS NULL;
CREATE TABLE process_registered (
    pid INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);
CREATE TABLE process_frame (                 -- what a process goes on from
    pid INTEGER PRIMARY KEY,
    body BLOB NOT NULL
);
CREATE TABLE process_event (
    key INTEGER PRIMARY KEY,                 -- pid << 32 | sequence
    event_type TEXT NOT NULL,
    replay_key TEXT,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX process_event_by_replay_key ON process_event (key >> 32, replay_key)
    WHERE replay_key IS NOT NULL;
CREATE TABLE process_wake (                  -- the outbox: committed with its event
    key INTEGER PRIMARY KEY,                 -- of its event
    state TEXT NOT NULL,
    reason TEXT,
    batch_id TEXT,
    acked INTEGER NOT NULL DEFAULT 0,
    delivery BLOB NOT NULL
);
CREATE INDEX process_wake_open ON process_wake (key) WHERE acked = 0;
CREATE INDEX process_wake_lost ON process_wake (key) WHERE state = 'discarded';
CREATE INDEX process_wake_by_batch ON process_wake (batch_id) WHERE batch_id IS NOT NULL;
CREATE TABLE process_grant (
    session_id TEXT NOT NULL,
    frame_id TEXT NOT NULL,                  -- '': the session itself
    process_id TEXT NOT NULL,
    descriptor BLOB NOT NULL,
    PRIMARY KEY (session_id, frame_id, process_id)
) WITHOUT ROWID;
CREATE INDEX process_grant_by_process ON process_grant (process_id, session_id, frame_id);
CREATE TABLE process_observer (
    session_id TEXT NOT NULL,
    frame_id TEXT NOT NULL,                  -- '': the session itself
    process_id TEXT NOT NULL,
    descriptor BLOB NOT NULL,
    PRIMARY KEY (session_id, frame_id, process_id)
) WITHOUT ROWID;
CREATE INDEX process_observer_by_process ON process_observer (process_id);
"""

HOST_EVENTS = """
CREATE TABLE trigger_subscription (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: ids and handles are made of it
    session_id TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_key TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    draft BLOB NOT NULL
);
CREATE INDEX trigger_subscription_by_session ON trigger_subscription (session_id, number);
CREATE INDEX trigger_subscription_by_type ON trigger_subscription (source_type, session_id, number);
CREATE INDEX trigger_subscription_enabled ON trigger_subscription (source_type, source_key, number)
    WHERE enabled = 1;
CREATE TABLE host_event (
    event_seq INTEGER PRIMARY KEY,
    occurrence_id TEXT NOT NULL UNIQUE,
    idempotency_key TEXT NOT NULL UNIQUE,
    request_hash TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_key TEXT NOT NULL,
    subscriptions_before INTEGER NOT NULL,   -- the newest subscription when it was first recorded
    body BLOB NOT NULL
);
CREATE TABLE trigger_delivery (
    delivery_seq INTEGER PRIMARY KEY,
    event_seq INTEGER NOT NULL,
    number INTEGER NOT NULL,                 -- of the subscription
    process_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    reserved_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL
);
CREATE UNIQUE INDEX trigger_delivery_once ON trigger_delivery (event_seq, number);
CREATE INDEX trigger_delivery_by_state ON trigger_delivery (state, delivery_seq);
"""

ARTIFACTS = """
CREATE TABLE module_artifact (
    artifact_seq INTEGER PRIMARY KEY,
    module_ref TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL
);
"""
