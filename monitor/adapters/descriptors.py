"""How many files and sockets this process may have open at once.

A limit below the number of connections would make `accept` fail, for everybody, for a second at a
time; so it is raised as far as the system lets us.
"""

from __future__ import annotations

import sys


def allow_descriptors(wanted: int) -> int:
    """Raise the limit of this process to at least so many, if it may; returns what it is then."""
    if sys.platform == "win32":
        return wanted  # no such limit there
    import resource  # noqa: PLC0415 - absent there

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
