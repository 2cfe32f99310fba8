"""The report page is self-contained, escapes model output and shows the contents of run directories."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.written_runs import metrics_of, sample, write_problems, write_run
from vlm_uec.errors import UserError
from vlm_uec.report.page import MAX_RUNS, write_report
from vlm_uec.report.runs import MAX_BYTES, distinct_names
from vlm_uec.telemetry.writers import RunWriter
from vlm_uec.webpage.html import page, text

ATTACK = "<script>alert(1)</script>\"'&<img src=http://x/y>"
ROOT = Path(__file__).parents[2]


class Tags(HTMLParser):
    """Collects tags and attributes; fails if tags do not nest."""

    VOID = ("meta", "br")

    def __init__(self, document: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(document)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(*directories: Path, out: Path | None = None) -> str:
    return write_report(*directories, out=out).path.read_text(encoding="utf-8")


def titles(document: str) -> list[str]:
    return re.findall("<h3>(.*?)</h3>", document)


# --- contents ----------------------------------------------------------------------------------------------


def test_page_of_one_run_is_written_to_its_directory(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", range(1, 6), {5: [sample("geo-1")]})
    written = write_report(run)
    document = written.path.read_text()
    assert written.path == run / "report.html"
    for part in (
        "Reward of regular rollouts",
        "Entropy in nats: exact and estimated",
        "Covariance (negative: entropy rises)",
        "Difficult and rescued prompts",
        "Response tokens",
        "Seconds per step by phase",
    ):
        assert part in document
    assert "geo-1" in document and "advantage +1.25" in document and "exploration.temperature" in document


def test_several_runs_share_charts_with_one_colour_per_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [write_run(tmp_path / name, range(1, 4), seed=seed) for seed, name in enumerate(["one", "two"])]
    monkeypatch.chdir(tmp_path)
    assert write_report(*runs).path == Path("report.html")
    document = (tmp_path / "report.html").read_text()
    chart = document[document.index("<h3>Reward of regular rollouts") :].partition("<h3>Difficult")[0]
    strokes = re.findall(r'<polyline class="(.*?)" stroke="(.*?)"', chart.partition('class="axis axis-1"')[0])
    keys = dict(re.findall(r'background:(#\w+)"></i>(\w+)<', chart))
    assert list(keys.values()) == ["one", "two"]
    # Per run: accuracy solid, format dashed.
    assert strokes == [(kind, colour) for colour in keys for kind in ("", "dashed")]


def test_more_than_two_metrics_of_several_runs_have_separate_charts(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, range(1, 4), seed=seed) for seed, name in enumerate(["one", "two"])]
    found = [
        title for title in titles(report(*runs, out=tmp_path / "p.html")) if title.startswith("Covariance")
    ]
    assert found == [
        f"Covariance (negative: entropy rises): covariance/{source}"
        for source in ("regular", "exploration", "replay")
    ]
    alone = [title for title in titles(report(runs[0])) if title.startswith("Covariance")]
    assert alone == ["Covariance (negative: entropy rises)"]


def test_several_runs_are_compared_by_results_and_settings(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", range(1, 4))
    two = write_run(tmp_path / "two", range(1, 3), None, "rollout.temperature=0.7", seed=2)
    document = report(one, two, out=tmp_path / "p.html")
    table = document[document.index("Settings that differ: 4 of ") :].partition("</table>")[0]
    assert "<td>train.seed</td><td>0</td><td>2</td>" in table
    assert "<td>rollout.temperature</td><td>1.0</td><td>0.7</td>" in table and "rollout.n" not in table
    overview = re.findall("<tr>(<td>.*?)</tr>", document[: document.index("Settings that differ")])
    assert ["<td>3</td>" in overview[0], "<td>2</td>" in overview[1]] == [True, True]


def test_x_axis_choices_are_those_that_all_runs_have(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", range(1, 4))
    assert re.findall('id="axis-\\d"[^>]*/>(.*?)</label>', report(run)) == [
        "steps",
        "sampled tokens",
        "hours",
    ]
    without = tmp_path / "old"
    with RunWriter(without, None) as writer:
        writer.metrics(1, {"reward/accuracy": 0.5})
    document = report(run, without, out=tmp_path / "p.html")
    assert re.findall('id="axis-\\d"[^>]*/>(.*?)</label>', document) == ["steps"]


def test_constant_metrics_are_listed_without_a_chart(tmp_path: Path) -> None:
    document = report(write_run(tmp_path / "run"))
    assert "Constant: lr 1e-06." in document and "Learning rate" not in document


def test_checkpoints_are_listed_with_their_validation(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", range(1, 101))
    for step in (50, 60):
        (run / "checkpoints" / f"step_{step:06d}").mkdir(parents=True)
    (run / "checkpoints" / "best").write_text("step_000050\n")
    (run / "checkpoints" / "latest").write_text("step_000060\n")
    document = report(run)
    value = metrics_of(50)["eval/pass@1"]
    row = f"<td>step_000050</td><td>2M</td><td>{value:.3f}</td>"
    assert (
        row in document and "<td>step_000060</td><td>2.4M</td><td>–</td><td>–</td><td>latest</td>" in document
    )
    # One marker per checkpoint on each of the three axes; validation ran at steps 50 and 100.
    assert (
        re.findall('class="mark (.*?)".*?<title>(.*?)</title>', document)
        == [
            ("best", "step_000050, best"),
            ("", "step_000060"),
        ]
        * 3
    )


def test_alarms_are_listed_with_their_steps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RunWriter(run, None) as writer:
        for step in range(1, 9):
            writer.metrics(step, {"entropy/exact": 1.0, "alarm/entropy_collapse": float(step in (3, 4, 7))})
    document = report(run)
    assert "run: entropy_collapse at steps 3 to 4" in document
    assert "run: entropy_collapse at steps 7 to 7" in document


def test_evaluations_are_listed_beside_a_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for name, value in (("before", 0.25), ("after", 0.5)):
        (tmp_path / name).mkdir()
        metric = {"value": value, "interval": [value - 0.1, value + 0.1]}
        scores = {"verify": {"pass@1": metric, "pass@8": metric, "mean@8": metric}}
        (tmp_path / name / "summary.json").write_text(json.dumps({"scores": scores}))
    written = write_report(tmp_path / "before", run, tmp_path / "after")
    document = written.path.read_text()
    assert written.path == run / "report.html"
    for name, cell in (("before", "25.00  (15.00 to 35.00)"), ("after", "50.00  (40.00 to 60.00)")):
        assert f"<td>{name}</td><td>verify</td><td>{cell}</td><td>{cell}</td>" in document


# --- untrusted input ---------------------------------------------------------------------------------------


def hostile_run(tmp_path: Path) -> Path:
    """A run directory with hostile text in every file and field."""
    rows = [
        sample(ATTACK, ATTACK, response=ATTACK, reason=ATTACK),
        sample("p", response=[ATTACK], advantage=ATTACK),
    ]
    name = "<img src=x onerror=alert(1)>\"'"
    run = write_run(tmp_path / name, range(1, 4), {3: rows}, f"prompt.template={json.dumps(ATTACK)}")
    with (run / "metrics.jsonl").open("a") as file:
        odd = {"verdict/" + ATTACK: 0.5, "eval/pass@" + ATTACK: 0.5, "alarm/" + ATTACK: 1}
        file.write(json.dumps({"step": 4, **odd, "loss/policy": 10**400, "grad_norm": ATTACK}) + "\n")
        file.write(json.dumps({"step": ATTACK, "alarm/" + ATTACK: 1}) + "\n")
        file.write('{"step": 6, "lr": NaN, "grad_norm": Infinity}\n')
    return run


def test_untrusted_text_is_never_markup(tmp_path: Path) -> None:
    run = hostile_run(tmp_path)
    twin = Path(shutil.copytree(run, tmp_path / "twin"))
    (tmp_path / "summary").mkdir()
    metric = {"value": 0.5, "interval": [0.25, 0.75]}
    summary = {"scores": {ATTACK: {"pass@1": metric}}}
    (tmp_path / "summary" / "summary.json").write_text(json.dumps(summary))
    for document in (report(run), report(run, twin, tmp_path / "summary", out=tmp_path / "p.html")):
        tags = Tags(document)
        assert {tag for tag, _ in tags.elements}.isdisjoint(
            {"script", "link", "img", "iframe", "a", "object"}
        )
        attributes = {name for _, named in tags.elements for name in named}
        assert not {name for name in attributes if name.startswith("on")} | (attributes & {"src", "href"})
        assert document.count("<style>") == document.count("</style>") == 1 and "url(" not in document
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in document


@settings(deadline=None)
@given(st.text())
def test_text_contains_no_tag(value: str) -> None:
    assert "<" not in text(value)
    Tags(page(value, [text(value)]))


# --- missing and damaged files -----------------------------------------------------------------------------


def test_run_without_finished_steps(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    assert "No step has finished yet." in report(tmp_path)


def test_run_without_config_gives_one_note(tmp_path: Path) -> None:
    with RunWriter(tmp_path, None) as writer:
        writer.metrics(1, {"reward/accuracy": 0.5})
    (note,) = write_report(tmp_path).notes
    assert "config.yaml: cannot be read" in note and "are not shown" in note


@pytest.mark.parametrize(
    "content",
    [
        None,
        '{"step": 1}\nbroken\n{"step": 2}\n',
        "[1]\n",
        '{"step": ' + "1" * 5000 + "}\n",
        "[" * 10**5 + "\n",
    ],
)
def test_unreadable_metrics_are_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(UserError):
        write_report(tmp_path)


def test_only_the_beginning_of_oversized_metrics_is_shown(tmp_path: Path) -> None:
    with RunWriter(tmp_path, None) as writer:
        writer.metrics(1, {"reward/accuracy": 0.5})
        writer.metrics(2, {"reward/accuracy": 0.75})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.truncate(2 * MAX_BYTES)
    note = write_report(tmp_path).notes[0]
    assert "over 32 MiB, only its first 2 steps are shown" in note


@pytest.mark.parametrize("content", ["{", '{"scores": {}}', '{"scores": {"v": {"pass@1": 5}}}', "[]"])
def test_invalid_evaluation_summary_is_refused(tmp_path: Path, content: str) -> None:
    run = write_run(tmp_path / "run")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "summary.json").write_text(content)
    with pytest.raises(UserError, match="not an evaluation summary"):
        write_report(run, tmp_path / "e")


def test_damaged_checkpoint_directory_gives_a_note(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "latest").write_text("../../etc\n")
    assert any("does not name a checkpoint" in note for note in write_report(run).notes)


def test_runs_with_equal_names_get_distinct_names() -> None:
    assert distinct_names([Path("/a/run"), Path("/b/run"), Path("/c/other")]) == ["a/run", "b/run", "other"]
    assert distinct_names([Path("/a/run"), Path("/a/run")]) == ["a/run (1)", "a/run (2)"]


# --- the command -------------------------------------------------------------------------------------------


def command(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vlm_uec.report", *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=cwd)


def test_command_prints_page_path_and_missing_problems(tmp_path: Path) -> None:
    data = write_problems(tmp_path / "data", ["a"])
    run = write_run(tmp_path / "run", range(1, 4), {3: [sample("gone")]}, f"data.path={data}")
    done = command(run, run, "--out", tmp_path / "both.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"report: {tmp_path / 'both.html'}\n" and (tmp_path / "both.html").is_file()
    assert len(done.stderr.splitlines()) == 1 and "1 of 1 problems are missing" in done.stderr


def test_user_error_is_one_line_with_exit_code_2(tmp_path: Path) -> None:
    done = command(tmp_path / "nowhere")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "nowhere" in done.stderr


def test_unwritable_page_and_too_many_runs_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(UserError, match="cannot be written"):
        write_report(run, out=tmp_path / "no" / "folder.html")
    with pytest.raises(UserError, match=f"at most {MAX_RUNS}"):
        write_report(*[run] * (MAX_RUNS + 1))
