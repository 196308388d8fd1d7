"""A backend for lash in an afternoon: a database in memory, and a log file of every change that was made to it.

`lash.open("logbook:///PATH")`. Many processes may share a file; each keeps a replica of all of it in memory.
"""

from logbook.database import LogbookDatabase
from logbook.kit import throwaways

__all__ = ["LogbookDatabase", "throwaways"]
