"""A problem as a card: picture, question, truth, and what its responses said and earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.page.filters import DISAGREE, TRUNCATED, disagree
from eval.samples import Sample, Score
from vlm_uec.types import Problem
from vlm_uec.webpage.cards import MAX_PICTURES, pictures_of, question_of
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.text_budget import cut, escaped_size, fair_share
from vlm_uec.webpage.thumbnail import MAX_BYTES

MAX_RESPONSES = 10_000  # on the page
MAX_RESPONSES_EACH = 64  # of a problem
MAX_RESPONSE_BYTES = 20_000
MAX_TEXT_BYTES = 9_000_000  # of all responses together
MAX_PICTURE_BYTES = 4_500_000  # of all together; a third more as text


def problem_cards(
    groups: Mapping[str, Sequence[Sample]], problems: Mapping[str, Problem], classes: Mapping[str, str]
) -> list[Html]:
    """List items, one a problem of `groups`, with the classes that filters know them by.

    Pictures and responses share the room that the page has for all; what a card leaves out it tells.
    """
    each = max(1, min(MAX_RESPONSES_EACH, MAX_RESPONSES // len(groups)))
    shown = {name: _chosen(samples, each) for name, samples in groups.items()}
    sizes = [
        escaped_size(sample.text[:MAX_RESPONSE_BYTES]) for samples in shown.values() for sample in samples
    ]
    most = fair_share(sizes, MAX_TEXT_BYTES, MAX_RESPONSE_BYTES)
    pictures = sum(len(problems[name].images[:MAX_PICTURES]) for name in groups)
    most_picture = min(MAX_BYTES, MAX_PICTURE_BYTES // max(1, pictures))
    cards = []
    for name, samples in groups.items():
        images = problems[name].images
        card = element(
            "article",
            *([pictures_of(images, most_picture)] if images else []),
            _asked(problems[name], samples),
            _responses(shown[name], len(samples), most),
            kind="card problem",
        )
        cards.append(element("li", card, kind=f"filtered {classes[name]}"))
    return cards


def _chosen(samples: Sequence[Sample], number: int) -> list[Sample]:
    """The first of each kind, then the first others: a card shows why a filter has kept it."""
    seen: dict[object, Sample] = {}
    for sample in samples:
        verdicts = tuple((score.correct, not score.extracted) for score in sample.scores.values())
        seen.setdefault((verdicts, sample.truncated), sample)
    first = {sample.index for sample in seen.values()}
    ranked = sorted(samples, key=lambda sample: (sample.index not in first, sample.index))
    return sorted(ranked[:number], key=lambda sample: sample.index)


def _asked(problem: Problem, samples: Sequence[Sample]) -> Html:
    counts = element("div", *(_count(scorer, samples) for scorer in samples[0].scores), kind="counts")
    return element("div", *question_of(problem), counts)


def _count(scorer: str, samples: Sequence[Sample]) -> Html:
    verdicts = [sample.scores[scorer].correct for sample in samples]
    dots = "".join("●" if correct else "○" for correct in verdicts[:MAX_RESPONSES_EACH])
    told = f"{sum(verdicts)} of {len(verdicts)} right "
    return element("span", text(f"{scorer}: "), element("b", text(told)), element("i", text(dots)))


def _responses(shown: Sequence[Sample], of: int, most: int) -> Html:
    name = "response" if of == 1 else "responses"
    told = f"{of} {name}" if len(shown) == of else f"{len(shown)} of {of} {name}"
    body = (_response(sample, most) for sample in shown)
    return element("details", element("summary", text(told)), *body)


def _response(sample: Sample, most: int) -> Html:
    plain = [f"response {sample.index}"] + [f"{sample.tokens} tokens"] * (sample.tokens is not None)
    marked = [TRUNCATED] * bool(sample.truncated) + [DISAGREE] * disagree(sample)
    chips = [element("span", text(fact)) for fact in plain]
    chips += [element("span", text(fact), kind="wrong") for fact in marked]
    verdicts = (_verdict(scorer, score) for scorer, score in sample.scores.items())
    said = element("pre", text(cut(sample.text, most)))
    return element(
        "div", element("div", element("div", *chips, kind="chips"), *verdicts), said, kind="response"
    )


def _verdict(scorer: str, score: Score) -> Html:
    mark = element(
        "b", text(("✓ " if score.correct else "✗ ") + scorer), kind="right" if score.correct else "wrong"
    )
    # Where nothing was extracted, or the scorer extracts nothing, the reason says it.
    extracted = [element("span", text(f"  {cut(score.extracted, 160)}"))] if score.extracted else []
    rule = f" (rule {cut(score.rule, 40)})" if score.rule and score.rule != score.reason else ""
    return element("p", mark, *extracted, text(f"\n{cut(score.reason, 200)}{rule}"))
