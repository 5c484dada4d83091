"""`sources[].tail`: what is followed, and what cannot work is named with its place."""

from pathlib import Path

import pytest

from monitor.model.tails import JSON_BYTES_MAX, PATTERN_BYTES_MAX, TailField, TailSource
from tests.unit.config.files import load_text, problems_of

MAP = "map: {type: {value: order.paid}, order_id: no}"


def test_spool_of_an_emitter_needs_its_name_only(tmp_path: Path) -> None:
    """A relative name is beside the configuration file."""
    loaded = load_text(tmp_path, "sources: [{name: a, tail: {file: spool.ndjson}}, {name: b}]\n")
    tail = TailSource("a", str(tmp_path / "spool.ndjson"), currency="CNY")
    assert loaded.endpoints.tails == (tail,)
    assert tail.line_bytes_max == JSON_BYTES_MAX


def test_map_and_pattern_are_understood(tmp_path: Path) -> None:
    """The short form of a path, values, a default, a constant; a currency comes before an amount."""
    loaded = load_text(
        tmp_path,
        r"""
        sources:
          - name: a
            currency: JPY
            tail:
              file: /var/log/shop.log
              format: regex
              pattern: '^(?P<at>\S+) (?P<no>\S+) (?P<state>\d+) (?P<price>[0-9.]+) (?P<money>\w+)$'
              map:
                amount: price
                type: {path: state, values: {2: order.paid, 4: delivery.delivered}}
                order_id: no
                time: {path: at}
                currency: {path: money, values: {yen: JPY}, default: CNY}
                channel: {value: auto}
        """,
    )
    (tail,) = loaded.endpoints.tails
    assert (tail.file, tail.currency) == ("/var/log/shop.log", "JPY")
    assert tail.line_bytes_max == PATTERN_BYTES_MAX
    assert tail.fields == (
        TailField("type", ("state",), {"2": "order.paid", "4": "delivery.delivered"}),
        TailField("order_id", ("no",)),
        TailField("time", ("at",)),
        TailField("channel", constant="auto"),
        TailField("currency", ("money",), {"yen": "JPY"}, "CNY"),
        TailField("amount", ("price",)),
    )


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("format: json", "needs map"),
        ("format: xml", "format"),
        (f"format: regex, {MAP}", "needs pattern"),
        (f"pattern: '^a', {MAP}", "is for format: regex"),
        (f"format: regex, pattern: '^(', {MAP}", "is no regular expression"),
        (f"format: regex, pattern: '^(?P<no>(a+)+)', {MAP}", "repeats a group"),
        (f"format: regex, pattern: '^(?P<on>a)', {MAP}", "the pattern has no group 'no'"),
        ("map: {order_id: no}", "does not say the type of an event"),
        ("map: {type: {value: order.payd}}", "did you mean 'order.paid'?"),
        ("map: {type: {path: a, values: {1: payed}}}", "'payed' is no type of event"),
        ("map: {type: {value: order.paid}, orderid: no}", "did you mean 'order_id'?"),
        ("map: {type: {value: order.paid, path: a}}", "needs path or value"),
        ("map: {type: {value: order.paid}, colour: x}", "is no field of an event"),
    ],
)
def test_tail_that_cannot_work_is_refused(tmp_path: Path, tail: str, expected: str) -> None:
    """One line each, at the key that is to be changed."""
    problems = problems_of(tmp_path, f"sources: [{{name: a, tail: {{file: f, {tail}}}}}]\n")
    assert len(problems) == 1
    assert expected in problems[0]
    assert problems[0].startswith("monitor.yaml:1:")
