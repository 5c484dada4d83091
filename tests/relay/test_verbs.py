"""What the verbs of the command line know of `relay.db`: doctor, fsck, backup, restore, erase."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import apsw
import pytest

from monitor.adapters.relay_store import RelayStore
from monitor.adapters.storage.sqlite import open_sqlite
from monitor.cli.main import main
from monitor.model.gateways import Callback, Meaning
from monitor.model.relay import Arrival, Closing, Kind, State
from monitor.model.shops import RawRequest

NOW_MS = 1_790_000_000_000


def arrival(order: str, meaning: Meaning = Meaning.PAID, amount: int = 990) -> Arrival:
    callback = Callback(order, f"T{order}", meaning, amount, fields_digest=f"{order}{amount}")
    request = RawRequest(
        "GET", f"/relay/main/epay?o={order}&mail=buyer-of-{order}", (), b"", NOW_MS
    )
    key = f"main/epay\n{callback.trade_no}\n{meaning}"
    return Arrival("main/epay", key, Kind.DUTY, callback, request, "", f"{order}{amount}")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    async def make() -> None:
        plain = await open_sqlite(tmp_path / "data")
        await plain.close()
        await filled_relay(tmp_path / "data")

    asyncio.run(make())
    return tmp_path / "data"


async def filled_relay(data_dir: Path) -> None:
    """A1 is owed, A2 was accepted, A3 given up; of A1 there are two amounts."""
    store = RelayStore(data_dir)
    for order, state in (("A1", None), ("A2", State.ACCEPTED), ("A3", State.UNDELIVERED)):
        receipt = await store.arrive(arrival(order))
        if state is not None:
            store.closed(Closing(receipt.item, receipt.row, state, NOW_MS), ())
    assert (await store.arrive(arrival("A1", amount=1))).is_conflict
    await store.close()


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main([*words, "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def of_relay(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["state"], one["found"]) for one in answer["checks"] if one["check"] == "relay"]


def rows(data_dir: Path) -> set[str]:
    sql = apsw.Connection(str(data_dir / "relay.db"))
    return {row[0] for row in sql.execute("SELECT order_id FROM callback")}


def test_file_is_private(data_dir: Path) -> None:
    """What a buyer's gateway sent is for the service's user only."""
    assert stat.S_IMODE((data_dir / "relay.db").stat().st_mode) == 0o600


def test_doctor_names_what_is_owed_and_what_a_person_has_to_do(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given up with its order, contradicted, and owed for too long; how many are owed, in any case."""
    found = of_relay(said(capsys, "doctor", "--data-dir", str(data_dir)))
    assert [state for state, _ in found] == [*["finding"] * 3, "ok"]
    assert found[-1][1] == "1 callbacks are owed to the shop"
    text = "; ".join(words for _, words in found)
    assert "1 callbacks of payments were never taken: order A3" in text
    assert "1 callbacks contradict an earlier one" in text
    assert (
        "1 callbacks are owed by relay main/epay, which is not configured: order A1; the oldest"
        in text
    )


def test_fsck_finds_a_byte_that_changed(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sound as it was written; one changed byte of a request is found."""
    ((_, words),) = of_relay(said(capsys, "fsck", "--data-dir", str(data_dir)))
    assert words == "4 callbacks, 1 owed to the shop"
    sql = apsw.Connection(str(data_dir / "relay.db"))
    sql.execute("UPDATE callback SET request = zeroblob(9) WHERE id = 2")
    sql.close()
    ((_, words),) = of_relay(said(capsys, "fsck", "--data-dir", str(data_dir)))
    assert words == "1 callbacks are damaged, the first is 2"


def test_backup_brings_callbacks_to_another_place(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is owed here is owed there."""
    said(capsys, "backup", str(tmp_path / "copy"), "--data-dir", str(data_dir))
    said(capsys, "restore", str(tmp_path / "copy"), "--data-dir", str(tmp_path / "new"))
    assert rows(tmp_path / "new") == {"A1", "A2", "A3"}


def test_erased_order_is_in_no_page_but_what_is_owed_stays(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shop must still get a payment; the verb says which file holds the order until then."""
    answer = said(capsys, "erase", "A1", "A2", "--data-dir", str(data_dir))
    assert (answer["left"], answer["callbacks"]) == (["relay.db"], 1)
    assert rows(data_dir) == {"A1", "A3"}
    kept = b"".join(one.read_bytes() for one in data_dir.glob("relay.db*"))
    assert b"buyer-of-A2" not in kept
    assert b"buyer-of-A1" in kept
