"""What is asked about all orders together, over HTTP."""

import msgspec
import pytest

from monitor.config.rules_file import load_shipped
from monitor.model.baselines import Baseline
from monitor.model.records import BaselineLearned
from monitor.model.rules import Slo
from monitor.model.times import DAY_MS, HOUR_MS, MINUTE_MS, format_rfc3339
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


async def test_signals_tell_what_is_owed() -> None:
    """Six orders with nothing delivered for ten minutes: some six were expected, none seen."""
    async with serving(service=outage()) as server:
        whole, auto = (await ask(server, "/v1/signals?by=channel")).body["signals"][:2]
        for one in (whole, auto):
            assert one["cusum_ratio"] >= 1.0
            assert one["expected"] > 3.0
            assert one["observed"] == 0
        assert auto["arrival_ratio"] is None
        assert whole["mean_restricted_tau_s"] == 1_800.0
        short = (await ask(server, "/v1/signals?tau=60s")).body["signals"][0]
        assert (short["mean_restricted_tau_s"], short["mean_restricted_s"]) == (60.0, 60.0)


@pytest.mark.parametrize("tau", ["0s", "7h", "soon"])
async def test_tau_of_nothing_or_of_a_day_is_refused(tau: str) -> None:
    """The parameter is named in the problem."""
    async with serving(service=shop()) as server:
        found = await ask(server, f"/v1/signals?tau={tau}")
        assert (found.status, found.body["errors"][0]["pointer"]) == (400, "/query/tau")


async def test_channels_tell_their_chart_and_what_was_learned() -> None:
    """A stalled channel, and one of which nothing was learned yet."""
    service = outage()
    learned = Baseline("auto", 500, 0, 7 * DAY_MS, ((600, 500),), limit=9.5, method="quantile")
    service.engine.refold(BaselineLearned(learned, 7 * DAY_MS))
    async with serving(service=service) as server:
        channels = {
            one["name"]: one for one in (await ask(server, "/v1/channels")).body["channels"]
        }
        auto, staff = channels["auto"], channels["staff"]
        assert (auto["cusum_ratio"], auto["chart"]["observed"]) == (
            auto["chart"]["cusum_ratio"],
            0,
        )
        assert auto["chart"]["since"] is not None
        assert {key: auto["baseline"][key] for key in ("n", "from", "to", "method", "limit")} == {
            "n": 500,
            "from": "1970-01-01T00:00:00Z",
            "to": "1970-01-08T00:00:00Z",
            "method": "quantile",
            "limit": 9.5,
        }
        assert staff["baseline"] is None
        assert (staff["cusum_ratio"], staff["chart"]["expected"]) == (0.0, 0.0)


async def test_slos_tell_the_budget_and_how_fast_it_goes() -> None:
    """Six of six late at 98 %: the budget is 50 times overdrawn, in every window."""
    service = outage()
    rules = msgspec.structs.replace(load_shipped(), slos=(Slo("prompt", 0.98, min_count=5),))
    service.engine.configure(service.engine.settings, rules)
    async with serving(service=service) as server:
        (whole,) = (await ask(server, "/v1/slos")).body["slos"]
        assert (whole["slo"], whole["scope"], whole["objective"]) == ("prompt", "all", 0.98)
        assert (whole["window"], whole["judged"], whole["bad"]) == ("30d", 6, 6)
        assert whole["budget_remaining"] == pytest.approx(1 - 1 / 0.02)
        assert (whole["state"], whole["time_to_exhaustion_s"]) == ("exhausted", 0.0)
        assert [*whole["burn_rates"]] == ["5m", "1h", "6h", "1d", "3d"]
        assert whole["burn_rates"]["1h"]["rate"] == pytest.approx(50.0)
        split = (await ask(server, "/v1/slos?by=channel")).body["slos"]
        assert [one["scope"] for one in split] == ["all", "auto"]


async def test_arrivals_are_said_to_be_learned_first() -> None:
    """Minutes after the first order nobody knows how many to expect."""
    async with serving(service=outage()) as server:
        found = (await ask(server, "/v1/arrivals")).body
        shop_line = found["arrivals"][0]
        assert (shop_line["source"], shop_line["state"], shop_line["ratio"]) == (
            "*",
            "learning",
            None,
        )
        assert found["callbacks"] == []


async def test_explanation_of_a_rule_shows_every_part() -> None:
    """Six late of six: the reading, the gate it passed, and the labels that choose."""
    async with serving(service=outage()) as server:
        path = "/v1/rules/DelayedOver2Percent/explanation"
        found = (await ask(server, f"{path}?label=channel=auto", token=None)).body
        (instance,) = found["instances"]
        assert (found["rule"], instance["state"]) == ("DelayedOver2Percent", "firing")
        assert (instance["condition"]["k"], instance["condition"]["n"]) == (6, 6)
        assert instance["condition"]["gate"] == "evidence"
        none = (await ask(server, f"{path}?label=channel=staff")).body
        assert none["instances"] == []
        now = (await ask(server, f"{path}?at={found['at']}")).body
        assert now["at"] == found["at"]


async def test_explanation_of_the_past_is_what_was_decided_then() -> None:
    """Before its first move nothing is listed; a while later the alert is firing, with its k of n."""
    service = outage()
    path = "/v1/rules/DelayedOver2Percent/explanation?at="
    (moved,) = [
        one for one in service.moves
        if one.alert.rule == "DelayedOver2Percent" and one.alert.state == "firing"
    ]  # fmt: skip
    first_ms = min(one.at_ms for one in service.moves if one.alert.rule == moved.alert.rule)
    async with serving(service=service) as server:
        before = (await ask(server, path + format_rfc3339(first_ms - 1_000))).body
        assert before["instances"] == []
        found = (await ask(server, path + format_rfc3339(moved.at_ms + 1_000))).body
        (instance,) = found["instances"]
        assert (instance["state"], instance["labels"]) == ("firing", {"channel": "auto"})
        assert instance["recorded_at"] == format_rfc3339(moved.at_ms)
        assert instance["condition"]["n"] >= 3


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("DelayedOver2Percnt/explanation", 404, "not_found"),
        ("DelayedOver2Percent/explanation?at=2025-01-05T02:00:00Z", 400, "past"),
        ("DelayedOver2Percent/explanation?at=2036-01-05T02:00:00Z", 400, "bad_query"),
        ("DelayedOver2Percent/explanation?at=2026-01-05T02:00:00", 400, "bad_query"),
        ("DelayedOver2Percent/explanation?label=auto", 400, "bad_query"),
    ],
)
async def test_explanation_that_cannot_be_given_is_a_problem(
    path: str, status: int, code: str
) -> None:
    """An unknown rule, a past that memory does not hold, a time without zone, half a label."""
    async with serving(service=outage()) as server:
        found = await ask(server, f"/v1/rules/{path}")
        assert (found.status, found.body["code"]) == (status, code)
        assert found.body.get("hint") or found.body["errors"]
