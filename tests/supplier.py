"""A supplier of keys on a loopback port that remembers orders by our ref and loses answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from monitor.model.endpoints import AnswerRule, ErrorRule, HttpChannel, HttpRequest


@dataclass
class Supplier:
    """Sells each ref once; a repeated ref gets the first order again."""

    stock: int = 100
    port: int = 0
    sold: dict[str, list[str]] = field(default_factory=dict)
    requests: int = 0
    answers_to_lose: int = 0
    requests_to_lose: int = 0
    price_minor: int = 400

    def channel(self, capability: str) -> HttpChannel:
        """This supplier as `monitor.yaml` would describe it."""
        place = f"http://127.0.0.1:{self.port}"
        return HttpChannel(
            name="supplier",
            capability=capability,
            submit=HttpRequest(
                method="POST",
                url=f"{place}/buy",
                json={"ref": "{{ attempt_ref }}", "sku": "{{ sku }}", "quantity": "{{ quantity }}"},
            ),
            query=HttpRequest(method="GET", url=f"{place}/orders/{{{{ attempt_ref }}}}")
            if capability == "queryable"
            else None,
            answers=(
                AnswerRule(
                    "delivered", {"status": "delivered"}, goods="keys", supplier_ref="id", cost="p"
                ),
                AnswerRule("accepted", {"status": ["pending", "processing"]}),
                AnswerRule("not_found", {"http": 404, "status": "not_found"}),
                AnswerRule("rejected", {"status": "rejected"}, code="code"),
            ),
            errors={
                "out_of_stock": ErrorRule("other", "channel"),
                "bad_sku": ErrorRule("never", "order"),
            },
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        if self.requests_to_lose:
            self.requests_to_lose -= 1
            return _dropped(request)
        if request.method == "POST":
            status, said = self._buy(json.loads(await request.read()))
        else:
            status, said = self._find(request.path.rpartition("/")[2])
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            return _dropped(request)
        return web.json_response(said, status=status)

    def _buy(self, order: dict[str, object]) -> tuple[int, dict[str, object]]:
        ref, sku, quantity = order["ref"], order["sku"], order["quantity"]
        assert isinstance(ref, str)
        assert isinstance(quantity, int)
        if sku == "unheard-of":
            return 200, {"status": "rejected", "code": "bad_sku"}
        if ref not in self.sold:
            if self.stock < quantity:
                return 200, {"status": "rejected", "code": "out_of_stock"}
            self.stock -= quantity
            self.sold[ref] = [f"KEY-{self.stock + n}" for n in range(quantity)]
        return self._find(ref)

    def _find(self, ref: str) -> tuple[int, dict[str, object]]:
        if ref not in self.sold:
            return 404, {"status": "not_found"}
        keys = self.sold[ref]
        return 200, {"status": "delivered", "id": 7, "keys": keys, "p": self.price_minor}


def _dropped(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def supplier() -> AsyncIterator[Supplier]:
    """Run the supplier on a free port of 127.0.0.1."""
    made = Supplier()
    runner = web.ServerRunner(web.Server(made.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
