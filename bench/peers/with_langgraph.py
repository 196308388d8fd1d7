"""The work with LangGraph: a `StateGraph` of a model node and a `ToolNode`, as its tutorials build an agent.

Settings: the SQLite checkpointer (WAL is its own choice, `synchronous=FULL` is set on the connection that it is
given), `durability="sync"`, which its documentation calls the most durable mode: a step is written before the next
one starts. After a crash its documentation continues a thread by invoking with `None`. The asynchronous checkpointer
with `ainvoke` is used because it is the faster of its two ways. Its documentation advises PostgreSQL for production;
what it stores there is the same.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import aiosqlite
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from peers.workload import ANSWER, PROMPT, RESULT, USER, Conversation, Recovered, Scene

THREAD: Any = {"configurable": {"thread_id": "s"}}
Durability = Literal["sync", "async", "exit"]


class ScriptedChat(BaseChatModel):
    """A chat model that follows a script: calls after a user message, an answer after results."""

    script: Callable[[list[BaseMessage]], AIMessage]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: object, **__: object) -> ChatResult:
        raise AssertionError("the graph is asynchronous")

    async def _agenerate(self, messages: list[BaseMessage], *_: object, **__: object) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.script(messages))])


def appended(state: Sequence[AnyMessage], writes: Sequence[list[AnyMessage]]) -> list[AnyMessage]:
    """Add the messages of each write; they are never edited here, so none is looked for."""
    return [*state, *(message for write in writes for message in write)]


class DeltaState(TypedDict):
    messages: Annotated[list[AnyMessage], DeltaChannel(appended)]


@asynccontextmanager
async def graph(
    path: Path, script: Callable[[list[BaseMessage]], AIMessage], tools: list[BaseTool], state: type
) -> AsyncIterator[Any]:
    """Open the database and yield the compiled graph."""
    model = ScriptedChat(script=script)

    async def ask(state: Any) -> dict[str, list[BaseMessage]]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(state)
    builder.add_node("model", ask)
    builder.add_node("tools", ToolNode(tools))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA synchronous=FULL")
        yield builder.compile(checkpointer=AsyncSqliteSaver(connection))


def called(name: str, **args: int) -> dict[str, Any]:
    return {"name": name, "args": args, "id": f"call_{uuid.uuid4().hex}"}


@tool
async def look(number: int) -> str:
    """Look something up."""
    return RESULT


def talk(state: type) -> Callable[[Path], AbstractAsyncContextManager[Conversation]]:
    """Return what opens the conversation, with its messages in a channel of that state."""

    @asynccontextmanager
    async def opened(path: Path) -> AsyncIterator[Conversation]:
        seen = 0

        def script(messages: list[BaseMessage]) -> AIMessage:
            nonlocal seen
            seen = len(messages)
            if isinstance(messages[-1], ToolMessage):
                return AIMessage(ANSWER)
            return AIMessage("", tool_calls=[called("look", number=1), called("look", number=2)])

        async with graph(path, script, [look], state) as agent:

            async def turn() -> str:
                asked = {"messages": [HumanMessage(USER, id=uuid.uuid4().hex)]}
                after = await agent.ainvoke(asked, THREAD, durability="sync")
                return str(after["messages"][-1].content)

            yield Conversation(turn, lambda: seen)

    return opened


conversation = talk(MessagesState)
delta_conversation = talk(DeltaState)


async def charge_once(scene: Scene, mode: Durability) -> Recovered:
    """Run the toy agent, or continue its thread where a checkpoint was left."""

    @tool
    async def charge(amount: int, key: Annotated[str, InjectedToolCallId]) -> str:
        """Charge the customer."""
        return scene.charge(key)

    def script(messages: list[BaseMessage]) -> AIMessage:
        scene.asked()
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("charged")
        return AIMessage("", tool_calls=[called("charge", amount=10)])

    async with graph(scene.database, script, [charge], MessagesState) as agent:
        # Tasks, not `next`: that leaves out a task which ended before its checkpoint was written, and `invoke(None)`
        # continues there too. Under `async` it is a race how much of the step before the tool was written.
        unfinished = bool((await agent.aget_state(THREAD)).tasks)
        asked = None if unfinished else {"messages": [HumanMessage(PROMPT)]}
        messages = (await agent.ainvoke(asked, THREAD, durability=mode))["messages"]
    users = sum(isinstance(message, HumanMessage) for message in messages)
    return Recovered(str(messages[-1].content), users)
