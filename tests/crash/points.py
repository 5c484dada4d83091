"""The crash points inside the service, put there from outside: the product knows nothing of them.

Each wraps a function of the storage that every effect passes on its way. `before` is a moment at
which a transaction is complete and not committed, `after` one at which it is synced and nobody was
told. `torn` dies between two writes of a commit to the write-ahead log.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import apsw

from monitor.adapters import goods_file, vault
from monitor.adapters.channels import stock
from monitor.adapters.storage import sqlite_log, sqlite_outbox, sqlite_schema, sqlite_state
from monitor.ports import Checkpoint

# What a commit is about, by the beginning of the keys of its outbox rows and of those it closes.
OPENED = {"claim_": "claim", "submit_": "intent", "query_": "question", "hand_over_": "hand_over",
          "quarantine_": "quarantine", "release_": "release"}  # fmt: skip
CLOSED = {"claim_": "claimed", "submit_": "submitted", "query_": "asked", "hand_over_": "delivered",
          "quarantine_": "quarantined", "release_": "released"}  # fmt: skip
ANSWERS = {b'"t":"claimed"': "claim_answer", b'"t":"attempted"': "attempt_answer",
           b'"t":"handed_over"': "hand_over_answer"}  # fmt: skip
_AROUND = (
    "claim", "intent", "question", "hand_over", "claimed", "submitted", "delivered", "sending",
    "claim_answer", "attempt_answer", "hand_over_answer", "goods",
)  # fmt: skip
_WITHIN = ("commit.torn", "commit.unsynced", "checkpoint.torn")
INSIDE = (*(f"{what}.{when}" for what in _AROUND for when in ("before", "after")), *_WITHIN)
OUTSIDE = tuple(
    f"{what}.{when}"
    for what in ("claim", "submit", "query", "deliver")
    for when in ("received", "done", "answered")
)
ANYWHERE = "anywhere"
POINTS = (*(f"in/{one}" for one in INSIDE), *(f"out/{one}" for one in OUTSIDE), ANYWHERE)


class Trap:
    """Waits for the `nth` passing of a point and dies there, after saying so."""

    def __init__(self, point: str, nth: int, said: int) -> None:
        self._point = point
        self._left = nth
        self._said = said
        self.tags: set[str] = set()  # of the transaction under way

    def reach(self, point: str) -> None:
        """Die if this is the one."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.write(self._said, f"{point}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def reach_all(self, when: str) -> None:
        """Reach the points of everything that the transaction is about."""
        for tag in sorted(self.tags):
            self.reach(f"{tag}.{when}")


def lay(point: str, nth: int, said: int) -> None:
    """Lay a trap in this process; `said` is a descriptor for the name of the point that was reached."""
    trap = Trap(point, nth, said)
    if point in _WITHIN:
        _Watched(trap)
        return
    _wrap(sqlite_state, "commit", lambda call: _commit(trap, call))
    _wrap(sqlite_outbox, "claim", lambda call: _claim(trap, call))
    _wrap(sqlite_log, "append", lambda call: _append(trap, call))
    _wrap(sqlite_schema.transaction, "__exit__", lambda call: _exit(trap, call))
    store = _goods(trap, vault.store_goods)
    vault.store_goods = stock.store_goods = store  # type: ignore[attr-defined]  # both know it by name
    _wrap(goods_file, "_transacted", lambda call: _transacted(trap, call))


def _wrap(owner: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    setattr(owner, name, wrapper(getattr(owner, name)))


def _commit(trap: Trap, call: Any) -> Any:
    def commit(connection: apsw.Connection, lease: Any, checkpoint: Checkpoint) -> Any:
        position = call(connection, lease, checkpoint)
        trap.tags = {tag for row in checkpoint.outbox for tag in _named(OPENED, row.key)}
        trap.tags |= {tag for key in checkpoint.done for tag in _named(CLOSED, key)}
        trap.reach_all("before")
        return position

    return commit


def _named(words: dict[str, str], key: str) -> list[str]:
    return [tag for start, tag in words.items() if key.startswith(start)]


def _claim(trap: Trap, call: Any) -> Any:
    def claim(*arguments: Any) -> Any:
        rows = call(*arguments)
        if any(row.key.startswith("submit_") for row in rows):
            trap.tags = {"sending"}
            trap.reach_all("before")
        return rows

    return claim


def _exit(trap: Trap, call: Any) -> Any:
    def leave(self: Any, kind: Any, *more: Any) -> Any:
        found = call(self, kind, *more)
        if kind is None:
            trap.reach_all("after")
        trap.tags = set()
        return found

    return leave


def _append(trap: Trap, call: Any) -> Any:
    def append(connection: apsw.Connection, segment: Any) -> Any:
        is_own = segment.kind == "entries"  # decisions are part of a commit
        tags = [tag for mark, tag in ANSWERS.items() if is_own and mark in segment.body]
        for tag in tags:
            trap.reach(f"{tag}.before")
        position = call(connection, segment)
        for tag in tags:
            trap.reach(f"{tag}.after")
        return position

    return append


def _goods(trap: Trap, call: Any) -> Any:
    def store_goods(*arguments: Any, **named: Any) -> Any:
        digest = call(*arguments, **named)
        trap.reach("goods.before")
        trap.tags.add("vaulted")  # on the thread of the goods file; read by `_transacted` there
        return digest

    return store_goods


def _transacted(trap: Trap, call: Any) -> Any:
    def transacted(*arguments: Any) -> Any:
        found = call(*arguments)
        if "vaulted" in trap.tags:
            trap.tags.discard("vaulted")
            trap.reach("goods.after")
        return found

    return transacted


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], trap: Trap) -> None:
        super().__init__("unix", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._is_wal = path.endswith("monitor.db-wal")
        self._is_database = path.endswith("monitor.db")
        self._trap = trap

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - the name of apsw
        super().xWrite(data, offset)
        if self._is_wal:
            self._trap.reach("commit.torn")
        if self._is_database:
            self._trap.reach("checkpoint.torn")

    def xSync(self, flags: int) -> None:  # noqa: N802 - the name of apsw
        if self._is_wal:
            self._trap.reach("commit.unsynced")
        super().xSync(flags)


class _Watched(apsw.VFS):
    """What `unix` does, with the trap behind every write."""

    def __init__(self, trap: Trap) -> None:
        self._trap = trap
        super().__init__("watched", "unix", makedefault=True)
        _kept.append(self)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - the name of apsw
        return _File(name, flags, self._trap)


_kept: list[apsw.VFS] = []  # SQLite keeps no reference of its own
