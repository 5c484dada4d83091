"""Every preset against a recorded exchange: the bytes it sends, and what the answers mean to it.

The exchanges are made of the suppliers' own documents and public plug-ins (named in each file).
Signatures are computed here, from the text that the document says is signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from monitor.adapters.channels.http import HttpSupplier
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.supplier_template import attempt_no
from monitor.adapters.vault import SealedVault
from monitor.config.presets import preset_names
from monitor.model.endpoints import HttpChannel
from monitor.model.records import AttemptAnswered
from tests.contracts.test_channels import query, submit
from tests.loopback import Answer, Loopback, Seen, loopback
from tests.unit.config.files import load_text

FOLDER = Path(__file__).parent / "exchanges"
NOW_MS = 1_772_323_200_000
CLASSES = {
    "acg-faka": "detectable",
    "dujiao-next": "detectable",
    "executor": "idempotent",
    "kakayun": "opaque",
    "kinguin": "queryable",
    "tremendous": "idempotent",
    "yile": "opaque",
}
PRESETS = sorted(CLASSES)


def exchange(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def described(name: str, place: str, folder: Path) -> HttpChannel:
    """The preset as `monitor.yaml` names it, with the keys of the exchange beside it."""
    keys = exchange(name)["channel"]
    secret = folder / "supplier.secret"
    secret.write_text(keys["sign"].pop("secret"), encoding="utf-8")
    secret.chmod(0o600)
    keys["sign"]["secret_file"] = str(secret)
    channel = {"name": "supplier", "preset": name, "base_url": f"http://{place}", **keys}
    loaded = load_text(folder, yaml.safe_dump({"channels": [channel]}, allow_unicode=True))
    assert loaded.warnings == (), "a preset as it is raises no eyebrow"
    return loaded.endpoints.http_channels[0]


class Desk:
    """A preset that speaks with a scripted supplier."""

    def __init__(self, name: str, server: Loopback, vault: SealedVault, folder: Path) -> None:
        self.recorded = exchange(name)
        self.server = server
        self.vault = vault
        self.client = HttpClient(config_hosts=[server.place])
        self.channel = described(name, server.place, folder)
        self.supplier = HttpSupplier(self.channel, self.client, vault)

    async def said(self, row: Any, asks: bool, ref: str) -> AttemptAnswered:
        """What one recorded answer means as the answer to a submit, or to a question."""
        bodies = [row["body"], *([row["then"]] if "then" in row else [])]
        status = row.get("status", 200)
        self.server.script = [Answer(status if n == 0 else 200, body.encode())
                              for n, body in enumerate(bodies)]  # fmt: skip
        if not asks:
            return await self.supplier.submit(submit(ref), NOW_MS)
        question = msgspec.structs.replace(
            query(ref), supplier_ref="101", amount_minor=500, currency="CNY", max_cost_minor=500
        )
        return await self.supplier.query(question, NOW_MS)


@pytest.fixture(params=PRESETS)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """Each preset in turn."""
    goods = GoodsFile(tmp_path)
    async with loopback() as server:
        made = Desk(request.param, server, SealedVault(goods), tmp_path)
        yield made
        await made.client.close()
    await goods.close()


def check_bytes(seen: Seen, recorded: Any) -> None:
    """Method, address, headers and body are literally those of the record."""
    md5 = hashlib.md5(recorded.get("signed", "").replace(
        "{attempt_no}", attempt_no("att_1")).encode()).hexdigest()  # fmt: skip
    body = recorded["body"].replace("{md5}", md5).replace("{attempt_no}", attempt_no("att_1"))
    assert (seen.method, seen.path, seen.body.decode()) == (
        recorded["method"], recorded["path"], body,
    )  # fmt: skip
    for name, value in recorded.get("headers", {}).items():
        assert seen.headers[name] == value
    if "raw_query" in recorded:
        assert seen.raw_query == recorded["raw_query"]


def check_means(answer: AttemptAnswered, row: Any) -> None:
    """The outcome and what belongs to it."""
    assert answer.outcome == row["outcome"], row["body"]
    for key in ("code", "supplier_ref", "cost_minor"):
        if key in row:
            assert getattr(answer, key) == row[key], row["body"]


async def test_order_is_sent_as_recorded(desk: Desk) -> None:
    """The request that buys, byte for byte, with the signature the document asks for."""
    await desk.said(desk.recorded["answers"][0], asks=False, ref="att_1")
    assert len(desk.server.seen) == 1
    check_bytes(desk.server.seen[0], desk.recorded["submit"])


async def test_recorded_answers_to_an_order_mean_what_they_say(desk: Desk) -> None:
    """Delivered with its goods, accepted, rejected by a listed code; everything else is unknown."""
    for number, row in enumerate(desk.recorded["answers"]):
        answer = await desk.said(row, asks=False, ref=f"att_s{number}")
        check_means(answer, row)
        if "goods" in row:
            assert await desk.vault.goods(f"att_s{number}") == row["goods"]


async def test_recorded_answers_to_a_question_mean_what_they_say(desk: Desk) -> None:
    """A refusal of the question itself never proves that nothing was bought."""
    for number, row in enumerate(desk.recorded.get("queries", [])):
        desk.server.seen.clear()
        answer = await desk.said(row, asks=True, ref="att_1" if number == 0 else f"att_q{number}")
        check_means(answer, row)
        if number == 0 and isinstance(desk.recorded["query"], dict):
            check_bytes(desk.server.seen[0], desk.recorded["query"])


@pytest.mark.parametrize("desk", ["acg-faka", "dujiao-next", "kakayun"], indirect=True)
async def test_question_without_the_suppliers_number_asks_nothing(desk: Desk) -> None:
    """A lost answer takes the number with it: no request leaves, and the outcome stays unknown."""
    answer = await desk.supplier.query(query(), NOW_MS)
    assert (answer.outcome, desk.server.seen) == ("unknown", [])


def test_every_preset_has_an_exchange_and_its_honest_class(tmp_path: Path) -> None:
    """What is shipped is what was tested; the class is the one a lost answer leaves."""
    assert preset_names() == PRESETS
    for name, capability in CLASSES.items():
        assert described(name, "127.0.0.1:9", tmp_path).capability == capability


@pytest.mark.parametrize("desk", ["dujiao-next"], indirect=True)
async def test_hmac_of_dujiao_next_is_that_of_its_document(desk: Desk) -> None:
    """Four lines: method, path, time, MD5 of the body."""
    await desk.said(desk.recorded["answers"][0], asks=False, ref="att_1")
    seen = desk.server.seen[0]
    text = f"POST\n/api/v1/upstream/orders\n1772323200\n{hashlib.md5(seen.body).hexdigest()}"
    expected = hmac.new(b"dj_secret", text.encode(), "sha256").hexdigest()
    assert seen.headers["dujiao-next-signature"] == expected
