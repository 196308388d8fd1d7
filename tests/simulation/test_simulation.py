"""Seeds keep every promise; and one seed is one trace, in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lash.errors import LashError
from lash.testing.simulation import simulate

GROUPS = [range(first, first + 25) for first in range(0, 200, 25)]


@pytest.mark.parametrize("seeds", GROUPS, ids=str)
def test_seeds_keep_every_promise(seeds: range) -> None:
    broken = {seed: found for seed in seeds if (found := simulate(seed).problems)}
    assert not broken, f"run `python -m lash.testing.simulation --seeds SEED --trace` with: {broken}"


def test_the_seeds_contain_crashes_and_more_than_one_life() -> None:
    results = [simulate(seed) for seed in range(20)]
    assert sum(result.crashes for result in results) > 10
    assert any(".3" in result.trace for result in results)


def _trace(seed: int, hash_seed: int) -> bytes:
    command = [sys.executable, "-m", "lash.testing.simulation", "--seeds", f"{seed}", "--trace"]
    environment = {**os.environ, "PYTHONHASHSEED": f"{hash_seed}"}
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=300).stdout


@pytest.mark.parametrize("seed", [3, 7, 19])
def test_one_seed_is_one_trace_to_the_byte(seed: int) -> None:
    first = _trace(seed, 1)
    assert first.count(b"\n") > 50
    assert first == _trace(seed, 4_242)


def test_other_seeds_are_other_traces() -> None:
    assert simulate(1).trace != simulate(2).trace


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(LashError) as caught:
        simulate(0, workloads=["dancing"])
    assert caught.value.code == "invalid_argument"
