"""Patterns that could take for ever on a line are refused; ordinary ones are taken."""

import re

import pytest

from monitor.config.safe_pattern import why_unsafe

SAFE = (
    r"^(?P<time>\S+ \S+) order=(?P<order_id>\S+) status=(?P<status>\w+)$",
    r"^\[(?P<time>[^\]]+)\] (?P<level>[A-Z]+): 订单 (?P<order_id>[^ ]+) 已支付",
    r"^.*order (?P<order_id>\d+) paid",
    r"^(?P<ip>[0-9.]+) - (?:-|\w+) \[(?P<time>[^\]]*)\] \"(?:GET|POST) /pay/(?P<order_id>[^ ?]+)",
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d{3})? (?P<order_id>A-?\d+)(?: .*)?$",
    r"^a{3,5}b*c+d?e",
    r"^(?P<order_id>[^,]*),(?P<status>[^,]*),(?P<amount>[0-9.]*)",
    r"^(?:a|ab)c",
)
UNSAFE = {
    r"^(a+)+$": "repeats a group",
    r"^(?:a|a)*b": "repeats a group",
    r"^(?:\w+\s?)+$": "repeats a group",
    r"^.*a.*b.*c$": "several repeats",
    r"^\d+\d+\d+x": "several repeats",
    r"^\s*\s*\s*x": "several repeats",
    r"^.+?.+?x": "several repeats",
    r"^\S+,\S+,\S+,x": "several repeats",
    r"^(?P<a>x+)(?P=a)": "groupref",
    r"^(?=a+)a": "assert",
    r"^(?<!a)b": "assert",
    r"order (\d+)": "must begin with ^",
    r"": "must begin with ^",
    r"^a|b.*": "must begin with ^",
}


@pytest.mark.parametrize("pattern", SAFE)
def test_ordinary_pattern_is_taken(pattern: str) -> None:
    """Words, numbers, times, one `.*`: what people write for their logs."""
    assert why_unsafe(pattern) == ""


@pytest.mark.parametrize("pattern", UNSAFE)
def test_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    """With the reason; each of them is one that `re` compiles."""
    re.compile(pattern)
    assert UNSAFE[pattern] in why_unsafe(pattern)
