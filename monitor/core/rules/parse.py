"""Read the text of a rule into a tree.

    rule    = or [ "by" "(" label { "," label } ")" ]
    or      = and { "or" and }
    and     = not { "and" not }
    not     = "not" not | compare
    compare = sum [ ( ">" | ">=" | "<" | "<=" | "==" | "!=" ) sum ]
    sum     = product { ( "+" | "-" ) product }
    product = value { ( "*" | "/" ) value }
    value   = [ "-" ] literal | signal | "(" or ")"
    signal  = name [ "(" argument [ "," window ] ")" ] [ "{" label op text { "," … } "}" ]
              [ "[" window "]" ]
    window  = span [ ":" count [ ":" span ] ] | "last" count

`burn_rate(delivery, 1h)` and `burn_rate(delivery)[1h]` say the same. An argument is a name such as
`game-card-10`, or quoted text.

Names, labels, windows and units are checked here, so that what is parsed can be evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from monitor.core.rules.matching import as_globs, regex_in
from monitor.core.rules.signals import (
    ARGUMENTS,
    WINDOWLESS,
    check_argument,
    default_window,
    unknown,
)
from monitor.core.rules.tokens import ParseError, Token, tokenize, unquote
from monitor.core.rules.units import (
    CONDITION,
    DURATION,
    NUMBER,
    RATIO,
    Typed,
    arithmetic,
    comparison,
    condition,
)
from monitor.model.rules import (
    BUDGET_SIGNALS,
    SIDE_SIGNALS,
    SIGNALS,
    Arithmetic,
    Comparison,
    Logical,
    Matcher,
    Negation,
    Node,
    Number,
    Signal,
    Window,
    labels_of,
)
from monitor.model.times import DAY_MS, parse_duration

__all__ = ["Parsed", "labels_of", "parse", "signals_in"]

DEPTH_MAX = 20  # brackets and `not` inside each other
NODES_MAX = 100
MATCHERS_MAX = 8
ORDERS_MAX = 10_000
WINDOW_MAX_MS = 7 * DAY_MS
BUDGET_WINDOW_MAX_MS = 30 * DAY_MS

_COMPARE = (">", ">=", "<", "<=", "==", "!=")
_MATCH = ("=", "!=", "=~", "!~")
_NAME_KINDS = ("word", "keyword", "number", "duration")
_NAME_SIGNS = ("-", "/", ":")  # of an argument without quotes


class Parsed(msgspec.Struct, frozen=True):
    """A condition and the labels of its trailing `by (…)`."""

    node: Node
    by: tuple[str, ...] = ()


def parse(text: str, slos: Sequence[str] | None = None) -> Parsed:
    """Read a condition such as `delayed_ratio[10m:20:6h] > 2% and orders[1h] >= 5 by (channel)`.

    `slos` are the names `burn_rate` may be asked for; None lets every name pass. Raises: ParseError
    with the column and, for a misspelt name, a suggestion.
    """
    return _Parser(tokenize(text), text, slos).rule()


def signals_in(node: Node) -> tuple[Signal, ...]:
    """List the signals of a tree from left to right: what it costs, and how far back it looks."""
    match node:
        case Signal():
            return (node,)
        case Number():
            return ()
        case Negation(operand):
            return signals_in(operand)
        case Arithmetic() | Comparison() | Logical():
            return signals_in(node.left) + signals_in(node.right)


def _matcher(label: str, op: str, value: Token) -> Matcher:
    """Make a matcher. Raises: ParseError for `=~ "^auto"`, which would match nothing for ever."""
    text = unquote(value)
    part = regex_in(text) if op in ("=~", "!~") else None
    if part is not None:
        globs = as_globs(text)
        shown = f"; write '{globs}'" if globs else ""
        message = f"'{op}' takes a list of globs such as a|b*, and '{part}' is a regular expression"
        raise ParseError(message + shown, value.column)
    return Matcher(label, op, text)


class _Parser:
    """One pass over the tokens of one text."""

    def __init__(self, tokens: list[Token], text: str, slos: Sequence[str] | None) -> None:
        self._tokens = tokens
        self._text = text
        self._slos = slos
        self._at = 0
        self._depth = 0
        self._nodes = 0

    def rule(self) -> Parsed:
        whole = self._or()
        labels = self._by(whole.node) if self._take("by") else ()
        if self._token.kind != "end":
            raise self._unexpected("expected a comparison, and, or, by or the end")
        return Parsed(condition(whole, "a rule").node, labels)

    # --- conditions ---------------------------------------------------------------------------

    def _or(self) -> Typed:
        left = self._and()
        while self._take("or"):
            left = self._logical("or", left, self._and())
        return left

    def _and(self) -> Typed:
        left = self._not()
        while self._take("and"):
            left = self._logical("and", left, self._not())
        return left

    def _logical(self, op: str, left: Typed, right: Typed) -> Typed:
        condition(left, f"'{op}'")
        condition(right, f"'{op}'")
        return self._count(Typed(Logical(op, left.node, right.node), CONDITION, left.column))

    def _not(self) -> Typed:
        start = self._token
        if not self._take("not"):
            return self._compare()
        self._deeper(start)
        operand = condition(self._not(), "'not'")
        self._depth -= 1
        return self._count(Typed(Negation(operand.node), CONDITION, start.column))

    def _compare(self) -> Typed:
        left = self._sum()
        op = self._token
        if op.text == "=":
            raise ParseError("'=' stands only inside { }; write '==' to compare", op.column)
        if op.text not in _COMPARE:
            return left
        self._next()
        compared = self._count(comparison(op.text, left, self._sum()))
        if not signals_in(compared.node):
            raise ParseError("a comparison needs a signal", left.column)
        if self._token.text in _COMPARE:
            raise ParseError("comparisons cannot be chained; join them by and", self._token.column)
        return compared

    # --- values -------------------------------------------------------------------------------

    def _sum(self) -> Typed:
        left = self._product()
        while (op := self._token).text in ("+", "-"):
            self._next()
            left = self._count(arithmetic(op.text, left, self._product(), op.column))
        return left

    def _product(self) -> Typed:
        left = self._value()
        while (op := self._token).text in ("*", "/"):
            self._next()
            left = self._count(arithmetic(op.text, left, self._value(), op.column))
        return left

    def _value(self) -> Typed:
        token = self._next()
        if token.text == "(":
            self._deeper(token)
            inner = self._or()
            self._expect(")")
            self._depth -= 1
            return Typed(inner.node, inner.unit, token.column)
        if token.text == "-":
            literal = self._literal(self._next(), -1.0)
            return Typed(literal.node, literal.unit, token.column)
        if token.kind == "word":
            return self._signal(token)
        return self._literal(token, 1.0)

    def _literal(self, token: Token, sign: float) -> Typed:
        match token.kind:
            case "duration":
                value, unit = parse_duration(token.text) / 1000, DURATION
            case "percent":
                value, unit = float(token.text[:-1]) / 100, RATIO
            case "number":
                value, unit = float(token.text), NUMBER
            case _:
                raise self._unexpected("expected a signal or a number", token)
        return self._count(Typed(Number(sign * value), unit, token.column))

    # --- signals ------------------------------------------------------------------------------

    def _signal(self, token: Token) -> Typed:
        name = token.text
        if name not in SIGNALS:
            raise ParseError(unknown("signal", name, tuple(SIGNALS)), token.column)
        argument, window = self._argument(token)
        matchers = self._matchers(name) if self._take("{") else ()
        if self._token.text == "[":
            if window is not None:
                raise ParseError("the window is given twice", self._token.column)
            window = self._window(name, self._next().column)
            self._expect("]")
        signal = Signal(name, window or default_window(name), matchers, argument)
        return self._count(Typed(signal, SIGNALS[name], token.column))

    def _argument(self, signal: Token) -> tuple[str, Window | None]:
        """Read `(delivery, 1h)`: what the signal is asked about, and perhaps a window."""
        if signal.text not in ARGUMENTS:
            if self._token.text == "(":
                raise ParseError(f"'{signal.text}' takes no argument", self._token.column)
            return "", None
        if not self._take("("):
            raise ParseError(f"'{signal.text}' needs {ARGUMENTS[signal.text]}", signal.column)
        start = self._token
        argument = self._name(f"expected {ARGUMENTS[signal.text]}")
        check_argument(signal.text, argument, start.column, self._slos)
        window = self._window(signal.text, self._token.column) if self._take(",") else None
        self._expect(")")
        return argument, window

    def _name(self, expected: str) -> str:
        """Read a quoted text, or the tokens up to , or ) as they are written, such as `card-10`."""
        first = self._token
        if first.kind == "string":
            return unquote(self._next())
        end = first.column
        while self._token.column == end and (
            self._token.kind in _NAME_KINDS or self._token.text in _NAME_SIGNS
        ):
            end += len(self._next().text)
        if first.column == end:
            raise self._unexpected(expected)
        return self._text[first.column - 1 : end - 1]

    def _matchers(self, signal: str) -> tuple[Matcher, ...]:
        matchers: list[Matcher] = []
        while True:
            label = self._label(labels_of(signal), f"'{signal}'")
            op = self._next()
            if op.text not in _MATCH:
                raise ParseError("expected = != =~ or !~ after the label", op.column)
            value = self._next()
            if value.kind != "string":
                raise ParseError('expected a quoted text such as "auto"', value.column)
            matchers.append(_matcher(label, op.text, value))
            if len(matchers) > MATCHERS_MAX:
                raise ParseError(f"more than {MATCHERS_MAX} matchers", op.column)
            if not self._take(","):
                self._expect("}")
                return tuple(matchers)

    def _window(self, signal: str, column: int) -> Window:
        if signal in WINDOWLESS:
            raise ParseError(f"'{signal}' is about now and takes no window", column)
        if self._take("last"):
            if signal in SIDE_SIGNALS:
                message = f"'{signal}' is kept by time, not by order; write a time such as 1h"
                raise ParseError(message, column)
            return Window(last=self._orders())
        longest_ms = BUDGET_WINDOW_MAX_MS if signal in BUDGET_SIGNALS else WINDOW_MAX_MS
        span_ms, min_orders, max_ms = self._span(longest_ms), 0, 0
        if self._take(":"):
            min_orders = self._orders()
            if self._take(":"):
                reach = self._token
                max_ms = self._span(longest_ms)
                if max_ms < span_ms:
                    message = "the longest reach is shorter than the window"
                    raise ParseError(message, reach.column)
        return Window(span_ms=span_ms, min_orders=min_orders, max_ms=max_ms)

    def _span(self, longest_ms: int) -> int:
        token = self._next()
        if token.kind != "duration":
            raise ParseError("expected a duration such as 10m, or 'last' and a count", token.column)
        span_ms = parse_duration(token.text)
        if not 0 < span_ms <= longest_ms:
            longest = f"{longest_ms // DAY_MS}d"
            raise ParseError(f"a window is longer than 0 and at most {longest}", token.column)
        return span_ms

    def _orders(self) -> int:
        token = self._next()
        if token.kind != "number" or not token.text.isdigit():
            raise ParseError("expected a number of orders", token.column)
        if not 0 < int(token.text) <= ORDERS_MAX:
            raise ParseError(f"a number of orders is from 1 to {ORDERS_MAX}", token.column)
        return int(token.text)

    def _by(self, node: Node) -> tuple[str, ...]:
        known: dict[str, None] = {}
        for signal in signals_in(node):
            known.update(dict.fromkeys(labels_of(signal.name)))
        self._expect("(")
        labels = [self._label(tuple(known), "this rule")]
        while self._take(","):
            column = self._token.column
            label = self._label(tuple(known), "this rule")
            if label in labels:
                raise ParseError(f"'{label}' is given twice", column)
            labels.append(label)
        self._expect(")")
        return tuple(labels)

    def _label(self, known: tuple[str, ...], what: str) -> str:
        token = self._next()
        if token.kind != "word":
            raise self._unexpected("expected a label", token)
        if token.text not in known:
            listed = unknown("label", token.text, known)
            split = f"can be split by {', '.join(known)}" if known else "has no labels"
            raise ParseError(f"{listed} ({what} {split})", token.column)
        return token.text

    # --- tokens -------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _take(self, text: str) -> bool:
        """Step over the token if it reads so."""
        if self._token.text != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected(f"expected '{text}'")

    def _unexpected(self, expected: str, token: Token | None = None) -> ParseError:
        token = token or self._token
        found = f"'{token.text[:40]}'" if token.text else "the end"
        return ParseError(f"{expected}, found {found}", token.column)

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise ParseError(f"nested deeper than {DEPTH_MAX}", token.column)

    def _count(self, part: Typed) -> Typed:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise ParseError(f"more than {NODES_MAX} parts", part.column)
        return part
