"""A monitor with a relay before a shop, spoken to in raw bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from monitor.app import Monitor
from monitor.config.load import Loaded
from monitor.model.endpoints import Endpoints, Listen
from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings
from monitor.model.rules import RuleSet
from monitor.model.secret import Secret
from monitor.model.settings import Settings

KEY = "merchant-key-of-a-test-0123456789"
FORWARD = "/pay/yipay/notify_url"


def yipay(order: str, trade: str = "", status: str = "TRADE_SUCCESS", key: str = KEY) -> str:
    """The query of a callback of 易支付, signed as its source code says."""
    fields = {
        "pid": "1000", "trade_no": trade or f"T{order}", "out_trade_no": order, "type": "alipay",
        "name": "会员卡", "money": "9.90", "trade_status": status,
    }  # fmt: skip
    text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    sign = hashlib.md5(f"{text}{key}".encode()).hexdigest()
    fields |= {"sign": sign, "sign_type": "MD5"}
    return "&".join(f"{name}={quote(value)}" for name, value in fields.items())


def settings_of(port: int, **more: object) -> RelaySettings:
    plain = RelaySettings(
        "main", "epay", "yipay", f"http://127.0.0.1:{port}{FORWARD}",
        keys=GatewayKeys(secrets=(Secret(KEY),)),
    )  # fmt: skip
    return msgspec.structs.replace(plain, **more)


@asynccontextmanager
async def running(data_dir: Path, *relays: RelaySettings) -> AsyncIterator[Monitor]:
    endpoints = Endpoints(
        listen=Listen("127.0.0.1", 0), data_dir=str(data_dir), disk_reserve_mib=0, relays=relays,
        config_hosts=tuple(urlsplit(one.forward).netloc for one in relays),
    )  # fmt: skip
    monitor = Monitor(Loaded(Settings(), endpoints), RuleSet(()))
    await monitor.start()
    try:
        await monitor.wait_until_ready()
        yield monitor
    finally:
        await monitor.stop()
        assert monitor.supervisor.failure is None


async def raw(url: str, request: bytes, *, is_head: bool = False) -> bytes:
    """Send bytes and read the answer to its end."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=4 << 20)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n\r\n")
            if is_head:
                return head
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            return head + await reader.readexactly(length)
    finally:
        writer.close()


def get(query: str, path: str = "/relay/main/epay", host: str = "shop.example") -> bytes:
    return f"GET {path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def said(reply: bytes) -> tuple[int, bytes]:
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body
