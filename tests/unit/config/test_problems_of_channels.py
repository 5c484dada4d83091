"""Every mistake in the description of a supplier's API is named with its place."""

from pathlib import Path

import pytest

from tests.unit.config.files import problems_of, warnings_of

SUBMIT = 'submit: {url: "http://h/{{ attempt_ref }}"}'
ANSWER = "answer: {delivered: {when: {a: 1}, goods: g}}"


def channel(*lines: str) -> str:
    """A file with one http channel; the given lines are lines 4 and up, from column 5."""
    return "\n    ".join(("channels:\n  - name: s", "kind: http", *lines)) + "\n"


# (name, lines from line 4, column 5 on, problems)
CASES: list[tuple[str, tuple[str, ...], list[str]]] = [
    (
        "nothing else",
        (),
        [
            "2:5 channels[1] is of kind http and needs submit",
            (
                "2:5 channels[1] is of kind http and needs answer; "
                "without it every outcome stays unknown"
            ),
        ],
    ),
    (
        "template in the host",
        ('submit: {url: "http://{{ sku }}/x"}', ANSWER),
        ["4:19 channels[1].submit.url must not have a template in its host"],
    ),
    (
        "unknown template name",
        ("submit:", "  url: http://h", '  json: {a: ["{{ skuu }}"]}', ANSWER),
        [
            (
                "6:18 channels[1].submit.json.a[1] has the unknown template name 'skuu'; "
                "did you mean 'sku'?"
            )
        ],
    ),
    (
        "half a template",
        ("submit:", "  url: http://h/{{sku", ANSWER),
        ["5:12 channels[1].submit.url has '{{' and '}}' that do not belong together"],
    ),
    (
        "space in the address",
        ("submit: {url: http://h/a b}", ANSWER),
        ["4:19 channels[1].submit.url must not contain spaces"],
    ),
    (
        "body twice",
        ("submit:", "  url: http://h", "  json: 1", "  form: {a: b}", ANSWER),
        ["7:13 channels[1].submit has both json and form; keep one of them"],
    ),
    (
        "body of a GET",
        ("submit: {url: http://h, method: get, json: 1}", ANSWER),
        ["4:13 channels[1].submit is a GET and cannot have a body; write method: POST"],
    ),
    (
        "too patient",
        ("submit: {timeout: 61s, url: http://h}", ANSWER),
        ["4:23 channels[1].submit.timeout must be at most 1m"],
    ),
    ("as patient as the client", ("submit: {timeout: 60s, url: http://h}", ANSWER), []),
    (
        "endless digits",
        (f"submit: {{timeout: {'9' * 400}d, url: http://h}}", ANSWER),
        [
            (
                "4:23 channels[1].submit.timeout is not a duration; "
                "write for example 500ms, 60s, 3m, 6h, 30d"
            )
        ],
    ),
    (
        "queryable without query",
        (SUBMIT, ANSWER, "capability: queryable"),
        [
            (
                "6:17 channels[1].capability queryable needs query; "
                "say how to ask, or write capability: opaque"
            )
        ],
    ),
    (
        "query about nothing",
        (SUBMIT, ANSWER, "query: {url: http://h}"),
        [
            (
                "6:12 channels[1].query must name the attempt with {{ attempt_ref }}; "
                "else every answer is about something else"
            )
        ],
    ),
    (
        "idempotent without reference",
        ("submit: {url: http://h}", ANSWER, "capability: idempotent"),
        [
            (
                "4:13 channels[1].submit must send {{ attempt_ref }} for capability idempotent; "
                "without it the supplier cannot recognise a repeat"
            )
        ],
    ),
    (
        "unknown outcome",
        (SUBMIT, "answer: {deliverd: {when: {a: 1}}}"),
        ["5:13 channels[1].answer has the unknown key 'deliverd'; did you mean 'delivered'?"],
    ),
    (
        "no good outcome",
        (SUBMIT, "answer: {not_found: {when: {a: 1}}}"),
        ["5:13 channels[1].answer has neither delivered nor accepted"],
    ),
    (
        "delivered without goods",
        (SUBMIT, "answer: {delivered: {when: {a: 1}}}"),
        ["5:25 channels[1].answer.delivered needs goods; the path of the keys in the JSON answer"],
    ),
    (
        "bare 404",
        (SUBMIT, "answer:", "  accepted: {when: {a: 1}}", "  not_found: {when: {http: 404}}"),
        [
            (
                "7:18 channels[1].answer.not_found needs a value of the body besides http; "
                "a bare 404 may be a proxy's page"
            )
        ],
    ),
    (
        "when of nothing",
        (SUBMIT, "answer: {accepted: {when: {}}}"),
        ["5:31 channels[1].answer.accepted.when must name at least one value of the answer"],
    ),
    (
        "when of a table",
        (SUBMIT, "answer: {accepted: {when: {a: {b: 1}}}}"),
        ["5:31 channels[1].answer.accepted.when must give a value or a list of values for 'a'"],
    ),
    (
        "no status",
        (SUBMIT, "answer: {accepted: {when: {http: ok}}}"),
        [
            (
                "5:31 channels[1].answer.accepted.when must give http a status between 100 and 599, "
                "or a list of them"
            )
        ],
    ),
    (
        "broken path",
        (SUBMIT, "answer: {delivered: {when: {a: 1}, goods: a..b}}"),
        [
            (
                "5:47 channels[1].answer.delivered.goods must be a path into the JSON answer "
                "such as order.status"
            )
        ],
    ),
    (
        "unreachable error table",
        (SUBMIT, ANSWER, "errors: {e: {}}"),
        [
            (
                "6:13 channels[1].errors is never used: answer.rejected names no code; "
                "add code: <path into the JSON answer>"
            )
        ],
    ),
    (
        "unknown retry",
        (
            SUBMIT,
            "answer: {accepted: {when: {a: 1}}, rejected: {when: {a: 2}, code: c}}",
            "errors: {e: {retry: nevr}}",
        ),
        ["6:25 channels[1].errors.e.retry must be same, other or never; did you mean 'never'?"],
    ),
    (
        "signature without secret",
        (SUBMIT, ANSWER, "sign: {kind: hmac_sha256}"),
        ["6:11 channels[1].sign of kind hmac_sha256 needs secret_file"],
    ),
    (
        "secret without signature",
        (SUBMIT, ANSWER, "sign: {secret: '${env:S}'}"),
        ["6:11 channels[1].sign has a secret but no kind"],
    ),
    (
        "field of another signature",
        (SUBMIT, ANSWER, "sign: {kind: bearer, field: sign, secret: '${env:S}'}"),
        ["6:33 channels[1].sign.field has no meaning for kind bearer"],
    ),
]


@pytest.mark.parametrize(
    ("lines", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_mistake_in_a_supplier_is_named_with_its_place(
    tmp_path: Path, lines: tuple[str, ...], expected: list[str]
) -> None:
    """One mistake gives one line that says where, what, and what to do."""
    found = problems_of(tmp_path, channel(*lines), {"S": "s"})
    assert found == [f"monitor.yaml:{line}" for line in expected]


def test_rejection_without_error_table_is_a_warning(tmp_path: Path) -> None:
    """Every rejection would count as unknown, which is safe but hardly meant."""
    answer = "answer: {accepted: {when: {a: 1}}, rejected: {when: {a: 2}, code: c}}"
    assert warnings_of(tmp_path, channel(SUBMIT, answer)) == [
        (
            "monitor.yaml:5:50 channels[1].answer.rejected: without errors every rejection counts as "
            "unknown; list the supplier's codes under errors"
        )
    ]
