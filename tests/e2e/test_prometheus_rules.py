"""Prometheus accepts the exported rules, and they fire and stay quiet as ours do (promtool)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from monitor.cli.main import main

PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")

EVERY_SIGNAL = """
slos:
  - {name: shop, objective: 98%, preset: google-30d}
  - {name: by-channel, objective: 99.5%, by: [channel], preset: google-30d}
groups:
  - name: every signal
    interval: 15s
    defaults: {by: [channel]}
    rules:
      - {alert: a1, expr: "delayed_ratio[10m:20:6h] > 2%", resolve_when: "delayed_ratio[10m:20:6h] < 1%"}
      - {alert: a2, expr: "bad_ratio[10m:20] > 2%", for: 1m}
      - {alert: a3, expr: "failed_ratio[1h] >= 50%", keep_firing_for: 5m}
      - {alert: a4, expr: "mean_delay > 3m"}
      - {alert: a5, expr: "p50_delay > 1m or p90_delay > 2m or p95_delay[1d] > 5m or p99_delay > 10m"}
      - {alert: a6, expr: "oldest_age > 30m and open_orders > 3 and not throughput[5m] > 0"}
      - {alert: a7, expr: "health_index < 70", resolve_when: "health_index > 85"}
      - {alert: a8, expr: "speed_ratio < 0.5 and cusum_ratio > 1"}
      - {alert: a9, expr: "delayed_ratio[5m] / 2 > failed_ratio[5m] + 1%"}
      - {alert: a10, expr: 'p95_delay{channel=~"a|b*"}[10m:20:6h] > 2 * p95_delay{channel!="a"}[6h]'}
      - {alert: a11, expr: "budget_remaining(by-channel) < 10%"}
      - {alert: a12, expr: "consecutive_late > 3"}
      - {alert: a13, expr: "p95_delay > baseline(p95_delay)"}
  - name: shop
    rules:
      - {alert: b1, expr: "orders[1h] < 5"}
      - {alert: b2, expr: "source_age > 5m", by: [source]}
      - {alert: b3, expr: "source_silent > 0", by: [source]}
      - {alert: b4, expr: "arrival_ratio < 0.5"}
      - {alert: b5, expr: "paid_ratio < 50%", by: [provider]}
      - {alert: b6, expr: "callback_lag > 90s", by: [provider]}
      - {alert: b7, expr: "stock(card-10) < 5"}
      - {alert: b8, expr: "cusum_ratio > 1", severity: critical}
      - {alert: 渠道慢, expr: "delayed_ratio > 2%", annotations: {summary: "{{ value }} {{ limit }}"}}
"""
BEHAVIOUR = """
rule_files: [rules.yml]
evaluation_interval: 15s
tests:
  - interval: 1m
    input_series:
      # Bad: of two orders a minute one is late from the start. Good: of a hundred none. Rare: one of
      # a hundred was late once.
      - {series: 'delivery_orders_total{channel="bad",verdict="good"}', values: '0+1x60'}
      - {series: 'delivery_orders_total{channel="bad",verdict="late_pending"}', values: '0+1x30 30+0x90'}
      - {series: 'delivery_orders_total{channel="good",verdict="good"}', values: '0+100x60'}
      - {series: 'delivery_orders_total{channel="good",verdict="late_pending"}', values: '0+0x60'}
      - {series: 'delivery_orders_total{channel="rare",verdict="good"}', values: '0+1x60'}
      - {series: 'delivery_orders_total{channel="rare",verdict="late_pending"}', values: '0x10 1x50'}
    alert_rule_test:
      - {eval_time: 30s, alertname: DelayedOver2Percent, exp_alerts: []}
      - eval_time: 20m
        alertname: DelayedOver2Percent
        exp_alerts: [&bad {exp_labels: {channel: bad, severity: warning}}]
      # The ratio of ten minutes is zero from 41 min on; `resolve_when` holds, then keep_firing_for.
      - {eval_time: 40m, alertname: DelayedOver2Percent, exp_alerts: [*bad]}
      - {eval_time: 59m, alertname: DelayedOver2Percent, exp_alerts: []}
"""
RULES = """
groups:
  - name: delivery
    rules:
      - alert: DelayedOver2Percent
        expr: delayed_ratio[10m] > 2%
        for: 1m
        keep_firing_for: 5m
        resolve_when: delayed_ratio[10m] < 1%
        by: [channel]
"""


def promtool(*arguments: str) -> tuple[int, str]:
    """Exit code and everything it said."""
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def written(folder: Path, text: str | None = None) -> Path:
    """The exported file of a rule file, or of the shipped rules."""
    target = folder / "rules.yml"
    command = ["rules", "export", "--prometheus", "-o", str(target)]
    if text is not None:
        source = folder / "r.yaml"
        source.write_text(text, encoding="utf-8")
        command.append(str(source))
    assert main(command) == 0
    return target


def test_shipped_rules_are_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And each that is not exported is said."""
    code, said = promtool("check", "rules", str(written(tmp_path)))
    assert code == 0, said
    assert "SourceSilent left out: " in capsys.readouterr().err


def test_every_signal_is_accepted_or_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 22 rules of the file eight have no metric; eight burn alerts come on top."""
    code, said = promtool("check", "rules", str(written(tmp_path, EVERY_SIGNAL)))
    assert code == 0, said
    left_out = [line for line in capsys.readouterr().err.splitlines() if " left out: " in line]
    names = [line.split()[0] for line in left_out]
    assert names == ["a12", "a13", "b2", "b3", "b4", "b5", "b6", "b7"]
    assert "SUCCESS: 22 rules found" in said


def test_exported_alert_fires_when_too_many_are_late_and_else_stays_quiet(tmp_path: Path) -> None:
    """Half late fires; none, and one single late order, do not; it ends when resolve_when holds."""
    written(tmp_path, RULES)
    story = tmp_path / "test.yml"
    story.write_text(BEHAVIOUR, encoding="utf-8")
    code, said = promtool("test", "rules", str(story))
    assert code == 0, said
    # The same story must fail for a rule with another limit, or it proves nothing.
    written(tmp_path, RULES.replace("> 2%", "> 60%"))
    code, said = promtool("test", "rules", str(story))
    assert code == 1, said
