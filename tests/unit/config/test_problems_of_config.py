"""Every kind of mistake in monitor.yaml is named with its place, in words that help."""

from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.model.errors import ConfigError
from tests.unit.config.files import load_text, problems_of, warnings_of

HTTP = "kind: http, submit: {url: 'http://h/{{ attempt_ref }}'}"
ANSWER = "answer: {delivered: {when: {a: 1}, goods: g}}"

# The name of the mistake, the file, what is said about it.
CASES: list[tuple[str, str, list[str]]] = [
    ("unknown key", "langage: en", ["1:1 unknown field 'langage'; did you mean 'language'?"]),
    (
        "unknown key below",
        "failover: {webhok: {url: x}}",
        ["1:12 unknown field 'webhok'; did you mean 'webhook'?"],
    ),
    ("not a mapping", "- a\n- b", ["1:1 the file must be a mapping of keys to values"]),
    ("wrong shape", "sources: {name: a}", ["1:10 sources must be a list"]),
    (
        "duration without unit",
        "promise: {default: 180}",
        ["1:20 promise.default must be a duration such as 500ms, 60s, 3m, 6h, 30d"],
    ),
    (
        "duration of nothing",
        "tiers: {l2_after: 0s}",
        ["1:19 tiers.l2_after must be longer than 0 and at most 3650d"],
    ),
    (
        "tiers the wrong way round",
        "tiers: {l2_after: 30m, l3_after: 30m}",
        ["1:34 tiers.l2_after 30m must be shorter than l3_after 30m"],
    ),
    (
        "first tier after the second",
        "tiers: {l1_after: 6m}",
        ["1:19 tiers.l1_after 6m must not be longer than l2_after 5m"],
    ),
    (
        "unknown word",
        "failover: {mode: enforced}",
        ["1:18 failover.mode must be observe, advise or enforce; did you mean 'enforce'?"],
    ),
    (
        "unknown speed",
        "promise: {by_speed: {expres: 60s}}",
        ["1:21 promise.by_speed has the unknown key 'expres'; did you mean 'express'?"],
    ),
    (
        "unknown zone",
        "timezone: Asia/Shangai",
        ["1:11 timezone names no known time zone; did you mean 'Asia/Shanghai'?"],
    ),
    (
        "folder of zones",
        "sources: [{name: a, timezone: America}]",
        [
            (
                "1:31 sources[1].timezone names no known time zone; "
                "write for example Asia/Shanghai or UTC"
            )
        ],
    ),
    (
        "currency",
        "currency: yuan",
        ["1:11 currency must be a three-letter code such as CNY, EUR, USD"],
    ),
    (
        "listen without port",
        "listen: localhost",
        ["1:9 listen must be host:port such as 127.0.0.1:8080"],
    ),
    (
        "open to others without keys",
        "sources: [{name: a}]\nlisten: 0.0.0.0:8080",
        [
            (
                "2:9 listen 0.0.0.0:8080 is not loopback: the service refuses to start without keys; "
                "make one with delivery-monitor keys new, or listen on 127.0.0.1"
            )
        ],
    ),
    (
        "every address is closed to others without keys",
        "listen_ingest: 0.0.0.0:1\nlisten_metrics: :2",
        [
            (
                "1:16 listen_ingest 0.0.0.0:1 is not loopback: the service refuses to start without "
                "keys; make one with delivery-monitor keys new, or listen on 127.0.0.1"
            ),
            (
                "2:17 listen_metrics 0.0.0.0:2 is not loopback: the service refuses to start without "
                "keys; make one with delivery-monitor keys new, or listen on 127.0.0.1"
            ),
        ],
    ),
    (
        "one address for two",
        "listen: 127.0.0.1:1\nlisten_metrics: 127.0.0.1:1\nlisten_ingest: 127.0.0.1:0",
        ["2:17 listen_metrics is the same address as listen"],
    ),
    (
        "places",
        "connections: {max: 0, per_address: 20001, proxies: [10.0.0.1/8]}",
        [
            "1:20 connections.max must be between 1 and 20000",
            "1:36 connections.per_address must be between 1 and 20000",
            "1:53 connections.proxies[1] is an address inside a network; did you mean '10.0.0.0/8'?",
        ],
    ),
    (
        "name twice",
        "channels: [{name: a}, {name: b}, {name: a}]",
        ["1:41 channels[3].name: 'a' is taken by an earlier entry"],
    ),
    (
        "name with a slash",
        "channels: [{name: a/b}]",
        ["1:19 channels[1].name must be 1 to 64 letters, digits, '-', '_' or '.', without spaces"],
    ),
    (
        "reserved name",
        "channels: [{name: other}]",
        [
            (
                "1:19 channels[1].name must not be 'other'; "
                "it stands for the channels beyond the first 200"
            )
        ],
    ),
    (
        "name of all orders together",
        "channels: [{name: all}]",
        ["1:19 channels[1].name must not be 'all'; it stands for all channels together"],
    ),
    (
        "plain secret",
        "shop: {claim_url: 'http://h/c', deliver_url: 'http://h/d', secret: s3cret}",
        [
            (
                "1:68 shop.secret must not be written in this file; put it in a file and name it "
                "with secret_file, or write ${env:NAME}"
            )
        ],
    ),
    (
        "missing secret file",
        "sources: [{name: a, api_key_file: keys/a.key}]",
        ["1:35 sources[1].api_key_file: keys/a.key cannot be read: No such file or directory"],
    ),
    (
        "missing variable",
        "webhooks: [{url: 'http://${env:HOST}/x'}]",
        ["1:26 the environment variable HOST is not set"],
    ),
    (
        "reference without env",
        "data_dir: ${HOME}/data",
        ["1:11 data_dir has a reference without meaning; write ${env:HOME}"],
    ),
    (
        "not a web address",
        "webhooks: [{url: 'ftp://h/x'}]",
        ["1:18 webhooks[1].url must be a URL that starts with http:// or https://"],
    ),
    (
        "address without host",
        "webhooks: [{url: 'http:///x'}]",
        ["1:18 webhooks[1].url names no valid host"],
    ),
    (
        "password in an address",
        "webhooks: [{url: 'http://u:p@h/x'}]",
        ["1:18 webhooks[1].url must not carry a user name or password"],
    ),
    ("no address", "webhooks: [{types: [alert.firing]}]", ["1:12 webhooks[1] needs url"]),
    (
        "unknown event type",
        "webhooks: [{url: 'http://h', types: [takeover.*, takeover.startd]}]",
        ["1:50 webhooks[1].types[2] fits no type of event; did you mean 'takeover.started'?"],
    ),
    (
        "switching without a webhook",
        "failover: {mode: enforce}",
        [
            (
                "1:18 failover.mode enforce needs failover.webhook; "
                "name the URL that switches channels, or write mode: advise"
            )
        ],
    ),
    (
        "rescue without shop and channels",
        "fallback: {mode: enforce}",
        [
            (
                "1:18 fallback.mode enforce needs shop; "
                "name its claim_url and deliver_url, or write mode: advise"
            ),
            (
                "1:18 fallback.mode enforce needs fallback.order; "
                "list the channels to try, or write mode: advise"
            ),
        ],
    ),
    (
        "rescue over an unknown channel",
        "channels: [{name: pool, kind: stock}]\nfallback: {order: [pool, poool]}",
        ["2:26 fallback.order[2]: there is no channel 'poool'; did you mean 'pool'?"],
    ),
    (
        "rescue over the shop's own channel",
        "channels: [{name: auto}]\nfallback: {order: [auto]}",
        [
            (
                "2:20 fallback.order[1]: 'auto' is external: the shop delivers there, we cannot; "
                "list channels of kind http, stock or manual"
            )
        ],
    ),
    (
        "opaque channel first",
        f"channels: [{{name: s, {HTTP}, {ANSWER}}}]\nfallback: {{order: [s]}}",
        [
            (
                "2:20 fallback.order[1]: 's' is opaque and must not stand first; "
                "an attempt without an answer can never be cleared up; put it later"
            )
        ],
    ),
    (
        "half a shop",
        "shop: {claim_url: 'http://h/c'}",
        ["1:7 field 'deliver_url' is missing"],
    ),
    (
        "unknown receiver",
        "notify: {route: {receiver: op}, receivers: [{name: ops, webhook: [{url: 'http://h'}]}]}",
        ["1:28 notify.route.receiver: there is no receiver 'op'; did you mean 'ops'?"],
    ),
    (
        "network with host bits",
        "egress: {allow: [10.0.0.1/8]}",
        ["1:18 egress.allow[1] is an address inside a network; did you mean '10.0.0.0/8'?"],
    ),
    (
        "number too large",
        "fallback: {max_per_hour: -1}",
        ["1:26 fallback.max_per_hour must be between 0 and 1000000"],
    ),
    (
        "true is no number",
        "fallback: {max_per_hour: true}",
        ["1:26 fallback.max_per_hour must be a whole number"],
    ),
    (
        "key of another kind",
        "channels: [{name: a, kind: stock, query: {url: 'http://h'}}]",
        ["1:42 channels[1].query belongs to kind: http, not stock"],
    ),
]


@pytest.mark.parametrize(
    ("text", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_mistake_is_named_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    """One mistake gives one line that says where, what, and what to do."""
    found = problems_of(tmp_path, text + "\n")
    assert found == [f"monitor.yaml:{line}" for line in expected]


@pytest.mark.parametrize(
    ("listen", "origin"),
    [
        ("nowhere", "--listen"),
        ("8080", "--listen"),
        ("::1:80", "--listen"),
        ("h:99999", "--listen"),
    ],
)
def test_bad_address_on_the_command_line_is_named(listen: str, origin: str) -> None:
    """The file is not to blame for what the command line says."""
    with pytest.raises(ConfigError) as caught:
        load(None, listen=listen, environ={})
    assert str(caught.value).startswith(f"{origin}:1:1 listen must ")


def test_open_address_on_the_command_line_needs_keys_too() -> None:
    """No way of saying it opens the service to strangers."""
    for listen in ("0.0.0.0:80", ":80", "192.0.2.1:80", "[::]:80", "shop.example:80"):
        with pytest.raises(ConfigError, match="refuses to start without keys"):
            load(None, environ={"DELIVERY_MONITOR_LISTEN": listen})
    for listen in ("127.0.0.1:80", "127.1.2.3:80", "[::1]:80", "localhost:80"):
        load(None, listen=listen, environ={})


def test_bad_language_in_the_environment_is_named() -> None:
    """The variable stands where the file would."""
    with pytest.raises(ConfigError) as caught:
        load(None, environ={"DELIVERY_MONITOR_LANGUAGE": "fr"})
    assert str(caught.value) == "DELIVERY_MONITOR_LANGUAGE:1:1 language must be zh-CN or en"


def test_missing_file_is_named(tmp_path: Path) -> None:
    """One line, no traceback."""
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    assert str(caught.value) == f"{path}:1:1 cannot be read: No such file or directory"


def test_long_promise_beside_short_tiers_is_a_warning(tmp_path: Path) -> None:
    """A promise of days with tiers of minutes is allowed, but hardly meant."""
    assert warnings_of(tmp_path, "promise: {default: 30d}\n") == [
        (
            "monitor.yaml:1:20 promise.default 30d is longer than tiers.l2_after 5m: "
            "orders reach L2 before they are late; set tiers.l2_after and tiers.l3_after"
        )
    ]


def test_token_written_into_an_address_or_header_is_a_warning(tmp_path: Path) -> None:
    """The file still works, but everybody who reads it has the token."""
    text = """\
        webhooks: [{url: "http://h?token=abc"}, {url: "http://h?token=${env:T}"}]
        channels:
          - name: a
            kind: http
            submit:
              url: http://h
              headers: {Authorization: Bearer abc, X-Api-Key: "${env:T}"}
              json: {password: abc, token: "{{ attempt_ref }}", note: abc}
            answer: {accepted: {when: {a: 1}}}
        """
    assert warnings_of(tmp_path, text, {"T": "x"}) == [
        f"monitor.yaml:{place} carries a secret that can be read in this file; "
        "write ${env:NAME} in its place"
        for place in (
            "1:18 webhooks[1].url",
            "7:32 channels[1].submit.headers.Authorization",
            "8:24 channels[1].submit.json.password",
        )
    ]


BUYING = """
channels:
  - name: s
    kind: http
    capability: idempotent
    submit: {{url: "http://h/{{{{ attempt_ref }}}}", json: {{most: "{price}"}}}}
    answer: {{delivered: {{when: {{a: 1}}, goods: g}}}}
    {more}
fallback: {{order: [s]}}
"""


@pytest.mark.parametrize(
    ("price", "more", "is_warned"),
    [
        ("10", "", True),
        ("{{ max_cost_minor }}", "", False),
        ("10", "max_cost_minor: 4800", False),
    ],
)
def test_supplier_whose_price_nobody_limits_is_a_warning(
    tmp_path: Path, price: str, more: str, is_warned: bool
) -> None:
    """It may charge what it likes, and the loss shows only after the purchase."""
    text = BUYING.format(price=price, more=more)
    expected = (
        "monitor.yaml:9:20 fallback.order[1]: 's': without max_cost_minor the loss limit cannot be "
        "kept before buying; set max_cost_minor, or hand {{ max_cost_minor }} to the supplier in "
        "submit"
    )
    assert warnings_of(tmp_path, text) == ([expected] if is_warned else [])
    guarded = load_text(tmp_path, text).settings.channels[0].is_cost_guarded
    assert guarded == (price == "{{ max_cost_minor }}")
