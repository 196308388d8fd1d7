"""A table on the terminal and the same as JSON, for every benchmark."""

from __future__ import annotations

import json
import platform
from pathlib import Path


class Report:
    """Collects rows; figures are named with their unit."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[dict[str, float | str]] = []

    def row(self, label: str, **figures: float) -> None:
        """Add a row and print it."""
        self._rows.append({"label": label, **{name: round(value, 4) for name, value in figures.items()}})
        shown = "  ".join(
            f"{name}={value:,.3g}" if value < 1000 else f"{name}={value:,.0f}"
            for name, value in figures.items()
        )
        print(f"{self._name:8} {label:58} {shown}", flush=True)

    def finish(self) -> None:
        """Write the rows beside the benchmark."""
        folder = Path(__file__).parent / "results"
        folder.mkdir(exist_ok=True)
        body = {"benchmark": self._name, "python": platform.python_version(), "rows": self._rows}
        (folder / f"{self._name}.json").write_text(json.dumps(body, indent=1) + "\n")
