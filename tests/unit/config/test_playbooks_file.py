"""Playbook files: the shipped one, the one of the contract's design, and what is wrong with others."""

import textwrap
from pathlib import Path

import pytest

from monitor.config.check_files import check_all
from monitor.config.playbooks_file import load_playbooks, shipped_playbooks
from monitor.config.playbooks_schema import STEPS
from monitor.config.rules_file import load_rules, shipped_path
from monitor.model.errors import ConfigError
from monitor.model.playbooks import CouponStep, OfferStep, Playbooks, QuietHours, ResolveStep

TAKES = ("notify", "compensate", "refund")
DESIGN = """\
version: 1
playbooks:
- id: l1-status
  when: {age: ">=90s", state: paid_undelivered, predicted_late: ">=0.6"}
  do: [{notify_buyer: {template: delayed_soft, channels: [page, email]}}]
- id: l2-check
  when: {age: ">=5m"}
  do:
  - resolve: {order: [shop_retry, fallback]}
  - coupon: {value: 3%, max: 2 CNY, once_per: buyer/30d}
  - task: {queue: ops, sla: 10m}
  budget: {coupon: 200 CNY/day, fallback_cost: 500 CNY/day}
- id: l3-human
  when: {age: ">=30m"}
  do: [{page: {policy: oncall}}, {offer: {choices: [alternative_sku, refund, wait], expires: 12h, default: refund}}]
  require: {approval: "amount > 200 CNY"}
  exclusive: resolution
defaults: {on_failure: escalate, max_runs_per_order: 1, quiet_hours: "23:00-08:00 buyer tz", vip_multiplier: 0.5, dry_run: true}
"""
LAST = "- {id: z, when: {age: '>=2h'}, do: [page]}\n"


def read(
    tmp_path: Path, text: str, currency: str = "CNY", takes: tuple[str, ...] = TAKES
) -> Playbooks:
    path = tmp_path / "p.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_playbooks(path, currency, takes)


def problems(tmp_path: Path, text: str, takes: tuple[str, ...] = TAKES) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, takes=takes)
    return [str(one).removeprefix(f"{tmp_path}/p.yaml:") for one in caught.value.problems]


def test_file_of_the_design_means_what_it_says(tmp_path: Path) -> None:
    """Amounts in fen, percentages in millionths, spans in milliseconds, VIPs at half the age."""
    found = read(tmp_path, DESIGN)
    first, second, third = found.levels
    assert (first.level, first.age_ms, first.predicted_late) == (1, 90_000, 0.6)
    assert second.steps[:2] == (
        ResolveStep(("shop_retry", "fallback")),
        CouponStep(value_ppm=30_000, max_minor=200, once_per_ms=30 * 86_400_000),
    )
    assert second.budgets == {"coupon": 20_000, "fallback_cost": 50_000}
    assert third.steps[1] == OfferStep(("alternative", "refund", "wait"), 43_200_000, "refund")
    assert third.approval_above_minor == 20_000
    assert third.quiet_hours == QuietHours(23 * 60, 8 * 60)
    assert all(level.is_dry_run for level in found.levels)
    assert found.ages_ms == (45_000, 90_000, 150_000, 300_000, 900_000, 1_800_000)
    assert (found.vip_multiplier, found.batch_above, found.is_predicting) == (0.5, 20, True)


def test_shipped_file_has_three_levels_and_sends_nothing() -> None:
    """The tiers of the product, each a level; in any currency."""
    for currency in ("CNY", "EUR", "JPY"):
        found = load_playbooks(shipped_playbooks(), currency, (), is_shipped=True)
        assert [level.tier for level in found.levels] == [1, 2, 3]
        assert all(level.is_dry_run for level in found.levels)


def test_playbooks_lie_beside_rules_and_are_none() -> None:
    """A folder of rules may hold them; as a rule file they are refused."""
    assert shipped_playbooks().is_file()
    assert load_rules([shipped_path()]).rules
    with pytest.raises(ConfigError):
        load_rules([shipped_playbooks()])


def test_fractions_follow_the_currency(tmp_path: Path) -> None:
    """A yen has no sen, a dinar has a thousand fils."""
    text = """\
    version: 1
    playbooks:
    - {id: a, when: {tier: L1}, do: [{coupon: {value: 5 %s}}, page], budget: {coupon: 90 %s/day}}
    """
    for currency, minor in (("JPY", 5), ("KWD", 5_000), ("CNY", 500)):
        (level,) = read(tmp_path, text.replace("%s", currency), currency).levels
        assert isinstance(level.steps[0], CouponStep)
        assert level.steps[0].value_minor == minor


@pytest.mark.parametrize(
    ("level", "problem"),
    [
        ("{id: a, when: {tier: L4}, do: [page]}", "3:24 playbooks[1].when.tier must be L1, L2 or L3"),
        ("{id: a, when: {}, do: [page]}", "3:17 playbooks[1].when needs tier, age or predicted_late"),
        ("{id: a, when: {age: 5m}, do: [page]}",
         '3:23 playbooks[1].when.age must be an age such as ">=5m", at most 30d'),
        ("{id: a, when: {tier: L1}, do: [{cupon: {}}]}",
         "3:35 unknown field 'cupon'; did you mean 'coupon'?"),
        ("{id: a, when: {tier: L1}, do: [{page: {}, task: {}}]}",
         f"3:34 playbooks[1].do[1] must be one step: {', '.join(STEPS)}"),
        ("{id: a, when: {tier: L1}, do: [{coupon: {value: 1 EUR}}], budget: {coupon: 9 CNY/day}}",
         "3:51 value is in EUR, but the shop's currency is CNY"),
        ("{id: a, when: {tier: L1}, do: [{coupon: {value: 0.001 CNY}}], budget: {coupon: 9 CNY/day}}",
         "3:51 value is finer than the smallest coin of CNY"),
        ("{id: a, when: {tier: L1}, do: [{coupon: {value: 3%}}], budget: {coupon: 9 CNY/day}}",
         "3:43 a coupon in percent needs 'max'; say how much it may be at most"),
        ("{id: a, when: {tier: L1}, do: [{coupon: {value: 1 CNY}}]}",
         "3:3 coupons need a budget; write budget: {coupon: 200 CNY/day}"),
        ("{id: a, when: {tier: L1}, do: [page], budget: {coupon: 9 CNY}}",
         "3:58 coupon must be an amount a day; write for example 200 CNY/day"),
        ("{id: a, when: {tier: L1}, do: [page], require: {approval: maybe}}",
         '3:61 approval is not understood; write always, or "amount > 200 CNY"'),
        ("{id: a, when: {tier: L1}, do: [page, {task: {}}, page]}", "3:52 page stands twice in one level"),
        ("{id: a, when: {tier: L1}, do: [{offer: {choices: [wait], expires: 1h, default: refund}}]}",
         "3:42 playbooks[1].do[1].offer needs a default among its choices wait"),
        ("{id: a, when: {tier: L1}, do: [{offer: {choices: [wait], expires: 20s, default: wait}}]}",
         "3:69 playbooks[1].do[1].offer.expires must be a duration between 1m and 30d"),
        ("{id: a, when: {tier: L1}, do: [page, {task: {sla: 31d}}]}",
         "3:53 playbooks[1].do[2].task.sla must be a duration between 1m and 30d"),
        ("{id: a, when: {tier: L1}, do: [{resolve: {order: [query]}}]}",
         "3:53 playbooks[1].do[1].resolve.order[1] must be shop_retry or fallback"),
        ("{id: a, when: {tier: L1}, do: [page], quiet_hours: night}",
         '3:54 playbooks[1].quiet_hours must be hours such as "23:00-08:00"'),
        ("{id: z, when: {tier: L1}, do: [page]}", "4:8 'z' is taken by an earlier playbook"),
        ("{id: a, when: {age: '>=3h'}, do: [page]}",
         "4:23 a would never be reached: z is not later"),
        ("{id: a, level: 4, when: {tier: L1}, do: [page]}\n- {id: y, level: 4, when: {tier: L2}, do: [page]}",
         "4:18 level 4 must be above 4"),
    ],
)  # fmt: skip
def test_mistake_is_named_at_its_place(tmp_path: Path, level: str, problem: str) -> None:
    """File, line, column, and what to write instead."""
    found = problems(tmp_path, f"version: 1\nplaybooks:\n- {level}\n{LAST}")
    assert problem in found
    assert len(found) == 1


@pytest.mark.parametrize(
    "steps",
    [
        "[{notify_buyer: {template: delayed_soft}}]",
        "[{resolve: {order: [fallback]}}]",
        "[{offer: {choices: [wait, refund], expires: 1h, default: wait}}]",
    ],
)
def test_path_that_ends_nowhere_is_refused(tmp_path: Path, steps: str) -> None:
    """Who still waits after the last level has a resolution coming, or a person."""
    text = f"version: 1\nplaybooks:\n- {{id: a, when: {{tier: L3}}, do: {steps}}}\n"
    (found,) = problems(tmp_path, text)
    assert "a is last and ends neither in a resolution nor with a person" in found
    read(tmp_path, text + LAST)


def test_end_that_may_fail_silently_is_no_end(tmp_path: Path) -> None:
    """A refund that nobody hears of when it fails does not end a path; an escalating one does."""
    text = "version: 1\nplaybooks:\n- {{id: a, when: {{tier: L3}}, do: [refund], on_failure: {}}}\n"
    assert "ends neither" in problems(tmp_path, text.format("skip"))[0]
    read(tmp_path, text.format("escalate"))


def test_last_level_must_be_reached_by_everybody(tmp_path: Path) -> None:
    """A prediction that never comes true would leave an order with nobody."""
    text = "version: 1\nplaybooks:\n- {id: a, when: {predicted_late: '>=0.5'}, do: [page]}\n"
    assert "rests on a prediction alone" in problems(tmp_path, text)[0]


def test_what_acts_needs_the_addresses_of_the_shop(tmp_path: Path) -> None:
    """In a dry run nothing is needed; else each missing address is named with its step."""
    text = DESIGN.replace("dry_run: true", "dry_run: false")
    assert [one.split(" ", 1)[1] for one in problems(tmp_path, text, takes=("notify",))] == [
        "coupon needs shop.compensate_url; name it in monitor.yaml, or keep dry_run: true",
        "offer needs shop.refund_url; name it in monitor.yaml, or keep dry_run: true",
    ]
    read(tmp_path, DESIGN, takes=())
    read(tmp_path, text)


def test_check_looks_into_the_named_file(tmp_path: Path) -> None:
    """Beside the configuration, with the place of the mistake in it."""
    config = tmp_path / "monitor.yaml"
    config.write_text("playbooks: mine.yaml\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("version: 2\nplaybooks: []\n", encoding="utf-8")
    found, _ = check_all(config, [], environ={})
    assert [(Path(one.path).name, one.line, one.column) for one in found] == [("mine.yaml", 1, 10)]
    (tmp_path / "mine.yaml").unlink()
    found, _ = check_all(config, [], environ={})
    assert "cannot be read" in found[0].message
