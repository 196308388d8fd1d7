"""What is checked of an agent's plugins when it is defined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lash.errors import LashError
from lash.plugins.plugin import Plugin, overrides
from lash.values import Json, canonical_json


def plugin_problems(plugins: Sequence[Any]) -> list[str]:
    """Return everything that is wrong with a list of plugins; nothing when they can work together."""
    problems = [
        f"{plugin!r} is no plugin: give an instance of a class derived from lash.Plugin"
        for plugin in plugins
        if not isinstance(plugin, Plugin)
    ]
    known = [plugin for plugin in plugins if isinstance(plugin, Plugin)]
    problems += [
        f"two plugins have the id {plugin_id!r}; give one of them another `id`"
        for plugin_id, count in Counter(plugin.id for plugin in known).items()
        if count > 1
    ]
    projectors = [plugin.id for plugin in known if overrides(plugin, "project_result")]
    if len(projectors) > 1:
        problems.append(f"only one plugin may project results, and {', '.join(projectors)} do")
    return problems


def check_plugin_options(plugins: Sequence[Plugin], options: Mapping[str, Json]) -> None:
    """Refuse a session's options that its agent's plugins would refuse.

    Raises:
        LashError: `plugin_unknown` for an id that no plugin has; `plugin_options_invalid`;
            `json_not_representable`.
    """
    canonical_json(dict(options))
    known = {plugin.id: plugin for plugin in plugins}
    for plugin_id, value in options.items():
        if plugin_id not in known:
            raise LashError(
                "plugin_unknown",
                f"no plugin has the id {plugin_id!r}; there are {sorted(known)}",
                plugin=plugin_id,
            )
        known[plugin_id].for_session(value, None)
