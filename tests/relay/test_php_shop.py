"""A shop in PHP checks what comes through the relay with its own eyes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest

from tests.relay.world import KEY, get, raw, running, said, settings_of

SCRIPT = Path(__file__).with_name("yipay_shop.php")

needs_php = pytest.mark.skipif(shutil.which("php") is None, reason="php-cli is not installed")


@asynccontextmanager
async def php_shop() -> AsyncIterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shop = subprocess.Popen(
        ["php", "-S", f"127.0.0.1:{port}", str(SCRIPT)],
        env=os.environ | {"YIPAY_KEY": KEY}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionError:
                    await asyncio.sleep(0.02)
                    continue
                writer.close()
                break
        yield port
    finally:
        shop.kill()
        shop.wait()


def signed(encoding: str) -> str:
    """A callback with Chinese names and keys that come twice; of those PHP takes the last."""
    fields = {
        "pid": "1000", "trade_no": "2026010122", "out_trade_no": "A1", "type": "alipay",
        "name": "会员卡 一年+赠品", "money": "9.90", "trade_status": "TRADE_SUCCESS",
    }  # fmt: skip
    texts = {name: value.encode(encoding) for name, value in fields.items()}
    plain = b"&".join(name.encode() + b"=" + texts[name] for name in sorted(texts))
    sign = hashlib.md5(plain + KEY.encode()).hexdigest()
    query = "&".join(f"{name}={quote_from_bytes(value)}" for name, value in texts.items())
    old = quote_from_bytes("旧名".encode(encoding))
    return f"name={old}&money=1&{query}&sign={sign}&sign_type=MD5"


@needs_php
@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
async def test_signature_of_chinese_names_and_repeated_keys_is_good_at_the_shop(
    tmp_path: Path, encoding: str
) -> None:
    """The shop's own MD5 agrees, and one digit that is changed on the way would make it differ."""
    async with php_shop() as port, running(tmp_path, settings_of(port)) as monitor:
        asked = get(signed(encoding))
        answer = await raw(monitor.url, asked)
        assert b"X-Powered-By: PHP" in answer  # the shop's own word, not one in its place
        assert said(answer) == (200, b"success")
        forged = asked.replace(b"money=9.90", b"money=9.91")
        assert said(await raw(monitor.url, forged)) == (200, b"fail")
