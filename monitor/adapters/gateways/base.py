"""A gateway whose callbacks are flat fields, described by data: names, signature, words of consent.

The two judgements of an answer are kept apart on purpose: BEpusdt takes any text with `ok` in it
for a yes, so also `token error`. What the gateway thinks says whether it will call again; what the
shop meant says whether the order was handled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from monitor.adapters.gateways.fields import read_fields
from monitor.model.gateways import (
    Callback,
    GatewayKeys,
    Meaning,
    Said,
    ShopAnswer,
    Signature,
)
from monitor.model.ids import digest
from monitor.model.money import decimals_of
from monitor.model.shops import RawReply, RawRequest

ANSWER_BYTES_MAX = 64  # a longer answer is a page, not a word

Fields = Mapping[str, str]
UNREADABLE = Callback()

_ID = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff]{1,128}")  # contract §2
_DIGITS_MAX = 15
_BYTE_ORDER_MARK = "\ufeff"  # what a PHP file saved on Windows puts before its answer
_REFUSALS = frozenset(
    ("fail", "failed", "failure", "error", "no", "false", "not ok", "token error", "sign error")
)


class Dialect(msgspec.Struct, frozen=True):
    """How one form of callback names its fields; `order` tells by its presence which form it is.

    `volatile` differ between repeats of the same callback. `documented` are all that count where
    others may stand beside them unsigned. `refund` holds what went back. `worth` says what a signature
    that fits is worth, where the signed text can be read in more than one way.
    """

    order: str
    trade: str
    amount: str
    says: tuple[Said, ...]
    check: Callable[[Fields, GatewayKeys], bool]
    has_key: Callable[[GatewayKeys], bool]
    documented: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ("sign", "sign_type", "signature")
    refund: str = ""
    paid_at: Callable[[Fields], int | None] | None = None
    is_in_minor: bool = False  # amounts are minor units already
    worth: Callable[[Fields], Signature] | None = None


class Manners(msgspec.Struct, frozen=True):
    """How a gateway and its shops talk: the words for yes, and how long the gateway waits."""

    accepts: Callable[[int, bytes], bool]
    words: tuple[str, ...]
    acknowledgement: RawReply
    patience_ms: int
    statuses: tuple[int, ...] = (200,)


class FieldsGateway:
    """Reads callbacks by the dialects of a kind of gateway."""

    def __init__(self, dialects: tuple[Dialect, ...], manners: Manners, keys: GatewayKeys) -> None:
        self._dialects = dialects
        self._manners = manners
        self._keys = keys
        self.says = tuple(said for dialect in dialects for said in dialect.says)
        self.acknowledgement = manners.acknowledgement
        self.patience_ms = manners.patience_ms

    def read(self, request: RawRequest) -> Callback:
        """Say what a request means; whatever cannot be read has no order and an unknown meaning."""
        fields = read_fields(request)
        for dialect in self._dialects:
            if dialect.order in fields:
                return told(fields, dialect, self._keys)
        return UNREADABLE

    def accepts(self, status: int, body: bytes) -> bool:
        """Whether the gateway takes this answer for consent and stops calling."""
        return self._manners.accepts(status, body)

    def shop_accepted(self, status: int, body: bytes) -> ShopAnswer:
        """What a shop's answer comes to."""
        return judged(status, body, self._manners)


def judged(status: int, body: bytes, manners: Manners) -> ShopAnswer:
    """Judge an answer by its whole text: a word for yes inside of something else is no yes."""
    if status >= 400:
        return ShopAnswer.REFUSED
    if status not in manners.statuses or len(body) > ANSWER_BYTES_MAX:
        return ShopAnswer.UNCLEAR
    word = word_of(body)
    if word in manners.words:
        return ShopAnswer.ACCEPTED
    return ShopAnswer.REFUSED if word in _REFUSALS else ShopAnswer.UNCLEAR


def word_of(body: bytes) -> str:
    """An answer without what stands around it, in lower case."""
    return body.decode("utf-8", "replace").strip().strip(_BYTE_ORDER_MARK).strip().lower()


def told(fields: Fields, dialect: Dialect, keys: GatewayKeys) -> Callback:
    """Read the fields of a callback in its dialect."""
    order_id = named(fields, dialect.order)
    if not order_id:
        return UNREADABLE
    meaning = meaning_of(fields, dialect.says)
    has_refund = meaning == Meaning.REFUNDED and dialect.refund
    amount = fields.get(dialect.refund if has_refund else dialect.amount, "")
    return Callback(
        order_id=order_id,
        trade_no=named(fields, dialect.trade) or order_id,
        meaning=meaning,
        amount_minor=_minor(amount, dialect, keys),
        currency=keys.currency,
        paid_at_ms=dialect.paid_at(fields) if dialect.paid_at else None,
        signature=_signature(fields, dialect, keys),
        fields_digest=digest_of(_counting(fields, dialect), dialect.volatile),
    )


def meaning_of(fields: Fields, says: tuple[Said, ...]) -> Meaning:
    """The meaning of the first row that fits."""
    for said in says:
        if all(_fits(fields.get(name, ""), value) for name, value in said.when):
            return said.meaning
    return Meaning.UNKNOWN


def named(fields: Fields, name: str) -> str:
    """A number of an order or a payment; empty if it is none."""
    text = fields.get(name, "")
    return text if _ID.fullmatch(text) else ""


def minor_of(written: str, currency: str) -> int | None:
    """Minor units of a written amount; None unless it comes out exactly."""
    try:
        amount = Decimal(written.strip()).scaleb(decimals_of(currency))
    except ArithmeticError:
        return None
    if not amount.is_finite() or amount < 0 or amount.adjusted() >= _DIGITS_MAX:
        return None
    return int(amount) if amount == int(amount) else None


def unix_ms(written: str) -> int | None:
    """Milliseconds of unix seconds as a gateway writes them; None unless they are of our time."""
    is_time = written.isascii() and written.isdigit() and len(written) == 10
    return int(written) * 1000 if is_time else None


def digest_of(fields: Fields, volatile: tuple[str, ...]) -> str:
    """The same text for the same content; 128 bits."""
    parts = [
        part for name in sorted(fields) if name not in volatile for part in (name, fields[name])
    ]
    return digest(*parts).hex()


def _minor(written: str, dialect: Dialect, keys: GatewayKeys) -> int | None:
    if not dialect.is_in_minor:
        return minor_of(written, keys.currency)
    is_number = written.isascii() and written.isdigit() and len(written) <= _DIGITS_MAX
    return int(written) if is_number else None


def _fits(value: str, wanted: str) -> bool:
    return bool(value) if wanted == "*" else value == wanted


def _counting(fields: Fields, dialect: Dialect) -> Fields:
    """Fields that are part of what is signed: the documented ones, and of those none that is empty."""
    names = dialect.documented or fields
    return {name: fields[name] for name in names if fields.get(name)}


def _signature(fields: Fields, dialect: Dialect, keys: GatewayKeys) -> Signature:
    if not dialect.has_key(keys):
        return Signature.UNCHECKED
    if not dialect.check(fields, keys):
        return Signature.INVALID
    return dialect.worth(fields) if dialect.worth else Signature.VALID
