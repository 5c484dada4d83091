"""Both READMEs say what is so: story, commands, routes, files, limits and times are checked."""

import ast
import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from monitor.adapters.notifiers import dingtalk
from monitor.api.decode import DecodeContext, decode
from monitor.api.routes import ROUTES
from monitor.cli.main import VERBS
from monitor.config.load import load
from monitor.config.rules_file import load_shipped
from monitor.core.failover.breaker import STREAK
from monitor.model.events import LIFECYCLE_RANK
from monitor.model.settings import Settings
from tests.e2e.serving import ROOT, run

ENGLISH, CHINESE = READMES = ("README.md", "README.zh-CN.md")
NARRATORS = ("monitor/sim/story.py", "monitor/cli/demo.py")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STORY_LINE = re.compile(r" *(\d+\.\d) s  (([A-Z]+) .*)")
KIND = re.compile(r"[A-Z]{3,9} +")
LINK = re.compile(r"\]\(([^)#:]+)\)")
BODY = re.compile(r"-d '(.*?)'", re.DOTALL)
WAIT = re.compile(r"(?:(\d+) (?:min|分) )?(\d+) (?:s|秒)")
OUTAGE_AT = datetime.fromisoformat("2026-01-05T02:00:00Z")
LINES_MAX = 280
FIELDS = {
    "source": "/shops/main", "channel": "auto", "sku": "steam-50", "quantity": 1,
    "amount_minor": 5000, "currency": "CNY", "provider": "alipay", "customer_tier": "vip",
    "speed": "express", "fulfilment": "auto", "region": "cn", "attempt": 1, "reason": "none",
    "promise_s": 60,
}  # fmt: skip

both = pytest.mark.parametrize("name", READMES)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and content of every code block."""
    return [(found[1], found[2]) for found in BLOCK.finditer(text)]


def block_with(text: str, language: str, word: str) -> str:
    """The one block of a language that holds a word."""
    (found,) = [body for kind, body in blocks(text) if kind == language and word in body]
    return found


def templates() -> dict[str, re.Pattern[str]]:
    """Kind of line → what such a line looks like, read from the source of the narrators."""
    found: dict[str, re.Pattern[str]] = {}
    for path in NARRATORS:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else []
            first = parts[0].value if parts and isinstance(parts[0], ast.Constant) else ""
            if isinstance(first, str) and KIND.match(first):
                shape = [
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*"
                    for part in parts
                ]
                found[first.split()[0]] = re.compile("".join(shape))
    return found


def wrong_story(text: str) -> list[str]:
    """Lines that no narrator prints, times that run backwards, kinds that are not explained."""
    shapes = templates()
    block = block_with(text, "text", "OUTAGE")
    shown = [STORY_LINE.fullmatch(line) for line in block.splitlines()]
    lines = [line for line in shown if line]
    wrong = [f"no line of a story: {n}" for n, line in enumerate(shown) if line is None]
    wrong += [
        f"nobody prints: {line[2]}"
        for line in lines
        if line[3] not in shapes or not shapes[line[3]].fullmatch(line[2])
    ]
    times = [float(line[1]) for line in lines]
    wrong += ["times run backwards"] if times != sorted(times) else []
    kinds = {line[3] for line in lines}
    # A play that ends before the channel is repaired shows no end of an alert.
    wrong += [f"not shown: {kind}" for kind in shapes if kind not in kinds | {"RESOLVED"}]
    explained = set(re.findall(r"\b[A-Z]{3,9}\b", " ".join(re.findall(r"\*\*(.+?)\*\*", text))))
    wrong += [f"not explained: {kind}" for kind in shapes if kind not in explained]
    return wrong


def missing(text: str) -> list[str]:
    """Verbs, routes, event types and shipped rules that the page does not name."""
    routes = [f"`{one.method} {re.sub(r':[^}]+}', '}', one.path)}`" for one in ROUTES]
    verbs = [verb for verb in VERBS if verb not in listed_verbs(text)]
    rules = [f"`{rule.alert}`" for rule in load_shipped().rules]
    listed = " ".join(re.findall(r"`(order\.created [^`]+)`", text)).split()
    types = [kind for kind in LIFECYCLE_RANK if kind not in listed]
    return [word for word in routes + rules if word not in text] + verbs + types


def listed_verbs(text: str) -> set[str]:
    """The verbs that have a row of their own or share one."""
    return set(
        re.findall(
            r"`([a-z]+)`", " ".join(re.findall(r"^\|((?: `[a-z]+`)+) \|", text, re.MULTILINE))
        )
    )


def invented(text: str) -> list[str]:
    """Routes, verbs, make targets and files that the page names and the project does not have."""
    known = {f"{one.method} {re.sub(r':[^}]+}', '}', one.path)}" for one in ROUTES}
    routes = set(re.findall(r"`((?:GET|POST) /[^`?]*)`", text)) - known
    verbs = set(re.findall(r"delivery-monitor ([a-z]+)\b", text)) - {*VERBS}
    verbs |= listed_verbs(text) - {*VERBS}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    used = re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)
    targets = {one for one in used if not re.search(rf"^{one}:", makefile, re.MULTILINE)}
    files = {path for path in LINK.findall(text) if not (ROOT / path).exists()}
    files |= {path for path in re.findall(r"`([\w/]+/)`", text) if not (ROOT / path).is_dir()}
    return sorted(routes | verbs | targets | files)


@both
def test_story_is_one_that_the_demo_prints(name: str) -> None:
    """Every line has the words of the narrator, every kind is shown and explained."""
    assert {"SHOP", "OUTAGE", "ALERT", "SWITCH", "APPLIED", "TAKEOVER", "RESCUED", "HANDED",
            "RECOVERED", "RESOLVED", "END"} <= {*templates()}  # fmt: skip
    assert wrong_story(text_of(name)) == []


@both
def test_story_ends_well_and_says_what_others_would_not_see(name: str) -> None:
    """The claims of the first screen are in the output that is shown."""
    story = block_with(text_of(name), "text", "OUTAGE")
    assert re.search(r"ALERT .* deliveries expected since the outage, \d+ observed .*silent", story)
    assert re.search(r"APPLIED .* epoch 1 after \d+ ms", story)
    assert re.search(r"END .* 0 lost, 0 delivered twice", story)


@both
def test_every_verb_route_type_and_rule_is_named_and_none_is_invented(name: str) -> None:
    """Tables of commands and routes are complete, and every file that is named exists."""
    assert missing(text_of(name)) == []
    assert invented(text_of(name)) == []


@both
def test_page_is_short_and_links_to_the_other(name: str) -> None:
    """Within 280 lines; the other language is a link in the first lines."""
    lines = text_of(name).splitlines()
    assert len(lines) < LINES_MAX
    assert any(f"]({other})" in line for line in lines[:4] for other in READMES if other != name)
    assert "make demo" in lines[:12]
    assert "make test" in lines[:12]


def test_both_languages_hold_the_same_commands_and_blocks() -> None:
    """Code blocks, links and the first cells of tables are equal."""
    english, chinese = text_of(ENGLISH), text_of(CHINESE)
    assert blocks(english) == blocks(chinese)
    assert {*LINK.findall(english)} - {CHINESE} == {*LINK.findall(chinese)} - {ENGLISH}
    cells = [re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE) for text in (english, chinese)]
    assert cells[0] == cells[1]
    assert [text.count("\n## ") for text in (english, chinese)] == [english.count("\n## ")] * 2


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("takes orders and delivers nothing", "sells and delivers nothing", "nobody prints"),
        ("  10.", "  99.", "times run backwards"),
        ("**TAKEOVER, RESCUED, HANDED**", "**TAKEOVER, HANDED**", "not explained: RESCUED"),
        ("HANDED    ", "GIVEN     ", "not shown: HANDED"),
        ("`POST /-/reload`", "`POST /-/restart`", "/-/restart"),
        ("| `serve` |", "| `serwe` |", "serwe"),
        ("delivery-monitor init\n", "delivery-monitor setup\n", "setup"),
        ("`make run`", "`make serve`", "serve"),
        ("order.expired ", "", "order.expired"),
        ("](docs/operations.md)", "](docs/running.md)", "docs/running.md"),
    ],
)
def test_planted_mistake_is_found(old: str, new: str, found: str) -> None:
    """Each check notices a page that says something else than the product does."""
    page = text_of(ENGLISH)
    assert old in page
    planted = page.replace(old, new)
    problems = wrong_story(planted) + missing(planted) + invented(planted)
    assert any(found in problem for problem in problems), problems


@both
def test_events_of_the_page_are_taken_without_a_warning(name: str) -> None:
    """What is posted in the examples, and every field that is named."""
    text = text_of(name)
    context = DecodeContext(1_800_000_000_000, "default", {})
    bodies = BODY.findall(text)
    assert len(bodies) == 2
    named = re.search(r"`(source channel [^`]+)`", text)
    assert named is not None
    assert named[1].split() == [*FIELDS]
    bodies.append(json.dumps(FIELDS | {"type": "order.paid", "order_id": "A1"}))
    for body in bodies:
        taken = decode(body.encode(), "application/json", {}, context)
        assert taken.events
        assert (taken.rejected, taken.warnings) == ((), ())


def written(tmp_path: Path, body: str) -> Path:
    """A `monitor.yaml` with the key files that it names."""
    for path in re.findall(r"\w+_file: ([\w/.]+)", body):
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_text("https://oapi.dingtalk.com/robot/send?access_token=x\n")
        file.chmod(0o600)
    config = tmp_path / "monitor.yaml"
    config.write_text(body)
    return config


def test_dingtalk_example_is_eight_lines_that_tell_somebody(tmp_path: Path) -> None:
    """It is read without a warning and names one robot."""
    body = block_with(text_of(ENGLISH), "yaml", "dingtalk")
    assert len(body.splitlines()) == 8
    loaded = load(written(tmp_path, body), environ={})
    assert loaded.warnings == ()
    (receiver,) = loaded.settings.receivers
    assert loaded.settings.default_receiver == receiver.name
    assert [name.split("/")[0] for name in receiver.integrations] == ["dingtalk"]


@pytest.mark.parametrize("mode", ["advise", "enforce"])
def test_arming_example_is_valid_and_shows_the_default_limits(tmp_path: Path, mode: str) -> None:
    """Armed or not it is read without a warning; its numbers are those of an empty file."""
    body = block_with(text_of(ENGLISH), "yaml", "fallback").replace("advise", mode)
    loaded = load(written(tmp_path, body), environ={})
    assert loaded.warnings == ()
    settings, default = loaded.settings, Settings()
    assert (settings.failover.mode, settings.fallback.mode) == (mode, mode)
    for key in ("min_dwell_ms", "max_per_hour"):
        assert getattr(settings.failover, key) == getattr(default.failover, key), key
    for key in ("after_ms", "max_per_hour", "max_value_per_day_minor", "max_loss_minor"):
        assert getattr(settings.fallback, key) == getattr(default.fallback, key), key


def test_numbers_in_the_text_are_those_of_the_product() -> None:
    """Four slow orders, 30 s, 60 s, L2 at 5 min, 20 messages a minute, promise 3 min."""
    default = Settings()
    assert STREAK == 4
    assert (default.slow_floor_ms, default.slow_unlearned_ms) == (30_000, 60_000)
    assert (default.promise.default_ms, default.tiers.l2_after_ms) == (180_000, 300_000)
    assert dingtalk.LIMIT == 20
    assert (default.failover.mode, default.fallback.mode) == ("observe", "observe")


def seconds(words: str) -> int:
    """`3 min 35 s` or `3 分 35 秒后` in seconds."""
    found = WAIT.match(words)
    assert found is not None, words
    return int(found[1] or 0) * 60 + int(found[2])


def test_both_languages_give_the_same_times() -> None:
    """How soon it speaks is one fact."""
    told = [
        [(rate, seconds(switch), seconds(alert)) for rate, switch, alert in how_soon(name)]
        for name in READMES
    ]
    assert told[0] == told[1]


def how_soon(name: str) -> list[tuple[str, str, str]]:
    """Orders an hour, time to the switch message, time to the first alert, as written."""
    row = re.compile(r"^\| (\d+) \| ([^|]+?) \| ([^|]+?) \|$", re.MULTILINE)
    return row.findall(text_of(name))


@pytest.mark.parametrize("row", how_soon(ENGLISH), ids=lambda row: row[0])
def test_how_soon_is_what_the_replay_says(tmp_path: Path, row: tuple[str, str, str]) -> None:
    """The commands of the page, run at each rate: exactly the times of the table."""
    rate, switch, alert = row
    commands = block_with(text_of(ENGLISH), "sh", "replay").splitlines()
    assert commands[0].split()[1:4] == ["examples/outage.py", "--per-hour", "60"]
    events = subprocess.run(
        [sys.executable, ROOT / "examples" / "outage.py", "--per-hour", rate],
        capture_output=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    (tmp_path / "outage.ndjson").write_bytes(events)
    (tmp_path / "two.yaml").write_text(commands[1].split("'")[1])
    done = run(tmp_path, *commands[2].split()[1:], "--json")
    report = json.loads(done.stdout)
    fired = min(one["firing_at"] for one in report["alerts"] if one["firing_at"])
    (switched,) = [one["at"] for one in report["actions"] if one.get("type") == "channel.switch"]
    assert since_outage(switched) == seconds(switch)
    assert since_outage(fired) == seconds(alert)


def since_outage(at: str) -> float:
    return (datetime.fromisoformat(at) - OUTAGE_AT).total_seconds()
