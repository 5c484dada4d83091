"""The lines of docs/relay.md in a real nginx: with the monitor, and without it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.relay import Gateway, Stage, drained, free_port, listening

PAGE = Path(__file__).resolve().parents[2] / "docs/relay.md"
NGINX = shutil.which("nginx") or ""
CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; {lines} }}
}}
"""

pytestmark = pytest.mark.skipif(not NGINX, reason="nginx is not installed")


def lines_of_page(stage: Stage) -> str:
    """The block of the page, with the addresses of this test."""
    (block,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    text: str = block.replace("127.0.0.1:8080", f"127.0.0.1:{stage.port}")
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{stage.shop_port}")


async def test_gateway_reaches_the_shop_with_the_monitor_and_without(tmp_path: Path) -> None:
    """Through the relay while it is up, past it while it is killed; owed while the shop is down."""
    stage, port = Stage(tmp_path), free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(CONFIG.format(folder=tmp_path, port=port, lines=lines_of_page(stage)))
    await stage.open()
    nginx = subprocess.Popen(
        [NGINX, "-c", str(config), "-e", str(tmp_path / "error.log")], stderr=subprocess.DEVNULL
    )
    gateway = Gateway(port, "/pay/yipay/notify_url")
    try:
        await listening(port)
        await gateway.notify("up")
        stage.kill_relay()
        await gateway.notify("past")
        assert dict(stage.book().orders) == {"up": 1, "past": 1}
        stage.start_relay()
        await listening(stage.port)
        stage.kill_shop()
        await gateway.notify("owed")
        stage.start_shop()
        assert await drained(stage, 3, 30) == 0
        assert gateway.failures == 0
    finally:
        gateway.close()
        nginx.terminate()
        nginx.wait()
        stage.close()
