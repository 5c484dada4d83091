"""Lines of a recording are decoded together, and come to the same as each alone."""

import json
from pathlib import Path

import pytest

from monitor.api.decode_event import decode_text
from monitor.api.decode_types import DecodeContext, Notes
from monitor.cli.recording import END_OF_TIME_MS, TOGETHER, read_recording
from monitor.model.errors import InputError
from monitor.model.events import OrderEvent
from monitor.model.ids import DEFAULT_SOURCE

PLAIN = {"type": "order.paid", "source": "/shop", "channel": "auto", "sku": "steam-50"}
ODD = {
    "no type": '{"order_id":"x","id":"1","time":"2026-01-05T02:00:00Z"}',
    "no JSON": '{"type":',
    "another shape": '{"type":"order.paid","id":"1","time":"2026-01-05T02:00:00Z",'
    '"data":{"order_id":"nested"}}',
    "no time": '{"type":"order.paid","order_id":"timeless","id":"1"}',
    "a reason": '{"type":"order.failed","order_id":"r","id":"2","reason":"why",'
    '"time":"2026-01-05T02:00:00.5Z"}',
    "a key twice": '{"type":"order.paid","order_id":"a","order_id":"b","id":"1",'
    '"time":"2026-01-05T02:00:00Z"}',
    "an unknown field": '{"type":"order.paid","order_id":"u","id":"1","colour":"red",'
    '"time":"2026-01-05T02:00:00Z"}',
}


def plain(number: int) -> str:
    """An ordinary line."""
    time = f"2026-01-05T02:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}+08:00"
    return json.dumps(PLAIN | {"order_id": f"o{number}", "id": f"e{number}", "time": time})


def one_by_one(lines: list[str]) -> tuple[list[OrderEvent], list[tuple[int, str]]]:
    """Events, and numbers and codes of the lines that are none, without any short cut."""
    context = DecodeContext(END_OF_TIME_MS, DEFAULT_SOURCE, {})
    events, rejected = [], []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            event = decode_text(line.encode(), context, Notes())
        except InputError as error:
            rejected.append((number, error.code))
            continue
        if event.is_inferred:
            rejected.append((number, "no_time"))
        else:
            events.append(event)
    return events, rejected


@pytest.mark.parametrize("place", [0, 3, TOGETHER - 1, TOGETHER, 2 * TOGETHER + 7])
@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_odd_line_among_plain_ones_changes_nothing_for_them(
    odd: str, place: int, tmp_path: Path
) -> None:
    """Wherever it stands: the same events in their order, and its number is that of its line."""
    lines = [plain(number) for number in range(2 * TOGETHER + 30)]
    lines[place:place] = ["", odd]
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read_recording([str(path)], ())
    events, rejected = one_by_one(lines)
    assert found.events == events
    assert [(one.line, one.code) for one in found.lines] == rejected
    assert len(found.events) + found.rejected == len(lines) - 1


def test_warnings_are_counted_as_for_single_lines(tmp_path: Path) -> None:
    """An unknown field is named, whether its neighbours are plain or not."""
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join([plain(1), ODD["an unknown field"], plain(2)]), encoding="utf-8")
    assert any("colour" in one for one in read_recording([str(path)], ()).warnings)
