"""Kills an agent's turn at every boundary, in real processes, and looks at how the next one finishes it.

def test_my_agent_survives(agent_crash_matrix):
agent_crash_matrix(make_agent, "Charge my card with 5.").check()
"""

from lash.testing.crash_matrix.matrix import CrashMatrix, CrashRun, run_crash_matrix

__all__ = ["CrashMatrix", "CrashRun", "run_crash_matrix"]
