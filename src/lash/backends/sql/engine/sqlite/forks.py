"""Lets go of inherited descriptors in a forked child.

A bell or a lock that a child inherits would outlive the process that made it: the bell would say that a
killed engine is alive, the lock would stay held. A child that wants the database opens an engine of its own.
"""

import os
import weakref
from typing import Protocol


class Holder(Protocol):
    """Something that holds descriptors which mean "this process"."""

    def let_go(self) -> None:
        """Close the descriptors, and leave the files alone."""
        ...


_holders: "weakref.WeakSet[Holder]" = weakref.WeakSet()


def let_go_in_children(holder: Holder) -> None:
    """Call `holder.let_go()` in every child that is forked from now on, while the holder lives."""
    _holders.add(holder)


def _let_go_of_all() -> None:
    for holder in list(_holders):
        holder.let_go()
    _holders.clear()


os.register_at_fork(after_in_child=_let_go_of_all)
