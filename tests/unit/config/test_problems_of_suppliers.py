"""Descriptions of suppliers that cannot be right are refused with their place: presets and the rest."""

from pathlib import Path

import pytest

from monitor.model.endpoints import Drill, ShopRetry
from monitor.model.secret import Secret
from tests.unit.config.files import load_text, problems_of
from tests.unit.config.test_problems_of_channels import ANSWER, SUBMIT, channel

ACCEPTED = "answer: {accepted: {when: {a: 1}}, delivered: {when: {a: 2}, goods: g}}"
READY = "answer: {accepted: {when: {a: 1}}, ready: {when: {a: 2}}}"

CASES: list[tuple[str, tuple[str, ...], list[str]]] = [
    (
        "unknown preset",
        ("preset: dujiao-nxt", SUBMIT, ANSWER),
        ["4:13 channels[1]: there is no preset of that name; did you mean 'dujiao-next'?"],
    ),
    (
        "preset without address",
        ("preset: yile", "sign: {account: a, secret: '${env:S}'}"),
        [
            (
                "2:5 channels[1] needs base_url; "
                "the address of the supplier, such as https://shop.example"
            )
        ],
    ),
    (
        "preset without credentials",
        ("preset: yile", "base_url: https://shop.example"),
        [
            "2:5 channels[1].sign of kind md5_sorted needs secret_file",
            "2:5 channels[1].sign needs account; it is the id of your account at the supplier",
        ],
    ),
    (
        "secret file that is missing",
        ("preset: kinguin", "base_url: https://s.example", "sign: {secret_file: nowhere}"),
        ["6:25 channels[1].sign.secret_file: nowhere cannot be read: No such file or directory"],
    ),
    (
        "delivered without when",
        (SUBMIT, "answer: {delivered: {goods: g}}"),
        ["5:25 field 'when' is missing"],
    ),
    (
        "bare status refuses",
        (SUBMIT, "answer:", "  accepted: {when: {a: 1}}", "  refused: {when: {http: 402}, code: http}",
         "errors: {'402': {}}"),
        [
            (
                "7:16 channels[1].answer.refused needs a value of the body besides http; "
                "a bare 404 may be a proxy's page"
            )
        ],
    ),
    (
        "queryable by the supplier's number",
        (SUBMIT, ANSWER, 'query: {url: "http://h/{{ supplier_ref }}"}', "capability: queryable"),
        [
            (
                "6:12 channels[1].query asks by the supplier's number, which is not queryable; "
                "a lost answer takes the number with it; write capability: detectable or opaque"
            )
        ],
    ),
    (
        "number of the supplier before it has one",
        ('submit: {url: "http://h/{{ supplier_ref }}"}', ANSWER),
        [
            (
                "4:19 channels[1].submit.url has the unknown template name 'supplier_ref'; "
                "known are attempt_ref, attempt_no, order_id, sku, quantity, amount_minor, amount, "
                "max_cost_minor, max_cost, max_unit_cost, currency, region, account, secret, timestamp"
            )
        ],
    ),
    (
        "secret in an address",
        ('submit: {url: "http://h/?k={{ secret }}"}', ANSWER),
        [
            (
                "4:19 channels[1].submit.url must not hold the secret; "
                "addresses are written to logs on the way; use the body"
            )
        ],
    ),
    (
        "unknown filter",
        ("submit:", "  url: http://h", '  json: {a: "{{ sku | number }}"}', ANSWER),
        ["6:17 channels[1].submit.json.a has the unknown filter 'number'; the only one is int"],
    ),
    (
        "signature that covers nothing",
        (SUBMIT, ANSWER, "sign: {kind: hmac_sha256, secret: '${env:S}', text: '{{ method }}'}"),
        ["6:57 channels[1].sign.text must hold the body or a digest of it"],
    ),
    (
        "signed time that is not sent",
        (
            SUBMIT,
            ANSWER,
            "sign: {kind: hmac_sha256, secret: '${env:S}', text: '{{ timestamp }}{{ body }}'}",
        ),
        [
            (
                "6:57 channels[1].sign.text signs a time that is not sent; "
                "name its header with timestamp_header"
            )
        ],
    ),
    (
        "signature without its key",
        (SUBMIT, ANSWER, "sign: {kind: md5_sorted, secret: '${env:S}', suffix: ''}"),
        [
            (
                "6:58 channels[1].sign.suffix: the secret is in neither prefix nor suffix; "
                'write suffix: "{{ secret }}"'
            )
        ],
    ),
    (
        "collect of nothing",
        (SUBMIT, ACCEPTED, "collect: {url: http://h}"),
        [
            (
                "6:14 channels[1].collect is never used: no answer is ready; "
                "add ready: {when: …} to the answer"
            )
        ],
    ),
    (
        "ready and nothing to fetch with",
        (SUBMIT, READY),
        [
            (
                "2:5 channels[1] has an answer that is ready and no collect; "
                "name the request that fetches the goods"
            )
        ],
    ),
    (
        "probe that buys",
        (
            "submit: {url: 'http://h/{{ sku }}'}",
            ANSWER,
            "probe: {method: POST, url: 'http://h/{{ sku }}', when: {a: 1}}",
        ),
        [
            "6:12 channels[1].probe is the request that buys; a probe must buy nothing",
            (
                "6:32 channels[1].probe.url has the unknown template name 'sku'; "
                "known are account, secret, timestamp"
            ),
        ],
    ),
    (
        "callback that anybody may send",
        (SUBMIT, ANSWER, "callback: {ref: a}"),
        [
            (
                "6:15 channels[1].callback needs sign; "
                "anybody could say that an order is delivered"
            )
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_supplier_that_cannot_be_right_is_refused_with_its_place(
    tmp_path: Path, lines: tuple[str, ...], expected: list[str]
) -> None:
    """One mistake gives one line; of a preset's keys the place is the entry."""
    found = problems_of(tmp_path, channel(*lines), {"S": "s"})
    assert found == [f"monitor.yaml:{line}" for line in expected]


def test_opaque_preset_must_not_stand_first(tmp_path: Path) -> None:
    """What it bought can never be cleared up; behind another channel it may stand."""
    lines = channel("preset: kakayun", "base_url: https://s.example",
                    "sign: {account: a, secret: '${env:S}'}") + "  - {name: pool, kind: stock}\n"  # fmt: skip
    found = problems_of(tmp_path, lines + "fallback: {order: [s, pool]}\n", {"S": "s"})
    assert found == [
        (
            "monitor.yaml:8:20 fallback.order[1]: 's' is opaque and must not stand first; "
            "an attempt without an answer can never be cleared up; put it later"
        )
    ]
    assert problems_of(tmp_path, lines + "fallback: {order: [pool, s]}\n", {"S": "s"}) == []


def test_keys_beside_a_preset_win_and_the_rest_stays(tmp_path: Path) -> None:
    """One key of a nested mapping can be said otherwise."""
    loaded = load_text(
        tmp_path,
        channel(
            "preset: tremendous",
            "base_url: https://t.example/",
            "sign: {account: BALANCE, secret: '${env:S}'}",
            "submit: {json: {reward: {value: {denomination: 50}}}}",
            "settle: 5s",
        ),
        {"S": "s"},
    )
    made = loaded.endpoints.http_channels[0]
    assert made.submit.url == "https://t.example/api/v2/orders"
    assert made.submit.json["reward"]["value"] == {
        "denomination": 50,
        "currency_code": "{{ currency }}",
    }
    assert (made.settle_ms, made.capability) == (5_000, "idempotent")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "channels:\n  - {name: again, kind: shop_retry}\n",
            (
                "2:5 channels[1] is of kind shop_retry and needs retry_url; "
                "the address that tries the delivery again"
            ),
        ),
        (
            "channels:\n  - {name: p, kind: stock, retry_url: http://h}\n",
            "2:39 channels[1].retry_url belongs to kind: shop_retry, not stock",
        ),
        (
            (
                "channels:\n  - {name: a, kind: http, key_policy: {s: shared}, submit: {url: http://h}, "
                "answer: {accepted: {when: {a: 1}}}}\n"
            ),
            "2:39 channels[1].key_policy belongs to kind: stock, not http",
        ),
        (
            "channels:\n  - {name: d, kind: sim, script: []}\n",
            "2:34 channels[1].script must have at least one line",
        ),
    ],
)
def test_key_of_another_kind_or_a_missing_one_is_named(
    tmp_path: Path, text: str, expected: str
) -> None:
    """Each kind of channel has keys of its own."""
    assert problems_of(tmp_path, text) == [f"monitor.yaml:{expected}"]


def test_shop_that_is_asked_again_is_signed_to_with_its_own_secret(tmp_path: Path) -> None:
    """There is one secret between the shop and us."""
    loaded = load_text(
        tmp_path,
        """
        shop: {claim_url: "http://h/c", deliver_url: "http://h/d", secret: "${env:S}"}
        channels:
          - {name: again, kind: shop_retry, retry_url: "http://127.0.0.1:9/retry"}
          - {name: drill, kind: sim, script: [lost, accepted], delay: 2s}
        """,
        {"S": "s"},
    )
    again, drill = loaded.endpoints.own_channels
    assert again == ShopRetry("again", "http://127.0.0.1:9/retry", Secret("s"))
    assert drill == Drill("drill", ("lost", "accepted"), 2_000)
    assert "127.0.0.1:9" in loaded.endpoints.config_hosts
