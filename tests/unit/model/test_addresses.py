"""What is this machine only, in every spelling."""

import pytest

from monitor.model.addresses import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.5.5.5", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback_is_recognised(host: str) -> None:
    """Nobody else can reach these."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "192.168.1.5", "::ffff:10.0.0.1", "localhost.example", "127.0.0.1.example",
     "0127.0.0.1", "2130706433"],
)  # fmt: skip
def test_everything_else_can_be_reached(host: str) -> None:
    """A name may lead anywhere, and a number that is no address is a name."""
    assert not is_loopback(host)
