"""Many generated programs through every way of running them, as a command.

    python -m tests.unit.lashlang.machine.fuzz [--programs 10000] [--first 0]

Each program runs in generated code, in the plain interpreter, encoded and decoded at every effect in this process and
in a pool of other interpreters (which are exchanged for fresh ones, or killed, all the time), and once more from the
record of a run that was killed behind an effect. All tell the same story, and no effect is done twice. Beside it, one
spoiled program for each: its mistake is found, with a place. Prints what was met; ends with 1 when something differed.
The address space is limited, so that a program cannot take the machine with it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from random import Random

from tests.unit.lashlang.machine.engines import Pool, compiled, direct, elsewhere, oracle, parked, replayed
from tests.unit.lashlang.machine.programs import HOST, Maker
from tests.unit.lashlang.machine.spoiling import SPOILERS, codes, spoiled

from lashlang import LangError
from lashlang.machine.meter import Limits

ADDRESS_SPACE_BYTES = 3 * 2**30


class Fuzz:
    """One session of fuzzing, with what it met."""

    def __init__(self, interpreters: int = 3) -> None:
        self.pool = Pool(interpreters)
        self.differences: list[str] = []
        self.met: Counter[str] = Counter()

    def one(self, seed: int) -> None:
        """The program of a seed in every engine, and a spoiled one."""
        random = Random(seed)
        source = Maker(random).program()
        fuel = random.choice([*[100_000] * 5, random.randint(5, 300)])
        memory = random.choice([*[2**26] * 6, random.randint(1_000, 20_000), random.randint(600, 2_500)])
        self._agree(seed, source, Limits(fuel=fuel, memory_bytes=memory), random)
        entry = SPOILERS[seed % len(SPOILERS)]
        found = codes(spoiled(random, entry), entry)
        self.met.update(f"finding {code}" for code in set(found))
        if entry.code not in found:
            self.differences.append(f"{seed}: `{entry.code}` was not found, but {found[:5]}")

    def _agree(self, seed: int, source: str, limits: Limits, random: Random) -> None:
        try:
            code = compiled(source, HOST)
        except LangError as error:
            self.differences.append(f"{seed}: a program that should be valid is not: {error}")
            return
        story = direct(code, HOST, limits)

        def exchange() -> None:
            if random.random() < 0.02:
                self.pool.renew(kill=random.random() < 0.5)
                self.met["interpreters exchanged"] += 1

        engines = {
            "interpreter": oracle(code, HOST, limits),
            "encoded": parked(code, HOST, limits),
            "elsewhere": elsewhere(source, HOST, limits, self.pool, exchange),
        }
        ordinals = sorted({random.randrange(len(story.effects)) for _ in range(2)}) if story.effects else []
        for at in ordinals:
            engines[f"killed behind effect {at}"], keys = replayed(code, HOST, limits, at)
            if len(keys) != len(set(keys)):
                self.differences.append(f"{seed}: an effect was done twice: {keys}")
            self.met["kills"] += 1
        self.differences += [f"{seed}: {name} differs" for name, other in engines.items() if other != story]
        self.met["programs"] += 1
        self.met["effects"] += len(story.effects)
        self.met[f"ending {story.code or story.state}"] += 1

    def close(self) -> None:
        """End the interpreters."""
        self.pool.close()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", type=int, default=10_000)
    options.add_argument("--first", type=int, default=0)
    args = options.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    sys.setrecursionlimit(20_000)  # the plain interpreter nests one Python call per node
    fuzz, start = Fuzz(), time.monotonic()
    for seed in range(args.first, args.first + args.programs):
        told = len(fuzz.differences)
        fuzz.one(seed)
        for difference in fuzz.differences[told:]:
            print(difference, flush=True)
        if (seed + 1) % 500 == 0:
            print(f"up to {seed + 1}: {len(fuzz.differences)} differences", file=sys.stderr, flush=True)
    fuzz.close()
    for name, count in sorted(fuzz.met.items()):
        print(f"{count:>9,}  {name}")
    print(f"{len(fuzz.differences)} differences in {time.monotonic() - start:.0f} s")
    return 1 if fuzz.differences else 0


if __name__ == "__main__":
    sys.exit(main())
