"""Import keys into the encrypted pool, see how long they last, set some aside.

A file holds one key per line; `-` reads standard input. A .csv file has one column with keys, or a
heading line that names `key` and perhaps `expires` (2027-01-31 or with a time and zone). A key that
is known already, of whatever sku, is skipped and its line is named: importing a file twice changes
nothing. What expires first is delivered first, what has expired never; a date is the beginning of
that day. Keys are never printed. The service may run meanwhile.

`revoke` takes keys out for good, `quarantine` until `release`; only keys that nobody was given.

Examples:
  delivery-monitor stock import keys.txt --sku steam-50 --batch may --cost-minor 4300 --expires 2027-01-31
  cat keys.txt | delivery-monitor stock import - --sku steam-50 --data-dir ./data
  delivery-monitor stock list --config monitor.yaml
  delivery-monitor stock revoke --batch may --config monitor.yaml
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import DATABASE_NAME, GoodsFile
from monitor.adapters.stock_pool import (
    ASIDE_ACTIONS,
    SKU_CHARS_MAX,
    STATES,
    UNIT_CHARS_MAX,
    Batch,
    ImportReport,
    Level,
    import_units,
    set_aside,
    stock_levels,
)
from monitor.cli.files import read_text, shown
from monitor.cli.output import say, say_json, table, warn
from monitor.config.load import Loaded, load
from monitor.model.errors import InputError
from monitor.model.times import format_rfc3339

FILE_BYTES_MAX = 64 * 1024 * 1024
LINES_SHOWN_MAX = 20
EXPIRES = frozenset({"expires", "expiry", "expires_at", "有效期", "过期时间", "到期时间"})
PRIVATE_FOLDER = 0o700
HEADINGS = frozenset({"key", "keys", "code", "codes", "card", "cdkey", "serial", "secret",
                      "卡密", "卡号", "密钥", "激活码", "兑换码"})  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("import", "list", *ASIDE_ACTIONS))
    parser.add_argument("file", nargs="?", metavar="FILE", help="one key per line, - is stdin")
    parser.add_argument("--sku", help="what the keys are for")
    parser.add_argument("--batch", metavar="B", help="name of the delivery the keys came with")
    parser.add_argument("--cost-minor", type=int, metavar="N", help="what one of them cost")
    parser.add_argument("--expires", metavar="DATE", help="when they expire")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")


def run(options: argparse.Namespace) -> int:
    """Import or list; 1 when a line could not be taken."""
    loaded = load(options.config, data_dir=options.data_dir)
    data_dir = Path(loaded.endpoints.data_dir)
    if options.action == "list":
        return _list(data_dir, as_json=options.json)
    if options.action in ASIDE_ACTIONS:
        return _set_aside(options, data_dir)
    return _import(options, loaded, data_dir)


def _import(options: argparse.Namespace, loaded: Loaded, data_dir: Path) -> int:
    sku = (options.sku or "").strip()
    if options.file is None or not sku:
        raise InputError("stock import needs a FILE and --sku", hint="see --help for examples")
    if len(sku) > SKU_CHARS_MAX or not sku.isprintable():
        raise InputError(f"--sku must be 1 to {SKU_CHARS_MAX} printable characters")
    zone = loaded.settings.timezone
    batch = Batch(_batch(options.batch), options.cost_minor, _expiry(options.expires, zone))
    if (options.cost_minor or 0) < 0:
        raise InputError("--cost-minor must not be negative")
    listed = _listed(options.file, zone)
    _prepare(data_dir)
    report = asyncio.run(_add(data_dir, listed, sku, batch))
    if not any(channel.kind == "stock" for channel in loaded.settings.channels):
        warn("warning: no channel of kind stock is configured, so nothing delivers these keys; "
             "add {name: pool, kind: stock} to channels")  # fmt: skip
    if options.json:
        say_json({"sku": sku, **_fields(report)})
    else:
        _say_report(report, sku)
    return 1 if report.too_long else 0


class _Listed(NamedTuple):
    """The units of a file, one for each of its lines; a heading becomes an empty one."""

    lines: list[str]
    expiries_ms: dict[int, int]  # by line number, where the file names them


def _listed(name: str, zone: str) -> _Listed:
    text = read_text(name, FILE_BYTES_MAX)
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()  # the end of the last line is not a line
    is_csv = Path(name).suffix.lower() == ".csv"
    listed = _columns(name, lines, zone) if is_csv else _Listed(lines, {})
    if any(line.strip() for line in listed.lines):
        return listed
    raise InputError(f"{shown(name)} holds no key", hint="write one key per line")


def _columns(name: str, lines: list[str], zone: str) -> _Listed:
    """The columns that the heading names; without one there is one column, of keys."""
    rows = [_cells(line) for line in lines]
    heading = [cell.strip().lower() for cell in rows[0]] if rows else []
    key_at = next((at for at, cell in enumerate(heading) if cell in HEADINGS), None)
    expires_at = next((at for at, cell in enumerate(heading) if cell in EXPIRES), None)
    units: list[str] = []
    expiries_ms: dict[int, int] = {}
    for number, row in enumerate(rows, start=1):
        is_unlike = key_at is None or len(row) != len(heading)
        if (len(row) > 1 and is_unlike) or (row and (key_at or 0) >= len(row)):
            raise InputError(
                f"{name}:{number} has {len(row)} columns, {_wanted(heading, key_at)}",
                hint="name the columns in the first line: key,expires; "
                "or name it .txt if the commas belong to the keys",
            )
        is_heading = number == 1 and key_at is not None
        units.append("" if is_heading or not row else row[key_at or 0])
        # A line of one column is a key without more, also where the heading names more.
        expires = (
            row[expires_at].strip() if expires_at is not None and expires_at < len(row) else ""
        )
        if expires and not is_heading:
            expiries_ms[number] = _moment(expires, zone, f"{name}:{number}")
    return _Listed(units, expiries_ms)


def _wanted(heading: list[str], key_at: int | None) -> str:
    return "a key file has one" if key_at is None else f"the heading has {len(heading)}"


def _batch(name: str | None) -> str | None:
    if name is not None and (not name.strip() or len(name) > SKU_CHARS_MAX):
        raise InputError(f"--batch must be 1 to {SKU_CHARS_MAX} characters")
    return name


def _expiry(text: str | None, zone: str) -> int | None:
    """When units expire; keys that have expired already are a mistake of the order of things."""
    if text is None:
        return None
    at_ms = _moment(text, zone, "--expires")
    if at_ms <= SystemClock().now_ms():
        raise InputError("--expires is in the past: such keys would never be delivered")
    return at_ms


def _moment(text: str, zone: str, where: str) -> int:
    """Read a date, or a time; without a zone in that of the shop."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, ZoneInfoNotFoundError) as error:
        raise InputError(
            f"{where}: {text[:40]!r} is no date", hint="write for example 2027-01-31"
        ) from error


def _cells(line: str) -> list[str]:
    """The cells of one line; an open quotation mark belongs to the key."""
    try:
        return next(csv.reader(io.StringIO(line), strict=True), [])
    except csv.Error:
        return [line]


def _prepare(data_dir: Path) -> None:
    """Make the folder where it is missing; files of another user would lock the service out."""
    data_dir.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    owner = data_dir.stat().st_uid
    if owner != os.geteuid():
        raise InputError(
            f"{data_dir} belongs to user {owner}, and this is user {os.geteuid()}",
            code="other_user",
            hint="run this as the user of the service, for example with sudo -u",
        )


async def _add(data_dir: Path, listed: _Listed, sku: str, batch: Batch) -> ImportReport:
    file = GoodsFile(data_dir)
    try:
        return await import_units(file, listed.lines, sku, batch, listed.expiries_ms)
    finally:
        await file.close()


def _fields(report: ImportReport) -> dict[str, object]:
    return {
        "imported": report.imported,
        "duplicates": report.duplicates,
        "too_long": report.too_long,
        "empty": report.empty,
    }


def _say_report(report: ImportReport, sku: str) -> None:
    say(f"imported {report.imported} for {sku}")
    if report.duplicates:
        say(f"skipped {len(report.duplicates)} known already: {_numbers(report.duplicates)}")
    if report.empty:
        say(f"skipped {report.empty} without a key")
    if report.too_long:
        warn(f"error: {len(report.too_long)} longer than {UNIT_CHARS_MAX} characters: "
             f"{_numbers(report.too_long)}; correct these lines and import again")  # fmt: skip


def _numbers(lines: tuple[int, ...]) -> str:
    named = ", ".join(str(line) for line in lines[:LINES_SHOWN_MAX])
    more = len(lines) - LINES_SHOWN_MAX
    return f"line{'s' if len(lines) > 1 else ''} {named}" + (
        f" and {more} more" if more > 0 else ""
    )


def _list(data_dir: Path, *, as_json: bool) -> int:
    levels: dict[str, Level] = {}
    if (data_dir / DATABASE_NAME).exists():  # looking must not make a key file
        levels = asyncio.run(_levels(data_dir))
    if as_json:
        say_json({"stock": {sku: _level_fields(level) for sku, level in levels.items()}})
    elif levels:
        table(
            [[sku, *_cells_of(level)] for sku, level in levels.items()],
            ["sku", *STATES, "expired", "days left"],
        )
    else:
        say(f"no keys in {data_dir}; add some with `delivery-monitor stock import FILE --sku S`")
    return 0


def _level_fields(level: Level) -> dict[str, object]:
    fields = msgspec.structs.asdict(level)
    expiry_ms = fields.pop("next_expiry_ms")
    return fields | {"next_expiry_at": None if expiry_ms is None else format_rfc3339(expiry_ms)}


def _cells_of(level: Level) -> list[str]:
    days = "-" if level.days_left is None else f"{level.days_left:g}"
    return [*(str(getattr(level, state)) for state in STATES), str(level.expired), days]


async def _levels(data_dir: Path) -> dict[str, Level]:
    file = GoodsFile(data_dir)
    try:
        return await stock_levels(file, SystemClock().now_ms())
    finally:
        await file.close()


def _set_aside(options: argparse.Namespace, data_dir: Path) -> int:
    if options.sku is None and options.batch is None:
        raise InputError(f"stock {options.action} needs --sku or --batch", hint="see --help")
    count = 0
    if (data_dir / DATABASE_NAME).exists():
        count = asyncio.run(_moved(data_dir, options))
    if options.json:
        say_json({"action": options.action, "units": count})
    else:
        say(f"{options.action}: {count} units")
    return 0


async def _moved(data_dir: Path, options: argparse.Namespace) -> int:
    file = GoodsFile(data_dir)
    try:
        return await set_aside(file, options.action, sku=options.sku, batch=options.batch)
    finally:
        await file.close()
