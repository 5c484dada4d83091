"""What buyers and people on duty read of playbooks, in Chinese and English.

A shop may have words of its own for a template; ours are sent beside its name. Templates we do not
know have none.
"""

from __future__ import annotations

from monitor.core.alerting.markdown import escaped
from monitor.core.alerting.messages import Message
from monitor.model.playbooks import Crowd
from monitor.model.times import format_duration

BUYER: dict[str, dict[str, str]] = {
    "zh-CN": {
        "delayed_soft": "您的订单 {order} 比平时慢一些，我们正在处理，无需重复付款。",
        "delayed_long": "您的订单 {order} 仍未发货，已转人工处理，我们会尽快答复。",
        "outage": "目前部分订单发货延迟，您的订单 {order} 也在其中。我们正在逐一处理，无需重复付款。",
        "offer": "抱歉，订单 {order} 让您久等了。请选择：{choices}。如未选择，将按“{default}”处理。",
        "alternative": "换一种商品",
        "refund": "退款",
        "wait": "继续等待",
    },
    "en": {
        "delayed_soft": "Your order {order} takes longer than usual. We are on it; do not pay again.",
        "delayed_long": "Your order {order} is still not delivered. A person has it and will answer.",
        "outage": "Some deliveries are late at the moment, your order {order} among them. "
        "We work through all of them; do not pay again.",
        "offer": "Sorry that order {order} takes so long. Please choose: {choices}. "
        "Without an answer it will be: {default}.",
        "alternative": "another product",
        "refund": "money back",
        "wait": "go on waiting",
    },
}
PEOPLE: dict[str, dict[str, str]] = {
    "zh-CN": {
        "order.task": "📋 订单 {order} 待人工核对（{queue}）",
        "order.page": "📟 订单 {order} 需要立即处理",
        "task.sla": "请在 {sla} 内处理。",
        "body": "渠道 {channel}，已等待 {age}；{playbook}（L{level}）。",
        "why": "原因：{reason}。",
        "approve": "等待批准：delivery-monitor actions approve {action}",
        "playbook.batch": "🚨 {orders} 单同时进入 L{level}（{playbook}）",
        "batch.body": "订单总额 {amount}，已预留补偿 {given}。买家统一收到一个通知。",
    },
    "en": {
        "order.task": "📋 Order {order} needs a check by hand ({queue})",
        "order.page": "📟 Order {order} needs a person now",
        "task.sla": "Please look within {sla}.",
        "body": "Channel {channel}, waiting for {age}; {playbook} (L{level}).",
        "why": "Reason: {reason}.",
        "approve": "Waits for approval: delivery-monitor actions approve {action}",
        "playbook.batch": "🚨 {orders} orders reached L{level} together ({playbook})",
        "batch.body": "Worth {amount} in all, {given} reserved for compensation. "
        "All buyers get one message.",
    },
}


def buyer_text(
    language: str, template: str, order_id: str, choices: tuple[str, ...] = (), default: str = ""
) -> str:
    """Our words of a template; empty for one that only the shop knows."""
    texts = BUYER.get(language, BUYER["en"])
    if template not in texts or template in ("alternative", "refund", "wait"):
        return ""
    named = ", ".join(texts[choice] for choice in choices)
    return texts[template].format(order=order_id, choices=named, default=texts.get(default, ""))


def person_message(
    language: str,
    kind: str,
    *,
    order_id: str,
    channel: str,
    age_ms: int,
    playbook: str,
    level: int,
    queue: str = "",
    sla_ms: int | None = None,
    reason: str = "",
    approve: str = "",
) -> Message:
    """A task or a page about one order; `approve` is what waits for a word."""
    texts = PEOPLE.get(language, PEOPLE["en"])
    title = texts[f"order.{kind}"].format(order=order_id, queue=queue)
    lines = [
        texts["body"].format(
            channel=escaped(channel), age=format_duration(age_ms), playbook=escaped(playbook),
            level=level,
        )
    ]  # fmt: skip
    if reason:
        lines.append(texts["why"].format(reason=escaped(reason)))
    if sla_ms is not None:
        lines.append(texts["task.sla"].format(sla=format_duration(sla_ms)))
    if approve:
        lines.append(texts["approve"].format(action=approve))
    return Message(title, "\n\n".join([f"### {escaped(title)}", *lines]))


def batch_message(language: str, batch: Crowd, amount: str, given: str) -> Message:
    """Many orders reached a level together."""
    texts = PEOPLE.get(language, PEOPLE["en"])
    title = texts["playbook.batch"].format(
        orders=batch.orders, level=batch.level, playbook=batch.playbook
    )
    lines = [texts["batch.body"].format(amount=amount, given=given)]
    if batch.state == "waiting":
        lines.append(texts["approve"].format(action=batch.batch_id))
    return Message(title, "\n\n".join([f"### {escaped(title)}", *lines]))
