"""What is compared, by the names that the report uses. Plain data: the process that reads it stays light."""

from __future__ import annotations

# The module, and what in it opens a conversation.
TALKERS = {
    "lash": ("with_lash", "conversation"),
    "LangGraph": ("with_langgraph", "conversation"),
    "LangGraph, DeltaChannel (beta)": ("with_langgraph", "delta_conversation"),
    "OpenAI Agents": ("with_openai_agents", "conversation"),
}

# The module, and the setting that its `charge_once` is given.
CHARGERS = {
    "lash, at_most_once tool (default)": ("with_lash", "at_most_once"),
    "lash, idempotent tool": ("with_lash", "idempotent"),
    "LangGraph, durability=sync": ("with_langgraph", "sync"),
    "LangGraph, durability=async": ("with_langgraph", "async"),
    "LangGraph, durability=exit": ("with_langgraph", "exit"),
    "OpenAI Agents, SQLiteSession": ("with_openai_agents", ""),
    "DBOS, model and tool as steps": ("with_dbos", ""),
}

# The system, and the promise of its steps or the journal of its file.
STEPPERS = {
    "lash": ("lash", "read_only"),
    "lash, at most once": ("lash", "at_most_once"),
    "DBOS": ("dbos", "rollback"),
    "DBOS, file in WAL mode": ("dbos", "wal"),
}

# Other languages for programs that models write.
LANGUAGES = ("pydantic-monty", "smolagents")

# The imports that its documentation starts with, and the distributions to install for them.
WEIGHED = {
    "lash": ("import lash; lash.open", ("lash-runtime",)),
    "LangGraph": (
        "from langgraph.graph import StateGraph; from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver",
        ("langgraph", "langgraph-checkpoint-sqlite"),
    ),
    "DBOS": ("from dbos import DBOS", ("dbos",)),
    "OpenAI Agents": ("from agents import Agent, Runner, SQLiteSession", ("openai-agents",)),
}
