"""Check everything in a data directory: log, checksums, orders against the log, outbox, goods, relay.

Reads one moment and changes nothing; the service may run. --repair needs it stopped: a damaged
database is put aside, and a new one made of its log, or of what is sound, naming what is lost.
Exit 0 when all is well, 1 with findings.

Examples:
  delivery-monitor fsck --config monitor.yaml
  delivery-monitor fsck --data-dir ./data --json
  delivery-monitor fsck --data-dir ./data --repair
"""

from __future__ import annotations

import argparse
from pathlib import Path

from monitor.adapters.storage.directory import DirectoryLock
from monitor.adapters.storage.rebuild import rebuild
from monitor.cli.finding import BAD, OK, Finding
from monitor.cli.fsck_checks import examine
from monitor.cli.output import say, say_json, table
from monitor.config.load import load
from monitor.model.errors import StorageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")
    parser.add_argument(
        "--repair", action="store_true", help="keep what is sound, name what is lost"
    )


def run(options: argparse.Namespace) -> int:
    """Look at everything; 1 with findings."""
    loaded = load(options.config, data_dir=options.data_dir)
    data_dir = Path(loaded.endpoints.data_dir)
    if not data_dir.is_dir():
        raise StorageError(f"{data_dir} does not exist",
                           hint="name the service's data_dir, with --config or --data-dir")  # fmt: skip
    findings = examine(data_dir, loaded)
    bad = [one for one in findings if one.state == BAD]
    if bad and options.repair:
        findings = [_repaired(data_dir, bad[0].found), *examine(data_dir, loaded)]
        bad = [one for one in findings if one.state == BAD]
    if options.json:
        say_json({"ok": not bad, "checks": findings})
        return 1 if bad else 0
    table([[one.check, one.state, one.found] for one in findings],
          ["check", "result", "what was found"])  # fmt: skip
    for one in bad:
        say(f"  {one.check}: {one.advice}")
    say(f"\n{len(bad)} finding{'' if len(bad) == 1 else 's'}" if bad else "\nall is well")
    return 1 if bad else 0


def _repaired(data_dir: Path, reason: str) -> Finding:
    lock = DirectoryLock(data_dir)
    try:
        return Finding("repair", OK, str(rebuild(data_dir, reason, may_lose=True)))
    finally:
        lock.release()
