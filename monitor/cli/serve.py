"""Run the service.

Without --config it starts on embedded defaults: http://127.0.0.1:8080, ./data, and it only watches
and tells. SIGHUP reloads configuration and rules; a bad file keeps the old one. SIGTERM stops.

Examples:
  delivery-monitor serve
  delivery-monitor serve --config monitor.yaml --rules rules/
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from monitor.adapters.descriptors import allow_descriptors
from monitor.adapters.telemetry.logs import configure, fields
from monitor.app import Monitor
from monitor.cli.directory import owner_of
from monitor.config.load import Loaded, load
from monitor.config.rules_file import load_rules, load_shipped
from monitor.model.errors import ConfigError, FencedError, MonitorError
from monitor.model.rules import RuleSet

log = logging.getLogger("monitor.serve")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--rules", type=Path, action="append", metavar="P", default=[],
                        help="rule file or folder (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")
    parser.add_argument("--listen", metavar="H:P", help="address, e.g. 127.0.0.1:8080")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING"])


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop; 0 on SIGTERM."""
    configure(options.log_level)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(options))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop if that extra is installed; it gains nothing measurable here."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop]
    factory = importlib.import_module("uvloop").new_event_loop
    return factory


def read(options: argparse.Namespace) -> tuple[Loaded, RuleSet]:
    """Read configuration and rules as the options say."""
    loaded = load(options.config, data_dir=options.data_dir, listen=options.listen)
    rules = load_rules(options.rules) if options.rules else load_shipped()
    return loaded, rules


def calm_collector() -> None:
    """Look for cycles seldom: what an event leaves behind has none, and is freed by counting.

    With the interpreter's defaults a third of the time of decoding goes into looking.
    """
    gc.collect()
    gc.freeze()  # modules and settings stay anyway
    gc.set_threshold(50_000, 50, 100)


async def _serve(options: argparse.Namespace) -> int:
    loaded, rules = read(options)
    calm_collector()
    _refuse_second(Path(loaded.endpoints.data_dir))
    wanted = loaded.endpoints.descriptors_max()
    if (allowed := allow_descriptors(wanted)) < wanted:
        log.warning("few_descriptors", extra=fields(wanted=wanted, allowed=allowed))
    for warning in loaded.warnings:
        log.warning("config_warning", extra=fields(problem=str(warning)))
    monitor = Monitor(loaded, rules, reread=lambda: read(options))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    loop.add_signal_handler(
        signal.SIGHUP, lambda: monitor.supervisor.spawn("reload", _reload(monitor))
    )
    await monitor.start()
    for note in monitor.notes():
        log.warning("note", extra=fields(note=note))
    await _until(stopping, monitor.supervisor.failed)
    failure = monitor.supervisor.failure
    await monitor.stop()
    if failure is None:
        return 0
    if isinstance(failure, MonitorError):
        raise failure
    raise MonitorError("a part of the service failed; see the log", code="bug") from failure


def _refuse_second(data_dir: Path) -> None:
    """Say so before anything is opened; the lock itself is taken with the store."""
    if (owner := owner_of(data_dir)) is not None:
        raise FencedError(
            f"data directory {data_dir} is in use by process {owner}",
            hint="stop the other delivery-monitor, or give this one its own --data-dir",
        )


async def _reload(monitor: Monitor) -> None:
    """Take over the files as they are now; whatever is wrong with them, the service goes on."""
    try:
        await monitor.reload_by_signal()
    except ConfigError as error:
        for problem in error.problems:
            log.error("reload_refused", extra=fields(problem=str(problem)))
    except (MonitorError, OSError) as error:
        log.error("reload_refused", extra=fields(problem=str(error)))


async def _until(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]  # noqa: TID251 - ends here
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
