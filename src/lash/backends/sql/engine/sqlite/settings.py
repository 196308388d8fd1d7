"""The numbers that an engine works by. `bench/engine.py` shows what they cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSettings:
    """How one `SqliteEngine` behaves; the defaults suit a database on a local disk."""

    batch_scripts: int = 128
    """At most so many scripts share one transaction."""
    batch_ms: int = 50
    """No further script joins a transaction that is older than this, so that long scripts hold up nobody
    else."""
    busy_timeout_ms: int = 10_000
    """How long to wait for another process before `store_busy`."""
    checkpoint_frames: int = 1_000
    """Copy the write-ahead log back once it has so many pages; at four times as many the writer itself
    does."""
    readers: int = 4
    """At most so many snapshots are open at once; threads and connections are made when first needed."""
    poll_ms: int = 700
    """How often to look for commits of other processes while someone is subscribed: the net below the
    bells."""
    statement_cache: int = 200
    """Prepared statements kept for each connection. It must exceed the number of distinct statements in
    use."""
