"""What all kinds of shops have in common that send by themselves; each is a class in its own file.

A sender without a second chance must not be told no for what is our fault: what is signed well and
says nothing we know is answered as if it had been taken, with a warning that is counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeVar

import msgspec

from monitor.adapters.shops.facts import Facts
from monitor.model.endpoints import ShopSource
from monitor.model.errors import InputError
from monitor.model.shops import Known, Pushed, RawReply, RawRequest

T = TypeVar("T")


class SecretForm(msgspec.Struct, frozen=True):
    """What the secret of a kind looks like, as far as its maker says; `where` it is found there."""

    where: str
    prefixes: tuple[str, ...] = ()
    is_needed: bool = True


class Push(ABC):
    """Reads requests of one source: proof first, then what they say.

    `KNOWN`: how well each fact is known. `PATIENCE_S`: how long we may be down before the sender
    gives an event up.
    """

    KNOWN: ClassVar[tuple[Known, ...]]
    PATIENCE_S: ClassVar[int]
    SECRET: ClassVar[SecretForm]

    def __init__(self, source: ShopSource, facts: Facts) -> None:
        self.secrets = source.secrets
        self.facts = facts

    def read(self, request: RawRequest) -> Pushed:
        """See ShopPush."""
        self.prove(request)
        return self.said(request)

    @abstractmethod
    def prove(self, request: RawRequest) -> None:
        """Check who sends. Raises: AuthError."""

    @abstractmethod
    def said(self, request: RawRequest) -> Pushed:
        """What a request says that is proven. Raises: InputError for what no such sender sends."""


def decoded(body: bytes, kind: type[T]) -> T | None:
    """Read a JSON body, only the fields that its type names; None if it has another shape.

    Numbers may be written as texts. Raises: InputError `bad_json`.
    """
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("the body is not JSON", code="bad_json") from None


def strange(what: str, reply: RawReply | None = None) -> Pushed:
    """Answer yes to what was signed well and cannot be used; `what` goes into no answer."""
    return Pushed((), reply or RawReply(), (what,))
