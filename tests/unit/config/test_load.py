"""A good file becomes settings and endpoints; a missing one the defaults."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.config.load import load
from monitor.config.playbooks_file import load_playbooks, shipped_playbooks
from monitor.model.endpoints import (
    AnswerRule,
    Endpoint,
    Endpoints,
    ErrorRule,
    HttpRequest,
    IngestKey,
    Listen,
    ShopEndpoints,
    Signing,
    SourceSecrets,
    Telemetry,
)
from monitor.model.errors import ConfigError
from monitor.model.secret import Secret
from monitor.model.settings import ChannelSettings, Settings, SourceSettings
from tests.unit.config.files import API_KEY, load_text, warnings_of, write_secret

ROOT = Path(__file__).resolve().parents[3]
SECRET = Secret("whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw")


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """The example of the contract with its places filled in."""
    shutil.copy(Path(__file__).with_name("contract.yaml"), tmp_path / "monitor.yaml")
    write_secret(tmp_path / "shop.key", f"{API_KEY}\n")
    write_secret(tmp_path / "shop.secret", f"{SECRET.reveal()}\n")
    write_secret(tmp_path / "supplier.secret", "s3cret")
    return tmp_path / "monitor.yaml"


# The core itself knows no time zones; Shanghai has been eight hours ahead since 1991.
DEFAULTS = Settings(
    utc_offsets=((1_420_070_400_000, 8 * 3_600_000),),
    playbooks=load_playbooks(shipped_playbooks(), "CNY", ()),
)


def test_no_file_gives_the_defaults_without_a_warning() -> None:
    """The service starts on nothing."""
    loaded = load(None, environ={})
    assert loaded.settings == DEFAULTS
    assert loaded.endpoints == Endpoints()
    assert loaded.warnings == ()


def test_promises_that_the_file_does_not_give_are_those_of_the_contract(tmp_path: Path) -> None:
    """Contract §5; a table that is given replaces the default one as a whole."""
    promise = load_text(tmp_path, "promise: {default: 5m}\n").settings.promise
    assert promise.default_ms == 300_000
    assert promise.by_speed == {"express": 60_000, "economy": 1_800_000}
    assert promise.by_fulfilment == {"manual": 7_200_000}
    assert promise.by_sku == {}
    text = "promise: {by_speed: {express: 30s}, by_fulfilment: {}}\n"
    given = load_text(tmp_path, text).settings.promise
    assert (given.by_speed, given.by_fulfilment) == ({"express": 30_000}, {})


def test_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    """A file of comments, and keys without a value, change nothing."""
    assert load_text(tmp_path, "# nothing\n").settings == DEFAULTS
    assert load_text(tmp_path, "sources:\nchannels:\nshop:\n").settings == DEFAULTS


def test_zone_of_the_shop_reaches_the_core_as_offsets(tmp_path: Path) -> None:
    """Summer time of 2026 in New York begins on 8 March at 07:00 UTC and ends 1 November at 06:00."""
    offsets = dict(load_text(tmp_path, "timezone: America/New_York\n").settings.utc_offsets)
    assert offsets[1_772_953_200_000] == -4 * 3_600_000
    assert offsets[1_793_512_800_000] == -5 * 3_600_000


def test_contract_example_loads_with_only_warnings(contract: Path) -> None:
    """Keys of later versions are named and ignored; nothing else is said."""
    loaded = load(contract, environ={"ROBOT": "t0ken"})
    missing = (
        "rules/playbooks.yaml is not there: the shipped playbooks are used, which send nothing"
    )
    assert [str(warning).removeprefix(f"{contract}:") for warning in loaded.warnings] == [
        "33:33 notify.route.group_by is not available in this version and is ignored",
        f"34:12 {missing}; copy them from {shipped_playbooks()}",
    ]


def test_contract_example_gives_the_settings_it_says(contract: Path) -> None:
    """Durations become milliseconds, names stay names."""
    settings = load(contract, environ={"ROBOT": "t0ken"}).settings
    assert settings.promise.default_ms == 180_000
    assert settings.promise.by_speed == {"express": 60_000, "economy": 1_800_000}
    assert settings.promise.by_fulfilment == {"manual": 7_200_000}
    assert settings.tiers.l1_after_ms is None
    assert (settings.tiers.l2_after_ms, settings.tiers.l3_after_ms) == (300_000, 1_800_000)
    assert settings.sources == (SourceSettings("main-shop", 300_000, "Asia/Shanghai"),)
    assert settings.channels == (
        ChannelSettings("auto"),
        ChannelSettings("supplier", "http", "queryable", 30_000, 4_800),
        ChannelSettings("pool", "stock"),
        ChannelSettings("staff", "manual"),
    )
    assert (settings.failover.mode, settings.failover.has_webhook) == ("observe", True)
    assert settings.fallback.order == ("supplier", "pool", "staff")
    assert (settings.fallback.has_shop, settings.fallback.max_value_per_day_minor) == (True, 50_000)
    assert (settings.webhooks[0].name, settings.webhooks[0].types) == (
        "webhooks/2aa1c9fe",
        ("order.tier_changed", "takeover.*"),
    )
    assert settings.receivers[0].integrations == ("dingtalk/57fdae31", "webhook/995ee633")
    assert settings.default_receiver == "ops"
    assert (settings.event_retention_ms, settings.order_retention_ms) == (
        2_592_000_000,
        34_560_000_000,
    )


def test_contract_example_gives_the_endpoints_it_says(contract: Path) -> None:
    """Addresses and secrets are where adapters look for them."""
    endpoints = load(contract, environ={"ROBOT": "t0ken"}).endpoints
    robot = "https://oapi.dingtalk.com/robot/send?access_token=t0ken"
    options = {"at_mobiles": [], "at_user_ids": [], "at_all": False}
    assert endpoints.integrations == (
        Endpoint("ops/dingtalk/57fdae31", "dingtalk", Secret(robot), None, options),
        Endpoint("ops/webhook/995ee633", "webhook", Secret("http://127.0.0.1:9000/alerts")),
    )
    assert endpoints.webhooks == (
        Endpoint("webhooks/2aa1c9fe", "webhook", Secret("http://[::1]/hook"), SECRET),
    )
    switch = Secret("http://127.0.0.1:9000/switch")
    assert endpoints.failover == Endpoint("failover", "webhook", switch, SECRET)
    assert endpoints.shop == ShopEndpoints(
        "https://shop/claim",
        "https://shop/deliver",
        "https://shop/release",
        SECRET,
        "https://shop/notify",
        "https://shop/compensate",
        "https://shop/refund",
    )
    digest = hashlib.sha256(API_KEY.encode()).hexdigest()
    assert endpoints.keys == (IngestKey("main-shop", digest, key_id="sources/main-shop/1"),)
    assert endpoints.source_secrets == (SourceSecrets("main-shop", (SECRET,)),)
    assert endpoints.telemetry == Telemetry("http://127.0.0.1:4318", traces=True, metrics=True)


def test_contract_example_gives_the_http_channel_it_says(contract: Path) -> None:
    """The answer table keeps the order of the file: the first match wins."""
    (channel,) = load(contract, environ={"ROBOT": "t0ken"}).endpoints.http_channels
    body = {"ref": "{{ attempt_ref }}", "sku": "{{ sku }}", "quantity": "{{ quantity }}"}
    assert channel.submit == HttpRequest("POST", "https://supplier/buy", json=body)
    assert channel.query == HttpRequest("GET", "https://supplier/orders/{{ attempt_ref }}")
    assert channel.answers == (
        AnswerRule("delivered", {"status": "delivered"}, goods="keys", supplier_ref="id"),
        AnswerRule("accepted", {"status": ["pending", "processing"]}),
        AnswerRule("not_found", {"http": 404, "status": "not_found"}),
        AnswerRule("rejected", {"status": "rejected"}, code="code"),
    )
    assert channel.errors == {
        "out_of_stock": ErrorRule("other", "channel"),
        "bad_sku": ErrorRule("never", "order"),
    }
    assert channel.sign == Signing("hmac_sha256", "X-Signature", None, Secret("s3cret"))
    assert (channel.capability, channel.settle_ms, channel.max_cost_minor) == (
        "queryable",
        30_000,
        4_800,
    )


def test_names_of_endpoints_stay_with_their_addresses(tmp_path: Path) -> None:
    """A queued message finds its receiver after an entry before it is gone; twins stay apart.

    The names are the first digits of `printf %s http://a/1 | sha256sum`.
    """

    def names(*urls: str) -> tuple[list[str], tuple[str, ...]]:
        listed = ", ".join(f'{{url: "{url}"}}' for url in urls)
        notify = f"{{route: {{receiver: ops}}, receivers: [{{name: ops, webhook: [{listed}]}}]}}"
        settings = load_text(tmp_path, f"webhooks: [{listed}]\nnotify: {notify}\n").settings
        return [one.name for one in settings.webhooks], settings.receivers[0].integrations

    first, second = "93e96c2c", "c84dcc97"
    assert names("http://a/1", "http://b/2", "http://a/1") == (
        [f"webhooks/{first}", f"webhooks/{second}", f"webhooks/{first}-2"],
        (f"webhook/{first}", f"webhook/{second}", f"webhook/{first}-2"),
    )
    assert names("http://b/2") == ([f"webhooks/{second}"], (f"webhook/{second}",))


def test_every_url_of_the_file_names_its_host_and_port(contract: Path) -> None:
    """The port of the scheme stands in when the URL names none; each host once."""
    hosts = load(contract, environ={"ROBOT": "t0ken"}).endpoints.config_hosts
    assert sorted(hosts) == [
        "127.0.0.1:4318",
        "127.0.0.1:9000",
        "[::1]:80",
        "oapi.dingtalk.com:443",
        "shop:443",
        "supplier:443",
    ]


def test_example_file_loads_without_a_warning() -> None:
    """What we show works as it is."""
    names = ("MAIN_SHOP_KEY", "SUPPLIER_SECRET", "WEBHOOK_SECRET", "DINGTALK_TOKEN")
    environ = dict.fromkeys((*names, "DINGTALK_SECRET"), "0123456789abcdefghij")
    loaded = load(ROOT / "examples/monitor.yaml", environ=environ)
    assert loaded.warnings == ()
    assert loaded.endpoints.keys[0].source == "main-shop"


def test_container_file_loads_apart_from_the_key_made_at_start() -> None:
    """The file inside the image is right; only its key does not exist yet."""
    with pytest.raises(ConfigError) as caught:
        load(ROOT / "docker/monitor.yaml", environ={})
    assert [problem.message for problem in caught.value.problems] == [
        "sources[1].api_key_file: /data/keys/shop.key cannot be read: No such file or directory"
    ]


def test_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    """Each level overrides the one below it."""
    path = tmp_path / "monitor.yaml"
    path.write_text("listen: 127.0.0.1:1\ndata_dir: file\nlanguage: zh-CN\n", encoding="utf-8")
    environ = {
        "DELIVERY_MONITOR_CONFIG": str(path),
        "DELIVERY_MONITOR_LISTEN": "127.0.0.1:2",
        "DELIVERY_MONITOR_DATA_DIR": "environment",
        "DELIVERY_MONITOR_LANGUAGE": "en",
    }
    from_file = load(path, environ={}).endpoints
    assert (from_file.listen, from_file.data_dir) == (Listen("127.0.0.1", 1), "file")
    from_environment = load(None, environ=environ)
    assert from_environment.path == path
    assert from_environment.endpoints.listen == Listen("127.0.0.1", 2)
    assert from_environment.endpoints.data_dir == "environment"
    assert from_environment.settings.language == "en"
    both = load(None, listen="127.0.0.1:3", data_dir="flag", environ=environ).endpoints
    assert (both.listen, both.data_dir) == (Listen("127.0.0.1", 3), "flag")


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:9", "http://[::1]:9"),
        ("localhost:80", "http://localhost:80"),
    ],
)
def test_public_url_follows_the_address(listen: str, url: str) -> None:
    """Links lead back to where the service listens."""
    assert load(None, listen=listen, environ={}).settings.public_url == url


def test_host_that_begins_with_a_digit_may_be_a_name(tmp_path: Path) -> None:
    """An address that lost a digit is no reason to crash."""
    write_secret(tmp_path / "k")
    text = "listen: 0.0.1:80\nsources: [{name: a, api_key_file: k}]\n"
    assert load_text(tmp_path, text).settings.public_url == "http://0.0.1:80"


def test_public_url_of_all_addresses_is_one_that_can_be_opened(tmp_path: Path) -> None:
    """0.0.0.0 is no address to connect to; a configured URL beats everything."""
    write_secret(tmp_path / "k")
    text = "listen: ':80'\nsources: [{name: a, api_key_file: k}]\n"
    loaded = load_text(tmp_path, text)
    assert loaded.endpoints.listen == Listen("0.0.0.0", 80)
    assert loaded.settings.public_url == "http://127.0.0.1:80"
    loaded = load_text(tmp_path, text + "public_url: https://monitor.example\n")
    assert loaded.settings.public_url == "https://monitor.example"
    assert loaded.endpoints.allowed_hosts == ("monitor.example",)


def test_references_are_replaced_inside_text_and_read_as_numbers(tmp_path: Path) -> None:
    """A variable is always text; number and flag fields read it as what they hold."""
    loaded = load_text(
        tmp_path,
        """\
        fallback: {max_per_hour: "${env:COUNT}"}
        sources: [{name: "shop-${env:NAME}-${env:NAME}", created_means_paid: "${env:PAID}"}]
        """,
        {"COUNT": "7", "NAME": "x", "PAID": "true"},
    )
    assert loaded.settings.fallback.max_per_hour == 7
    assert loaded.settings.sources == (SourceSettings("shop-x-x", created_means_paid=True),)


def test_numbers_serve_as_names(tmp_path: Path) -> None:
    """A numeric shop name or product number need not be quoted."""
    loaded = load_text(tmp_path, "sources: [{name: 7}]\npromise: {by_sku: {1001: 5m}}\n")
    assert loaded.settings.sources == (SourceSettings("7"),)
    assert loaded.settings.promise.by_sku == {"1001": 300_000}


def test_later_keys_are_named_and_ignored(tmp_path: Path) -> None:
    """A receiver of a later kind costs a warning, not the start."""
    assert warnings_of(
        tmp_path,
        """\
        preset: busy
        disk_reserve_mib: 32
        channels: [{name: b, weight: 50}]
        notify:
          route: {receiver: ops, group_by: [channel], repeat_interval: 4h}
          receivers: [{name: ops, feishu: [{url: x}], wecom: []}]
        telemetry: {otlp: {endpoint: "http://h", metrics: false, logs: true}}
        """,
    ) == [
        f"monitor.yaml:{place} is not available in this version and is ignored"
        if not place.endswith("dingtalk or webhook")
        else f"monitor.yaml:{place}"
        for place in (
            "1:1 preset",
            "3:22 channels[1].weight",
            "5:26 notify.route.group_by",
            "5:47 notify.route.repeat_interval",
            (
                "6:15 notify.receivers[1]: 'ops' has no integration and tells nobody; "
                "add dingtalk or webhook"
            ),
            "6:27 notify.receivers[1].feishu",
            "6:47 notify.receivers[1].wecom",
            "7:58 telemetry.otlp.logs",
        )
    ]


def test_no_secret_shows_when_the_configuration_is_printed(contract: Path) -> None:
    """Robot URLs, signing secrets and keys render as ***."""
    text = repr(load(contract, environ={"ROBOT": "t0ken"}))
    assert "***" in text
    for secret in ("t0ken", "s3cret", SECRET.reveal(), API_KEY):
        assert secret not in text


def test_loading_needs_no_network_library() -> None:
    """`check` starts fast: aiohttp, numpy and apsw stay unloaded."""
    code = (
        "import sys, monitor.config.load as m; m.load(None, environ={});"
        "print(sorted({'aiohttp', 'numpy', 'apsw', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
