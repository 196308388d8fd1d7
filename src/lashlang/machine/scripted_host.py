"""The test driver's host: tools that answer by a script, and processes that really run.

Its script is the `host` object of a corpus case (lashlang.md, Appendix B). A started process runs when its handle is
first awaited; sleeps return at once; triggers are only remembered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lashlang.machine.code import Code
from lashlang.machine.drivers import each
from lashlang.machine.effects import LATER, Effect, Failed, HostError, Ok, Outcome
from lashlang.machine.execution import Execution, Perform
from lashlang.machine.meter import Limits
from lashlang.machine.values import Unset, Value

Spec = Mapping[str, Any]  # Any: a case's JSON


class _Process:
    """A started process: not begun, waiting for a signal, or ended."""

    def __init__(self, name: str, args: dict[str, Value]) -> None:
        self.name = name
        self.args = args
        self.signals: list[tuple[str, Value]] = []
        self.run: Execution | None = None
        self.cancelled = False


class ScriptedHost:
    """Answers effects by script.

    Args:
        tools: host operation name to `{"ok": v}`, `{"error": text}`, `{"echo": true}` or `{"seq": […]}`.
        operations: (module alias, operation) to host operation name, for receivers known only at run time.
        limits: bounds of the processes.
    """

    def __init__(
        self,
        tools: Mapping[str, Spec] | None = None,
        operations: Mapping[tuple[str, str], str] | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.code: Code | None = None
        self.effects: list[Effect] = []
        self._tools = dict(tools or {})
        self._operations = dict(operations or {})
        self._limits = limits
        self._calls: dict[str, int] = {}
        self._processes: dict[str, _Process] = {}
        self._triggers: dict[str, dict[str, Value]] = {}

    def attach(self, code: Code) -> Perform:
        """The host of a run of `code`'s foreground, with processes of that program."""
        self.code = code
        return self._host(None)

    def _host(self, process: _Process | None) -> Perform:
        def one(effect: Effect) -> Outcome:
            self.effects.append(effect)
            match effect.kind:
                case "operation":
                    return self._operation(effect)
                case "start":
                    return self._start(effect)
                case "await":
                    return self._await(effect.payload)
                case "cancel":
                    self._found(effect.payload).cancelled = True
                    return Ok()
                case "signal_run":
                    self._found(effect.payload["run"]).signals.append(
                        (effect.name, effect.payload["payload"])
                    )
                    return Ok()
                case _:
                    return Ok()

        joined = each(one)

        def perform(effect: Effect) -> Outcome | Sequence[Outcome] | Unset:
            if effect.kind == "wait_signal" and process is not None:
                return self._signal(process, effect.name)
            return joined(effect)

        return perform

    # --- processes ---

    def _start(self, effect: Effect) -> Outcome:
        handle_id = f"process:{effect.key}"
        self._processes[handle_id] = _Process(effect.name, effect.payload)
        return Ok({"__handle__": "process", "id": handle_id})

    def _found(self, handle: Value) -> _Process:
        handle_id = handle.get("id") if isinstance(handle, dict) else handle
        process = self._processes.get(handle_id) if isinstance(handle_id, str) else None
        if process is None:
            raise HostError(f"there is no process {handle_id!r}")
        return process

    def _signal(self, process: _Process, name: str) -> Outcome | Unset:
        for at, (given, payload) in enumerate(process.signals):
            if not name or given == name:
                del process.signals[at]
                return Ok(payload)
        return LATER

    def _await(self, handle: Value) -> Outcome:
        process = self._found(handle)
        if process.cancelled:
            return Failed("the process was cancelled")
        assert self.code is not None
        if process.run is None:
            run_id = str(handle["id"]) if isinstance(handle, dict) else str(handle)
            process.run = Execution(
                self.code, f"process:{process.name}", values=process.args, limits=self._limits, run_id=run_id
            )
        run = process.run
        if run.state == "waiting" and run.effect is not None:
            answer = self._signal(process, run.effect.name)
            if not isinstance(answer, Unset):
                run.answer(answer)
        if run.state == "ready":
            run.advance(self._host(process))
        match run.state:
            case "finished" | "continued":
                return Ok(run.value)
            case "failed":
                return Failed(json.dumps(run.value, ensure_ascii=False))
            case "error":
                assert run.error is not None
                return Failed(run.error.message)
            case _:
                return Failed("the process waits for a signal that nobody sends")

    # --- operations ---

    def _operation(self, effect: Effect) -> Outcome:
        name = effect.host_operation or self._operations.get((effect.alias, effect.name))
        if name is None:
            raise HostError(f"`{effect.alias}` has no operation `{effect.name}`")
        if name in self._tools:
            return self._scripted(name, self._tools[name], effect.payload)
        if name.startswith("triggers."):
            return self._trigger(name.removeprefix("triggers."), effect)
        raise HostError(f"no answer is scripted for `{name}`")

    def _scripted(self, name: str, spec: Spec, payload: Value) -> Outcome:
        if "seq" in spec:
            at = self._calls.get(name, 0)
            self._calls[name] = at + 1
            return self._scripted(name, spec["seq"][min(at, len(spec["seq"]) - 1)], payload)
        if "error" in spec:
            return Failed(spec["error"])
        if spec.get("echo"):
            several = list(payload) == ["args"] and isinstance(payload["args"], list)
            return Ok((payload["args"] or [None])[0] if several else payload)
        return Ok(spec.get("ok"))

    def _trigger(self, operation: str, effect: Effect) -> Outcome:
        given = effect.payload
        if operation == "register":
            handle = {"type": "trigger_handle", "id": f"trigger:{len(self._triggers) + 1}"}
            target, source = given.get("target"), given.get("source")
            self._triggers[handle["id"]] = {
                "handle": handle,
                "source_key": f"source:{len(self._triggers) + 1}",
                **({"name": given["name"]} if "name" in given else {}),
                "source_type": source.get("$lash_host_value_type"),
                "source": source.get("value"),
                "target": {"process_name": target.get("process_name"), "inputs": given.get("inputs")},
                "enabled": True,
            }
            return Ok(handle)
        if operation == "list":
            found = [t for t in self._triggers.values() if self._matches(t, given)]
            return Ok(found)
        handle = given.get("handle")
        key = handle.get("id") if isinstance(handle, dict) else handle
        trigger = self._triggers.get(key) if isinstance(key, str) else None
        changed = trigger is not None and trigger["enabled"]
        if trigger is not None:
            trigger["enabled"] = False
        return Ok(changed)

    def _matches(self, trigger: dict[str, Value], wanted: dict[str, Value]) -> bool:
        target = wanted.get("target")
        if isinstance(target, dict) and trigger["target"]["process_name"] != target.get("process_name"):
            return False
        names = ("name", "source_type", "enabled")
        return all(trigger.get(name) == wanted[name] for name in names if name in wanted)
