"""Import keys into the encrypted pool, and see how many are left.

A file holds one key per line; `-` reads standard input. A .csv file has one column, a heading such
as `key` is skipped. A key that is known already, of whatever sku, is skipped and its line is named:
importing a file twice changes nothing. Keys are never printed. The service may run meanwhile.

Examples:
  delivery-monitor stock import keys.txt --sku steam-50 --config monitor.yaml
  cat keys.txt | delivery-monitor stock import - --sku steam-50 --data-dir ./data
  delivery-monitor stock list --config monitor.yaml
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import os
from pathlib import Path

from monitor.adapters.channels.stock import (
    SKU_CHARS_MAX,
    STATES,
    UNIT_CHARS_MAX,
    ImportReport,
    import_units,
    stock_counts,
)
from monitor.adapters.goods_file import DATABASE_NAME, GoodsFile
from monitor.cli.files import read_text, shown
from monitor.cli.output import say, say_json, table, warn
from monitor.config.load import Loaded, load
from monitor.model.errors import InputError

FILE_BYTES_MAX = 64 * 1024 * 1024
LINES_SHOWN_MAX = 20
PRIVATE_FOLDER = 0o700
HEADINGS = frozenset({"key", "keys", "code", "codes", "card", "cdkey", "serial", "secret",
                      "卡密", "卡号", "密钥", "激活码", "兑换码"})  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("import", "list"))
    parser.add_argument("file", nargs="?", metavar="FILE", help="one key per line, - is stdin")
    parser.add_argument("--sku", help="what the keys are for (import)")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")


def run(options: argparse.Namespace) -> int:
    """Import or list; 1 when a line could not be taken."""
    loaded = load(options.config, data_dir=options.data_dir)
    data_dir = Path(loaded.endpoints.data_dir)
    if options.action == "list":
        return _list(data_dir, as_json=options.json)
    return _import(options, loaded, data_dir)


def _import(options: argparse.Namespace, loaded: Loaded, data_dir: Path) -> int:
    sku = (options.sku or "").strip()
    if options.file is None or not sku:
        raise InputError("stock import needs a FILE and --sku", hint="see --help for examples")
    if len(sku) > SKU_CHARS_MAX or not sku.isprintable():
        raise InputError(f"--sku must be 1 to {SKU_CHARS_MAX} printable characters")
    lines = _lines(options.file)
    _prepare(data_dir)
    report = asyncio.run(_add(data_dir, lines, sku))
    if not any(channel.kind == "stock" for channel in loaded.settings.channels):
        warn("warning: no channel of kind stock is configured, so nothing delivers these keys; "
             "add {name: pool, kind: stock} to channels")  # fmt: skip
    if options.json:
        say_json({"sku": sku, **_fields(report)})
    else:
        _say_report(report, sku)
    return 1 if report.too_long else 0


def _lines(name: str) -> list[str]:
    """The units of a file, one for each of its lines; a heading becomes an empty one."""
    text = read_text(name, FILE_BYTES_MAX)
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()  # the end of the last line is not a line
    if Path(name).suffix.lower() == ".csv":
        lines = _single_column(name, lines)
    if any(line.strip() for line in lines):
        return lines
    raise InputError(f"{shown(name)} holds no key", hint="write one key per line")


def _single_column(name: str, lines: list[str]) -> list[str]:
    units: list[str] = []
    for number, line in enumerate(lines, start=1):
        row = _cells(line)
        if len(row) > 1:
            raise InputError(
                f"{name}:{number} has {len(row)} columns, a key file has one",
                hint="keep the column with the keys; or name it .txt if the commas belong to them",
            )
        units.append(row[0] if row else "")
    if units and units[0].strip().lower() in HEADINGS:
        units[0] = ""
    return units


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


async def _add(data_dir: Path, lines: list[str], sku: str) -> ImportReport:
    file = GoodsFile(data_dir)
    try:
        return await import_units(file, lines, sku)
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
    counts = {}
    if (data_dir / DATABASE_NAME).exists():  # looking must not make a key file
        counts = asyncio.run(_counts(data_dir))
    if as_json:
        say_json({"stock": counts})
    elif counts:
        table(
            [[sku, *(str(states[state]) for state in STATES)] for sku, states in counts.items()],
            ["sku", *STATES],
        )
    else:
        say(f"no keys in {data_dir}; add some with `delivery-monitor stock import FILE --sku S`")
    return 0


async def _counts(data_dir: Path) -> dict[str, dict[str, int]]:
    file = GoodsFile(data_dir)
    try:
        return await stock_counts(file)
    finally:
        await file.close()
