"""The rule language: what is read, what is refused, and where the finger points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.rules.parse import Parsed, parse, signals_in
from monitor.core.rules.tokens import ParseError
from monitor.model.rules import (
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
)

JUDGED = Window(span_ms=600_000, min_orders=20, max_ms=21_600_000)
HOUR = Window(span_ms=3_600_000)
LATE = Signal("delayed_ratio", JUDGED)
OPEN = Signal("open_orders")


def test_contract_rules_become_trees() -> None:
    """The two rules of the customer, with their windows and limits."""
    assert parse("delayed_ratio[10m:20:6h] > 2%") == Parsed(Comparison(">", LATE, Number(0.02)))
    mean = Signal("mean_delay", Window(600_000, 10, 21_600_000))
    assert parse("mean_delay[10m:10:6h] > 3m") == Parsed(Comparison(">", mean, Number(180.0)))


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("[10m]", Window(span_ms=600_000)),
        ("[10m:20]", Window(span_ms=600_000, min_orders=20)),
        ("[1h30m:5:7d]", Window(span_ms=5_400_000, min_orders=5, max_ms=604_800_000)),
        ("[last 50]", Window(last=50)),
        ("", JUDGED),
    ],
)
def test_windows_are_read(window: str, expected: Window) -> None:
    """All four forms, and the default of a signal over judged orders."""
    tree = parse(f"p95_delay{window} > 5m").node
    assert signals_in(tree) == (Signal("p95_delay", expected),)


@pytest.mark.parametrize(
    ("literal", "value"),
    [("180s", 180.0), ("500ms", 0.5), ("1h30m", 5400.0), ("1.5m", 90.0), ("-1m", -60.0), ("0", 0)],
)
def test_durations_are_seconds(literal: str, value: float) -> None:
    """Every way to write a time becomes seconds; a bare 0 needs no unit."""
    assert parse(f"oldest_age > {literal}").node == Comparison(
        ">", Signal("oldest_age"), Number(value)
    )


def test_matchers_and_by_are_read() -> None:
    """Four operators, two quotes, an escape, and the trailing labels."""
    parsed = parse(
        'failed_ratio{channel="a\\"b", channel!=\'c\', channel=~"a|b*", channel!~"x"}[10m] > .5'
        " by (channel)"
    )
    assert parsed.by == ("channel",)
    assert signals_in(parsed.node)[0].matchers == (
        Matcher("channel", "=", 'a"b'),
        Matcher("channel", "!=", "c"),
        Matcher("channel", "=~", "a|b*"),
        Matcher("channel", "!~", "x"),
    )


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    """`a or not b and c` is `a or ((not b) and c)`."""
    over = Comparison(">", OPEN, Number(1.0))
    assert parse("open_orders > 1 or not open_orders > 1 and open_orders > 1").node == Logical(
        "or", over, Logical("and", Negation(over), over)
    )


def test_arithmetic_is_left_associative_and_products_first() -> None:
    """`10 - a - 2 * 3` is `(10 - a) - (2 * 3)`."""
    assert parse("10 - open_orders - 2 * 3 > 1").node == Comparison(
        ">",
        Arithmetic(
            "-",
            Arithmetic("-", Number(10.0), OPEN),
            Arithmetic("*", Number(2.0), Number(3.0)),
        ),
        Number(1.0),
    )


@pytest.mark.parametrize(
    "text",
    [
        "mean_delay > p50_delay * 3",
        "mean_delay / 1m > 3",
        "delayed_ratio * 1m > 1s",
        "delayed_ratio > failed_ratio + 1%",
        "orders[1h] / open_orders > 2",
        "health_index[1h] < 70",
        "mean_delay / orders > 1s",
        "orders * mean_delay > 3h",
        "source_silent > 0",
        "0 < oldest_age",
        "(delayed_ratio > 2%) and (orders > 5)",
        " and ".join(["(orders > 5)"] * 21),  # brackets side by side are not deep
    ],
)
def test_sensible_units_are_accepted(text: str) -> None:
    """Units follow through arithmetic."""
    assert parse(text).by == ()


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("delayd_ratio > 2%", 1, "unknown signal 'delayd_ratio'; did you mean 'delayed_ratio'?"),
        ("orders > 5 and p96_delay > 3m", 16, "unknown signal 'p96_delay'; did you mean"),
        ('delayed_ratio{chanel="x"} > 2%', 15, "unknown label 'chanel'; did you mean 'channel'?"),
        ("source_age > 5m by (channel)", 21, "unknown label 'channel'"),
        ("delayed_ratio > 2% by (channel, channel)", 33, "'channel' is given twice"),
        ("delayed_ratio > 3m", 17, "a ratio; compare it with a percentage"),
        ("3m < delayed_ratio", 1, "a ratio; compare it with a percentage"),
        ("mean_delay > 2%", 14, "a duration; compare it with one such as 3m"),
        ("mean_delay > 180", 14, "a duration; compare it with one such as 3m"),
        ("delayed_ratio > 2", 17, "a ratio; compare it with a percentage"),
        ("delayed_ratio >= 100%", 18, "can never be shown to exceed 100%"),
        ("health_index < 70%", 16, "a score from 0 to 100"),
        ("orders > mean_delay", 10, "a count"),
        ("mean_delay + 5 > 3m", 12, "cannot calculate duration + number"),
        ("orders / 0 > 5", 10, "division by zero"),
        ("1 > orders / (2 * 3 - 6)", 14, "division by zero"),
        ("orders{channel=~'^a'} > 3", 17, "a list of globs such as a|b*"),
        ("orders{channel!~'(a|b)'} > 3", 17, "write 'a|b'"),
        ("delayed_ratio", 1, "a rule needs a condition"),
        ("delayed_ratio AND 1", 15, "expected a comparison, and, or, by or the end, found 'AND'"),
        ("orders > 5 and orders", 16, "'and' needs a condition"),
        ("not orders", 5, "'not' needs a condition"),
        ("(orders > 5) > 2", 1, "compares values, not conditions"),
        ("(orders > 5) + 2 > 1", 1, "needs values, not a condition"),
        ("1 < orders < 5", 12, "comparisons cannot be chained"),
        ("3 > 2", 1, "a comparison needs a signal"),
        ("orders = 5", 8, "write '==' to compare"),
        ("orders > 5 && 1", 12, "unexpected '&'; write 'and'"),
        ("delayed_ratio > 2 %", 19, "write 2% without space"),
        ("orders > 5 ; 1", 12, "unexpected ';'"),
        ("oldest_age[10m] > 3m", 11, "takes no window"),
        ("orders[] > 3", 8, "expected a duration such as 10m"),
        ("orders[0s] > 3", 8, "longer than 0 and at most 7d"),
        ("orders[8d] > 3", 8, "longer than 0 and at most 7d"),
        ("orders[10m:0] > 3", 12, "from 1 to 10000"),
        ("orders[10m:1.5] > 3", 12, "expected a number of orders"),
        ("orders[10m:20:5m] > 3", 15, "shorter than the window"),
        ("orders[last 5m] > 3", 13, "expected a number of orders"),
        ("orders > 3mm", 10, "'3mm' is not a number or duration"),
        ("orders > 3 by channel", 15, "expected '('"),
        ("orders{channel=auto} > 3", 16, "expected a quoted text"),
        ('orders{channel="auto > 3', 16, "a quoted text must end"),
        ("orders{channel>'a'} > 3", 15, "expected = != =~ or !~"),
        ("(orders > 3", 12, "expected ')', found the end"),
        ("orders >", 9, "expected a signal or a number, found the end"),
        ("", 1, "expected a signal or a number, found the end"),
        ("stock(steam.card) < 5", 12, "put a name with dots in quotes"),
        ("burn_rate > 1", 1, "'burn_rate' needs the name of an SLO"),
        ("burn_rate() > 1", 11, "expected the name of an SLO"),
        ("burn_rate(a, 1h)[5m] > 1", 17, "the window is given twice"),
        ("burn_rate(a, last 50) > 1", 14, "kept by time, not by order"),
        ("burn_rate(a, 31d) > 1", 14, "longer than 0 and at most 30d"),
        ("burn_rate(a b) > 1", 13, "expected ')', found 'b'"),
        ("burn_rate('') > 1", 11, "an argument has 1 to 128 characters"),
        ("orders(5) > 1", 7, "'orders' takes no argument"),
        ("budget_remaining(a)[1h] < 0", 20, "takes no window"),
        ("paid_ratio < 20", 14, "a ratio; compare it with a percentage"),
        ("cusum_ratio > 1m", 15, "a number; compare it with a number"),
        ('stock(a){sku="b"} < 5', 10, "unknown label 'sku' ('stock' has no labels)"),
        ("stock(a) < 5 by (sku)", 18, "unknown label 'sku' (this rule has no labels)"),
        ('paid_ratio{channel="b"} < 5%', 12, "'paid_ratio' can be split by provider"),
        ("p95_delay > baseline(p95_dely)", 22, "did you mean 'p95_delay'?"),
        ("p95_delay > baseline(orders)", 22, "learned are p50_delay, p90_delay"),
        ("delayed_ratio > baseline(p95_delay)", 17, "the other side is a"),
        ("(" * 30 + "orders", 21, "nested deeper than 20"),
        ("not " * 30 + "orders > 1", 81, "nested deeper than 20"),
        ("orders > " + "1+" * 200 + "1", 110, "more than 100 parts"),
        ("orders > 1 " + " " * 2000, 2001, "longer than 2000 characters"),
    ],
)
def test_mistake_is_named_at_its_column(text: str, column: int, message: str) -> None:
    """Every refusal says what is wrong and points to it."""
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("burn_rate(delivery, 1h) > 14.4", Signal("burn_rate", HOUR, (), "delivery")),
        ("burn_rate(delivery)[1h] > 14.4", Signal("burn_rate", HOUR, (), "delivery")),
        ("burn_rate(delivery) > 14.4", Signal("burn_rate", HOUR, (), "delivery")),
        (
            'burn_rate(delivery, 5m:10:1h){channel="a"} > 6',
            Signal(
                "burn_rate",
                Window(300_000, 10, 3_600_000),
                (Matcher("channel", "=", "a"),),
                "delivery",
            ),
        ),
        (
            "burn_rate('eu shop', 30d) > 1",
            Signal("burn_rate", Window(2_592_000_000), (), "eu shop"),
        ),
        ("budget_remaining(late-2) < 10%", Signal("budget_remaining", argument="late-2")),
        ("stock(game-card-10) < 5", Signal("stock", argument="game-card-10")),
        ("stock(by-3m/7:1) < 5", Signal("stock", argument="by-3m/7:1")),
        ('stock("月卡 (30)") < 5', Signal("stock", argument="月卡 (30)")),
        ("cusum_ratio > 1", Signal("cusum_ratio")),
        ("cusum_ratio > 100%", Signal("cusum_ratio")),
        ("speed_ratio < .2", Signal("speed_ratio")),
        ("arrival_ratio[30m] < 20%", Signal("arrival_ratio", Window(1_800_000))),
        ("paid_ratio < 20%", Signal("paid_ratio")),
        (
            'callback_lag{provider="wx"}[15m:5] > 90s',
            Signal("callback_lag", Window(900_000, 5), (Matcher("provider", "=", "wx"),)),
        ),
    ],
)
def test_signals_beside_the_orders_are_read(text: str, expected: Signal) -> None:
    """Arguments with and without quotes, a window in either place, limits with and without %."""
    assert signals_in(parse(text).node) == (expected,)


def test_learned_limit_has_the_unit_of_its_signal() -> None:
    """`2 * baseline(p95_delay)` is a duration: twice what the hour is used to."""
    quick = Signal("p95_delay", Window(span_ms=900_000))
    assert parse("p95_delay[15m] > 2 * baseline(p95_delay)").node == Comparison(
        ">", quick, Arithmetic("*", Number(2.0), Signal("baseline", argument="p95_delay"))
    )


def test_rule_is_split_by_the_labels_of_its_signals() -> None:
    """Orders have four labels; a chart only the channel; of a mixture each label must be somebody's."""
    text = "delayed_ratio > 2% by (channel, source, provider, sku)"
    assert parse(text).by == ("channel", "source", "provider", "sku")
    assert parse("cusum_ratio > 1 and source_silent == 0 by (channel)").by == ("channel",)


def test_objective_is_looked_up_where_the_objectives_are_known() -> None:
    """Without a list every name passes; with one a misspelt name is an error at its column."""
    assert parse("burn_rate(x) > 1", None) == parse("burn_rate(x) > 1", ["x"])
    with pytest.raises(ParseError, match="did you mean 'delivery'") as caught:
        parse("burn_rate(delivry, 1h) > 1", ["delivery", "refunds"])
    assert caught.value.column == 11
    with pytest.raises(ParseError, match="no rule file has a section 'slos'"):
        parse("budget_remaining(delivery) < 1%", [])


WORDS = [
    *SIGNALS,
    *("cusum_ratio", "delayd_ratio", "and", "or", "not", "by", "last", "channel", "source"),
    *"(){}[],:+-*/<>=!&|%.\"'\\\n",
    *(">=", "<=", "==", "!=", "=~", "!~", '"a|b*"', "2%", "3m", "10m", "1.5", "20", "中", "²"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_is_a_tree_or_a_parse_error(text: str) -> None:
    """No text raises anything else, and the column lies within the text or right after it."""
    try:
        parsed = parse(text)
    except ParseError as error:
        assert 1 <= error.column <= len(text) + 1  # noqa: PT017 - both outcomes are fine
    else:
        assert signals_in(parsed.node)


# A tree together with its text, printed with all brackets.
Printed = tuple[str, Node]

durations = st.integers(0, 10**6).map(lambda ms: (f"{ms}ms", Number(ms / 1000)))
spans = st.integers(1, 600).map(lambda m: (f"{m}m", m * 60_000))
counts = st.integers(1, 10_000)
windows = st.one_of(
    counts.map(lambda n: (f"[last {n}]", Window(last=n))),
    spans.map(lambda s: (f"[{s[0]}]", Window(span_ms=s[1]))),
    st.tuples(spans, counts).map(
        lambda t: (f"[{t[0][0]}:{t[1]}]", Window(span_ms=t[0][1], min_orders=t[1]))
    ),
)
matchers = st.tuples(
    st.sampled_from(("=", "!=", "=~", "!~")), st.text("ab|*\"\\' 中", max_size=6)
).map(
    lambda t: (
        "{channel" + t[0] + '"' + t[1].replace("\\", "\\\\").replace('"', '\\"') + '"}',
        (Matcher("channel", *t),),
    )
)
signals = st.tuples(
    st.sampled_from(("mean_delay", "p50_delay", "p99_delay")),
    matchers | st.just(("", ())),
    windows,
).map(lambda t: (t[0] + t[1][0] + t[2][0], Signal(t[0], t[2][1], t[1][1])))


def _join(kind: type[Arithmetic | Comparison | Logical], ops: str) -> object:
    def build(parts: tuple[Printed, str, Printed]) -> Printed:
        (left, left_node), op, (right, right_node) = parts
        return f"({left} {op} {right})", kind(op, left_node, right_node)

    return lambda inner: st.tuples(inner, st.sampled_from(ops.split()), inner).map(build)


values = st.recursive(durations | signals, _join(Arithmetic, "+ -"), max_leaves=4)  # type: ignore[arg-type]  # a strategy of pairs
comparisons = st.tuples(signals, st.sampled_from((">", ">=", "<", "<=", "==", "!=")), values).map(
    lambda t: (f"{t[0][0]} {t[1]} {t[2][0]}", Comparison(t[1], t[0][1], t[2][1]))
)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        _join(Logical, "and or")(inner)  # type: ignore[operator]  # see above
        | inner.map(lambda t: (f"not ({t[0]})", Negation(t[1])))
    ),
    max_leaves=6,
)


@given(conditions)
def test_printed_tree_is_read_back(printed: Printed) -> None:
    """Text printed from a random tree parses to that very tree."""
    text, node = printed
    assert parse(text).node == node
