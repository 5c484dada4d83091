"""`replay` from files: what is no event is named by line, and the order of lines changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main
from tests.e2e.serving import run

# Promise 3 min: A1 in time, A2 a minute late, A3 never delivered.
EVENTS: list[dict[str, Any]] = [
    {"type": "order.paid", "order_id": "A1", "time": "2026-01-05T10:00:00Z", "channel": "auto"},
    {"type": "order.paid", "order_id": "A2", "time": "2026-01-05T10:00:00Z", "channel": "auto"},
    {"type": "order.paid", "order_id": "A3", "time": "2026-01-05T10:00:00Z", "channel": "auto"},
    {"type": "delivery.delivered", "order_id": "A1", "time": "2026-01-05T10:02:00Z"},
    {"type": "delivery.delivered", "order_id": "A2", "time": "2026-01-05T10:04:00Z"},
]
LINES = [json.dumps(event) for event in EVENTS]


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["replay", *arguments, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_counts_and_verdicts_are_those_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One good, one late, one late and waiting at the last event."""
    report = replayed(capsys, write(tmp_path, "e.ndjson", "\n".join(LINES)))
    assert (report["events"], report["accepted"], report["orders"]) == (5, 5, 3)
    verdicts = {name: count for name, count in report["verdicts"].items() if count}
    assert verdicts == {"good": 1, "late_delivered": 1, "late_pending": 1}
    assert report["breached"] == 2


def test_every_form_and_order_of_a_file_gives_the_same_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines, backwards, an array, two files, standard input, with byte order mark and CRLF."""
    forwards = write(tmp_path, "a.ndjson", "\n".join(LINES) + "\n")
    same = [
        [write(tmp_path, "b.ndjson", "\n\n".join(reversed(LINES)))],
        [write(tmp_path, "c.json", json.dumps(EVENTS, indent=2))],
        [write(tmp_path, "d.ndjson", LINES[4]), write(tmp_path, "e", "\n".join(LINES[:4]))],
        [write(tmp_path, "f.ndjson", "\ufeff" + "\r\n".join(LINES))],
        [
            write(tmp_path, "g.json", json.dumps(EVENTS[0], indent=2)),
            write(tmp_path, "h.ndjson", "\n".join(LINES[1:])),
        ],
    ]
    expected = replayed(capsys, forwards)
    for files in same:
        report = replayed(capsys, *files)
        assert (report["state_hash"], report["engine_hash"]) == (
            expected["state_hash"],
            expected["engine_hash"],
        ), files
    piped = run(tmp_path, "replay", "-", "--json", given="\n".join(LINES).encode())
    assert json.loads(piped.stdout)["state_hash"] == expected["state_hash"]


def test_lines_that_are_no_event_are_named_and_the_rest_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broken JSON, an unknown type, no time, a time without zone: four lines, four places."""
    text = "\n".join(
        [
            LINES[0],
            "{",
            "",
            '{"type":"order.payed","order_id":"B1","time":"2026-01-05T10:00:00Z"}',
            '{"type":"order.paid","order_id":"B2"}',
            '{"type":"order.paid","order_id":"B3","time":"2026-01-05T10:00:00"}',
            LINES[3],
        ]
    )
    path = write(tmp_path, "e.ndjson", text)
    assert main(["replay", path, "--json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    counts = tuple(report[name] for name in ("events", "accepted", "rejected", "orders"))
    assert counts == (6, 2, 4, 1)
    assert [line["line"] for line in report["rejected_lines"]] == [2, 4, 5, 6]
    assert report["rejected_lines"][2]["code"] == "no_time"
    named = [line for line in shown.err.splitlines() if line.startswith(f"{path}:")]
    assert [line.split()[0] for line in named] == [f"{path}:{line}" for line in (2, 4, 5, 6)]
    assert "did you mean 'order.paid'?" in shown.err


def test_place_in_a_printed_array_is_the_line_where_the_event_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each event of indent=2 has six lines here; the second starts in line 8."""
    events = [EVENTS[0], {**EVENTS[1], "type": "no"}, EVENTS[2]]
    report = replayed(capsys, write(tmp_path, "e.json", json.dumps(events, indent=2)))
    assert [line["line"] for line in report["rejected_lines"]] == [8]


def test_until_is_the_time_of_judgement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A minute after payment nothing is late; the zone it is written in does not matter."""
    path = write(tmp_path, "e.ndjson", "\n".join(LINES))
    early = replayed(capsys, path, "--until", "2026-01-05T10:01:00Z")
    assert early["verdicts"]["undecided"] == 3
    local = replayed(capsys, path, "--until", "2026-01-05T18:01:00+08:00")
    assert local["state_hash"] == early["state_hash"]


def test_configuration_and_rules_are_those_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A promise of ten minutes makes the late order good; an own rule fires."""
    path = write(tmp_path, "e.ndjson", "\n".join(LINES))
    config = write(tmp_path, "monitor.yaml", "promise: {default: 10m}\n")
    rules = write(
        tmp_path,
        "r.yaml",
        "groups: [{name: g, rules: [{alert: Any, expr: 'open_orders > 0', min_count: 1}]}]\n",
    )
    report = replayed(capsys, path, "--config", config, "--rules", rules)
    assert report["verdicts"]["good"] == 2
    assert {alert["rule"] for alert in report["alerts"]} == {"Any"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not one valid event in "),
        ("{}\n{}\n", "not one valid event in "),
        ("[1, 2", "is not a complete JSON array: "),
        ("[" * 100_000, "is not a complete JSON array: "),
    ],
)
def test_file_without_an_event_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    """Nothing to replay is bad input, said in one last line."""
    assert main(["replay", write(tmp_path, "e", content)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last


def test_unreadable_input_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing file, folder, rubbish, a wrong time, standard input twice."""
    (tmp_path / "rubbish").write_bytes(bytes(range(256)) * 20)
    path = write(tmp_path, "e.ndjson", LINES[0])
    for arguments in (
        [str(tmp_path / "missing")],
        [str(tmp_path)],
        [str(tmp_path / "rubbish")],
        [path, "--until", "noon"],
        [path, "--until", "0001-01-01T00:00:00Z"],
        [path, "--until", "2026-01-05T18:01:00"],
        ["-", "-"],
        [path, "--config", str(tmp_path / "missing.yaml")],
        [path, "--rules", str(tmp_path / "missing.yaml")],
    ):
        assert main(["replay", *arguments]) == 2, arguments
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "Traceback" not in shown.err


def test_line_longer_than_a_request_is_refused_and_the_next_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three megabytes in one line cost one line of the report."""
    long = '{"type":"order.paid","order_id":"' + "x" * 3_000_000 + '"}'
    report = replayed(capsys, write(tmp_path, "e.ndjson", f"{LINES[0]}\n{long}\n{LINES[3]}\n"))
    assert (report["accepted"], report["rejected"]) == (2, 1)
    assert [line["line"] for line in report["rejected_lines"]] == [2]


def test_people_read_the_same_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json the report is text."""
    assert main(["replay", write(tmp_path, "e.ndjson", "\n".join(LINES))]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("5 events: 5 accepted, 0 duplicates, 0 rejected\n")
    assert "good 1, late_delivered 1, late_pending 1" in shown
