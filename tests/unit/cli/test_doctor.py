"""`doctor` finds what would hurt later, says what to do, and changes nothing."""

import asyncio
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

from monitor.adapters.self_audit import INVARIANTS
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.cli.doctor_disk import look_at_disk
from monitor.cli.main import main
from monitor.model.endpoints import Listen
from tests.loopback import Answer, loopback

RECEIVER = """
notify:
  route: {receiver: ops}
  receivers:
    - name: ops
      webhook: [{url: "http://127.0.0.1:9/x"}]
"""


def looked(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run doctor on a configuration; the last line of each check by name."""
    config = folder / "monitor.yaml"
    config.write_text(text, encoding="utf-8")
    data_dir = str(folder / "data")
    code = main(["doctor", "--config", str(config), "--data-dir", data_dir, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (code == 0)
    return code, {one["check"]: one for one in answer["checks"]}


def states(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: one["state"] for name, one in checks.items()}


def private_data(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir(mode=0o700)
    return data


def test_healthy_installation_has_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that is looked at is named; waiting for a first event is not a finding."""
    code, checks = looked(tmp_path, RECEIVER, capsys)
    assert code == 0
    assert states(checks) == {
        "configuration": "ok",
        "rules": "ok",
        "SQLite": "ok",
        "data directory": "waiting",
        "disk sync": "ok",
        "disk space": "ok",
        "file system": "ok",
        "clock": "ok",
        "listener": "ok",
        "egress": "ok",
        "sources": "waiting",
        "receivers": "ok",
        "modes": "ok",
    }
    assert "127.0.0.1:9" in checks["egress"]["found"]
    assert not (tmp_path / "data").exists()


def test_missing_receiver_is_said_loudly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A monitor that tells nobody is a finding, in capital letters, in text as in JSON."""
    code, checks = looked(tmp_path, "", capsys)
    assert (code, checks["receivers"]["state"]) == (1, "finding")
    assert main(["doctor", "--data-dir", str(tmp_path / "data")]) == 1
    shown = capsys.readouterr().out
    assert "NOBODY WOULD BE TOLD" in shown
    assert "receivers: add notify.receivers" in shown
    assert shown.endswith("\n1 finding\n")


def test_open_files_are_named_with_the_command_that_closes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token that others can read is a finding."""
    data = private_data(tmp_path)
    (data / "admin.token").write_text("dm_x", encoding="ascii")
    (data / "admin.token").chmod(0o640)
    code, checks = looked(tmp_path, RECEIVER, capsys)
    assert (code, checks["key files"]["state"]) == (1, "finding")
    assert checks["key files"]["advice"] == f"run: chmod 600 {data / 'admin.token'}"
    (data / "admin.token").chmod(0o600)
    assert looked(tmp_path, RECEIVER, capsys)[1]["key files"]["state"] == "ok"


def test_listener_for_others_needs_tls_in_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beyond loopback keys travel readable, unless a proxy with TLS is named."""
    (tmp_path / "key").write_text("dm_" + "k" * 43, encoding="ascii")
    (tmp_path / "key").chmod(0o600)
    keyed = RECEIVER + "listen: 0.0.0.0:8080\nsources: [{name: shop, api_key_file: key}]\n"
    code, checks = looked(tmp_path, keyed, capsys)
    assert (code, checks["listener"]["state"]) == (1, "finding")
    assert checks["sources"]["found"] == "shop: waits for its first event"
    code, checks = looked(tmp_path, keyed + "public_url: https://watch.example\n", capsys)
    assert (code, checks["listener"]["state"]) == (0, "ok")


def test_egress_open_to_everything_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network of one's own is fine, 0.0.0.0/0 is not."""
    own = RECEIVER + "egress: {allow: [10.0.0.0/8]}\n"
    assert looked(tmp_path, own, capsys)[1]["egress"]["state"] == "ok"
    everything = RECEIVER + "egress: {allow: [0.0.0.0/0]}\n"
    assert looked(tmp_path, everything, capsys)[1]["egress"]["state"] == "finding"


def test_lock_of_a_running_service_is_seen_and_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While somebody holds the lock doctor names him; afterwards the lock is free at once."""
    data = private_data(tmp_path)
    (data / "lock").write_text("4711\n", encoding="ascii")
    holder = os.open(data / "lock", os.O_RDWR)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        config = RECEIVER + "listen: 127.0.0.1:9\n"
        _, checks = looked(tmp_path, config, capsys)
        assert checks["service"]["found"].startswith("runs as process 4711, no answer")
        fcntl.flock(holder, fcntl.LOCK_UN)
        code, checks = looked(tmp_path, config, capsys)
        assert (code, checks["service"]["state"]) == (0, "ok")
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(holder)


async def test_damaged_database_is_a_finding_and_a_sound_one_is_not(tmp_path: Path) -> None:
    """A page of rubbish in the middle of the file is found without a running service."""
    data = private_data(tmp_path)
    store = await open_sqlite(data)
    await store.close()
    path = data / "monitor.db"

    def database() -> str:
        return next(one for one in look_at_disk(data, Listen()) if one.check == "database").state

    assert database() == "ok"
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'orders'").get
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    assert database() == "finding"


def test_data_directory_that_is_a_file_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback where a file stands in the way."""
    (tmp_path / "data").write_text("", encoding="utf-8")
    code, checks = looked(tmp_path, RECEIVER, capsys)
    assert (code, checks["data directory"]["state"]) == (1, "finding")
    assert checks["data directory"]["found"].endswith("data is not a directory")


def test_bad_configuration_and_rules_are_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every problem is a line of its own, and the exit code is 1."""
    (tmp_path / "monitor.yaml").write_text("promis: {}\nlanguage: fr\n", encoding="utf-8")
    (tmp_path / "r.yaml").write_text("groups: 3\n", encoding="utf-8")
    options = ["--config", str(tmp_path / "monitor.yaml"), "--rules", str(tmp_path / "r.yaml")]
    assert main(["doctor", *options, "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(one["check"], one["state"]) for one in checks] == [
        ("configuration", "finding"),
        ("configuration", "finding"),
        ("rules", "finding"),
    ]


def test_secret_that_everybody_reads_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What loading warns about is not lost here."""
    (tmp_path / "key").write_text("dm_" + "k" * 43, encoding="ascii")
    (tmp_path / "key").chmod(0o644)
    code, checks = looked(tmp_path, RECEIVER + "sources: [{name: shop, api_key_file: key}]", capsys)
    assert (code, checks["configuration"]["state"]) == (1, "finding")
    assert checks["configuration"]["advice"] == f"run chmod 600 {tmp_path / 'key'}"


async def test_broken_rule_of_takeovers_is_a_finding(tmp_path: Path) -> None:
    """Sound files say how many rules hold; a broken one is named with its order and what to do."""
    data = tmp_path / "data"
    store = await open_sqlite(data)
    await store.close()
    (sound,) = [one for one in look_at_disk(data, Listen()) if one.check == "self-audit"]
    assert (sound.state, sound.found) == ("ok", f"{len(INVARIANTS)} rules hold")
    connection = apsw.Connection(str(data / "monitor.db"))
    connection.execute(
        "INSERT INTO takeovers VALUES ('tko_1', 'A1', 1, 'clm_1', 'claimed', 1, 1, NULL, 1, 1, 0,"
        " NULL, NULL)"
    )
    connection.close()
    (broken,) = [one for one in look_at_disk(data, Listen()) if one.check == "self-audit"]
    assert broken.state == "finding"
    assert broken.found.startswith("I7")
    assert broken.found.endswith("A1")
    assert "observe" in broken.advice


async def test_supplier_is_probed_and_what_is_left_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A working one with its balance; one that answers otherwise is a finding. Nothing is bought."""
    async with loopback() as server:
        server.script = [Answer(body=b'{"balance": 3.5}'), Answer(401, b"{}")]
        (tmp_path / "key").write_text("api-key", encoding="utf-8")
        (tmp_path / "key").chmod(0o600)
        text = RECEIVER + (
            "channels:\n  - {name: s, preset: kinguin, sign: {secret_file: key}, "
            f"base_url: 'http://{server.place}'}}\n"
        )
        _, checks = await asyncio.to_thread(looked, tmp_path, text, capsys)
        assert (checks["suppliers"]["state"], checks["suppliers"]["found"]) == (
            "ok",
            "s: works, balance 3.5",
        )
        code, checks = await asyncio.to_thread(looked, tmp_path, text, capsys)
        assert (code, checks["suppliers"]["state"]) == (1, "finding")
        assert [(one.method, one.path) for one in server.seen] == [("GET", "/v1/balance")] * 2
