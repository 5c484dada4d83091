"""Many mistakes in one file: all are reported, none twice, none as a consequence of another."""

from pathlib import Path

from tests.unit.config.files import problems_of


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """A misspelt key hides neither the mistakes beside it nor those between keys."""
    found = problems_of(
        tmp_path,
        """\
        langage: en
        sources:
          - {name: a, hartbeat: 5m}
          - {name: b, api_key_file: b.key}
        channels:
          - {name: supplier, kind: htp}
          - {name: pool, kind: stock, max_cost_minor: -1}
        fallback: {mode: enforce, order: [supplier, pool, staff]}
        shop: {claim_url: "http://h"}
        notify: {route: {receiver: ops}}
        """,
    )
    assert found == [
        "monitor.yaml:1:1 unknown field 'langage'; did you mean 'language'?",
        "monitor.yaml:3:15 unknown field 'hartbeat'; did you mean 'heartbeat'?",
        "monitor.yaml:4:29 sources[2].api_key_file: b.key cannot be read: No such file or directory",
        (
            "monitor.yaml:6:28 channels[1].kind must be external, http, stock, manual, "
            "shop_retry or sim; "
            "did you mean 'http'?"
        ),
        "monitor.yaml:7:47 channels[2].max_cost_minor must be between 0 and 1000000000000000 minor units",
        "monitor.yaml:8:51 fallback.order[3]: there is no channel 'staff'; add it to channels",
        "monitor.yaml:9:7 field 'deliver_url' is missing",
        (
            "monitor.yaml:10:28 notify.route.receiver: there is no receiver 'ops'; "
            "add it to notify.receivers"
        ),
    ]


def test_broken_list_item_does_not_move_the_places_of_the_next(tmp_path: Path) -> None:
    """The second channel's mistake is reported in its own line although the first is left out."""
    found = problems_of(
        tmp_path,
        """\
        channels:
          - kind: stock
          - {name: b, kind: http, submit: {url: "http://h"}}
        """,
    )
    assert found == [
        "monitor.yaml:2:5 field 'name' is missing",
        (
            "monitor.yaml:3:5 channels[2] is of kind http and needs answer; "
            "without it every outcome stays unknown"
        ),
    ]


def test_missing_variable_is_one_problem(tmp_path: Path) -> None:
    """The text that stays behind is not judged as a URL, a number or a duration."""
    found = problems_of(
        tmp_path,
        """\
        listen: "${env:A}"
        tiers: {l2_after: "${env:B}"}
        shop: {claim_url: "${env:C}", deliver_url: "http://${env:D}:${env:E}/x"}
        """,
        {"E": ""},
    )
    assert found == [
        "monitor.yaml:1:10 the environment variable A is not set",
        "monitor.yaml:2:20 the environment variable B is not set",
        "monitor.yaml:3:20 the environment variable C is not set",
        "monitor.yaml:3:52 the environment variable D is not set",
        "monitor.yaml:3:61 the environment variable E is empty",
    ]


def test_value_of_a_variable_never_shows_in_a_problem(tmp_path: Path) -> None:
    """A secret in the wrong place is not printed on the console."""
    found = problems_of(
        tmp_path,
        """\
        listen: ${env:S}
        currency: ${env:S}
        timezone: ${env:S}
        tiers: {l2_after: "${env:S}"}
        failover: {mode: "${env:S}"}
        channels: [{name: "${env:S}"}]
        egress: {allow: ["${env:S}"]}
        webhooks: [{url: "${env:S}", types: ["${env:S}"]}]
        """,
        {"S": "hunter2 hunter2"},
    )
    assert len(found) == 9
    assert not any("hunter2" in line for line in found)
