"""Read the text of a rule into a tree.

    rule    = or [ "by" "(" label { "," label } ")" ]
    or      = and { "or" and }
    and     = not { "and" not }
    not     = "not" not | compare
    compare = sum [ ( ">" | ">=" | "<" | "<=" | "==" | "!=" ) sum ]
    sum     = product { ( "+" | "-" ) product }
    product = value { ( "*" | "/" ) value }
    value   = [ "-" ] literal | signal | "(" or ")"
    signal  = name [ "{" label op text { "," … } "}" ] [ "[" window "]" ]
    window  = span [ ":" count [ ":" span ] ] | "last" count

Names, labels, windows and units are checked here, so that what is parsed can be evaluated.
"""

from __future__ import annotations

import msgspec

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
    QUANTILES,
    RATIOS,
    SIGNALS,
    SOURCE_SIGNALS,
    Arithmetic,
    Comparison,
    Logical,
    Matcher,
    Negation,
    Node,
    Number,
    Signal,
    Window,
)
from monitor.model.spelling import did_you_mean
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, parse_duration

DEPTH_MAX = 20  # brackets and `not` inside each other
NODES_MAX = 100
MATCHERS_MAX = 8
ORDERS_MAX = 10_000
WINDOW_MAX_MS = 7 * DAY_MS

WINDOWLESS = ("oldest_age", "open_orders", "consecutive_late", "source_age", "source_silent")
JUDGED_WINDOW = Window(span_ms=10 * MINUTE_MS, min_orders=20, max_ms=6 * HOUR_MS)
FLOW_WINDOW = Window(span_ms=10 * MINUTE_MS)
LATER_SIGNALS = (
    "cusum_ratio",
    "speed_ratio",
    "burn_rate",
    "budget_remaining",
    "arrival_ratio",
    "paid_ratio",
    "callback_lag",
    "stock",
    "baseline",
)
_COMPARE = (">", ">=", "<", "<=", "==", "!=")
_MATCH = ("=", "!=", "=~", "!~")


class Parsed(msgspec.Struct, frozen=True):
    """A condition and the labels of its trailing `by (…)`."""

    node: Node
    by: tuple[str, ...] = ()


def parse(text: str) -> Parsed:
    """Read a condition such as `delayed_ratio[10m:20:6h] > 2% and orders[1h] >= 5 by (channel)`.

    Raises: ParseError with the column and, for a misspelt name, a suggestion.
    """
    return _Parser(tokenize(text)).rule()


def labels_of(signal: str) -> tuple[str, ...]:
    """List the labels a signal can be matched and split by."""
    return ("source",) if signal in SOURCE_SIGNALS else ("channel",)


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


class _Parser:
    """One pass over the tokens of one text."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
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
        if name in LATER_SIGNALS:
            raise ParseError(f"'{name}' is not available in this version", token.column)
        if name not in SIGNALS:
            raise ParseError(_unknown("signal", name, tuple(SIGNALS)), token.column)
        matchers = self._matchers(name) if self._take("{") else ()
        window = self._window(name) if self._token.text == "[" else _default_window(name)
        return self._count(Typed(Signal(name, window, matchers), SIGNALS[name], token.column))

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
            matchers.append(Matcher(label, op.text, unquote(value)))
            if len(matchers) > MATCHERS_MAX:
                raise ParseError(f"more than {MATCHERS_MAX} matchers", op.column)
            if not self._take(","):
                self._expect("}")
                return tuple(matchers)

    def _window(self, signal: str) -> Window:
        bracket = self._next()
        if signal in WINDOWLESS:
            raise ParseError(f"'{signal}' is about now and takes no window", bracket.column)
        if self._take("last"):
            window = Window(last=self._orders())
            self._expect("]")
            return window
        span_ms, min_orders, max_ms = self._span(), 0, 0
        if self._take(":"):
            min_orders = self._orders()
            if self._take(":"):
                column = self._token.column
                max_ms = self._span()
                if max_ms < span_ms:
                    raise ParseError("the longest reach is shorter than the window", column)
        self._expect("]")
        return Window(span_ms=span_ms, min_orders=min_orders, max_ms=max_ms)

    def _span(self) -> int:
        token = self._next()
        if token.kind != "duration":
            raise ParseError("expected a duration such as 10m, or 'last' and a count", token.column)
        span_ms = parse_duration(token.text)
        if not 0 < span_ms <= WINDOW_MAX_MS:
            raise ParseError("a window is longer than 0 and at most 7d", token.column)
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
            listed = _unknown("label", token.text, known)
            raise ParseError(f"{listed} ({what} can be split by {', '.join(known)})", token.column)
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


def _default_window(signal: str) -> Window | None:
    if signal in RATIOS or signal in QUANTILES or signal == "mean_delay":
        return JUDGED_WINDOW
    return FLOW_WINDOW if signal in ("orders", "throughput") else None


def _unknown(kind: str, word: str, known: tuple[str, ...]) -> str:
    hint = did_you_mean(word, known)
    return f"unknown {kind} '{word}'" + (f"; {hint}" if hint else "")
