"""The examples and the Python of the quickstart run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

EXPECTED = {
    "weather.py": "assistant: It is sunny in Trento.",
    "typed_answer.py": "Verdict(spam=True, reason='It promises money.') after 2 answers",
    "steer.py": "I have heard: dig here, a little to the left\nI have heard: dig here, a little to the left, thank you",
    "background_report.py": "Sales were 42.\nGood news. report of Q3 has finished: Sales were 42.",
    "approval.py": "paid 5 to ann\n[a person approved this call with other arguments: "
    '{"amount":20,"to":"bob"}]\npaid 20 to bob\nError (tool_denied): pay was not run: the ceiling is 1000',
    "edit_and_retry.py": "You want soup and fish.\nYou want soup and cheese.",
    "code_mode_data_task.py": "Report(unpaid_total=245.8, overpaid_total=174.0, to_call=['Etna Books'])\n"
    "9 calls in 3 programs",
    "webhook_bot.py": "order 7 is paid\n{'code': 'trigger_payload_invalid'}",
    "button_and_cron.py": "the button: started\nI have called the fire brigade.\n"
    "subscribed: red, tidy, nightly",
    "script.py": "You said: hello\n2 messages",
}


def run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=folder, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tried() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example_prints_what_it_says(name: str, tmp_path: Path) -> None:
    assert EXPECTED[name] in run([str(ROOT / "examples" / name), str(tmp_path / "example.db")], tmp_path)


def test_second_run_of_an_example_goes_on_with_its_session(tmp_path: Path) -> None:
    for times in (1, 2):
        out = run([str(ROOT / "examples" / "weather.py"), str(tmp_path / "example.db")], tmp_path)
        assert out.count("assistant: It is sunny in Trento.") == times


def test_first_program_of_the_quickstart_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text()
    program = next(
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "asyncio.run" in block
    )
    assert run(["-c", program], tmp_path) == "It is sunny in Trento.\n"


def test_program_of_the_readme_compiles_and_names_its_key(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    program = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        env={},
        check=False,
    )
    assert "OPENAI_API_KEY" in done.stderr  # all of it is right but the key
