"""What may go wrong, and how often: drawn once for each seed, so that seeds differ in kind, not only in detail."""

from __future__ import annotations

from dataclasses import dataclass

from lash.testing.simulation.chance import Chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Probabilities per operation unless another unit is said.

    Attributes:
        workers: How many workers there are.
        crashes: How likely a worker's life is to end in a crash.
        known_dead: How likely it is that others know at once that a crashed worker is dead.
        slow: A store operation that takes up to 200 ms.
        very_slow: One that takes longer than a lease.
        busy_before: A store operation that is refused before it did anything.
        lost: A notification that never comes.
        late: A notification that comes up to 3 s late.
        jumps: How often the clock is set forward.
    """

    workers: int
    crashes: float
    known_dead: float
    slow: float
    very_slow: float
    busy_before: float
    lost: float
    late: float
    jumps: int

    @classmethod
    def drawn(cls, chance: Chance) -> Faults:
        """Return the faults of a seed; one in ten has none."""
        calm = chance.happens(0.1)

        def some(*levels: float) -> float:
            return 0.0 if calm else chance.one_of(levels)

        return cls(
            workers=chance.one_of((1, 2, 2, 3)),
            crashes=some(0.0, 0.5, 0.8, 0.9),
            known_dead=chance.one_of((0.0, 0.5, 1.0)),
            slow=some(0.0, 0.05, 0.3),
            very_slow=some(0.0, 0.0, 0.002, 0.01),
            busy_before=some(0.0, 0.0, 0.01, 0.05),
            lost=some(0.0, 0.1, 0.5, 1.0),
            late=some(0.0, 0.1, 0.3),
            jumps=int(some(0, 0, 1, 3)),
        )
