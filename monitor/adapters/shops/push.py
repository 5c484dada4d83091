"""What all kinds of shops have in common that send by themselves; each is a class in its own file.

A sender without a second chance must not be told no for what is our fault: what is signed well and
says nothing we know is answered as if it had been taken, with a warning that is counted.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar, TypeVar

import msgspec

from monitor.adapters.shops.facts import Facts
from monitor.model.endpoints import ShopSource
from monitor.model.errors import InputError
from monitor.model.secret import Secret
from monitor.model.shops import Known, Pushed, RawReply, RawRequest

BAD_JSON = "bad_json"

T = TypeVar("T")


class SecretForm(msgspec.Struct, frozen=True):
    """What the secret of a kind looks like, as far as its maker says, and `where` it is found.

    `pattern` is a regular expression for all of it; `looks` says in words what it wants.
    `is_in_address`: these shops sign nothing, so it stands behind their address as `?token=`.
    """

    where: str
    pattern: str = ".+"
    looks: str = ""
    is_needed: bool = True
    is_in_address: bool = False

    def fits(self, secret: Secret) -> bool:
        """Whether a text can be such a secret."""
        return re.fullmatch(self.pattern, secret.reveal()) is not None


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
        """See ShopPush. A date or a field that cannot be read is no reason to send it again."""
        self.prove(request)
        try:
            return self.said(request)
        except msgspec.ValidationError:
            return strange("a body of another shape than this sender's")
        except InputError as error:
            if error.code == BAD_JSON:
                raise
            return strange(str(error))

    @abstractmethod
    def prove(self, request: RawRequest) -> None:
        """Check who sends. Raises: AuthError."""

    @abstractmethod
    def said(self, request: RawRequest) -> Pushed:
        """What a request says that is proven.

        Raises: InputError `bad_json` for what no such sender sends; InputError and ValidationError
        for what cannot be used.
        """


def decoded(body: bytes, kind: type[T]) -> T:
    """Read a JSON body, only the fields that its type names; numbers may be written as texts.

    Raises: InputError `bad_json`; msgspec.ValidationError for another shape.
    """
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InputError("the body is not JSON", code=BAD_JSON) from None


class _Gone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int


def deleted(body: bytes) -> str:
    """The id of what was deleted, if the signed body says so: it has nothing but that id.

    That it was deleted stands in a header, which no signature covers: put over the body of an order
    that was overheard it would cancel that order.

    Raises: InputError `bad_json`; msgspec.ValidationError for another shape.
    """
    return str(decoded(body, _Gone).id)


def strange(what: str, reply: RawReply | None = None) -> Pushed:
    """Answer yes to what was signed well and cannot be used; `what` goes into no answer."""
    return Pushed((), reply or RawReply(), (what,))
