"""The page of an evaluation: contents, filters, size, and safety against model output."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eval.page.evaluation_page import MAX_PROBLEMS, write_page, write_plots
from eval.page.filters import outcomes
from eval.page.problems import MAX_RESPONSES_EACH
from eval.samples import Sample, Score
from tests.report.test_report import Tags
from tests.support.browser import Browser, find_browser
from tests.support.tiny import encoded, noise_picture
from vlm_uec.types import Problem
from vlm_uec.webpage.text_budget import cut, escaped_size, fair_share

ATTACK = "</style></pre><script>window.hit=1</script>\"'<img src=x onerror=window.hit=1>"


def sample(name: str, index: int, verdicts: str, text: str = "so \\boxed{5}", **fields: Any) -> Sample:
    """`verdicts`: one letter per scorer: r right, w wrong, n nothing extracted."""
    scores = {
        scorer: Score(letter == "r", None if letter == "n" else "5", f"because {letter}", "3")
        for scorer, letter in zip(("verify", "official"), verdicts, strict=False)
    }
    return Sample(name, index, text, fields.pop("tokens", 7), fields.pop("truncated", False), scores)


def problem(name: str, **fields: Any) -> Problem:
    picture = encoded(Image.new("RGB", (90, 60), "red"))
    return Problem(
        name, "<image>Find x.", fields.pop("answer", "5"), fields.pop("images", (picture,)), **fields
    )


# Problems named after their outcome.
PROBLEMS = {
    "wrong": problem("wrong", answer="7"),
    "mixed": problem("mixed", answer="8", choices=("<i>6</i>", "8")),
    "right": problem("right", answer="1.5"),
    "disputed": problem("disputed", answer="2.5"),
}
SAMPLES = [
    sample("wrong", 0, "ww"), sample("wrong", 1, "nn", ATTACK),
    sample("mixed", 0, "rr"), sample("mixed", 1, "ww", truncated=True),
    sample("right", 0, "rr"), sample("right", 1, "rr"),
    sample("disputed", 0, "wr"), sample("disputed", 1, "ww"),
]  # fmt: skip
KEPT = {
    "all": {"wrong", "mixed", "right", "disputed"},
    "all wrong": {"wrong", "disputed"},
    "mixed": {"mixed"},
    "all right": {"right"},
    "scorers disagree": {"disputed"},
    "truncated": {"mixed"},
    "nothing extracted": {"wrong"},
}


def summary(samples: Sequence[Sample], problems: int = 4, **more: Any) -> dict[str, Any]:
    metric = {"value": 0.5, "interval": [0.25, 0.75]}
    return {
        "settings": {"k": [1, 2], "template": ATTACK},
        "model": {"path": f"models/{ATTACK}"},
        "data": {"left_out": {"no picture": 3}},
        "problems": problems,
        "samples": len(samples),
        "scores": {
            scorer: {"pass@1": metric, "pass@2": metric, "maj@2": metric, "unextracted": 0.125}
            for scorer in samples[0].scores
        },
        "responses": {"truncated": 0.125},
        "breakdown": {
            ATTACK: {"a": {"problems": 4, "scores": {"verify": {"pass@1": 0.1234}}, "truncated": 0.5}},
        },
        **more,
    }


def written_page(
    folder: Path, problems: dict[str, Problem] = PROBLEMS, samples: Sequence[Sample] = SAMPLES
) -> str:
    write_page(folder / "index.html", summary(samples, len(problems)), problems, samples)
    return (folder / "index.html").read_text(encoding="utf-8")


# --- contents ----------------------------------------------------------------------------------------------


def test_numbers_are_shown_with_intervals(tmp_path: Path) -> None:
    page = written_page(tmp_path)
    assert "<td>pass@2</td><td>50.00  (25.00 to 75.00)</td>" in page
    assert "12.34" in page and "no picture: 3" in page and "4 × 2" in page


def test_card_shows_question_responses_and_verdicts(tmp_path: Path) -> None:
    card = re.findall("<li.*?</li>", written_page(tmp_path), re.DOTALL)[1]
    for expected in (
        "Find x.",
        "(A) &lt;i&gt;6&lt;/i&gt;\u2003(B) 8",
        "<b>8</b>",
        "1 of 2 right ",
        "●○",
        "2 responses",
    ):
        assert expected in card
    for expected in ("response 1", "7 tokens", "truncated", "✗ official", "because w (rule 3)", "✓ verify"):
        assert expected in card


def test_card_without_picture_has_no_picture_column(tmp_path: Path) -> None:
    page = written_page(tmp_path, {"wrong": problem("wrong", images=())}, SAMPLES[:2])
    assert 'class="pictures"' not in page
    assert 'class="card problem"' in page


def test_choices_are_shown_unless_the_question_lists_them(tmp_path: Path) -> None:
    """MathVista's questions list their choices."""
    listed = Problem("wrong", "Which? (A) 6 (B) 8", "8", choices=("6", "8"))
    page = written_page(tmp_path, {"wrong": listed}, SAMPLES[:2])
    assert page.count("(B) 8") == 1


def test_curve_needs_two_points(tmp_path: Path) -> None:
    expected = summary(SAMPLES)
    expected["scores"] = {"verify": {"pass@1": {"value": 0.5, "interval": [0.25, 0.75]}}}
    write_plots(tmp_path, expected, SAMPLES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["response_tokens.svg"]


def test_filters_show_the_number_of_problems_they_keep(tmp_path: Path) -> None:
    first = re.search("<fieldset>.*?</fieldset>", written_page(tmp_path))
    assert first is not None
    counts = dict(re.findall(r"/>([\w ]+)<b>(\d+)</b>", first[0]))
    assert counts == {name: str(len(kept)) for name, kept in KEPT.items()}


def test_no_disagreement_filter_with_one_scorer(tmp_path: Path) -> None:
    page = written_page(tmp_path, samples=[sample(name, 0, "r") for name in PROBLEMS])
    assert "all right<b>4</b>" in page and "scorers disagree<b>" not in page


@pytest.mark.parametrize(
    ("verdicts", "found"),
    [
        (["ww", "wr"], {"all wrong", "scorers disagree"}),
        (["rr", "rr"], {"all right"}),
        (["rr", "nw"], {"mixed", "nothing extracted"}),
        (["rn"], {"all right", "scorers disagree"}),
    ],
)
def test_outcomes_are_by_the_first_scorer(verdicts: list[str], found: set[str]) -> None:
    assert outcomes([sample("a", i, letters) for i, letters in enumerate(verdicts)], "verify") == found


def test_unknown_lengths_are_omitted(tmp_path: Path) -> None:
    samples = [sample(name, 0, "rr", tokens=None) for name in PROBLEMS]
    assert "None tokens" not in written_page(tmp_path, samples=samples)
    write_plots(tmp_path, summary(samples), samples)
    assert (tmp_path / "pass_at_k.svg").is_file() and not (tmp_path / "response_tokens.svg").exists()


# --- untrusted input ---------------------------------------------------------------------------------------


def test_untrusted_text_is_never_markup(tmp_path: Path) -> None:
    hostile = {
        name: Problem(
            name,
            ATTACK,
            ATTACK,
            (b"<svg onload=alert(1)>", *one.images * 6),
            choices=(ATTACK,) * 99,
            metadata={ATTACK: f"{ATTACK}{number // 2}"},
        )
        for number, (name, one) in enumerate({**PROBLEMS, ATTACK: PROBLEMS["wrong"]}.items())
    }
    score = Score(True, ATTACK, ATTACK, ATTACK)
    odd = "nul \x00 turned \u202e half \ud800 none \uffff " + ATTACK
    samples = [Sample(name, 0, odd, 1, False, {ATTACK: score}) for name in hostile]
    page = written_page(tmp_path, hostile, samples)
    tags = Tags(page)
    assert {tag for tag, _ in tags.elements}.isdisjoint({"script", "link", "iframe", "a", "object", "form"})
    assert all(not name.startswith("on") and name != "href" for _, named in tags.elements for name in named)
    assert all(
        str(named["src"]).startswith("data:image/png;") for _, named in tags.elements if "src" in named
    )
    assert page.count("<style>") == page.count("</style>") == 1
    assert "\\u0000 turned \\u202e half \\ud800 none \\uffff" in page and "\x00" not in page
    assert (
        "picture 1: not a readable picture" in page
        and "7 pictures, 4 shown" in page
        and "99 in total" in page
    )


def test_plots_are_valid_svg_files(tmp_path: Path) -> None:
    samples = [sample("wrong", 0, "rr", tokens=3), sample("wrong", 1, "ww", tokens=4, truncated=True)]
    expected = summary(samples)
    expected["scores"] = {ATTACK + "\x01\ud800": expected["scores"]["verify"]}
    write_plots(tmp_path, expected, samples)
    for name, labels in {
        "pass_at_k.svg": {"k, samples drawn", "problems solved, %", "1", "2", ATTACK + r"\u0001\ud800"},
        "response_tokens.svg": {"tokens of a response", "responses", "ended", "truncated", "3", "4"},
    }.items():
        root = ElementTree.fromstring((tmp_path / name).read_bytes())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert labels <= {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}


# --- size --------------------------------------------------------------------------------------------------


def test_cut_keeps_both_ends_and_counts_omitted_characters() -> None:
    assert cut("abcdefghij", 10) == "abcdefghij"
    assert cut("abcdefghijk", 4) == "ab [… 7 characters omitted …] jk"
    assert cut("<" * 9, 8) == "< [… 7 characters omitted …] <"  # each is escaped as &lt;


@given(st.text(), st.integers(0, 60))
def test_cut_text_without_its_note_is_within_the_limit(whole: str, limit: int) -> None:
    short = cut(whole, limit)
    if short != whole:
        note = re.search(r" \[… ([\d,]+) characters omitted …\] ", short)
        assert note is not None
        kept = short[: note.start()] + short[note.end() :]
        assert escaped_size(kept) <= limit and len(kept) == len(whole) - int(note[1].replace(",", ""))


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 400), st.integers(0, 60))
def test_fair_share_is_the_largest_that_fits(sizes: list[int], total: int, limit: int) -> None:
    fits = [share for share in range(limit + 1) if sum(min(size, share) for size in sizes) <= total]
    assert fair_share(sizes, total, limit) == max(fits)


def test_card_of_many_responses_shows_one_of_each_kind(tmp_path: Path) -> None:
    samples = [sample("wrong", i, "ww") for i in range(200)]
    samples[150] = sample("wrong", 150, "wr")
    samples[199] = sample("wrong", 199, "ww", truncated=True)
    page = written_page(tmp_path, samples=samples)
    shown = [int(number) for number in re.findall(r"response (\d+)<", page)]
    assert shown == [*range(MAX_RESPONSES_EACH - 2), 150, 199]
    assert f"{MAX_RESPONSES_EACH} of 200 responses" in page


def test_limit_on_the_number_of_problems_is_stated(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(MAX_PROBLEMS + 5)]
    problems = {name: problem(name, images=()) for name in names}
    page = written_page(tmp_path, problems, [sample(name, 0, "rr") for name in names])
    assert page.count('<li class="filtered') == MAX_PROBLEMS
    assert f"The first {MAX_PROBLEMS} of {MAX_PROBLEMS + 5} problems." in page


def test_page_of_a_large_evaluation_is_bounded_in_size(tmp_path: Path) -> None:
    """601 problems with a noise picture and 16 responses of 10 kB each; one response has 1 MB."""
    noise = encoded(noise_picture(120, 120))
    problems = {str(i): problem(str(i), images=(noise,)) for i in range(601)}
    long = {True: "<b>" * 350_000, False: "so x < y & z\n" * 800}
    samples = [sample(name, i, "rw", long[(name, i) == ("7", 3)]) for name in problems for i in range(16)]
    written_page(tmp_path, problems, samples)
    assert (tmp_path / "index.html").stat().st_size < 25e6
    assert "characters omitted" in (tmp_path / "index.html").read_text(encoding="utf-8")


# --- in a browser ------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(
    find_browser() is None, reason="no Chromium: put one on PATH or in $CHROME"
)
VISIBLE = """[...document.querySelectorAll(".filtered")].filter(e => e.getBoundingClientRect().height > 0)
    .map(e => e.querySelector(".name").textContent)"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = find_browser()
    assert program is not None
    with Browser(program, tmp_path / "profile") as one:
        yield one


@needs_browser
def test_clicking_a_filter_shows_its_problems(tmp_path: Path, browser: Browser) -> None:
    written_page(tmp_path)
    browser.open(tmp_path / "index.html")
    for number, (name, kept) in reversed(list(enumerate(KEPT.items()))):
        browser.click(f"label:has(#filter0-{number})")
        assert browser.evaluate(f"document.querySelector('#filter0-{number}').checked"), name
        assert set(browser.evaluate(VISIBLE)) == kept, name


@needs_browser
def test_filters_combine(tmp_path: Path, browser: Browser) -> None:
    """`whole number` keeps `wrong` and `mixed`; `all wrong` keeps `wrong` and `disputed`."""
    page = written_page(tmp_path)
    whole = re.search(r'id="(filter1-\d)"/>whole number', page)
    assert whole is not None
    browser.open(tmp_path / "index.html")
    browser.click(f"label:has(#{whole[1]})")
    assert set(browser.evaluate(VISIBLE)) == {"wrong", "mixed"}
    browser.click("label:has(#filter0-1)")
    assert browser.evaluate(VISIBLE) == ["wrong"]


@needs_browser
def test_filters_work_by_keyboard(tmp_path: Path, browser: Browser) -> None:
    written_page(tmp_path)
    browser.open(tmp_path / "index.html")
    browser.click("label:has(#filter0-0)")
    browser.press("ArrowRight", 39)
    assert set(browser.evaluate(VISIBLE)) == KEPT["all wrong"]


@needs_browser
def test_model_output_is_text_and_pictures_are_displayed(tmp_path: Path, browser: Browser) -> None:
    written_page(tmp_path)
    browser.open(tmp_path / "index.html")
    browser.click(".filtered summary")
    response = "document.querySelectorAll('.filtered pre')[1]"
    assert browser.evaluate(f"{response}.textContent") == ATTACK
    assert browser.evaluate(f"{response}.getBoundingClientRect().height") > 0
    assert browser.evaluate("typeof window.hit") == "undefined"
    assert browser.evaluate("document.querySelector('.filtered img').naturalWidth") == 90
    assert (
        browser.evaluate("performance.getEntriesByType('resource').filter(e => !/^data:/.test(e.name))") == []
    )


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_contrast_in_both_colour_schemes(tmp_path: Path, browser: Browser, scheme: str) -> None:
    """Contrast of at least 4.5 (WCAG 2.2, 1.4.3)."""
    written_page(tmp_path)
    browser.open(tmp_path / "index.html", scheme=scheme)
    background = browser.evaluate("getComputedStyle(document.querySelector('.problem')).backgroundColor")
    for part in (".body-text", ".truth", ".wrong", ".right", "pre", ".counts i"):
        ink = browser.evaluate(f"getComputedStyle(document.querySelector('.filtered {part}')).color")
        assert contrast(ink, background) >= 4.5, part


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    levels = [int(level) / 255 for level in re.findall(r"\d+", colour)[:3]]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
