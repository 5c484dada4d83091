"""`Idempotency-Key`: the same write sent twice is done once and answered twice.

Answers are kept in memory for a day and lost with the process; then the product's own safeguards
remain (a switch carries the whole desired state, a takeover is resolved once). Only successes are
kept: after an error nothing was done, and sending it again is right.

Source: draft-ietf-httpapi-idempotency-key-header (409 while under way, 422 for another body).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from monitor.model.errors import CapacityError, InputError
from monitor.model.times import DAY_MS

HEADER = "Idempotency-Key"
KEY_MAX = 255
ANSWERS_MAX = 500  # the oldest gives way to a new one
KEEP_MS = DAY_MS

Name = tuple[str, str]
"""Who sent the key, and the key: two callers never share one."""


class Answer(msgspec.Struct, frozen=True):
    """What was answered to a write; `status` 0 while it is under way."""

    digest: bytes
    at_ms: int
    status: int = 0
    body: bytes = b""


class Answers:
    """The answers of the last day by caller and key, oldest first."""

    def __init__(self, answers_max: int = ANSWERS_MAX) -> None:
        self._answers: dict[Name, Answer] = {}
        self._answers_max = answers_max
        self.dropped = 0  # answers that gave way before their day was over

    def __len__(self) -> int:
        return len(self._answers)

    def begin(self, name: Name, digest: bytes, now_ms: int) -> Answer | None:
        """Return the answer that was given already; None: go on, then `keep` or `forget`.

        Raises: InputError `conflict` while the first request is under way, `idempotency_key_reused`
        for another request; CapacityError when all kept ones are under way.
        """
        known = self._answers.get(name)
        if known is not None and known.status and now_ms - known.at_ms >= KEEP_MS:
            del self._answers[name]
            known = None
        if known is None:
            self._make_room(now_ms)
            self._answers[name] = Answer(digest, now_ms)
            return None
        if known.digest != digest:
            detail = f"this {HEADER} was used for another request"
            raise InputError(detail, code="idempotency_key_reused", hint="use a new key")
        if not known.status:
            detail = f"the first request with this {HEADER} is under way"
            raise InputError(detail, code="conflict", hint="send it again in a second")
        return known

    def keep(self, name: Name, status: int, body: bytes) -> None:
        """Remember what was answered."""
        known = self._answers[name]
        self._answers[name] = msgspec.structs.replace(known, status=status, body=body)

    def forget(self, name: Name) -> None:
        """Let the same key try again: nothing was done."""
        del self._answers[name]

    def _make_room(self, now_ms: int) -> None:
        if len(self._answers) < self._answers_max:
            return
        for name, answer in self._answers.items():
            if answer.status:
                del self._answers[name]
                self.dropped += now_ms - answer.at_ms < KEEP_MS
                return
        raise CapacityError("too many writes are under way")


def digest_of(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return what makes two requests the same: method, path, body, and how the body is to be read.

    A CloudEvent in binary mode has its attributes in `ce-` headers.
    """
    telling = sorted(
        f"{name.lower()}:{value}"
        for name, value in headers.items()
        if name.lower() == "content-type" or name.lower().startswith("ce-")
    )
    parts = [part.encode(errors="surrogateescape") for part in (method, path, *telling)]
    return hashlib.blake2b(b"\0".join((*parts, body))).digest()


def check_key(key: str) -> None:
    """Refuse keys that are empty, too long or not printable.

    Raises: InputError.
    """
    if not 1 <= len(key) <= KEY_MAX or not (key.isascii() and key.isprintable()):
        detail = f"{HEADER} must have 1 to {KEY_MAX} printable ASCII characters"
        raise InputError(detail, code="bad_idempotency_key")
