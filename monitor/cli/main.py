"""`delivery-monitor`: one verb per file, loaded only when it is asked for.

Exit codes: 0 done, 1 the answer is no, 2 bad input. No traceback reaches a user: every error is
one line `error: what; what to do`, and problems in files are `file:line:col message`.
"""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NoReturn

from monitor import __version__
from monitor.cli.output import fail, say, warn
from monitor.model.errors import ConfigError, InputError, MonitorError
from monitor.model.spelling import did_you_mean

VERBS = {
    "serve": "run the service",
    "demo": "watch an outage, the alert, the switch and the rescue on synthetic orders",
    "init": "ask a few questions and write monitor.yaml and key files",
    "connect": "connect a shop: ask what its kind needs, try it, write it down",
    "check": "validate configuration and rules; prints every problem",
    "doctor": "self-test: storage, clock, SQLite, sources, receivers",
    "emit": "send one event to a running service",
    "orders": "list orders of a running service",
    "order": "show one order of a running service",
    "channels": "see and steer delivery channels of a running service",
    "batch": "handle many late orders at once: retry, take over, refund, tell the buyers",
    "review": "have people check the new orders of a scope first",
    "takeovers": "the queue of people: list, show, claim and resolve takeovers",
    "actions": "see what playbooks have under way, approve or refuse it",
    "keys": "make, list and revoke API keys",
    "replay": "run recorded events through the real engine in virtual time",
    "rules": "test rules",
    "backup": "ship the state to another directory while the service runs",
    "restore": "make a data directory of a backup, or drill that",
    "fsck": "check log, checksums, orders, outbox and goods of a data directory",
    "erase": "take a buyer out of everything that is stored",
    "notify": "send a test message to a receiver",
    "stock": "import keys into the encrypted pool",
}

EXAMPLES = """examples:
  delivery-monitor demo                     # see it work, needs nothing
  delivery-monitor init && delivery-monitor serve --config monitor.yaml
  delivery-monitor emit paid A1 --channel auto
  delivery-monitor order A1
  delivery-monitor check --config monitor.yaml

`delivery-monitor VERB --help` shows the options and examples of a verb."""

INTERRUPTED = 128 + 2  # as a shell reports SIGINT
PIPE_CLOSED = 128 + 13  # as a shell reports SIGPIPE

_OS_HINTS = {
    errno.EADDRINUSE: "stop the program that listens there, or choose another --listen",
    errno.EADDRNOTAVAIL: "this machine does not have that address; choose another --listen",
    errno.ENOSPC: "free disk space, then try again",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; without arguments those of the process."""
    if arguments is None:
        sys.excepthook = _report_bug
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 shows \\u4e2d instead of ending the program.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _answer(given)
    except BrokenPipeError:
        _discard_output()
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED


def _answer(given: list[str]) -> int:
    """Run a verb, or say what is wrong; raises BrokenPipeError when nobody reads either."""
    try:
        return _dispatch(given)
    except (ConfigError, InputError) as error:
        return fail(error, as_json="--json" in given, code=2)
    except MonitorError as error:
        return fail(error, as_json="--json" in given, code=1)
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(_from_os(error), as_json="--json" in given, code=1)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and notices when nobody reads its help."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, code="usage", hint=f"see {self.prog} --help")

    def print_help(self, file: object = None) -> None:  # noqa: ARG002 - the signature of the base
        say(self.format_help().rstrip())


def _dispatch(given: list[str]) -> int:
    match given:
        case [] | ["-h" | "--help" | "help"]:
            say(_help())
            return 0
        case ["-V" | "--version" | "version", *_]:
            say(f"delivery-monitor {__version__}")
            return 0
        case ["help", verb]:
            return _run(verb, ["--help"])
        case [verb, *rest]:
            return _run(verb, rest)
    raise AssertionError(given)


def _run(verb: str, rest: list[str]) -> int:
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS) or f"known are {', '.join(VERBS)}"
        what = "option" if verb.startswith("-") else "verb"
        raise InputError(f"unknown {what} {verb!r}", code="usage", hint=hint)
    module = _loaded(f"monitor.cli.{verb}")
    parser = _Parser(
        prog=f"delivery-monitor {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, also for errors")
    try:
        options = parser.parse_args(rest)
    except SystemExit:  # --help was printed
        return 0
    return int(module.run(options))


def _loaded(name: str) -> ModuleType:
    """Import a verb; nothing of that is garbage, and looking for some takes a tenth of a start."""
    gc.disable()
    module = importlib.import_module(name)
    gc.freeze()
    gc.enable()
    return module


def _help() -> str:
    verbs = "\n".join(f"  {name:<10} {what}" for name, what in VERBS.items())
    return (
        "usage: delivery-monitor VERB [options]\n\n"
        f"Watches paid orders until they are delivered.\n\nverbs:\n{verbs}\n\n{EXAMPLES}"
    )


def _discard_output() -> None:
    """Let the interpreter flush into nothing at its end, instead of complaining."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _from_os(error: OSError) -> MonitorError:
    what = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    hint = _OS_HINTS.get(error.errno or 0, "check the path and permissions")
    return MonitorError(f"{what}{where}", code="os_error", hint=hint)


def _report_bug(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say where an error nobody expected happened, in one line."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ""
    if trace is not None:
        place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    warn(f"error: {kind.__name__}{place}: {error}; this is a bug, please report it")
