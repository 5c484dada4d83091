"""Send a test message to every integration of a receiver, the way an alert would go.

The message says that it is a test and has severity info. Nothing is repeated: a failure here is
what a real alert would meet.

Examples:
  delivery-monitor notify test ops --config monitor.yaml
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import msgspec

from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.ids import RandomIds
from monitor.adapters.performer import OutsidePerformer
from monitor.adapters.vault import SealedVault
from monitor.cli.output import say, say_json, table
from monitor.config.load import Loaded, load
from monitor.model.effects import Notify
from monitor.model.errors import EffectError, InputError
from monitor.model.settings import ReceiverSettings
from monitor.model.spelling import did_you_mean
from monitor.model.times import format_rfc3339

TEXTS = {
    "zh-CN": ("🧪 测试消息", "这是 Delivery Monitor 的测试消息，无需处理。告警会这样到达。"),
    "en": (
        "🧪 Test message",
        "A test of Delivery Monitor; nothing is wrong. Alerts arrive this way.",
    ),
}


class Result(msgspec.Struct, frozen=True):
    """What became of one message; `detail` says why it failed and what to do."""

    integration: str
    is_ok: bool
    took_ms: int
    code: str = ""
    detail: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("test",))
    parser.add_argument("receiver", metavar="RECEIVER", help="a name of notify.receivers")
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")


def run(options: argparse.Namespace) -> int:
    """Send and report; 1 when one integration failed."""
    loaded = load(options.config)
    receiver = _receiver(loaded, options.receiver)
    results = asyncio.run(_send_all(loaded, receiver))
    is_ok = all(result.is_ok for result in results)
    if options.json:
        say_json({"receiver": receiver.name, "ok": is_ok, "results": results})
    else:
        table(
            [[one.integration, "ok" if one.is_ok else "FAILED", f"{one.took_ms} ms", one.detail]
             for one in results],
            ["integration", "result", "took", "why"],
        )  # fmt: skip
        if is_ok:
            say("the receiver took every message; look whether it shows them")
    return 0 if is_ok else 1


def _receiver(loaded: Loaded, name: str) -> ReceiverSettings:
    receivers = {receiver.name: receiver for receiver in loaded.settings.receivers}
    if name in receivers:
        return receivers[name]
    if not receivers:
        raise InputError(
            "no receiver is configured: nobody would be told",
            code="no_receiver",
            hint="add notify.receivers to monitor.yaml and name the file with --config",
        )
    hint = did_you_mean(name, receivers) or f"known are {', '.join(receivers)}"
    raise InputError(f"there is no receiver {name!r}", code="unknown_receiver", hint=hint)


async def _send_all(loaded: Loaded, receiver: ReceiverSettings) -> list[Result]:
    endpoints, clock, ids = loaded.endpoints, SystemClock(), RandomIds()
    client = HttpClient.of(endpoints)
    goods = GoodsFile(Path(endpoints.data_dir))  # never opened: messages need no goods
    performer = OutsidePerformer(client, endpoints, {}, SealedVault(goods), clock)
    try:
        return [
            await _send(
                performer,
                _message(receiver.name, name, loaded.settings.language, ids.new_id("test"), clock),
            )
            for name in receiver.integrations
        ]
    finally:
        await client.close()
        await goods.close()


async def _send(performer: OutsidePerformer, message: Notify) -> Result:
    started_s = time.perf_counter()
    code = detail = ""
    try:
        await performer.perform(message)
    except EffectError as error:
        code = error.code
        detail = f"{error}; {error.hint}" if error.hint else str(error)
    took_ms = round((time.perf_counter() - started_s) * 1_000)
    return Result(message.integration, not code, took_ms, code, detail)


def _message(
    receiver: str, integration: str, language: str, key: str, clock: SystemClock
) -> Notify:
    """A message of the form of a firing alert, so that programs read it as one."""
    now_ms = clock.now_ms()
    title, text = TEXTS[language]
    payload = {
        "rule": "TestMessage",
        "status": "firing",
        "labels": {"test": "true"},
        "severity": "info",
        "summary": text,
        "annotations": {"summary": text},
        "value": None,
        "evidence": None,
        "reason": "test",
        "pending_at": None,
        "firing_at": format_rfc3339(now_ms),
        "resolved_at": None,
        "runbook_url": None,
        "expr": "",
    }
    return Notify(
        key=key,
        receiver=receiver,
        integration=integration,
        event_type="alert.firing",
        status="firing",
        severity="info",
        title=title,
        text=f"### {title}\n\n{text}",
        payload=msgspec.Raw(msgspec.json.encode(payload)),
        at_ms=now_ms,
    )
