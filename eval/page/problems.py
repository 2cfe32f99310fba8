"""Cards of problems: pictures, question, truth, responses and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.page.filters import DISAGREE, TRUNCATED, scorers_disagree
from eval.samples import Sample, Score
from vlm_uec.types import Problem
from vlm_uec.webpage.cards import MAX_PICTURES, pictures_of, question_of
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.text_budget import cut, escaped_size, fair_share
from vlm_uec.webpage.thumbnail import MAX_BYTES

MAX_RESPONSES = 10_000  # on the page
MAX_RESPONSES_EACH = 64  # per problem
MAX_RESPONSE_BYTES = 20_000
MAX_TEXT_BYTES = 9_000_000  # of all responses
MAX_PICTURE_BYTES = 4_500_000  # of all pictures; base64 adds a third


def problem_cards(
    groups: Mapping[str, Sequence[Sample]], problems: Mapping[str, Problem], classes: Mapping[str, str]
) -> list[Html]:
    """List items, one per problem of `groups`, with their filter classes.

    All cards share the size limits of the page; a card states what it omits.
    """
    per_problem = max(1, min(MAX_RESPONSES_EACH, MAX_RESPONSES // len(groups)))
    shown = {name: _select(samples, per_problem) for name, samples in groups.items()}
    sizes = [
        escaped_size(sample.text[:MAX_RESPONSE_BYTES]) for samples in shown.values() for sample in samples
    ]
    max_bytes = fair_share(sizes, MAX_TEXT_BYTES, MAX_RESPONSE_BYTES)
    pictures = sum(len(problems[name].images[:MAX_PICTURES]) for name in groups)
    max_picture_bytes = min(MAX_BYTES, MAX_PICTURE_BYTES // max(1, pictures))
    cards = []
    for name, samples in groups.items():
        images = problems[name].images
        card = element(
            "article",
            *([pictures_of(images, max_picture_bytes)] if images else []),
            _question_column(problems[name], samples),
            _responses(shown[name], len(samples), max_bytes),
            kind="card problem",
        )
        cards.append(element("li", card, kind=f"filtered {classes[name]}"))
    return cards


def _select(samples: Sequence[Sample], number: int) -> list[Sample]:
    """The first response of each kind, so that the card shows why a filter keeps it, then the first
    others."""
    by_kind: dict[object, Sample] = {}
    for sample in samples:
        verdicts = tuple((score.correct, not score.extracted) for score in sample.scores.values())
        by_kind.setdefault((verdicts, sample.truncated), sample)
    first = {sample.index for sample in by_kind.values()}
    ranked = sorted(samples, key=lambda sample: (sample.index not in first, sample.index))
    return sorted(ranked[:number], key=lambda sample: sample.index)


def _question_column(problem: Problem, samples: Sequence[Sample]) -> Html:
    counts = element(
        "div", *(_verdict_counts(scorer, samples) for scorer in samples[0].scores), kind="counts"
    )
    return element("div", *question_of(problem), counts)


def _verdict_counts(scorer: str, samples: Sequence[Sample]) -> Html:
    verdicts = [sample.scores[scorer].correct for sample in samples]
    dots = "".join("●" if correct else "○" for correct in verdicts[:MAX_RESPONSES_EACH])
    label = f"{sum(verdicts)} of {len(verdicts)} right "
    return element("span", text(f"{scorer}: "), element("b", text(label)), element("i", text(dots)))


def _responses(shown: Sequence[Sample], total: int, max_bytes: int) -> Html:
    name = "response" if total == 1 else "responses"
    label = f"{total} {name}" if len(shown) == total else f"{len(shown)} of {total} {name}"
    body = (_response(sample, max_bytes) for sample in shown)
    return element("details", element("summary", text(label)), *body)


def _response(sample: Sample, max_bytes: int) -> Html:
    plain = [f"response {sample.index}"] + [f"{sample.tokens} tokens"] * (sample.tokens is not None)
    marked = [TRUNCATED] * bool(sample.truncated) + [DISAGREE] * scorers_disagree(sample)
    chips = [element("span", text(fact)) for fact in plain]
    chips += [element("span", text(fact), kind="wrong") for fact in marked]
    verdicts = (_verdict(scorer, score) for scorer, score in sample.scores.items())
    content = element("pre", text(cut(sample.text, max_bytes)))
    return element(
        "div", element("div", element("div", *chips, kind="chips"), *verdicts), content, kind="response"
    )


def _verdict(scorer: str, score: Score) -> Html:
    mark = element(
        "b", text(("✓ " if score.correct else "✗ ") + scorer), kind="right" if score.correct else "wrong"
    )
    # If nothing was extracted, the reason states this.
    extracted = [element("span", text(f"  {cut(score.extracted, 160)}"))] if score.extracted else []
    rule = f" (rule {cut(score.rule, 40)})" if score.rule and score.rule != score.reason else ""
    return element("p", mark, *extracted, text(f"\n{cut(score.reason, 200)}{rule}"))
