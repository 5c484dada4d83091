"""`relays`: keys come from `gateways`, the shop's host is let through, every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings
from monitor.model.secret import Secret
from tests.unit.config.files import load_text, problems_of, write_secret

SHOP = "http://10.0.0.7:8000/notify"


def test_relay_has_the_keys_of_its_gateway(tmp_path: Path) -> None:
    """By its own name, or by the one that `kind` names; a bare kind of gateway checks nothing."""
    write_secret(tmp_path / "key", "abc")
    text = f"""
    gateways: [{{name: epay, kind: yipay, key_file: key}}]
    relays:
      - {{shop: main, gateway: epay, forward: "{SHOP}"}}
      - {{shop: main, gateway: second, kind: epay, forward: "{SHOP}", host: shop.example, patience: 7s}}
      - {{shop: main, gateway: coins, kind: bepusdt, forward: "{SHOP}"}}
    """
    endpoints = load_text(tmp_path, text).endpoints
    keys = GatewayKeys((Secret("abc"),), (), "CNY")
    assert endpoints.relays == (
        RelaySettings("main", "epay", "yipay", SHOP, keys=keys, access="epay"),
        RelaySettings("main", "second", "yipay", SHOP, "shop.example", 7_000, keys, "epay"),
        RelaySettings("main", "coins", "bepusdt", SHOP, keys=GatewayKeys(currency="CNY")),
    )
    assert endpoints.config_hosts == ("10.0.0.7:8000",)


def test_relay_without_a_key_is_warned_about(tmp_path: Path) -> None:
    """Anybody can send a callback to it; one whose gateway has a key is not spoken of."""
    write_secret(tmp_path / "key", "abc")
    text = f"""
    gateways: [{{name: epay, kind: yipay, key_file: key}}]
    relays:
      - {{shop: main, gateway: epay, forward: "{SHOP}"}}
      - {{shop: main, gateway: coins, kind: bepusdt, forward: "{SHOP}"}}
    """
    (warning,) = load_text(tmp_path, text).warnings
    assert (warning.line, warning.message) == (
        5,
        "relays[2].kind: no key checks its callbacks, so anybody can send some",
    )
    assert warning.hint.endswith("name a gateway with its key_file")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('{shop: a, gateway: yipay, forward: "http://h/x?a=1"}', "1:45 relays[1].forward must end with its path; the query of each callback is put behind it"),
        ('{shop: a, gateway: yipay, forward: "http://127.0.0.1:8080/x"}', "1:45 relays[1].forward leads back to this service; name the address of the shop itself"),
        ('{shop: a, gateway: yipay, patience: 2m, forward: "http://h/x"}', "1:46 relays[1].patience must be between 1s and 1m"),
        ('{shop: a, gateway: b, kind: yipya, forward: "http://h/x"}', "1:38 relays[1].kind is neither one of gateways nor a kind of payment gateway; did you mean 'yipay'?"),
        ('{shop: a, gateway: vpai, forward: "http://h/x"}', "1:29 relays[1].gateway is neither one of gateways nor a kind of payment gateway; write kind: …; did you mean 'vpay'?"),
        ('{shop: a, gateway: vpay, forward: "http://h/x"}, {shop: a, gateway: vpay, forward: "http://h/x"}', "1:78 relays[2]: 'a/vpay' is there twice"),
        ("{shop: a, gateway: vpay}", "1:10 field 'forward' is missing"),
    ],
)  # fmt: skip
def test_mistake_is_named_at_its_place(tmp_path: Path, entry: str, problem: str) -> None:
    """Line, column, what is wrong, and what to write instead."""
    assert problems_of(tmp_path, f"relays: [{entry}]\n") == [f"monitor.yaml:{problem}"]
