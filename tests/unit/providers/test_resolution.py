"""From a name to a model: everything that is missing is found missing before the first turn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from lash.contracts import ModelCapabilities
from lash.errors import LashError
from lash.providers import (
    CapabilityTable,
    ModelHost,
    ModelTraits,
    OpenAIChat,
    RetryingModel,
    TableRow,
    resolve_model,
)
from lash.providers.capabilities import effective_table, shipped_table
from lash.testing import ScriptedModel

KEYS = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}


@pytest.fixture
def resolve(clock: Any, ids: Any) -> Callable[..., Any]:
    def run(model: Any, environ: dict[str, str] | None = None, **options: Any) -> Any:
        return resolve_model(
            model, clock=clock, ids=ids, environ=KEYS if environ is None else environ, **options
        )

    return run


@pytest.mark.parametrize(
    ("spec", "provider", "model"),
    [
        ("openai:gpt-5.4-mini", "openai", "gpt-5.4-mini"),
        ("openai-chat:gpt-4.1", "openai-chat", "gpt-4.1"),
        ("anthropic:claude-haiku-4-5", "anthropic", "claude-haiku-4-5"),
    ],
)
async def test_a_name_becomes_a_model_with_retries(
    spec: str, provider: str, model: str, resolve: Callable[..., Any]
) -> None:
    found = resolve(spec)

    assert isinstance(found, RetryingModel)
    assert (found.provider_id, found.spec.id) == (provider, model)
    assert found.spec.context_window_tokens >= 200_000
    assert found.capabilities == ModelCapabilities(tools=True, output_schema=True, attachments=True)
    await found.close()


@pytest.mark.parametrize(
    ("spec", "variable"),
    [
        ("openai:gpt-5.4-mini", "OPENAI_API_KEY"),
        ("openai-chat:gpt-4.1", "OPENAI_API_KEY"),
        ("anthropic:claude-haiku-4-5", "ANTHROPIC_API_KEY"),
    ],
)
def test_a_missing_key_is_named(spec: str, variable: str, resolve: Callable[..., Any]) -> None:
    for environ in ({}, {variable: "  "}):
        with pytest.raises(LashError) as caught:
            resolve(spec, environ)
        assert caught.value.code == "model_key_missing"
        assert caught.value.variable == variable
        assert variable in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "module", "extra"),
    [
        ("openai:gpt-5.4-mini", "openai", "openai"),
        ("openai-chat:gpt-4.1", "openai", "openai"),
        ("anthropic:claude-haiku-4-5", "anthropic", "anthropic"),
        ("local:smollm2", "xllamacpp", "local"),
    ],
)
def test_a_missing_package_says_what_to_install(
    spec: str, module: str, extra: str, resolve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nowhere:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Nowhere(), *sys.meta_path])

    with pytest.raises(LashError) as caught:
        resolve(spec)

    assert caught.value.code == "extra_missing"
    assert f"pip install lash-runtime[{extra}]" in str(caught.value)


@pytest.mark.parametrize("spec", ["gpt-5", "openai:", ":gpt", "", "openai:  "])
def test_a_text_without_a_model_is_refused(spec: str, resolve: Callable[..., Any]) -> None:
    with pytest.raises(LashError) as caught:
        resolve(spec)

    assert caught.value.code == "model_spec_invalid"


def test_an_unknown_provider_is_refused_with_those_that_there_are(resolve: Callable[..., Any]) -> None:
    with pytest.raises(LashError) as caught:
        resolve("nobody:m")

    assert caught.value.code == "model_unknown_provider"
    assert "anthropic, local, openai, openai-chat" in str(caught.value)


def test_a_model_object_is_used_as_it_is(resolve: Callable[..., Any]) -> None:
    scripted = ScriptedModel(["x"])

    assert resolve(scripted) is scripted


async def test_our_own_adapter_is_prepared_as_a_copy(resolve: Callable[..., Any]) -> None:
    definition = OpenAIChat("m", base_url="http://127.0.0.1:9/v1", context_window_tokens=5_000)

    found = resolve(definition, {})

    assert isinstance(found, RetryingModel)
    assert found.model is not definition
    assert found.spec.context_window_tokens == 5_000
    await found.close()
    await definition.close()  # never opened: nothing to close, and no error


async def test_openais_key_goes_to_nobody_else(
    vendor: Any, resolve: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    done = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    vendor.events("chat", [done])
    model = resolve(OpenAIChat("m", base_url=f"{vendor.url}/v1", context_window_tokens=5_000))

    await model.complete(ask(model), lambda _: None)

    assert vendor.asked[0].headers["authorization"] == "Bearer none"
    await model.close()


async def test_an_address_from_the_environment_is_used(
    vendor: Any, resolve: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    done = {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    vendor.events("chat", [done])
    environ = {"OPENAI_BASE_URL": f"{vendor.url}/v1", "OPENAI_API_KEY": "mine"}
    model = resolve("openai-chat:gpt-4.1", environ)

    await model.complete(ask(model), lambda _: None)

    assert vendor.asked[0].path == "/v1/chat/completions"
    assert vendor.asked[0].headers["authorization"] == "Bearer mine"
    await model.close()


def test_another_package_can_bring_a_provider(
    resolve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("acme", "acme_models_under_test:make", "lash.models")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [entry] if group == "lash.models" else [])
    monkeypatch.setitem(sys.modules, "acme_models_under_test", type(sys)("acme_models_under_test"))

    def make(name: str, host: ModelHost) -> ScriptedModel:
        return ScriptedModel(["x"], name=f"{name}@{host.environ['REGION']}")

    sys.modules["acme_models_under_test"].make = make  # type: ignore[attr-defined]  # a module made here

    assert resolve("acme:large", {"REGION": "eu"}).spec.id == "large@eu"
    with pytest.raises(LashError, match="acme, anthropic"):
        resolve("other:x")


def test_a_factory_that_is_given_wins(resolve: Callable[..., Any]) -> None:
    scripted = ScriptedModel(["x"])

    assert resolve("openai:gpt", factories={"openai": lambda name, host: scripted}) is scripted


def test_an_unknown_model_is_allowed_with_a_warning(resolve: Callable[..., Any]) -> None:
    with pytest.warns(UserWarning, match="knows nothing of the model openai:brand-new"):
        found = resolve("openai:brand-new")

    assert found.spec.context_window_tokens == 128_000


def test_a_stated_window_needs_no_warning() -> None:
    model = OpenAIChat("brand-new", base_url="http://127.0.0.1:9/v1", context_window_tokens=7_000)

    assert model.spec.context_window_tokens == 7_000
    assert model.spec.output_token_capacity is None


def test_the_table_can_be_overridden_by_a_file(tmp_path: Path, resolve: Callable[..., Any]) -> None:
    path = tmp_path / "models.json"
    row = {"provider": "openai", "model": "gpt-5.4*", "traits": {"context_window_tokens": 77}}
    path.write_text(json.dumps({"models": [row]}))

    found = resolve("openai:gpt-5.4-mini", {**KEYS, "LASH_MODEL_TABLE": str(path)})

    assert found.spec.context_window_tokens == 77
    assert effective_table({"LASH_MODEL_TABLE": str(path)}).known("anthropic", "claude-haiku-4-5") is not None


@pytest.mark.parametrize("content", [None, "{", '{"models": [{"provider": "x"}]}', '{"modles": []}'])
def test_a_bad_table_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(LashError) as caught:
        effective_table({"LASH_MODEL_TABLE": str(path)})

    assert caught.value.code == "model_table_invalid"
    assert str(path) in str(caught.value)


def test_the_first_row_that_matches_counts() -> None:
    small, large = ModelTraits(context_window_tokens=1), ModelTraits(context_window_tokens=2)
    table = CapabilityTable(
        models=(
            TableRow(provider="p", model="m-mini*", traits=small),
            TableRow(provider="p", model="m*", traits=large),
        )
    )

    assert table.known("p", "m-mini-2026") == small
    assert table.known("p", "m-2026") == large
    assert table.known("q", "m-2026") is None


@pytest.mark.parametrize(
    ("provider", "model", "window", "capacity"),
    [
        ("openai", "gpt-5.4-mini", 400_000, 128_000),
        ("openai", "gpt-4.1-2025-04-14", 1_047_576, 32_768),
        ("openai-chat", "gpt-4o-mini", 128_000, 16_384),
        ("anthropic", "claude-sonnet-4-5-20250929", 200_000, 64_000),
        ("anthropic", "claude-opus-4-20250514", 200_000, 32_000),
        ("anthropic", "claude-sonnet-5", 200_000, 64_000),
    ],
)
def test_the_shipped_table_knows_the_common_models(
    provider: str, model: str, window: int, capacity: int
) -> None:
    traits = shipped_table().known(provider, model)

    assert traits is not None
    assert (traits.context_window_tokens, traits.output_token_capacity) == (window, capacity)


def test_every_alias_of_an_effort_leads_to_one_that_the_model_knows() -> None:
    for row in shipped_table().models:
        assert set(row.traits.effort_aliases.values()) <= set(row.traits.efforts), row.model
        assert not set(row.traits.effort_aliases) & set(row.traits.efforts), row.model


def test_no_sdk_is_imported_before_a_model_is_opened() -> None:
    program = (
        "import sys, lash.providers as p\n"
        "p.resolve_model; p.OpenAIChat('m', base_url='x', context_window_tokens=1); p.LocalModel('smollm2')\n"
        "p.OpenAIResponses('gpt-5.4-mini'); p.AnthropicMessages('claude-haiku-4-5')\n"
        "print(sorted({'openai', 'anthropic', 'xllamacpp', 'httpx2', 'pydantic'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
