"""`sources` of shops that send by themselves: secrets for rotation, and every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.model.secret import Secret
from tests.unit.config.files import load_text, problems_of, write_secret


def test_secrets_of_a_list_are_all_in_force(tmp_path: Path) -> None:
    """While they rotate; the zone and the currency of the file are the shop's unless it says others."""
    write_secret(tmp_path / "old", "whsec_0123456789")
    write_secret(tmp_path / "new", "whsec_9876543210")
    text = "currency: CNY\nsources: [{name: pay, kind: stripe, secret_file: [new, old]}]\n"
    (source,) = load_text(tmp_path, text).endpoints.shop_sources
    assert source.secrets == (Secret("whsec_9876543210"), Secret("whsec_0123456789"))
    assert (source.kind, source.currency) == ("stripe", "CNY")


def test_shop_that_is_only_asked_needs_no_secret(tmp_path: Path) -> None:
    """Its webhooks are then believed by nobody."""
    write_secret(tmp_path / "key", "rk_live_0123456789")
    text = "sources: [{name: pay, kind: stripe, api: {key_file: key}}]\n"
    assert load_text(tmp_path, text).endpoints.shop_sources[0].secrets == ()


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{name: a, kind: strip, secret_file: k}", "1:27 sources[1].kind is no kind of shop; did you mean 'stripe'?"),
        ("{name: a, kind: stripe}", "1:27 sources[1].kind: what stripe sends is signed, so it needs secret_file; the secret is in Stripe Dashboard › Developers › Webhooks › your endpoint › Signing secret"),
        ("{name: a, kind: stripe, secret_file: k}", "1:48 sources[1].secret_file holds no secret of stripe: it begins with whsec_; an API key (sk_, rk_) is another thing; the secret is in Stripe Dashboard › Developers › Webhooks › your endpoint › Signing secret"),
        ("{name: a, kind: paddle, secret_file: k}", "1:48 sources[1].secret_file holds no secret of paddle: it begins with pdl_ntfset_; the secret is in Paddle › Developer Tools › Notifications › your destination › Secret key"),
        ("{name: a, kind: standard_webhooks, secret_file: w}", "1:59 sources[1].secret_file holds no secret of standard_webhooks: whsec_ and base64, whpk_ and the public key, or 16 characters and more; the secret is in the sender's settings of the webhook"),
    ],
)  # fmt: skip
def test_mistake_is_told_at_its_place(tmp_path: Path, entry: str, problem: str) -> None:
    """With where the right secret is found; the wrong one is not repeated."""
    write_secret(tmp_path / "k", "sk_live_0123456789")
    write_secret(tmp_path / "w", "whsec_nobase64!")
    assert problems_of(tmp_path, f"sources: [{entry}]\n") == [f"monitor.yaml:{problem}"]


def test_address_of_an_api_is_let_through(tmp_path: Path) -> None:
    """It was written down, so it may lie inside: a shop on the same machine is asked over loopback."""
    write_secret(tmp_path / "key", "ck_reader")
    text = (
        "sources: [{name: woo, kind: woocommerce,"
        ' api: {url: "http://10.0.0.9:8443/shop", key_file: key}}]\n'
    )
    endpoints = load_text(tmp_path, text).endpoints
    assert endpoints.config_hosts == ("10.0.0.9:8443",)
    api = endpoints.shop_sources[0].api
    assert api is not None
    assert api.key == Secret("ck_reader")
