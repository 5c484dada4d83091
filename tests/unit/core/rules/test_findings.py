"""Three-valued logic over verdicts: tables written by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monitor.core.rules.findings import Findings, Proof, Verdict, both, either, opposite, unknown

# Kleene's tables, with U for both kinds of unknown.
AND = {"TT": "T", "TF": "F", "TU": "U", "FT": "F", "FF": "F", "FU": "F", "UT": "U", "UF": "F"}
OR = {"TT": "T", "TF": "T", "TU": "T", "FT": "T", "FF": "F", "FU": "U", "UT": "T", "UF": "U"}
LETTER = {"true": "T", "false": "F", "insufficient": "U", "no_data": "U"}


def one(verdict: Verdict, value: float) -> Findings:
    proof = Proof(np.array([value]), 0.02, "delayed_ratio")
    return Findings(np.array([verdict], np.int8), (proof,))


def letter(findings: Findings) -> str:
    return LETTER[findings.at(0).outcome]


@pytest.mark.parametrize(("left", "right"), list(itertools.product(Verdict, Verdict)))
def test_logic_is_three_valued(left: Verdict, right: Verdict) -> None:
    """All pairs of verdicts for and, or, and both under not."""
    sides = one(left, 1.0), one(right, 2.0)
    pair = letter(sides[0]) + letter(sides[1])
    swap = {"T": "F", "F": "T", "U": "U"}
    for join, table in ((both, AND), (either, OR)):
        joined = join(*sides)
        assert letter(joined) == table.get(pair, "U")
        assert letter(opposite(joined)) == swap[table.get(pair, "U")]
        # The evidence is that of the side whose verdict came out.
        value = joined.at(0).evidence.value
        assert joined.verdicts[0] == (left if value == 1.0 else right)


@pytest.mark.parametrize(
    ("join", "left", "right", "speaks"),
    [
        (either, Verdict.BELOW, Verdict.SHORT_OF_EVIDENCE, 2.0),
        (either, Verdict.TRIMMED_MEAN, Verdict.BELOW, 1.0),
        (both, Verdict.BELOW, Verdict.TRIMMED_HEALTH, 2.0),
        (both, Verdict.BELOW, Verdict.BELOW, 1.0),
        (both, Verdict.TRUE, Verdict.TRUE_BY_EVIDENCE, 2.0),
        (both, Verdict.TRUE, Verdict.TRUE, 1.0),
        (either, Verdict.TRUE, Verdict.TRUE_BY_EVIDENCE, 1.0),
        (both, Verdict.NO_DATA, Verdict.INSUFFICIENT, 1.0),
    ],
)
def test_the_more_telling_side_speaks(
    join: object, left: Verdict, right: Verdict, speaks: float
) -> None:
    """Evidence that was short explains a quiet rule better than a value that was below."""
    assert callable(join)
    assert join(one(left, 1.0), one(right, 2.0)).at(0).evidence.value == speaks


def test_three_sides_keep_their_speakers_apart() -> None:
    """`(a and b) or c` with two instances: b speaks for the first, c for the second."""
    verdicts = [
        np.array(row, np.int8)
        for row in ([Verdict.TRUE, Verdict.BELOW], [Verdict.TRUE_BY_EVIDENCE, Verdict.TRUE],
                    [Verdict.BELOW, Verdict.TRUE])
    ]  # fmt: skip
    a, b, c = (
        Findings(row, (Proof(np.array([10.0, 20.0]) + index, 1.0, name),))
        for index, (row, name) in enumerate(zip(verdicts, "abc", strict=True))
    )
    joined = either(both(a, b), c)
    assert [(joined.at(i).evidence.signal, joined.at(i).evidence.value) for i in (0, 1)] == [
        ("b", 11.0),
        ("c", 22.0),
    ]


def test_what_cannot_be_evaluated_is_no_data_without_evidence() -> None:
    """Nothing moves, and nothing that is not a number is shown."""
    found = unknown(2)
    assert found.is_no_data.tolist() == [True, True]
    assert not (found.is_true | found.is_false).any()
    assert found.at(1).evidence.value is None
    assert found.at(1).evidence.limit is None
