"""A process that has everything imported already and has `serve` processes for children.

    python -m tests.crash.nursery

Reads `Birth` lines and answers with the pid, then with `-pid status` when that one is gone. Loading
the interpreter and the modules is most of a start; a child of this process needs only its state.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import ExitStack

import msgspec

import monitor.adapters.clock
import monitor.app
import monitor.cli.main
import monitor.cli.serve
from monitor.core.playbooks import refunding
from monitor.core.takeover import by_channel, by_shop, choosing, learning, machine, pace, steps
from monitor.model.times import SECOND_MS
from tests.crash.mutants import MUTANTS
from tests.crash.points import lay
from tests.sim.planting import planted

_MODULES = (by_channel, by_shop, choosing, learning, machine, pace, refunding, steps)
_TIMES = {"CLAIM_WITHIN_MS", "CLAIM_MARGIN_MS", "PASS_OVER_MS", "QUERY_GAP_MAX_MS", "MINUTE_MS",
          "QUERY_GAP_MIN_MS", "RESOLVE_WITHIN_MS", "RETRY_SAME_MS", "STOCK_SETTLE_MS",
          "THROTTLE_JITTER_MS", "LOOK_AGAIN_MS"}  # fmt: skip


class Birth(msgspec.Struct, frozen=True):
    """How to serve: where, with which trap, planted bugs and error of the clock."""

    config: str
    log: str
    said: str
    point: str = ""
    nth: int = 0
    mutant: str = ""
    scale: int = 10
    clock_ms: int = 0
    clock_after_s: float = 0.0


def _live(birth: Birth) -> int:
    """Become the service."""
    log = os.open(birth.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _hurry(birth.scale)
    _set_clock(birth)
    with ExitStack() as stack:
        if birth.mutant:
            stack.enter_context(planted(*MUTANTS[birth.mutant].changes))
        if birth.point.startswith("in/"):
            said = os.open(birth.said, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            lay(birth.point.removeprefix("in/"), birth.nth, said)
        return monitor.cli.main.main(["serve", "--config", birth.config, "--log-level", "WARNING"])


def _hurry(scale: int) -> None:
    """Shorten the times that no configuration has."""
    for module in _MODULES:
        for name in _TIMES & vars(module).keys():
            setattr(module, name, max(50, vars(module)[name] // scale))
    choosing.PATIENCE.update(
        {wait: (time_ms // scale, why) for wait, (time_ms, why) in choosing.PATIENCE.items()}
    )
    choosing.PATIENCE_ELSE = (choosing.PATIENCE_ELSE[0] // scale, choosing.PATIENCE_ELSE[1])
    read = monitor.cli.serve.read

    def hurried(options: object) -> object:
        loaded, rules = read(options)  # type: ignore[arg-type]  # as it came
        settings = msgspec.structs.replace(
            loaded.settings, backlog_hold_ms=SECOND_MS, signal_window_ms=60 * SECOND_MS
        )
        return msgspec.structs.replace(loaded, settings=settings), rules

    monitor.cli.serve.read = hurried  # type: ignore[assignment]  # the same but for the times


def _set_clock(birth: Birth) -> None:
    """Have the machine's clock wrong from some time after it was looked at first."""
    wall_ms, steady_ms = monitor.adapters.clock.wall_ms, monitor.adapters.clock.steady_ms
    looked_ms: list[int] = []

    def wrong_ms() -> int:
        looked_ms[1:] = [steady_ms()]
        is_wrong = looked_ms[-1] - looked_ms[0] >= birth.clock_after_s * SECOND_MS
        return wall_ms() + (birth.clock_ms if is_wrong else 0)

    monitor.adapters.clock.wall_ms = wrong_ms
    monitor.adapters.clock.SteadyClock.__init__.__defaults__ = (wrong_ms, steady_ms)


def main() -> None:
    """Bear children until the driver goes."""
    living: set[int] = set()
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], 0.01 if living else None)
        if readable:
            line = sys.stdin.readline()
            if not line:
                return
            birth = msgspec.json.decode(line, type=Birth)
            pid = os.fork()
            if pid == 0:
                sys.exit(_live(birth))
            living.add(pid)
            print(pid, flush=True)
        for pid in sorted(living):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                living.discard(pid)
                print(-pid, os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    sys.stdin.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text file

    main()
