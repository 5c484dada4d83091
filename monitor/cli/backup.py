"""Ship the data directory to another one, while the service runs or not.

The first call makes a base, the next ones add what was logged since: the copy reaches to the last
commit of the service. --follow goes on until it is stopped, looking every second; what was
acknowledged then survives the loss of the machine but for that second. Goods stay sealed, but their
key and the administrator's token are in the copy: keep it as you keep the keys.

Examples:
  delivery-monitor backup /mnt/backup --config monitor.yaml
  delivery-monitor backup /mnt/backup --data-dir ./data --follow
  delivery-monitor backup /mnt/backup --data-dir ./data --new-base --json
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from monitor.adapters.storage.backup import Backup, Shipped
from monitor.cli.output import say, say_json
from monitor.config.load import load

EVERY_S = 1.0
NEW_BASE_S = 24 * 3600.0  # while following: a restore replays at most a day


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the copy is kept")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")
    parser.add_argument("--follow", action="store_true", help="go on every second until stopped")
    parser.add_argument("--new-base", action="store_true", help="copy everything anew")


def run(options: argparse.Namespace) -> int:
    """Ship once, or until interrupted."""
    data_dir = Path(load(options.config, data_dir=options.data_dir).endpoints.data_dir)
    backup = Backup(data_dir, options.directory)
    _tell(backup.ship(is_new_base=options.new_base), as_json=options.json)
    base_s = time.monotonic()
    while options.follow:
        time.sleep(EVERY_S)
        is_new_base = time.monotonic() - base_s > NEW_BASE_S
        shipped = backup.ship(is_new_base=is_new_base)
        if shipped.is_new_base:
            base_s = time.monotonic()
        if shipped.sent_bytes:
            _tell(shipped, as_json=options.json)
    return 0


def _tell(shipped: Shipped, *, as_json: bool) -> None:
    if as_json:
        say_json(shipped)
        return
    what = "base and " if shipped.is_new_base else ""
    size_mib = shipped.sent_bytes / (1 << 20)
    say(f"{what}{shipped.segments} segments, {size_mib:.2f} MiB, up to log position "
        f"{shipped.position}, in {shipped.folder}")  # fmt: skip
