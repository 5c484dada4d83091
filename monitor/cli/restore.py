"""Make a data directory of a backup, and check that it starts.

The service must not run on the directory it is restored to, and nothing is overwritten. --drill
restores into a temporary directory, compares stored orders with the log by state hash, prints counts
and time, and leaves nothing behind: run it every night.

Examples:
  delivery-monitor restore /mnt/backup --data-dir ./data
  delivery-monitor restore /mnt/backup --drill --config monitor.yaml
  delivery-monitor restore /mnt/backup --drill --json
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import msgspec

from monitor.adapters.storage.restore import Restored, restore
from monitor.cli.finding import BAD, Finding
from monitor.cli.fsck_checks import examine
from monitor.cli.output import say, say_json, warn
from monitor.config.load import Loaded, load


class Report(msgspec.Struct, frozen=True):
    """What was restored, what was found in it, and how long both took."""

    ok: bool
    restored: Restored
    checks: list[Finding]
    restore_s: float
    check_s: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the copy is kept")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where it is restored to")
    parser.add_argument("--drill", action="store_true", help="only try it, in a temporary folder")


def run(options: argparse.Namespace) -> int:
    """Restore and check; 1 with findings."""
    loaded = load(options.config, data_dir=options.data_dir)
    if not options.drill:
        return _tell(_restored(options.directory, Path(loaded.endpoints.data_dir), loaded),
                     as_json=options.json)  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="delivery-monitor-drill-") as folder:
        return _tell(_restored(options.directory, Path(folder) / "data", loaded),
                     as_json=options.json)  # fmt: skip


def _restored(backup: Path, data_dir: Path, loaded: Loaded) -> Report:
    started_s = time.perf_counter()
    restored = restore(backup, data_dir)
    restored_s = time.perf_counter()
    checks = examine(data_dir, loaded)
    ended_s = time.perf_counter()
    return Report(
        ok=not any(one.state == BAD for one in checks),
        restored=restored,
        checks=checks,
        restore_s=round(restored_s - started_s, 3),
        check_s=round(ended_s - restored_s, 3),
    )


def _tell(report: Report, *, as_json: bool) -> int:
    if as_json:
        say_json(report)
        return 0 if report.ok else 1
    restored = report.restored
    say(f"base of log position {restored.base_position} and {restored.segments} segments after it, "
        f"up to {restored.position}, in {report.restore_s} s")  # fmt: skip
    if restored.ignored_bytes:
        warn(f"warning: {restored.ignored_bytes} bytes at the end of the backup are not whole")
    for one in report.checks:
        say(f"{one.check}: {one.found}")
    say(f"checked in {report.check_s} s: {'all is well' if report.ok else 'findings, see above'}")
    return 0 if report.ok else 1
