"""No request reaches an address inside, however it is written, named, or passed on (P18).

`connections()` sees every `connect` of the process, so a way round the client would be seen too.
"""

from __future__ import annotations

import ast
import ipaddress
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.adapters.egress import BLOCKED_REASONS, refusal
from monitor.adapters.http_client import Blocked, HttpClient
from monitor.model.errors import EffectError, Permanent, UnknownOutcome
from tests.loopback import Answer, loopback
from tests.security.connections import Names, connections, listening
from tests.security.places import ANSWERS, LITERALS, PRIVATE, spellings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("DELIVERY_MONITOR_EGRESS", "150"))


def test_corpus_has_the_promised_size() -> None:
    """At least 60 different URLs."""
    assert len(set(LITERALS)) == len(LITERALS) >= 60


async def test_no_url_of_the_corpus_makes_a_connection() -> None:
    """Each is refused for good, none is dialled, and each refusal is counted once by its reason."""
    blocked = Blocked()
    client = HttpClient(config_hosts=["shop.example:443"], blocked=blocked)
    async with listening() as (port, callers):
        with connections() as dialled:
            for url in LITERALS:
                before = blocked.total()
                with pytest.raises(EffectError) as caught:
                    await client.request("POST", url.format(port=port), timeout_ms=2_000)
                assert not isinstance(caught.value, UnknownOutcome), url
                if isinstance(caught.value, Permanent):
                    assert caught.value.code in ("egress_refused", "bad_url"), url
                    assert blocked.total() > before, url
    await client.close()
    assert (dialled, callers) == ([], [])
    assert set(blocked) == set(BLOCKED_REASONS)


async def test_hole_in_the_guard_would_be_seen() -> None:
    """With every network opened the same corpus does connect, so the zeros above mean something."""
    client = HttpClient(allow_networks=["0.0.0.0/0", "::/0"])
    async with listening() as (port, callers):
        with connections() as dialled:
            for url in LITERALS:
                with suppress(EffectError):
                    await client.request("POST", url.format(port=port), timeout_ms=500)
    await client.close()
    assert len(dialled) > 50
    assert len(callers) > 20


@pytest.mark.parametrize("answers", ANSWERS)
async def test_no_name_leads_inside(answers: tuple[tuple[str, ...], ...]) -> None:
    """Whatever a name server says of a name, alone or among others: 0 connections."""
    client = HttpClient(resolver=Names(answers))
    async with listening() as (port, callers):
        with connections() as dialled:
            for _ in range(3):
                with pytest.raises(Permanent):
                    await client.request("POST", f"http://public.example:{port}/")
    await client.close()
    assert (dialled, callers) == ([], [])


async def test_name_that_is_rebound_leads_nowhere() -> None:
    """The first answer is allowed and reached; the second is loopback and refused.

    127.0.0.2 stands for a public address, because a test must not leave the machine.
    """
    async with listening() as (port, callers):
        names = Names([["127.0.0.2"], ["127.0.0.1"]])
        client = HttpClient(allow_networks=["127.0.0.2/32"], resolver=names)
        with connections() as dialled:
            with pytest.raises(EffectError):  # nobody listens there, but it was dialled
                await client.request("POST", f"http://public.example:{port}/")
            assert dialled == [("127.0.0.2", port)]
            with pytest.raises(Permanent):
                await client.request("POST", f"http://public.example:{port}/")
        await client.close()
        assert names.asked == 2
    assert (dialled, callers) == ([("127.0.0.2", port)], [])


async def test_mixed_answer_reaches_only_what_is_allowed() -> None:
    """One allowed address among private ones opens nothing but itself, first or last."""
    async with listening() as (port, callers):
        for answer in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1", "127.0.0.1"]):
            blocked = Blocked()
            client = HttpClient(
                allow_networks=["127.0.0.2/32"], resolver=Names([answer]), blocked=blocked
            )
            with connections() as dialled, pytest.raises(EffectError):
                await client.request("POST", f"http://public.example:{port}/")
            await client.close()
            assert set(dialled) <= {("127.0.0.2", port)}
            assert blocked["loopback"] > 0
    assert callers == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_inside_is_not_followed(status: int) -> None:
    """Even a trusted receiver cannot send us to loopback or to metadata."""
    async with listening() as (port, callers), loopback() as trusted:
        client = HttpClient(config_hosts=[trusted.place])
        for where in (f"http://127.0.0.1:{port}/", "http://169.254.169.254/latest/meta-data/"):
            headers = {"Location": where, "Refresh": f"0; url={where}", "Content-Location": where}
            trusted.script = [Answer(status=status, headers=headers)]
            with connections() as dialled:
                assert (await client.request("POST", trusted.url())).status == status
            assert dialled == [("127.0.0.1", trusted.port)]
        await client.close()
    assert callers == []


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "100.100.100.200", "::ffff:169.254.169.254"]
)
async def test_configured_name_cannot_be_bound_to_a_metadata_service(address: str) -> None:
    """Who owns the name of a supplier does not own the credentials of our machine."""
    client = HttpClient(config_hosts=["supplier.example:80"], resolver=Names([[address]]))
    with connections() as dialled, pytest.raises(Permanent) as caught:
        await client.request("POST", "http://supplier.example/")
    await client.close()
    assert (dialled, caught.value.code) == ([], "egress_refused")


async def test_configured_name_may_be_a_neighbour() -> None:
    """The shop next door is reached by the name that stands in the file."""
    async with loopback() as shop:
        names = Names([["127.0.0.1"]])
        client = HttpClient(config_hosts=[f"shop:{shop.port}"], resolver=names)
        assert (await client.request("POST", f"http://shop:{shop.port}/")).status == 200
        await client.close()


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(PRIVATE), st.integers(0, 2**32 - 1), st.data())
async def test_private_address_is_refused_in_any_spelling(
    network: ipaddress.IPv4Network, offset: int, data: st.DataObject
) -> None:
    """Any address of any private network, written in any way: 0 connections."""
    address = network[offset % network.num_addresses]
    spelling = data.draw(st.sampled_from(list(spellings(address))))
    client = HttpClient()
    try:
        with connections() as dialled, pytest.raises(Permanent):
            await client.request("POST", f"http://{spelling}:8080/", timeout_ms=2_000)
    finally:
        await client.close()
    assert dialled == []


@settings(max_examples=2_000, deadline=None)
@given(st.integers(0, 2**128 - 1))
def test_what_is_taken_for_public_is_global_unicast(number: int) -> None:
    """An independent reading: outside 2000::/3 only NAT64 of a public IPv4 address is public."""
    address = ipaddress.IPv6Address(number)
    if number >> 125 != 1 and address not in ipaddress.IPv6Network("64:ff9b::/96"):
        assert refusal(address) is not None or address.ipv4_mapped is not None


def test_only_one_module_opens_connections_to_the_outside() -> None:
    """The test button, alerts, channels and telemetry have no way beside the client.

    The relay writes bytes that no client would leave as they are; it looks at addresses as the
    client does (`guard`), and `tests/unit/adapters/test_relay_wire.py` shows that.
    What else dials speaks to this very service (the verbs) or is a synthetic world.
    """
    own = {
        "monitor/adapters/http_client.py",
        "monitor/adapters/names.py",
        "monitor/adapters/relay_wire.py",
        "monitor/cli/client.py",
        "monitor/cli/demo.py",
        "monitor/cli/doctor_disk.py",
    }
    dialling = {
        "ClientSession", "HTTPConnection", "HTTPSConnection", "create_connection",
        "open_connection", "open_unix_connection", "urlopen", "getaddrinfo",
    }  # fmt: skip
    found = Counter(
        str(path.relative_to(ROOT))
        for path in (ROOT / "monitor").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute) and _name(node) in dialling
    )
    assert {path for path in found if not path.startswith("monitor/sim/")} == own
    clients = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "monitor").rglob("*.py")
        if "HttpClient(" in path.read_text(encoding="utf-8")
    }
    assert clients == set()  # all are made by `HttpClient.of`, with what the configuration says


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
