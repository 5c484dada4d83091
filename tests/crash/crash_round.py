"""One round: a market, a service that is killed again and again, then the books.

trade and kills ──► calm ──► a person answers what was escalated ──► stop ──► ledgers, audit, fsck
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.self_audit import audit
from monitor.adapters.stock_pool import import_units
from tests.crash import stage
from tests.crash.faults import wrong_clock
from tests.crash.ledger import now_ms
from tests.crash.nursery import Birth
from tests.crash.oracle import Verdict, judge, longest_doubt_s, opaque_first
from tests.crash.points import ANYWHERE, POINTS
from tests.e2e.serving import ENVIRONMENT, ROOT

LIFE_S = (0.3, 2.0)  # a life whose point is not passed ends somewhere after that
NTH_MAX = 8
QUIET_WITHIN_S = 150.0
READY_WITHIN_S = 30.0
PERSON_AFTER_S = 2 * stage.SETTLE_S


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried in a round."""

    seed: int
    capability: str
    orders: int
    kills: int
    per_s: float = 12.0
    mutant: str = ""
    scale: int = 10  # a second here stands for so many: fifteen minutes are 90 s
    first_point: int = 0
    late_primary: float = 0.06  # share of the orders
    refunds: bool = False  # the money goes back to who waits for five seconds
    gives_up: bool = False  # a service that stops by itself ends the round

    @property
    def patience_s(self) -> float:
        """How long an outcome may be unknown: fifteen minutes to scale, and a restart."""
        return 900 / self.scale + 10.0


class Outcome(msgspec.Struct):
    """What a round came to."""

    plan: Plan
    verdict: Verdict
    kills: Counter[str] = msgspec.field(default_factory=Counter)
    persons: dict[str, str] = {}  # order → why the machine gave up
    start_s: list[float] = []
    died: list[str] = []  # ends that nobody ordered
    clocks: Counter[str] = msgspec.field(default_factory=Counter)
    seconds: float = 0.0


class Process:
    """A line-oriented helper process."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, env=ENVIRONMENT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self, within_s: float) -> str | None:
        """The next line, None when none comes in time."""
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, within_s))
        if not readable:
            return None
        line = self._process.stdout.readline()
        assert line, "the helper died"
        return line.strip()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Round:
    """One market, one data directory, many lives."""

    def __init__(self, plan: Plan, folder: Path, nursery: Process) -> None:
        folder.mkdir()
        self._plan = plan
        self._folder = folder
        self._data = folder / "data"
        self._nursery = nursery
        self._chance = random.Random(f"round {plan.seed}")
        self._said = folder / "said"
        self._said.touch()
        self._market = Process("tests.crash.market", str(folder), str(plan.seed), str(plan.orders),
                               str(plan.per_s), str(plan.late_primary))  # fmt: skip
        self._market_url = self._market.hear(20) or ""
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._config = stage.write(folder, plan.capability, port=port, market=self._market_url,
                                   refunds=plan.refunds)  # fmt: skip
        self._outcome = Outcome(plan, Verdict())
        self._ended: dict[int, int] = {}

    async def run(self) -> Outcome:
        """Live through it."""
        started_s = time.monotonic()
        await self._fill_pool()
        self._market.say(self._url)
        try:
            # One order of points for all rounds: what one leaves out the next begins with.
            points = random.Random("points").sample(POINTS, len(POINTS))
            for number in range(self._plan.kills):
                if self._plan.gives_up and self._outcome.died:
                    break
                self._life(points[(self._plan.first_point + number) % len(points)])
            if not (self._plan.gives_up and self._outcome.died):
                self._calm()
        finally:
            self._market.end()
        outcome = self._outcome
        outcome.verdict = judge(self._folder / "ledger.ndjson")
        outcome.verdict.doubt_s = longest_doubt_s(self._data / "monitor.db")
        outcome.verdict.wrongs += opaque_first(self._data / "monitor.db")
        outcome.verdict.wrongs += [str(one) for one in audit(self._data, now_ms(), 10**9)]
        outcome.verdict.wrongs += [f"the service stopped by itself: {one}" for one in outcome.died]
        outcome.seconds = time.monotonic() - started_s
        return outcome

    # --- lives --------------------------------------------------------------------------------------

    def _life(self, point: str) -> None:
        """One life: until its point is passed, or until somewhere."""
        nth = self._chance.randint(1, NTH_MAX)
        span_s = self._chance.uniform(*LIFE_S)
        pid = self._begin(point, nth)
        self._control("arm", point=point.removeprefix("out/") if point.startswith("out/") else "",
                      nth=nth, pid=pid)  # fmt: skip
        ended = self._gone(pid, span_s if self._until_ready(pid) else 0.0)
        if ended is None:
            os.kill(pid, signal.SIGKILL)
            ended = self._gone(pid, 10)
            point = ANYWHERE
        if ended != -signal.SIGKILL:
            self._outcome.died.append(f"status {ended}: {self._log()}")
            point = "by itself"
        self._outcome.kills[point] += 1

    def _begin(self, point: str = "", nth: int = 0) -> int:
        wrong_ms, after_s = wrong_clock(self._chance) if point else (0, 0.0)
        self._outcome.clocks[_clock_name(wrong_ms, after_s)] += 1
        birth = Birth(
            config=str(self._config), log=str(self._folder / "serve.log"), said=str(self._said),
            point=point, nth=nth, mutant=self._plan.mutant, scale=self._plan.scale,
            clock_ms=wrong_ms, clock_after_s=after_s,
        )  # fmt: skip
        self._nursery.say(msgspec.json.encode(birth).decode())
        line = self._nursery.hear(10) or "0"
        while " " in line:  # an end that a round which was broken off has left unheard
            line = self._nursery.hear(10) or "0"
        return int(line)  # whoever lived before is gone and was heard of

    def _until_ready(self, pid: int) -> bool:
        """Whether it got as far as answering; it may die before."""
        started_s = time.monotonic()
        while time.monotonic() - started_s < READY_WITHIN_S:
            try:
                with urllib.request.urlopen(f"{self._url}/readyz", timeout=2):
                    self._outcome.start_s.append(time.monotonic() - started_s)
                    return True
            except OSError:
                pass
            if self._gone(pid, 0.02) is not None:
                return False
        raise AssertionError(f"not ready: {self._log()}")

    def _gone(self, pid: int, within_s: float) -> int | None:
        """Its exit status once it is gone; None while it lives."""
        end_s = time.monotonic() + within_s
        while pid not in self._ended:
            line = self._nursery.hear(end_s - time.monotonic())
            if line is None:
                return None
            number, status = line.split()
            self._ended[-int(number)] = int(status)
        return self._ended[pid]

    # --- the end ------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """One last life: everything comes to an end, by itself or by a person."""
        pid = self._begin()
        self._control("arm", point="", nth=0, pid=0)
        if not self._until_ready(pid):
            self._outcome.died.append(self._log())
            return
        end_s = time.monotonic() + QUIET_WITHIN_S + self._plan.orders / self._plan.per_s
        asked: dict[str, float] = {}
        while time.monotonic() < end_s:
            if self._gone(pid, 0.0) is not None:
                self._outcome.died.append(self._log())
                return
            standing = self._control("standing")
            if not (standing["waiting"] or standing["to_sell"] or standing["untold"]):
                break
            if not standing["to_sell"]:
                try:
                    self._person(set(standing["waiting"]), asked)
                except urllib.error.HTTPError:
                    raise
                except OSError:
                    continue  # it is gone, or else too busy: both are seen soon
            time.sleep(0.5)
        else:
            self._outcome.died.append(f"not quiet: {self._control('standing')['waiting'][:5]}")
        time.sleep(1.0)
        os.kill(pid, signal.SIGTERM)
        if self._gone(pid, 30) != 0:
            self._outcome.died.append(self._log())

    def _person(self, waiting: set[str], asked: dict[str, float]) -> None:
        """Look at what was escalated, ask everybody, and answer."""
        for case in self._escalated():
            order_id = case["order_id"]
            now_s = time.monotonic()
            since_s = asked.setdefault(case["id"], now_s)
            if order_id not in waiting or now_s - since_s < PERSON_AFTER_S or since_s < 0:
                continue
            self._outcome.persons.setdefault(order_id, case["escalated_reason"])
            truth = self._control("truth", order_id=order_id)
            refs = {one["ref"] for one in case["attempts"]}
            is_bought = not refs.isdisjoint(truth["refs"])
            asked[case["id"]] = -1.0
            self._control(
                "person", order_id=order_id, does="delivered" if is_bought else "refunded"
            )
            self._post(f"/v1/takeovers/{case['id']}/resolution",
                       {"resolution": "delivered" if is_bought else "refunded"})  # fmt: skip

    def _escalated(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = _ask(f"{self._url}/v1/takeovers?limit=500{cursor}")
            found += [one for one in page["takeovers"] if one["state"] == "escalated"]
            if not page["next"]:
                return found
            cursor = f"&cursor={page['next']}"

    def _post(self, path: str, body: dict[str, Any]) -> None:
        token = (self._data / "admin.token").read_text().strip()
        try:
            _ask(self._url + path, body, {"Authorization": f"Bearer {token}"})
        except urllib.error.HTTPError as error:
            if error.code != 409:  # the shop's word was quicker
                raise

    def _control(self, what: str, **asked: Any) -> dict[str, Any]:
        return _ask(f"{self._market_url}/control/{what}", asked)

    async def _fill_pool(self) -> None:
        self._data.mkdir(mode=0o700)
        goods = GoodsFile(self._data)
        keys = [f"POOL-{self._plan.seed}-{number}" for number in range(self._plan.orders // 2 + 50)]
        await import_units(goods, keys, stage.POOL_SKU)
        await goods.close()

    def _log(self) -> str:
        return (self._folder / "serve.log").read_text()[-2_000:]


def _ask(url: str, body: object = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, headers=headers or {})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def _clock_name(wrong_ms: int, after_s: float) -> str:
    if not wrong_ms:
        return "right"
    return f"{'ahead' if wrong_ms > 0 else 'behind'} {'later' if after_s else 'from the start'}"


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
