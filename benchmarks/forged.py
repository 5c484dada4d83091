"""Requests that nobody may have sent: what a forger makes of requests that were good once.

Everything here is made from good requests of two sources that sign, by somebody who sees the wire
and has the secret of one of them. None of it may be accepted; `benchmarks/forgery.py` tries it.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable

import msgspec

from monitor.adapters.signing import webhook_headers
from monitor.model.secret import Secret

MAIN, OTHER = "main-shop", "other-shop"
STALE_S = 330  # beyond the window of 300 s, also when the run takes a while

Headers = dict[str, bytes]


class Request(msgspec.Struct, frozen=True):
    """One request; `kind` says what is wrong with it. `is_replay`: a 202 is fine, taken it is not."""

    kind: str
    path: str
    headers: Headers
    body: bytes
    is_replay: bool = False


class World(msgspec.Struct, frozen=True):
    """What the forger knows: requests that were taken, one secret, and keys that are no longer good."""

    taken: tuple[Request, ...]
    other_secret: Secret
    dead_tokens: tuple[str, ...]
    other_token: str


def signed(
    secret: Secret, name: str, at_ms: int, body: bytes, source: str, kind: str = "good"
) -> Request:
    """A request as a shop sends it."""
    headers = {
        header: value.encode()
        for header, value in webhook_headers(secret, name, at_ms, body).items()
    }
    headers["content-type"] = b"application/json"
    return Request(kind, f"/v1/events?source={source}", headers, body)


def event(order: str, **fields: object) -> bytes:
    """One paid order, flat."""
    return json.dumps({"type": "order.paid", "order_id": order, **fields}).encode()


def forge(world: World, chance: random.Random, number: int, now_ms: int) -> Request:
    """One bad request, of a kind that takes turns."""
    kinds = tuple(_KINDS)
    kind = kinds[number % len(kinds)]
    made = _KINDS[kind](Forger(world, chance, number, now_ms))
    return msgspec.structs.replace(made, kind=kind)


class Forger:
    """Makes one request; each method is one kind."""

    def __init__(self, world: World, chance: random.Random, number: int, now_ms: int) -> None:
        self._world, self._chance, self._number, self._now_ms = world, chance, number, now_ms

    def random_signature(self) -> Request:
        """Bytes of every length under every scheme."""
        made = self._fresh()
        text = base64.b64encode(
            self._chance.randbytes(self._chance.choice((0, 16, 31, 32, 33, 64)))
        )
        scheme = self._chance.choice(
            (b"v1,", b"v1a,", b"v1 ", b"V1,", b"v2,", b"", b"v1,,", b"v1, ")
        )
        return _with(
            made, {"webhook-signature": b" ".join([scheme + text] * self._chance.randint(1, 9))}
        )

    def wrong_secret(self) -> Request:
        """A secret that was guessed, and those of lazy configurations."""
        guessed = self._chance.choice(
            ("", "\0" * 32, "secret", "whsec_", self._chance.randbytes(24).hex())
        )
        return signed(
            Secret(guessed), f"f{self._number}", self._now_ms, event(f"F{self._number}"), MAIN
        )

    def flipped_bit(self) -> Request:
        """One bit of a request that was good, wherever the signature should see it."""
        good = self._chance.choice(self._world.taken)
        part = self._chance.choice(("webhook-id", "webhook-timestamp", "webhook-signature", "body"))
        text = bytearray(good.body if part == "body" else good.headers[part])
        position = self._chance.randrange(3 if part == "webhook-signature" else 0, len(text))
        text[position] ^= 1 << self._chance.randrange(8)
        if part == "body":
            return msgspec.structs.replace(good, body=bytes(text))
        if any(byte in b"\r\n\0" for byte in text):
            text[position] ^= 0x80
        return _with(good, {part: bytes(text)})

    def stale(self) -> Request:
        """Rightly signed by the source whose secret is known, at another time."""
        away_s = STALE_S + int(self._chance.expovariate(1 / 3600))
        at_ms = max(0, self._now_ms + self._chance.choice((-1, 1)) * away_s * 1000)
        return signed(
            self._world.other_secret, f"s{self._number}", at_ms, event(f"S{self._number}"), OTHER
        )

    def odd_time(self) -> Request:
        """What is no time, or none that a number holds."""
        odd = (
            b"",
            b"0",
            b"-1",
            b"1e10",
            b"0x6",
            b" ",
            b"9" * 30,
            "١٧٦٧٥٧٨٤٠٠".encode(),
            b"1.7",
            b"+1",
        )
        return _with(self._fresh(), {"webhook-timestamp": self._chance.choice(odd)})

    def replay(self) -> Request:
        """The very same bytes, with what the signature does not cover changed as the forger likes."""
        good = msgspec.structs.replace(self._chance.choice(self._world.taken), is_replay=True)
        extra: Headers = self._chance.choice(
            (
                {},
                {"idempotency-key": f"k{self._number}".encode()},
                {"content-type": b"application/x-ndjson"},
                {"content-type": b"application/cloudevents+json"},
                {"content-encoding": b"gzip"},
                {
                    "ce-id": f"c{self._number}".encode(),
                    "ce-type": b"order.paid",
                    "ce-specversion": b"1.0",
                },
                {"x-forwarded-for": b"127.0.0.1"},
            )
        )
        return _with(good, extra)

    def cross_source(self) -> Request:
        """One source's secret or key, the other source's name."""
        name = f"x{self._number}"
        body = event(f"X{self._number}", source=MAIN, id=name)
        way = self._chance.randrange(4)
        if way == 0:  # signed by one, sent to the other's address
            return signed(
                self._world.other_secret, name, self._now_ms, event(f"X{self._number}"), MAIN
            )
        if way == 1:  # the body names the other
            return signed(self._world.other_secret, name, self._now_ms, body, OTHER)
        if way == 2:  # with a token, which the address does not bind
            headers = {"authorization": f"Bearer {self._world.other_token}".encode()}
            headers["content-type"] = b"application/json"
            return Request("", f"/v1/events?source={MAIN}", headers, body)
        good = self._chance.choice(self._world.taken)
        elsewhere = OTHER if MAIN in good.path else MAIN
        return msgspec.structs.replace(good, path=f"/v1/events?source={elsewhere}")

    def token(self) -> Request:
        """Tokens that are not, not any more, or almost good."""
        token = self._chance.choice(
            (*self._world.dead_tokens, f"dm_{self._chance.randbytes(32).hex()}", "", "dm_")
        )
        near = self._world.other_token
        token = self._chance.choice((token, near[:-1], near + "x", near.swapcase(), near[3:]))
        scheme = self._chance.choice(("Bearer", "Basic", "Token", "bearer", ""))
        headers = {"content-type": b"application/json"}
        headers["authorization"] = f"{scheme} {token}".encode()
        return Request("", "/v1/events", headers, event(f"T{self._number}"))

    def nameless(self) -> Request:
        """A source that does not exist, or none although there are two; or no signature at all."""
        made = self._fresh()
        way = self._chance.randrange(3)
        if way == 0:
            source = self._chance.choice(
                ("nobody", "", "default", "%00", "main-shop%20", "MAIN-SHOP")
            )
            return msgspec.structs.replace(made, path=f"/v1/events?source={source}")
        if way == 1:
            return msgspec.structs.replace(made, path="/v1/events")
        return msgspec.structs.replace(made, headers={"content-type": b"application/json"})

    def reused_id(self) -> Request:
        """The known secret over an id that was taken with another body: a lying shop."""
        ids = [
            good.headers["webhook-id"].decode() for good in self._world.taken if OTHER in good.path
        ]
        return signed(
            self._world.other_secret,
            self._chance.choice(ids),
            self._now_ms,
            event(f"R{self._number}"),
            OTHER,
        )

    def any_bytes(self) -> Request:
        """Any bytes in any of the headers that are looked at."""
        made = self._fresh()
        names = ("webhook-id", "webhook-timestamp", "webhook-signature", "authorization", "host",
                 "content-type", "content-encoding", "origin", "idempotency-key")  # fmt: skip
        picked = self._chance.sample(names, self._chance.randint(1, 3))
        return _with(
            made, {name: self._chance.randbytes(self._chance.randint(0, 60)) for name in picked}
        )

    def _fresh(self) -> Request:
        """A new message whose signature is that of another one."""
        good = self._chance.choice(self._world.taken)
        source = MAIN if MAIN in good.path else OTHER
        made = signed(
            Secret("x"), f"n{self._number}", self._now_ms, event(f"N{self._number}"), source
        )
        return _with(made, {"webhook-signature": good.headers["webhook-signature"]})


def _with(request: Request, headers: Headers) -> Request:
    return msgspec.structs.replace(request, headers={**request.headers, **headers})


_KINDS: dict[str, Callable[[Forger], Request]] = {
    "random signature": Forger.random_signature,
    "wrong secret": Forger.wrong_secret,
    "flipped bit": Forger.flipped_bit,
    "stale": Forger.stale,
    "odd time": Forger.odd_time,
    "replay": Forger.replay,
    "cross-source": Forger.cross_source,
    "token": Forger.token,
    "nameless": Forger.nameless,
    "reused id": Forger.reused_id,
    "any bytes": Forger.any_bytes,
}
