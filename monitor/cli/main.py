"""`delivery-monitor`: one verb per file, loaded only when it is asked for.

Exit codes: 0 done, 1 the answer is no, 2 bad input. No traceback reaches a user: every error is
one line `error: what; what to do`, and problems in files are `file:line:col message`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from monitor import __version__
from monitor.cli.output import fail
from monitor.model.errors import ConfigError, InputError, MonitorError

VERBS = {
    "serve": "run the service",
    "demo": "watch an outage, the alert, the switch and the rescue on synthetic orders",
    "init": "ask a few questions and write monitor.yaml and key files",
    "check": "validate configuration and rules; prints every problem",
    "doctor": "self-test: storage, clock, SQLite, sources, receivers",
    "emit": "send one event to a running service",
    "orders": "list orders of a running service",
    "order": "show one order of a running service",
    "channels": "see and steer delivery channels of a running service",
    "replay": "run recorded events through the real engine in virtual time",
    "rules": "test rules",
    "notify": "send a test message to a receiver",
    "stock": "import keys into the encrypted pool",
}

EPILOG = """examples:
  delivery-monitor demo                     # see it work, needs nothing
  delivery-monitor init && delivery-monitor serve --config monitor.yaml
  delivery-monitor emit paid A1 --channel auto
  delivery-monitor order A1
  delivery-monitor check --config monitor.yaml

`delivery-monitor VERB --help` shows the options and examples of a verb."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    chosen = next((word for word in given if word in VERBS), None)
    if chosen is None or given[0] != chosen:
        options = parser.parse_args(given)  # prints help, version or what is wrong
        del options
        parser.print_help()
        return 0 if not given else 2
    module = importlib.import_module(f"monitor.cli.{chosen}")
    verb = argparse.ArgumentParser(
        prog=f"delivery-monitor {chosen}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(verb)
    verb.add_argument("--json", action="store_true", help="print JSON, also for errors")
    options = verb.parse_args(given[1:])
    try:
        return int(module.run(options))
    except ConfigError as error:
        return fail(error, as_json=options.json, code=2)
    except InputError as error:
        return fail(error, as_json=options.json, code=2)
    except MonitorError as error:
        return fail(error, as_json=options.json, code=1)
    except OSError as error:
        return fail(_from_os(error), as_json=options.json, code=1)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:<10} {what}" for name, what in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="delivery-monitor",
        usage="delivery-monitor VERB [options]",
        description=f"Watches paid orders until they are delivered.\n\nverbs:\n{verbs}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"delivery-monitor {__version__}")
    return parser


def _from_os(error: OSError) -> MonitorError:
    what = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    return MonitorError(f"{what}{where}", code="os_error", hint="check the path and permissions")
