"""`stock import` names lines, never keys; importing twice changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main

KEYS = ("AAAA-1111", "BBBB-2222", "CCCC-3333")


def imported(
    folder: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """Import a file as JSON and check that no key was printed."""
    path = folder / name
    path.write_bytes(content)
    command = ["stock", "import", str(path), "--sku", "steam", "--data-dir", str(folder / "d")]
    code = main([*command, "--json"])
    shown = capsys.readouterr()
    assert not [key for key in KEYS if key in shown.out + shown.err]
    return code, json.loads(shown.out)


def counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> object:
    assert main(["stock", "list", "--data-dir", str(folder / "d"), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["stock"]


def test_import_reports_lines_and_is_harmless_to_repeat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blank lines and repetitions are named by number; a second import adds nothing."""
    text = "\n".join([KEYS[0], "", KEYS[1], KEYS[0]]).encode()
    report = {"sku": "steam", "imported": 2, "duplicates": [4], "too_long": [], "empty": 1}
    assert imported(tmp_path, "k.txt", text, capsys) == (0, report)
    again = report | {"imported": 0, "duplicates": [1, 3, 4]}
    assert imported(tmp_path, "k.txt", text, capsys) == (0, again)
    nothing = {"reserved": 0, "sold": 0, "quarantined": 0, "revoked": 0, "expired": 0, "taken": 0}
    level = {"free": 2, **nothing, "days_left": None, "next_expiry_at": None}
    assert counts(tmp_path, capsys) == {"steam": level}


def test_windows_file_and_csv_with_heading_give_the_same_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte order mark, CRLF, quotation marks and a heading are not part of a key."""
    windows = "\ufeff" + "\r\n".join(KEYS) + "\r\n"
    first = imported(tmp_path, "k.txt", windows.encode(), capsys)
    assert first == (
        0,
        {"sku": "steam", "imported": 3, "duplicates": [], "too_long": [], "empty": 0},
    )
    csv = "卡密\n" + "\n".join(f'"{key}"' for key in KEYS) + "\n"
    second = imported(tmp_path, "k.csv", csv.encode(), capsys)
    assert second == (
        0,
        {"sku": "steam", "imported": 0, "duplicates": [2, 3, 4], "too_long": [], "empty": 1},
    )


def test_comma_belongs_to_the_key_in_txt_and_is_refused_in_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`account,password` is one key of a text file; in a table nobody can know."""
    line = f"{KEYS[0]},{KEYS[1]}\n".encode()
    assert imported(tmp_path, "k.txt", line, capsys) == (
        0,
        {"sku": "steam", "imported": 1, "duplicates": [], "too_long": [], "empty": 0},
    )
    code, answer = imported(tmp_path, "k.csv", line, capsys)
    assert code == 2
    assert answer["message"].endswith("k.csv:1 has 2 columns, a key file has one")


def test_lines_shorter_than_the_heading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key alone never expires; a line that has no key where the heading says is named."""
    lines = f"key,expires\n{KEYS[0]},2999-01-31\n{KEYS[1]}\n"
    report = {"sku": "steam", "imported": 2, "duplicates": [], "too_long": [], "empty": 1}
    assert imported(tmp_path, "k.csv", lines.encode(), capsys) == (0, report)
    code, answer = imported(tmp_path, "k.csv", b"expires,key\n2999-01-31\n", capsys)
    assert code == 2
    assert answer["message"].endswith("k.csv:2 has 1 columns, the heading has 2")


def test_line_that_is_too_long_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The good lines are in, the long one is named."""
    text = f"{KEYS[0]}\n{'x' * 4097}\n".encode()
    assert imported(tmp_path, "k.txt", text, capsys) == (
        1,
        {"sku": "steam", "imported": 1, "duplicates": [], "too_long": [2], "empty": 0},
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "holds no key"),
        (b"", "holds no key"),
        (b"good\n\xff\xfe\n", ":2 is not UTF-8"),
    ],
)
def test_file_without_keys_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    """Nothing is made for a file that holds nothing."""
    code, answer = imported(tmp_path, "k.txt", content, capsys)
    assert code == 2
    assert message in answer["message"]
    assert not (tmp_path / "d").exists()


def test_missing_file_and_missing_sku_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says what to do."""
    assert main(["stock", "import", str(tmp_path / "none"), "--sku", "s"]) == 2
    assert main(["stock", "import", str(tmp_path), "--sku", "s"]) == 2
    assert main(["stock", "import", str(tmp_path / "none")]) == 2
    assert main(["stock", "import", str(tmp_path / "none"), "--sku", "s" * 201]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("error: ") for line in lines)


def test_list_of_an_empty_place_makes_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking creates neither database nor key."""
    assert counts(tmp_path, capsys) == {}
    assert not (tmp_path / "d").exists()


def test_people_read_sentences_and_a_warning_without_a_pool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys that no channel would deliver are worth a word."""
    (tmp_path / "k.txt").write_text(f"{KEYS[0]}\n{KEYS[0]}\n", encoding="utf-8")
    command = ["stock", "import", str(tmp_path / "k.txt"), "--sku", "steam"]
    assert main([*command, "--data-dir", str(tmp_path / "d")]) == 0
    shown = capsys.readouterr()
    assert shown.out == "imported 1 for steam\nskipped 1 known already: line 2\n"
    assert "no channel of kind stock is configured" in shown.err
    config = tmp_path / "monitor.yaml"
    config.write_text("channels: [{name: pool, kind: stock}]\n", encoding="utf-8")
    assert main([*command, "--data-dir", str(tmp_path / "d"), "--config", str(config)]) == 0
    assert capsys.readouterr().err == ""


def stock(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Run the verb on the folder's pool and read its JSON."""
    code = main(["stock", *words, "--data-dir", str(folder / "d"), "--json"])
    shown = capsys.readouterr()
    return code, json.loads(shown.out or shown.err)


def test_batch_with_expiry_is_listed_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column of the file beats --expires; a date is the beginning of that day in the shop's zone."""
    path = tmp_path / "k.csv"
    path.write_text(f"key,expires\n{KEYS[0]},2098-06-01\n{KEYS[1]},\n", encoding="utf-8")
    options = ("--sku", "s", "--batch", "may", "--cost-minor", "430", "--expires", "2099-01-01")
    code, report = stock(tmp_path, capsys, "import", str(path), *options)
    assert (code, report["imported"]) == (0, 2)
    _, listed = stock(tmp_path, capsys, "list")
    # Asia/Shanghai is eight hours ahead.
    assert listed["stock"]["s"]["next_expiry_at"] == "2098-05-31T16:00:00Z"
    assert stock(tmp_path, capsys, "revoke", "--batch", "may") == (
        0,
        {"action": "revoke", "units": 2},
    )
    _, listed = stock(tmp_path, capsys, "list")
    assert (listed["stock"]["s"]["free"], listed["stock"]["s"]["revoked"]) == (0, 2)


@pytest.mark.parametrize(
    "words",
    [
        ("--expires", "soon"),
        ("--expires", "2001-01-01"),
        ("--cost-minor", "-1"),
        ("--batch", " "),
    ],
)
def test_import_that_makes_no_sense_adds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    """A date nobody can read or that is over, a negative price, a batch without a name."""
    path = tmp_path / "k.txt"
    path.write_text(KEYS[0], encoding="utf-8")
    code, _ = stock(tmp_path, capsys, "import", str(path), "--sku", "s", *words)
    assert code == 2
    assert not (tmp_path / "d").exists()


def test_setting_aside_needs_to_know_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a sku or batch all keys would be gone."""
    assert stock(tmp_path, capsys, "revoke")[0] == 2
