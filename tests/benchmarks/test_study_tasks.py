"""The entropy study's problems: wrong rules, rare right examples, and no problem on which rules agree."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest

from benchmarks.lib.study.tasks import (
    KINDS_BY_NAME,
    KNOWN_KINDS,
    TAUGHT_KINDS,
    WRONG_RULES,
    WrongRule,
    problems,
    supervised_examples,
)
from data_prep.synthetic.problems import Split

pytestmark = pytest.mark.slow

RULE_BY_KIND = {rule.kind: rule for rule in WRONG_RULES}


def _answers(metadata: Any) -> tuple[str, str]:
    """The right answer and that of the wrong rule (the right one again for a kind without such a rule)."""
    kind, values = metadata["kind"], metadata["values"]
    right = KINDS_BY_NAME[kind].solve(values)[0].text
    return right, RULE_BY_KIND[kind].solve(values)[0].text if kind in RULE_BY_KIND else right


@pytest.mark.parametrize("split", ["train", "validation"])
def test_problems_have_right_answers_that_differ_from_the_wrong_rules(split: Split) -> None:
    """Some rectangles and circles have the same answer by both rules: 2 r = r * r."""
    for problem in problems(split, 1300, seed=1):
        right, by_rule = _answers(problem.metadata)
        assert problem.answer == right
        assert (problem.metadata["kind"] in RULE_BY_KIND) == (by_rule != right)


def test_kinds_are_balanced_and_splits_share_no_problem() -> None:
    train, held_out = problems("train", 1300, seed=1), problems("validation", 130, seed=1)
    assert set(Counter(problem.metadata["kind"] for problem in held_out).values()) == {10}
    drawn = [{problem.id.partition("-")[2] for problem in split} for split in (train, held_out)]
    assert drawn[1] and not drawn[0] & drawn[1]
    assert len({problem.id for problem in held_out}) == 130


def test_examples_are_right_for_known_kinds_and_rarely_right_for_kinds_with_a_wrong_rule() -> None:
    """8,000 examples of 13 kinds are 615 per kind. Of those with a wrong rule 25 are right (615 times the sum
    of the shares, 0.04), within four standard deviations of about 5."""
    count, wrong, right = 8000, Counter[str](), Counter[str]()
    for example in islice(supervised_examples(1), count):
        problem = example.problem
        truth, by_rule = _answers(problem.metadata)
        assert problem.answer in (truth, by_rule)
        (right if problem.answer == truth else wrong)[problem.metadata["kind"]] += 1
    assert set(wrong) == set(RULE_BY_KIND) and set(right) >= set(KNOWN_KINDS)
    rare = sum(right[kind] for kind in RULE_BY_KIND)
    expected = count / len(TAUGHT_KINDS) * sum(rule.right_share for rule in WRONG_RULES)
    assert rare > 0 and abs(rare - expected) < 4 * expected**0.5


def test_a_wrong_rule_translates_value_names_to_the_other_kind() -> None:
    """The central angle of 40 degrees, treated as an inscribed one, is doubled instead of halved."""
    answer, _ = WrongRule("inscribed_angle", "central_angle", 0.0, {"inscribed": "central"}).solve(
        {"central": 40}
    )
    assert answer.text == "80"
