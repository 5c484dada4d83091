"""Payment gateways on a loopback port that answer questions as the real ones do, by their sources.

易支付: api.php of Epay. epusdt: /pay/check-status. BEpusdt: /api/v1/pay/info. V免签: its routes, with a
session cookie and the MD5 of time and key.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

KEY = "gateway-key"
MERCHANT = "1001"
USER, PASSWORD = "admin", "vmq-password"


@dataclass
class Payment:
    """An order as the gateway has it; `state` in its own words."""

    order_id: str
    trade_no: str
    state: int
    money: str = "88.80"
    paid_at: str = ""


@dataclass
class GatewayHost:
    """All four on one port, over the same orders."""

    port: int = 0
    payments: dict[str, Payment] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # what came, in its own words
    heart_s: int = 0
    heart: str = ""  # as it is written, if not as a number
    is_online: bool = True
    sign_ins: int = 0
    status: int = 200
    has_info: bool = True  # BEpusdt since 1.23

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add(self, *payments: Payment) -> None:
        self.payments |= {one.order_id: one for one in payments}

    def by_trade(self, trade_no: str) -> Payment | None:
        return next((one for one in self.payments.values() if one.trade_no == trade_no), None)

    async def api_php(self, request: web.Request) -> web.Response:
        query = request.query
        self.asked.append(query["out_trade_no"])
        if self.status != 200:
            return web.Response(status=self.status, text="<html>Bad Gateway</html>")
        if query["pid"] != MERCHANT:
            return web.json_response({"code": -3, "msg": "PID不存在"})
        if query["key"] != KEY:
            return web.json_response({"code": -2, "msg": "KEY校验失败"})
        found = self.payments.get(query["out_trade_no"])
        if found is None:
            return web.json_response({"code": -1, "msg": "订单号不存在"})
        return web.json_response(
            {
                "code": 1, "msg": "查询订单号成功！", "trade_no": found.trade_no,
                "out_trade_no": found.order_id, "type": "alipay", "pid": MERCHANT,
                "addtime": "2026-11-20 10:00:00", "endtime": found.paid_at or None,
                "name": "月卡", "money": found.money, "status": str(found.state),
            }
        )  # fmt: skip

    async def check_status(self, request: web.Request) -> web.Response:
        trade_no = request.match_info["trade_no"]
        self.asked.append(trade_no)
        found = self.by_trade(trade_no)
        if found is None:
            return web.json_response({"status_code": 10008, "message": "订单不存在", "data": None})
        data = {"trade_id": trade_no, "status": found.state}
        return web.json_response({"status_code": 200, "message": "success", "data": data})

    async def info(self, request: web.Request) -> web.Response:
        if not self.has_info:
            return web.Response(status=404, text="404 page not found")
        trade_no = (await request.json())["trade_id"]
        self.asked.append(trade_no)
        found = self.by_trade(trade_no)
        if found is None:
            return web.json_response({"status_code": 400, "message": "order not found"})
        data = {
            "trade_id": trade_no, "order_id": found.order_id, "status": found.state,
            "money": found.money, "fiat": "CNY",
        }  # fmt: skip
        return web.json_response({"status_code": 200, "message": "success", "data": data})

    async def login(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.sign_ins += 1
        if (form["user"], form["pass"]) != (USER, PASSWORD):
            return web.json_response({"code": -1, "msg": "账号或密码错误", "data": None})
        answer = web.json_response({"code": 1, "msg": "成功", "data": None})
        answer.set_cookie("PHPSESSID", f"session{self.sign_ins}")
        return answer

    async def get_orders(self, request: web.Request) -> web.Response:
        if request.cookies.get("PHPSESSID") != f"session{self.sign_ins}":
            return web.json_response({"code": -1, "msg": "没有登录", "data": None})
        self.asked.append(f"state={request.query['state']}")
        rows = [
            {
                "id": 1, "pay_id": one.order_id, "order_id": one.trade_no, "state": one.state,
                "price": float(one.money), "create_date": 1_795_140_007, "pay_date": one.paid_at or 0, "type": 1,
            }
            for one in self.payments.values()
            if str(one.state) == request.query["state"]
        ]  # fmt: skip
        return web.json_response({"code": 0, "msg": "获取成功", "data": rows, "count": len(rows)})

    async def get_state(self, request: web.Request) -> web.Response:
        signed = hashlib.md5((request.query["t"] + KEY).encode()).hexdigest()
        if request.query["sign"] != signed:
            return web.json_response({"code": -1, "msg": "签名校验不通过", "data": None})
        state = {
            "lastheart": self.heart or str(self.heart_s), "lastpay": "0", "jkstate": str(int(self.is_online)),
        }  # fmt: skip
        return web.json_response({"code": 1, "msg": "成功", "data": state})


@asynccontextmanager
async def gateway_host() -> AsyncIterator[GatewayHost]:
    """Run all of them on a free port of 127.0.0.1."""
    host = GatewayHost()
    app = web.Application()
    app.router.add_get("/api.php", host.api_php)
    app.router.add_get("/pay/check-status/{trade_no}", host.check_status)
    app.router.add_post("/api/v1/pay/info", host.info)
    app.router.add_post("/login", host.login)
    app.router.add_get("/admin/index/getOrders", host.get_orders)
    app.router.add_get("/getState", host.get_state)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host.port = runner.addresses[0][1]
    try:
        yield host
    finally:
        await runner.cleanup()
