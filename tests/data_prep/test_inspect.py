"""`python -m data_prep inspect` reports correct statistics, and hostile datasets are harmless."""

from __future__ import annotations

import base64
import io
import resource
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from data_prep.__main__ import main
from data_prep.inspect.budget import PixelBudget
from data_prep.inspect.prompt_length import PromptTokenCounter
from data_prep.inspect.splits import list_splits, rejected_by_data_prep
from data_prep.writer import Rejection, write_dataset
from tests.report.test_report import Tags
from tests.support.tiny import encoded, noise_picture
from vlm_uec.data.decode import decode_image
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.types import Problem
from vlm_uec.webpage.distribution import describe, histogram

SQUARE, WIDE, TALL = noise_picture(56, 56), noise_picture(112, 84, seed=1), noise_picture(30, 300, seed=2)


def problem(name: str, question: str = "Find x.", *pictures: Image.Image, **fields: Any) -> Problem:
    images = tuple(map(encoded, pictures or (SQUARE,)))
    return Problem(name, "<image>" * len(images) + question, fields.pop("answer", "5"), images, **fields)


def inspected(directory: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Console output and page of an inspection."""
    assert main(["inspect", str(directory), *options]) == 0
    return capsys.readouterr().out, (directory / "inspect.html").read_text(encoding="utf-8")


def row_of(output: str, name: str) -> list[str]:
    """The cells of the first line of the output that starts with `name`."""
    return next(line[len(name) :].split() for line in output.splitlines() if line.startswith(name))


# --- which splits ------------------------------------------------------------------------------------------


def test_splits_are_determined_by_file_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("zebra", "test-00000-of-00002", "test-00001-of-00002", "data/train", "data/apple-00001"):
        (tmp_path / f"{name}.parquet").touch()
    assert list_splits(tmp_path) == ["train", "test", "apple", "zebra"]


def test_rejections_of_data_prep_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = [Rejection("b", "missing picture"), Rejection("c", "missing picture")]
    write_dataset(tmp_path, {"train": [problem("a"), *lost], "test": [problem("d")]}, {})
    output, page = inspected(tmp_path, capsys=capsys)
    assert row_of(output, "problems") == ["1", "1"]
    assert row_of(output, "left out by data_prep: missing picture") == ["2", "0"]
    assert "left out by data_prep: missing picture" in page


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"rejected_counts": 5}', '{"rejected_counts": {"train": {"x": "y"}}}']
)
def test_a_manifest_of_another_format_is_ignored(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    assert rejected_by_data_prep(tmp_path) == {}


# --- numbers -----------------------------------------------------------------------------------------------


def test_counts_by_form_type_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        problem("a", answer="5", answer_type="integer"),
        problem("b", "Which?", SQUARE, WIDE, answer=r"3 \sqrt { 2 }", question_type="multi_choice"),
        problem("c", answer="7", answer_type="integer"),
        Problem("d", "What is 2 + 2?", "4"),
    ]
    write_dataset(tmp_path, {"train": problems}, {})
    output, page = inspected(tmp_path, capsys=capsys)
    assert row_of(output, "problems") == ["4"]
    assert row_of(output, "whole number") == ["3", "(75.0%)"]
    assert row_of(output, "multiple of a root") == ["1", "(25.0%)"]
    assert row_of(output, "multi_choice") == ["1", "(25.0%)"]
    assert row_of(output, "integer") == ["2", "(50.0%)"]
    _, pictures = output.split("Pictures a problem")
    assert [row_of(pictures, count) for count in "012"] == [
        ["1", "(25.0%)"],
        ["2", "(50.0%)"],
        ["1", "(25.0%)"],
    ]
    for cell in ("3 (75.0%)", "multiple of a root", "multi_choice"):
        assert cell in page


def test_sizes_and_image_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Within 3136 to 6272 pixels: 56 x 56 stays (4 tokens), 112 x 84 shrinks to 84 x 56 (6 tokens)."""
    write_dataset(tmp_path, {"train": [problem("a"), problem("b", "Which?", SQUARE, WIDE)]}, {})
    budget = ["--min-pixels", "3136", "--max-pixels", "6272"]
    output, _ = inspected(tmp_path, *budget, capsys=capsys)
    assert row_of(output, "Width as stored") == ["train", "56", "74.7", "56", "112", "112"]
    assert row_of(output, "Height as stored") == ["train", "56", "65.3", "56", "84", "84"]
    assert row_of(output, "Pixels as stored") == ["train", "3,136", "5,227", "3,136", "9,408", "9,408"]
    assert row_of(output, "Pixels in the budget") == ["train", "3,136", "3,659", "3,136", "4,704", "4,704"]
    assert row_of(output, "Image tokens a problem") == ["train", "4", "7.0", "4", "10", "10"]
    assert row_of(output, "enlarged to 3136 pixels") == ["0"]
    assert row_of(output, "shrunk to 6272 pixels") == ["1"]
    assert "Prompt tokens" not in output


@pytest.mark.parametrize(
    ("size", "tokens", "enlarged", "shrunk"),
    [
        ((56, 56), 4, False, False),
        ((10, 10), 4, True, False),
        ((2000, 1000), 32, False, True),
        ((5, 900), 27, True, False),
    ],
)
def test_budget(size: tuple[int, int], tokens: int, enlarged: bool, shrunk: bool) -> None:
    """2000 x 1000 in 28224 pixels are 8.4 by 4.2 tokens, rounded down; 5 x 900 becomes 0.1 by 26.8, up."""
    budget = PixelBudget(3136, 28224)
    assert budget.tokens(*size) == tokens and budget.pixels(*size) == tokens * 784
    assert (budget.enlarges(*size), budget.shrinks(*size)) == (enlarged, shrunk)


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 10**6), st.integers(0, 10**6))
def test_budget_equals_the_image_processors(width: int, height: int, low: int, more: int) -> None:
    if max(width, height) > 200 * min(width, height):
        return
    processor = Qwen2VLImageProcessorPil(min_pixels=low, max_pixels=low + more)
    patches = processor.get_number_of_image_patches(height, width)
    assert PixelBudget(low, low + more).tokens(width, height) == patches // 4


def test_summary_uses_the_nearest_rank() -> None:
    summary = describe([*range(20, 0, -1)])
    assert summary and (summary.minimum, summary.mean, summary.median) == (1, 10.5, 10)
    assert (summary.p95, summary.maximum) == (19, 20)
    assert describe([]) is None


def test_histograms_share_bins_with_round_limits() -> None:
    """5 to 83 in steps of 5 gives 16 bins, the maximum."""
    found = histogram({"a": [5, 9, 83], "b": [10]})
    assert found.labels[0] == "5–10" and found.labels[-1] == "80–85" and len(found.labels) == 16
    assert found.counts["a"] == (2, *[0] * 14, 1) and found.counts["b"] == (0, 1, *[0] * 14)
    assert found.shares()["b"][1] == 100
    assert histogram({"a": [3, 3, 4]}).labels == ("3", "4")


def test_one_huge_value_does_not_flatten_a_histogram() -> None:
    found = histogram({"a": [*range(300), 10**9]})
    assert found.labels[-1] == "280+" and found.counts["a"][-1] == 21


@given(st.dictionaries(st.text(), st.lists(st.integers(0, 10**9)), min_size=1))
def test_every_value_is_in_exactly_one_bin(series: dict[str, list[int]]) -> None:
    found = histogram(series)
    assert len(found.labels) <= 16
    assert {name: sum(counts) for name, counts in found.counts.items()} == {
        name: len(values) for name, values in series.items()
    }
    assert all(len(counts) == len(found.labels) for counts in found.counts.values())


# --- prompt tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [(3136, 12544), (262_144, 4_194_304), (50_000, 60_000)])
@pytest.mark.parametrize(
    "template", [None, "{{ question }}{% for choice in choices %} {{ choice }}{% endfor %}"]
)
def test_prompt_tokens_equal_the_encoders(
    bundle: Path, budget: tuple[int, int], template: str | None
) -> None:
    count_tokens = PromptTokenCounter(bundle, template, *budget)
    encoder = PromptEncoder.from_pretrained(
        str(bundle), template=template, min_pixels=budget[0], max_pixels=budget[1], max_prompt_tokens=10**9
    )
    for one in [
        problem("a"),
        problem("b", "Which of the two? ∠ABC = 40°", SQUARE, WIDE, choices=("left", "right")),
        problem("c", "<|image_pad|> is <|im_end|> text", TALL),
        Problem("d", "What is 2 + 2?", "4"),
    ]:
        sizes = [decode_image(data).size for data in one.images]
        assert count_tokens(one, sizes) == len(encoder(one).input_ids)


def test_a_template_without_the_picture_is_rejected(bundle: Path) -> None:
    with pytest.raises(PromptRejected, match="number of image marks and pictures differ"):
        PromptTokenCounter(bundle, "Guess.", 3136, 12544)(problem("a"), [(56, 56)])


def test_prompts_over_the_limit_are_counted(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [problem("short"), problem("long", "Find x. " * 100), problem("longer", "Find x. " * 200)]
    write_dataset(tmp_path, {"train": problems}, {})
    encoder = PromptEncoder.from_pretrained(
        str(bundle), template=None, min_pixels=3136, max_pixels=12544, max_prompt_tokens=10**9
    )
    short, long, longer = (len(encoder(one).input_ids) for one in problems)
    options = ["--model", str(bundle), "--min-pixels", "3136", "--max-pixels", "12544"]
    output, page = inspected(tmp_path, *options, "--max-prompt-tokens", str(long), capsys=capsys)
    assert row_of(output, f"prompts over {long} tokens") == ["1"]
    cells = [f"{number:,}" for number in (short, long, longer, longer)]
    assert [cell for index, cell in enumerate(row_of(output, "Prompt tokens")[1:]) if index != 1] == cells
    assert "Prompt tokens, % of a split" in page and f"{longer} prompt tokens" in page


# --- duplicates and leaks ----------------------------------------------------------------------------------


def test_duplicates_are_found_by_pixels_and_normalised_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A different file with the same pixels is the same picture; one different pixel is another picture."""
    with_alpha, touched = SQUARE.convert("RGBA"), SQUARE.copy()
    touched.putpixel((0, 0), (1, 2, 3))
    train = [
        problem("a", "Find  x."),
        problem("b", "find X.\n", with_alpha),  # same picture, same question
        problem("c", "Find y.", with_alpha),  # same picture alone
        problem("d", "Find x.", touched),
        Problem("e", "What is 2 + 2?", "4"),
        Problem("f", "What is 2 + 3?", "5"),
    ]
    test = [
        problem("g", " FIND x."),
        problem("h", "Find z.", WIDE, SQUARE),  # one picture in common
        problem("i", "Find x.", WIDE),
        Problem("e", "what is 2 + 2?", "4"),
    ]
    write_dataset(tmp_path, {"train": train, "test": test}, {})
    output, page = inspected(tmp_path, capsys=capsys)
    lines = dict(
        line.strip().rsplit(": ", 1) for line in output.split("leaks between splits\n")[1].splitlines()[:6]
    )
    assert lines == {
        "within train: same picture and same question": "1 (a = b)",
        "within train: same picture alone": "1 (a = c)",
        "test in train: same picture and same question": "2 (a = g, e = e)",
        "test in train: same picture alone": "1 (a = h)",
        "within test: same picture and same question": "0",
        "within test: same picture alone": "2 (g = h, h = i)",
    }
    assert "<summary>test in train: same picture and same question: 2</summary>" in page


def test_pictures_in_another_order_make_another_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [problem("a", "Which?", SQUARE, WIDE), problem("b", "Which?", WIDE, SQUARE)]
    write_dataset(tmp_path, {"train": problems}, {})
    output, _ = inspected(tmp_path, capsys=capsys)
    assert "same picture and same question: 0\n" in output and "same picture alone: 1 (a = b)" in output


def test_all_duplicates_are_counted_and_a_few_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [problem(f"p{number:03}", answer=str(number % 2)) for number in range(150)]
    write_dataset(tmp_path, {"train": problems}, {})
    output, page = inspected(tmp_path, "--pictures", "0", capsys=capsys)
    named = ", ".join(f"p000 = p{number:03}" for number in range(1, 6))
    assert f"same picture and same question: 149, 75 with another answer ({named}, …)" in output
    assert "149, the first 100 shown" in page and "p100" in page and "p101" not in page
    assert page.count("<td>the same</td>") == 50 and page.count("<td>differ</td>") == 50


# --- the page ----------------------------------------------------------------------------------------------


def test_the_gallery_is_evenly_spaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        problem(f"p{number}", f"Find x{number}.", noise_picture(60, 60, number)) for number in range(6)
    ]
    write_dataset(tmp_path, {"train": problems, "test": problems[:2]}, {})
    _, page = inspected(tmp_path, "--pictures", "3", capsys=capsys)
    for number in range(6):
        assert (f"Find x{number}." in page) == (number in {0, 1, 2, 4})  # 1 is in the test gallery
    assert "train: 3 of 6 problems" in page and "test: 2 of 2 problems" in page
    assert page.count("<img ") == 5


ATTACK = "<script>alert(1)</script>"


def hostile_rows() -> list[dict[str, Any]]:
    good = encoded(WIDE)
    other = {"id": "", "choices": [], "question_type": "q", "answer_type": "t"}
    rows: list[dict[str, Any]] = [
        {"id": "\"'><img src=x onerror=alert(1)>", "problem": f"<image>{ATTACK}", "answer": "<b>5</b>"},
        {"id": "\x1b[2Jcleared\n", "problem": "<image>Is <|image_pad|> a <|im_end|>?", "answer": "no"},
        {"id": "cut", "problem": "<image>Find x.", "answer": "5", "images": [good[: len(good) // 2]]},
        {
            "id": "huge",
            "problem": "<image>" + "long " * 3000,
            "answer": "9" * 9000,
            "choices": ["c" * 5000] * 30,
        },
        {"id": "many", "problem": "<image>" * 40 + "Which?", "answer": "1", "images": [good] * 40},
        {
            "id": "types",
            "problem": "<image>y",
            "answer": "1",
            "question_type": ATTACK,
            "answer_type": "t" * 10**5,
        },
        {"id": "unmarked", "problem": "Find x.", "answer": "5"},
    ]
    return [{"images": [good], **other, **row} for row in rows]


def write_rows(directory: Path, split: str, rows: list[dict[str, Any]]) -> None:
    stored = [{**row, "images": [{"bytes": data, "path": None} for data in row["images"]]} for row in rows]
    pq.write_table(pa.Table.from_pylist(stored), directory / f"{split}.parquet")


def test_a_hostile_dataset_is_shown_as_text(
    tmp_path: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path, "train", hostile_rows())
    write_rows(tmp_path, "test", hostile_rows()[:3])
    output, page = inspected(tmp_path, "--model", str(bundle), capsys=capsys)

    assert row_of(output, "problems") == ["5", "2"]
    assert row_of(output, "left out: broken picture") == ["1", "1"]
    assert "broken pictures, train: 1 (cut)" in output and "train: broken pictures: 1" in page
    assert all(char.isprintable() for char in output.replace("\n", "")) and r"\x1b[2Jcleared\n" in output

    tags = Tags(page)
    assert {tag for tag, _ in tags.elements}.isdisjoint({"script", "link", "iframe", "a"})
    assert all(
        not name.startswith("on") and name != "href" for _, attributes in tags.elements for name in attributes
    )
    sources = [str(attributes["src"]) for _, attributes in tags.elements if "src" in attributes]
    assert sources and all(source.startswith(("data:image/png;", "data:image/jpeg;")) for source in sources)
    for source in sources:
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).load()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "&lt;b&gt;5&lt;/b&gt;" in page
    assert "&quot;&#x27;&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "Is &lt;|image_pad|&gt; a &lt;|im_end|&gt;?" in page
    assert "40 pictures, 4 shown" in page and len(page) < 10**6


def test_a_split_with_only_broken_pictures_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path, "train", hostile_rows()[2:3])
    output, _ = inspected(tmp_path, capsys=capsys)
    assert row_of(output, "problems") == ["0"] and row_of(output, "left out: broken picture") == ["1"]


# --- errors ------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "set", {"train": [problem("a")]}, {})
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("nowhere", "nowhere: no such directory"),
        ("empty", "empty: no parquet file"),
        ("set/train.parquet", "no such directory"),
        ("set --out nowhere/page.html", "--out nowhere/page.html"),
        ("set --out empty", "--out empty"),
        ("set --out set/train.parquet/page.html", "--out set/train.parquet/page.html"),
        ("set --model nowhere", "--model nowhere: no such directory"),
        ("set --model empty", "empty: no tokenizer and image processor"),
        ("set --model no_template", "no_template: its tokenizer has no chat template"),
        ("set --min-pixels 2 --max-pixels 1", "--min-pixels 2 is above --max-pixels 1"),
        ("set --min-pixels 0", "--min-pixels 0"),
        ("set --max-prompt-tokens -5", "--max-prompt-tokens -5"),
        ("set --pictures -1", "--pictures -1"),
        ("set --template {{x}}", "--template has no effect without --model"),
        ("set --model bundle --template {{", "prompt.template does not parse"),
    ],
)
def test_errors_are_one_line_and_exit_2(
    small: Path,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    output: str,
) -> None:
    monkeypatch.chdir(small)
    shutil.copytree(bundle, "bundle")
    shutil.copytree(bundle, "no_template", ignore=lambda *_: ["chat_template.jinja"])
    assert main(["inspect", *command.split()]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and output in error
    assert not list(small.rglob("*.html"))


def test_a_failed_write_keeps_the_old_page(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = small / "set"
    page = directory / "inspect.html"
    page.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a disk that is full after 1000 bytes
    try:
        assert main(["inspect", str(directory)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot be written: File too large" in capsys.readouterr().err
    assert page.read_text() == "old"
    assert {path.name for path in directory.iterdir()} == {"inspect.html", "manifest.json", "train.parquet"}
