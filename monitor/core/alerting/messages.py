"""What people read: one short message per thing that happened, in Chinese or English.

Numbers carry their evidence (k of n, limit, oldest order), because a message that cannot be
checked is not believed. Buyer data and secrets cannot occur: events do not carry them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from monitor.core.alerting.markdown import escaped
from monitor.model.alerts import Alert
from monitor.model.faults import ShopFault
from monitor.model.ids import ALL_ORDERS
from monitor.model.records import SwitchDecided
from monitor.model.takeovers import TakeoverCase
from monitor.model.times import format_duration, format_rfc3339

TEXTS: dict[str, dict[str, str]] = {
    "zh-CN": {
        "alert.firing": "🔴 告警：{rule}",
        "alert.resolved": "✅ 已恢复：{rule}",
        "severity": "级别",
        "evidence": "依据",
        "since": "开始",
        "duration": "持续",
        "all_channels": "全部渠道",
        "of": "{n} 单中 {k} 单",
        "limit": "阈值 {limit}",
        "runbook": "处理手册",
        "review": "建议：新订单先人工核对。",
        "order.tier_changed": "⏳ 订单 {order} 进入 L{tier}",
        "tier.body": "渠道 {channel}，已等待 {age}（承诺 {promise}）。",
        "tier.2": "请人工核对，并考虑小额补偿。",
        "tier.3": "请安排专人：换货、退款或人工发货。",
        "channel.switch": "🔀 渠道切换 {failed} → {target}",
        "switch.observe": "仅观察：本应切换，未执行。设置 failover.mode: enforce 后自动切换。",
        "switch.advise": "建议切换，请在控制台确认。",
        "switch.enforce": "已发送切换指令（epoch {epoch}），等待商店确认。",
        "switch.manual": "人工切换（epoch {epoch}）：{reason}",
        "switch.why": "{channel} 最近 {n} 单中 {slow} 单慢于 {threshold}，最久已等 {oldest}。",
        "switch.unacked": "⚠️ 商店未确认渠道切换（epoch {epoch}，{status}）",
        "takeover.started": "🛟 接管订单 {order}",
        "takeover.delivered": "✅ 已代发订单 {order}",
        "takeover.escalated": "🙋 订单 {order} 需要人工处理",
        "takeover.body": "原渠道 {channel}；原因 {reason}。",
        "takeover.reminder": "第 {count} 次提醒：仍无人处理。",
        "takeover.advised": "🛟 订单 {order} 卡住，建议人工接管",
        "advised": "仅建议：没有认领、没有采购、没有发货。",
        "takeover.limited": "⛔ 代发已达上限（{reason}）",
        "limited": "订单 {order} 等卡住的订单暂不代发。请人工处理，或调高 fallback 的上限。",
        "shop.fault": "🔎 店铺自身的发货有问题：订单 {order}",
        "fault.duplicate_key_sold": "同一卡密已发给订单 {other}。请停用该卡密并为其中一单补发。",
        "fault.delivered_without_goods": "标记为已发货，但没有卡密或数量不足。请核对库存并补发。",
        "fault.paid_twice": "同一订单收到两笔付款。请核对并退还多付的一笔。",
        "fault.paid_late": "订单过期后才到账。请核对金额，补发或退款。",
        "fault.payment_denied": "回调称已付款，但支付网关查无此款，可能是伪造。请勿发货，先人工核对。",
        "fault.payment_without_order": "收到付款回调，但店铺没有此订单。请在支付平台核对后补单或退款。",
        "fault.callback_undelivered": "已收款，但店铺不接受付款回调。请检查店铺日志，人工补单。",
        "fault.bought_but_unpaid": "已向供货方下单，但店铺没有收款记录。请在支付平台查单。",
        "violations": "⛔ 自查发现 {n} 条规则被破坏",
        "violations.do": "请先暂停代发（fallback.mode: observe），再运行 delivery-monitor doctor 核对。",
    },
    "en": {
        "alert.firing": "🔴 Firing: {rule}",
        "alert.resolved": "✅ Resolved: {rule}",
        "severity": "severity",
        "evidence": "evidence",
        "since": "since",
        "duration": "lasted",
        "all_channels": "all channels",
        "of": "{k} of {n} orders",
        "limit": "limit {limit}",
        "runbook": "runbook",
        "review": "Advice: have a person check new orders first.",
        "order.tier_changed": "⏳ Order {order} is in L{tier}",
        "tier.body": "Channel {channel}, waiting for {age} (promised in {promise}).",
        "tier.2": "Please check by hand and consider a small compensation.",
        "tier.3": "A person is needed: alternative, refund or delivery by hand.",
        "channel.switch": "🔀 Channel switch {failed} → {target}",
        "switch.observe": "Watching only: would have switched. Set failover.mode: enforce to act.",
        "switch.advise": "Switch advised; please confirm on the console.",
        "switch.enforce": "Command sent (epoch {epoch}), waiting for the shop to acknowledge.",
        "switch.manual": "Switched by hand (epoch {epoch}): {reason}",
        "switch.why": "{channel}: {slow} of the latest {n} orders slower than {threshold}, "
        "the oldest waits for {oldest}.",
        "switch.unacked": "⚠️ The shop did not apply the switch (epoch {epoch}, {status})",
        "takeover.started": "🛟 Taking over order {order}",
        "takeover.delivered": "✅ Delivered order {order} through the fallback",
        "takeover.escalated": "🙋 Order {order} needs a person",
        "takeover.body": "Was on channel {channel}; reason: {reason}.",
        "takeover.reminder": "Reminder {count}: nobody has closed it.",
        "takeover.advised": "🛟 Order {order} is stuck: take it over by hand?",
        "advised": "Advice only: nothing was claimed, bought or delivered.",
        "takeover.limited": "⛔ The fallback has reached its limit ({reason})",
        "limited": "Order {order} and others stuck with it stay where they are. "
        "Help them by hand, or raise the limits of fallback.",
        "shop.fault": "🔎 The shop's own delivery of order {order} is not right",
        "fault.duplicate_key_sold": "The same key went to order {other}. "
        "Block the key and send one of the two another.",
        "fault.delivered_without_goods": "Marked as delivered without a key, or with too few. "
        "Check the stock and send what is missing.",
        "fault.paid_twice": "Two payments came for one order. Check them and pay one back.",
        "fault.paid_late": "The money came after the order had expired. "
        "Check the amount, then deliver it or pay it back.",
        "fault.payment_denied": "A callback said paid, and the gateway knows of no payment: it may "
        "be forged. Deliver nothing before a person has looked.",
        "fault.payment_without_order": "A payment came and the shop has no such order. Look it up "
        "at the gateway, then deliver by hand or pay it back.",
        "fault.callback_undelivered": "The money came, and the shop does not take the callback. "
        "Look into the shop's log and mark the order as paid by hand.",
        "fault.bought_but_unpaid": "It was ordered from a supplier, and the shop knows of no "
        "payment. Look the payment up at the gateway.",
        "violations": "⛔ The self-audit found {n} broken rules",
        "violations.do": "Stop taking orders over (fallback.mode: observe), then run "
        "delivery-monitor doctor and compare.",
    },
}


class Message(msgspec.Struct, frozen=True):
    """A rendered message: `title` is plain, `text` is Markdown that DingTalk understands."""

    title: str
    text: str


def say(language: str, key: str, **values: object) -> str:
    """One phrase in a language; English stands in for a language we do not have."""
    return TEXTS.get(language, TEXTS["en"])[key].format(**values)


def label_text(language: str, name: str, value: str) -> str:
    """A label's value as people read it: the channel `*` is all channels together."""
    is_all = name == "channel" and value == ALL_ORDERS
    return say(language, "all_channels") if is_all else value


def _pair(language: str, name: str, value: str) -> str:
    text = label_text(language, name, value)
    return f"{name}={value}" if text == value else text


def _write(language: str, key: str, **values: str | int) -> str:
    """One phrase as Markdown: what comes from outside is shown, not read as markup."""
    shown = {name: escaped(value) if isinstance(value, str) else value
             for name, value in values.items()}  # fmt: skip
    return say(language, key, **shown)


def _message(title: str, *paragraphs: str) -> Message:
    return Message(title, "\n\n".join([f"### {escaped(title)}", *paragraphs]))


def alert_message(
    language: str, alert: Alert, summary: str, status: str, now_ms: int, *, asks_review: bool
) -> Message:
    """The firing or resolved message of an alert; `summary` is its annotation as Markdown."""
    title = say(language, f"alert.{status}", rule=alert.rule)
    lines: list[str] = []
    if alert.labels:
        lines.append(escaped(" · ".join(_pair(language, *pair) for pair in alert.labels)))
    if summary:
        lines.append(summary)
    found = alert.evidence
    if found.k is not None and found.n is not None:
        lines.append(f"{say(language, 'evidence')}: {say(language, 'of', k=found.k, n=found.n)}")
    lines.append(f"{say(language, 'severity')}: {alert.severity}")
    started_ms = alert.firing_ms or now_ms
    if status == "firing":
        lines.append(f"{say(language, 'since')}: {format_rfc3339(alert.pending_ms or started_ms)}")
        if asks_review:
            lines.append(say(language, "review"))
    else:
        lines.append(f"{say(language, 'duration')}: {format_duration(now_ms - started_ms)}")
    return _message(title, *lines)


def tier_message(
    language: str, order_id: str, tier: int, channel: str, age_ms: int, promise_ms: int
) -> Message:
    """An order entered L2 or L3."""
    title = say(language, "order.tier_changed", order=order_id, tier=tier)
    body = _write(
        language, "tier.body", channel=channel,
        age=format_duration(age_ms), promise=format_duration(promise_ms),
    )  # fmt: skip
    return _message(title, body, say(language, f"tier.{tier}"))


def switch_message(
    language: str, decided: SwitchDecided, evidence: Mapping[str, Mapping[str, int]]
) -> Message:
    """A switch was decided (or would have been); `evidence` is the breaker's, by channel."""
    lost = [
        name for name, share in decided.previous.items() if decided.weights.get(name, 0) < share
    ]
    won = [name for name, share in decided.weights.items() if decided.previous.get(name, 0) < share]
    failed, target = ", ".join(lost) or "-", ", ".join(won) or "-"
    title = say(language, "channel.switch", failed=failed, target=target)
    lines = [
        _write(
            language, "switch.why", channel=name, n=evidence[name]["n"],
            slow=evidence[name]["slow"], threshold=format_duration(evidence[name]["threshold_ms"]),
            oldest=format_duration(evidence[name]["oldest_age_ms"]),
        )
        for name in lost
        if name in evidence
    ]  # fmt: skip
    phrase = f"switch.{decided.mode}"
    lines.append(_write(language, phrase, epoch=decided.epoch, reason=decided.reason))
    return _message(title, *lines)


def unacknowledged_message(language: str, epoch: int, status: str) -> Message:
    """The shop refused a switch or let it expire."""
    title = say(language, "switch.unacked", epoch=epoch, status=status)
    return _message(title)


def limit_message(language: str, reason: str, order_id: str) -> Message:
    """A limit keeps stuck orders from being taken over."""
    title = say(language, "takeover.limited", reason=reason)
    return _message(title, _write(language, "limited", order=order_id))


def fault_message(language: str, found: ShopFault) -> Message:
    """What the shop did wrong with an order."""
    title = say(language, "shop.fault", order=found.order_id)
    return _message(title, _write(language, f"fault.{found.fault}", other=found.other))


def violation_message(language: str, findings: Sequence[str]) -> Message:
    """Rules of takeovers, goods or switches do not hold; the findings are in English."""
    title = say(language, "violations", n=len(findings))
    return _message(title, *map(escaped, findings), _write(language, "violations.do"))


def takeover_message(language: str, event_type: str, case: TakeoverCase) -> Message:
    """A takeover started, delivered, or needs a person."""
    title = say(language, event_type, order=case.order_id)
    reason = case.escalated_reason or case.resolution or case.state
    lines = [_write(language, "takeover.body", channel=case.held_by_channel, reason=reason)]
    if case.state == "advised":
        lines.append(say(language, "advised"))
    if case.reminders:
        lines.append(say(language, "takeover.reminder", count=case.reminders))
    return _message(title, *lines)
