"""What is asked about all orders together, over HTTP."""

import pytest

from monitor.config.rules_file import load_shipped
from monitor.model.times import HOUR_MS, MINUTE_MS
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import SETTINGS, MemoryService, ask, serving
from tests.unit.api.test_orders import event, shop


async def test_health_index_of_all_and_of_one_channel() -> None:
    """One refund among good, late and refunded ones weighs 1 of 3; B only has a young order."""
    async with serving(service=shop()) as server:
        found = (await ask(server, "/v1/health-index", token=None)).body
        assert (found["scope"], found["window"], found["n"]) == ("all", "15m", 3)
        assert found["at"] == "2026-01-05T02:01:00Z"
        assert found["components"]["refunded"] == pytest.approx(100 / 3)
        assert found["value"] == pytest.approx(100 - sum(found["components"].values()))
        only_b = (await ask(server, "/v1/health-index?scope=B&window=1h")).body
        assert (only_b["value"], only_b["state"], only_b["window"]) == (None, "undecided", "1h")
        star = (await ask(server, "/v1/health-index?scope=*")).body
        assert star == found


async def test_health_index_of_an_unknown_channel_is_a_404() -> None:
    """With the name that was probably meant."""
    async with serving(service=shop()) as server:
        found = await ask(server, "/v1/health-index?scope=autoo")
        assert (found.status, found.body["code"]) == (404, "unknown_channel")
        assert found.body["hint"] == "did you mean 'auto'?"


@pytest.mark.parametrize("window", ["0s", "15", "7h", "999999999999999w", "-5m", "x" * 201])
async def test_window_that_memory_does_not_hold_is_refused(window: str) -> None:
    """Memory holds six hours by default; a longer window would silently count less."""
    assert SETTINGS.signal_window_ms == 6 * HOUR_MS
    async with serving(service=shop()) as server:
        for path in ("/v1/health-index", "/v1/signals"):
            found = await ask(server, f"{path}?window={window}")
            assert (found.status, found.body["errors"][0]["pointer"]) == (400, "/query/window")


async def test_signals_count_verdicts_with_evidence() -> None:
    """Judged are good, refunded and late; one of the three broke its promise."""
    async with serving(service=shop()) as server:
        found = (await ask(server, "/v1/signals?window=15m", token=None)).body
        (whole,) = found["signals"]
        assert (whole["scope"], whole["judged"], whole["breached"]) == ("all", 3, 1)
        assert whole["delayed_ratio"] == pytest.approx(1 / 3)
        low, high = whole["delayed_ratio_interval"]
        assert low < 1 / 3 < high
        assert (whole["verdicts"]["good"], whole["verdicts"]["refunded"]) == (1, 1)
        assert (whole["open_orders"], whole["oldest_age_s"]) == (3, 200.0)


async def test_signals_by_channel_have_one_entry_each() -> None:
    """All orders first, then every channel, also one without orders."""
    async with serving(service=shop()) as server:
        found = (await ask(server, "/v1/signals?by=channel")).body
        assert [one["scope"] for one in found["signals"]] == ["all", "auto", "B", "staff"]
        assert [one["judged"] for one in found["signals"]] == [3, 3, 0, 0]
        assert (await ask(server, "/v1/signals?by=sku")).status == 400


def outage() -> MemoryService:
    """Six orders on auto of which nothing is heard for ten minutes, with the shipped rules."""
    service = MemoryService(rules=load_shipped())
    for number in range(6):
        service.take(event("order.paid", f"o{number}", 0, channel="auto"))
        service.wait(20_000)
    for _ in range(40):
        service.wait(15_000)
    return service


async def test_alerts_tell_reason_value_and_evidence() -> None:
    """All six late orders of six stand behind the firing ratio rule."""
    async with serving(service=outage()) as server:
        found = (await ask(server, "/v1/alerts", token=None)).body
        assert found["next"] is None
        alerts = {one["rule"]: one for one in found["alerts"]}
        late = alerts["DelayedOver2Percent"]
        assert (late["state"], late["labels"]["channel"]) == ("firing", "auto")
        assert (late["value"], late["k"], late["n"]) == (1.0, 6, 6)
        assert late["p"] == pytest.approx(0.02**6)  # all six late by chance at a limit of 2 %
        assert late["reason"]
        assert late["firing_at"].endswith("Z")


async def test_rules_are_listed_as_loaded() -> None:
    """The shipped rules with how many of their alerts fire; a page of one leads to the next."""
    async with serving(service=outage()) as server:
        found = (await ask(server, "/v1/rules", token=None)).body
        rules = {one["alert"]: one for one in found["rules"]}
        assert rules["DelayedOver2Percent"]["firing"] == 1
        assert rules["DelayedOver2Percent"]["expr"].startswith("delayed_ratio[")
        (finding,) = rules["DelayedOver2Percent"]["findings"]
        assert (finding["outcome"], finding["k"], finding["n"]) == ("true", 6, 6)
        first = (await ask(server, "/v1/rules?limit=2")).body
        rest = (await ask(server, f"/v1/rules?limit=100&cursor={first['next']}")).body
        assert [one["alert"] for one in first["rules"]] == list(rules)[:2]
        assert [one["alert"] for one in rest["rules"]] == list(rules)[2:]
        assert rest["next"] is None


async def test_channels_show_share_and_speed() -> None:
    """The first configured channel has everything; auto is slow, so its breaker is open."""
    async with serving(service=outage()) as server:
        found = (await ask(server, "/v1/channels", token=None)).body
        rows = {one["name"]: one for one in found["channels"]}
        assert list(rows) == ["auto", "B", "staff"]
        assert (rows["auto"]["weight"], rows["auto"]["state"]) == (100, "open")
        assert (rows["auto"]["speed"]["slow"], rows["auto"]["speed"]["n"]) == (6, 6)
        assert (rows["B"]["weight"], rows["staff"]["kind"]) == (0, "manual")


async def test_sources_say_when_they_were_heard() -> None:
    """The shop was heard at the latest event's arrival."""
    service = MemoryService()
    service.take(event("order.paid", "o1", 30))
    async with serving(service=service) as server:
        found = (await ask(server, "/v1/sources", token=None)).body
        (source,) = found["sources"]
        assert (source["name"], source["age_s"], source["silent"]) == ("shop", 30.0, False)
        assert source["last_event_at"] == "2026-01-05T02:00:30Z"


async def test_state_hash_is_that_of_the_engine() -> None:
    """Judged at the latest fact by default; another time gives other verdicts, another hash."""
    service = shop()
    service.take(event("order.paid", "w1", 30, channel="auto", sku="game"))  # a repetition
    async with serving(service=service) as server:
        found = (await ask(server, "/v1/state-hash", token=None)).body
        latest_ms = RECEIVED_MS - 5_000  # `browsing` was created then
        assert found == {
            "state_hash": service.engine.state_hash(latest_ms),
            "judged_at": "2026-01-05T02:00:55Z",
            "orders": 6,
            "events": 8,
        }
        later = (await ask(server, "/v1/state-hash?at=2026-01-05T10:06:00%2B08:00")).body
        assert later["judged_at"] == "2026-01-05T02:06:00Z"
        assert later["state_hash"] == service.engine.state_hash(RECEIVED_MS + 5 * MINUTE_MS)
        assert later["state_hash"] != found["state_hash"]
        plain = (await ask(server, "/v1/state-hash?at=2026-01-05T10:06:00+08:00")).body
        assert plain == later


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-01-05T02:00:00", "1767578460", "0001-01-01T00:00:00%2B14:00"]
)
async def test_state_hash_needs_a_time_with_its_zone(at: str) -> None:
    """A time without a zone could be eight hours off."""
    async with serving(service=shop()) as server:
        found = await ask(server, f"/v1/state-hash?at={at}")
        assert (found.status, found.body["errors"][0]["pointer"]) == (400, "/query/at")
