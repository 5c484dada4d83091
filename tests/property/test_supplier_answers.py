"""10,000 fuzzed supplier answers: never a no when it may have been delivered.

Each answer begins as one that a supplier of the presets really gives, mostly as a delivery, and is
then damaged: bytes flipped and cut, words of a refusal laid over it, names doubled, another status, a
proxy's page around it. The oracle below reads the result with its own eyes and the standard library:
it allows a no only where every word of one is there and nothing speaks for a delivery.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import yaml

from monitor.adapters.http_client import HttpAnswer
from monitor.adapters.supplier_answer import read_answer
from monitor.model.endpoints import AnswerRule, ErrorRule, HttpChannel
from tests.contracts.test_presets import FOLDER, PRESETS, described
from tests.supplier import Supplier

BODIES = 10_000
NO = ("rejected", "refused", "not_found")
STATUSES = (200, 200, 200, 201, 202, 204, 301, 302, 400, 401, 402, 404, 409, 422, 429, 499, 500, 502,
            503, 504)  # fmt: skip
PAGES = (b"<html><body>%s</body></html>", b"%s\n%s", b"\xef\xbb\xbf%s", b"[%s]", b'{"data":%s}',
         b'{"error":null,"result":%s}', b"callback(%s)", b" %s ")  # fmt: skip
Reader = Callable[[HttpAnswer, HttpChannel, tuple[AnswerRule, ...]], str]


def product(answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...]) -> str:
    """What the product reads."""
    return read_answer(answer, channel, rows).outcome


# --- the oracle: another reading of the same table -------------------------------------------------


def pairs_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names stand once."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("twice")
    return made


def places(value: Any, parts: list[str]) -> list[Any]:
    """All values at a path; none if it breaks off."""
    if not parts:
        return [value]
    first, rest = parts[0], parts[1:]
    if first == "*":
        items = value if isinstance(value, list) else []
        return [found for item in items for found in places(item, rest)]
    if isinstance(value, dict):
        return places(value[first], rest) if first in value else []
    if isinstance(value, list) and first.isdigit() and int(first) < len(value):
        return places(value[int(first)], rest)
    return []


def is_word(value: Any) -> bool:
    """A text that is not blank, or a whole number."""
    return (isinstance(value, str) and bool(value.strip())) or type(value) is int


def fits(path: str, wanted: Any, status: int, body: Any) -> bool:
    found = [status] if path == "http" else places(body, path.split("."))
    accepted = wanted if isinstance(wanted, list) else [wanted]
    return any(
        (one == "*" and is_word(value)) or (type(one) is type(value) and one == value)
        for one in accepted
        for value in found
    )


def may_be_no(answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...]) -> bool:
    """Whether a no is allowed: JSON that can be read one way, a whole row of a no, no goods at all."""
    if not (200 <= answer.status < 300 or 400 <= answer.status < 500):
        return False
    try:
        body = json.loads(answer.body.decode("utf-8"), object_pairs_hook=pairs_once)
    except (ValueError, RecursionError):
        return False
    for row in rows:
        goods = (
            places(body, row.goods.split(".")) if row.outcome == "delivered" and row.goods else []
        )
        bring = [
            unit for one in goods for unit in (one if isinstance(one, list) else [one]) if unit
        ]
        if any(not any(excuse in str(unit) for excuse in row.not_goods) for unit in bring):
            return False
    for row in rows:
        if row.outcome not in NO or not any(path != "http" for path in row.when):
            continue
        if all(fits(path, wanted, answer.status, body) for path, wanted in row.when.items()):
            codes = [answer.status] if row.code == "http" else (
                places(body, row.code.split(".")) if row.code else [])  # fmt: skip
            listed = [
                code for code in codes if is_word(code) and str(code).strip() in channel.errors
            ]
            if row.outcome == "not_found" or listed:
                return True
    return False


# --- the fuzzer -----------------------------------------------------------------------------------


class Case(msgspec.Struct, frozen=True):
    """A channel, the rows for one of its requests, and answers it really gives to it."""

    channel: HttpChannel
    rows: tuple[AnswerRule, ...]
    bodies: tuple[bytes, ...]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """The presets with their recorded answers, and the supplier of the contract."""
    made = []
    for name in PRESETS:
        channel = described(name, "127.0.0.1:9", tmp_path_factory.mktemp(name))
        recorded = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        for key, request in (("answers", channel.submit), ("queries", channel.query)):
            rows = (request.answers if request is not None else ()) or channel.answers
            bodies = tuple(one["body"].encode() for one in recorded.get(key, []))
            made += [Case(channel, rows, bodies)] if bodies else []
    shop = Supplier().channel("queryable")
    shop = msgspec.structs.replace(shop, errors={"out_of_stock": ErrorRule()})
    said = (b'{"status":"delivered","id":7,"keys":["KEY-1"],"p":400}',
            b'{"status":"rejected","code":"out_of_stock"}', b'{"status":"not_found"}')  # fmt: skip
    return [*made, Case(shop, shop.answers, said)]


def laid_over(random: Random, one: bytes, other: bytes) -> bytes:
    """The words of one answer over those of another, with all names or with doubled ones."""
    try:
        below, above = json.loads(one), json.loads(other)
    except ValueError:
        return one + other
    if not isinstance(below, dict) or not isinstance(above, dict):
        return one
    if random.random() < 0.5:
        return json.dumps(below | above, ensure_ascii=False).encode()
    inner = [json.dumps(half, ensure_ascii=False)[1:-1] for half in (below, above)]
    random.shuffle(inner)
    return ("{" + ",".join(part for part in inner if part) + "}").encode()


def damaged(random: Random, case: Case) -> HttpAnswer:
    """One of the supplier's answers after something happened to it on the way."""
    body = random.choice(case.bodies)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        match random.randrange(6):
            case 0 if body:
                at = random.randrange(len(body))
                body = body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]
            case 1:
                body = body[: random.randrange(len(body) + 1)]
            case 2:
                body = laid_over(random, body, random.choice(case.bodies))
            case 3:
                page = random.choice(PAGES)
                body = page.replace(b"%s", body)
            case 4:
                body = body + b" " * 20_000 + random.choice(case.bodies)
            case _:
                start = random.randrange(len(body) + 1)
                body = body[:start] + body[start:][random.randrange(4) :]
    return HttpAnswer(random.choice(STATUSES), {}, body[: 16 * 1024])


def wrong_no(cases: list[Case], reader: Reader, seed: int) -> tuple[list[HttpAnswer], Counter[str]]:
    """Answers that were read as a no although they may have been deliveries; and all outcomes."""
    random = Random(seed)
    wrong, outcomes = [], Counter[str]()
    for _ in range(BODIES):
        case = random.choice(cases)
        answer = damaged(random, case)
        outcome = reader(answer, case.channel, case.rows)
        outcomes[outcome] += 1
        is_cut = len(answer.body) >= 16 * 1024
        allowed = not is_cut and may_be_no(answer, case.channel, case.rows)
        if outcome in NO and not allowed:
            wrong.append(answer)
    return wrong, outcomes


def test_fuzzed_answer_is_never_a_no_when_it_may_have_been_delivered(cases: list[Case]) -> None:
    """Every outcome occurs, so the fuzzer asks something; no doubtful one is a no."""
    wrong, outcomes = wrong_no(cases, product, 7)
    assert wrong == []
    assert all(outcomes[one] > 50 for one in ("delivered", "accepted", "unknown", *NO)), outcomes


def by_status(answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...]) -> str:
    """Planted: an error status means that nothing was done."""
    outcome = product(answer, channel, rows)
    return "rejected" if outcome == "unknown" and answer.status >= 400 else outcome


def by_default(answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...]) -> str:
    """Planted: what is not understood was not delivered."""
    outcome = product(answer, channel, rows)
    return "rejected" if outcome == "unknown" else outcome


def by_last_word(answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...]) -> str:
    """Planted: of a name that stands twice the last counts, whatever the first said."""
    try:
        body = json.dumps(json.loads(answer.body)).encode()
    except ValueError:
        return product(answer, channel, rows)
    return product(msgspec.structs.replace(answer, body=body), channel, rows)


def without_goods(answer: HttpAnswer, channel: HttpChannel, rows: tuple[AnswerRule, ...]) -> str:
    """Planted: nobody looks whether a refusal brings goods."""
    return product(answer, channel, tuple(row for row in rows if row.outcome != "delivered"))


@pytest.mark.parametrize("planted", [by_status, by_default, by_last_word, without_goods])
def test_planted_reader_is_caught(cases: list[Case], planted: Reader) -> None:
    """The oracle can fail: each of these mistakes sells a second key."""
    wrong, _ = wrong_no(cases, planted, 7)
    assert len(wrong) > 10


def test_exchanges_are_where_they_should_be() -> None:
    """The fuzzer starts from recorded answers, so there must be some."""
    assert len(list(Path(FOLDER).glob("*.yaml"))) == len(PRESETS)
