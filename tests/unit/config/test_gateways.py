"""`gateways`: keys for rotation, what can be asked and watched, and every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.model.gateways import GatewayKeys
from monitor.model.secret import Secret
from tests.unit.adapters.gateways.vectors import CERTIFICATE, PUBLIC_KEY
from tests.unit.config.files import load_text, problems_of, write_secret


def test_gateway_with_everything_is_checked_asked_and_watched(tmp_path: Path) -> None:
    """Keys of a list are all in force; what can be asked is asked, with its host let through."""
    write_secret(tmp_path / "old.key", "old")
    write_secret(tmp_path / "new.key", "new")
    text = """
    gateways:
      - {name: epay, kind: yipay, url: "http://10.0.0.7:81/pay", merchant: 1001,
         key_file: [new.key, old.key], providers: [alipay, wxpay]}
      - {name: vmq, kind: vpay, url: "http://10.0.0.8", key_file: new.key}
    """
    endpoints = load_text(tmp_path, text).endpoints
    epay, vmq = endpoints.gateways
    assert epay.keys == GatewayKeys((Secret("new"), Secret("old")), (), "CNY")
    assert (epay.merchant, epay.providers) == ("1001", ("alipay", "wxpay"))
    assert (epay.is_asked, epay.is_watched) == (True, False)
    assert (vmq.is_asked, vmq.is_watched, vmq.providers) == (False, True, ("vmq",))
    assert endpoints.config_hosts == ("10.0.0.7:81", "10.0.0.8:80")


def test_public_keys_come_in_any_of_their_forms(tmp_path: Path) -> None:
    """PEM, a certificate, and the bare base64 of a payment page, also readable by everybody."""
    bare = "".join(PUBLIC_KEY.strip().splitlines()[1:-1])
    for name, text in (("pem", PUBLIC_KEY), ("cert", CERTIFICATE), ("bare", bare)):
        (tmp_path / name).write_text(text)
    loaded = load_text(
        tmp_path, "gateways: [{name: a, kind: alipay, public_key_file: [pem, cert, bare]}]\n"
    )
    assert loaded.warnings == ()
    assert len(loaded.endpoints.gateways[0].keys.public_keys) == 3


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{name: a, kind: alipya}", "1:28 gateways[1].kind is no kind of payment gateway; did you mean 'alipay'?"),
        ("{name: a, kind: vpay, key: abc}", "1:39 gateways[1].key must not be written in this file; put it in a file and name it with key_file, or write ${env:NAME}"),
        ("{name: a, kind: wechat, key_file: k}", "1:46 gateways[1].key_file must be the APIv3 key: 32 characters"),
        ("{name: a, kind: alipay, key_file: k}", "1:46 gateways[1].key_file: alipay signs with its own key; name the gateway's key in public_key_file"),
        ("{name: a, kind: alipay, public_key_file: k}", "1:53 gateways[1].public_key_file is no RSA public key or certificate in PEM or base64"),
        ("{name: a, kind: alipay, query: true}", "1:43 gateways[1].query: a gateway of kind alipay cannot be asked about orders; write query: false"),
        ("{name: a, kind: yipay, query: true}", "1:42 gateways[1].query: to be asked about orders it needs url, merchant, key_file"),
        ("{name: a, kind: vpay, listener: true}", "1:44 gateways[1].listener: to be watched it needs url, key_file"),
        ("{name: a, kind: vpay, database: {url: 'redis://h/0'}}", "1:50 gateways[1].database.url is no address of a database that can be read; write mysql://user@host:3306/name, postgresql://user@host:5432/name or sqlite:///path/of/file.db"),
        ("{name: a, kind: yipay, database: {url: 'mysql://r@h/x'}}", "1:45 gateways[1].database: orders of a yipay are not read there; known are bepusdt, epusdt, vpay; leave it out"),
        ("{name: a, kind: vpay}, {name: a, kind: vpay}", "1:42 gateways[2].name: 'a' is taken by an earlier entry"),
    ],
)  # fmt: skip
def test_mistake_is_told_at_its_place(tmp_path: Path, entry: str, problem: str) -> None:
    """What does not fit together is one problem, with what to do."""
    write_secret(tmp_path / "k", "short")
    assert problems_of(tmp_path, f"gateways: [{entry}]\n") == [f"monitor.yaml:{problem}"]
