"""Runs storage scripts, and knows nothing of what they store.

`Tx` is what a script may do, `Engine` what runs it. The engines are imported by name where one is chosen
(`lash.backends.sql.engine.sqlite`), so that a driver is loaded only by those who use it.
"""

from lash.backends.sql.engine.hub import Hub, Subscription
from lash.backends.sql.engine.tx import Engine, EngineStatistics, Query, RowType, Script, Tx, Value

__all__ = [
    "Engine",
    "EngineStatistics",
    "Hub",
    "Query",
    "RowType",
    "Script",
    "Subscription",
    "Tx",
    "Value",
]
