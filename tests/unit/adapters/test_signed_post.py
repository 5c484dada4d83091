"""Our event body, and what Retry-After says."""

import msgspec
import pytest

from monitor.adapters.signed_post import event_body, retry_after_ms

NOW_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z


def test_event_body_is_type_timestamp_data() -> None:
    """The three members of contract §6, the payload byte for byte."""
    body = event_body("alert.firing", NOW_MS, msgspec.Raw(b'{"a": 1.0}'))
    assert body == b'{"type":"alert.firing","timestamp":"2023-11-14T22:13:20Z","data":{"a": 1.0}}'


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        (None, None),
        ("0", 0),
        ("17", 17_000),
        ("999999", 3_600_000),
        ("99999999999999999999", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0),
        ("Wed, 14 Nov 2029 22:14:20 GMT", 3_600_000),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text: str | None, wait_ms: int | None) -> None:
    """Both forms of RFC 9110 §10.2.3, clamped to an hour; nonsense is ignored."""
    assert retry_after_ms(text, NOW_MS) == wait_ms
