"""The charts of an evaluation: Pass@k over k, and the lengths of responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2
from typing import Any

from eval.page.result_tables import ks_of
from eval.samples import Sample
from vlm_uec.webpage.charts import Drawing, draw_bars, draw_lines
from vlm_uec.webpage.distribution import histogram

CURVE_TITLE, LENGTHS_TITLE = "Pass@k, % with 95 % intervals", "Responses by length in tokens"


def pass_curve(summary: Mapping[str, Any]) -> Drawing:
    """One line per scorer, in per cent over k on a logarithmic axis; empty for a single k."""
    ks = ks_of(summary, "pass")
    if len(ks) < 2:
        return Drawing((), ())
    metrics = {
        scorer: [(log2(k), scores[f"pass@{k}"]) for k in ks] for scorer, scores in summary["scores"].items()
    }
    points = {scorer: [(x, 100 * metric["value"]) for x, metric in line] for scorer, line in metrics.items()}
    intervals = {
        scorer: [(x, 100 * metric["interval"][0], 100 * metric["interval"][1]) for x, metric in line]
        for scorer, line in metrics.items()
    }
    return draw_lines(points, intervals, [(log2(k), str(k)) for k in ks])


def length_histogram(samples: Sequence[Sample]) -> Drawing:
    """Responses per bin of tokens, with truncated ones as a separate series; unknown lengths are omitted."""
    series: dict[str, list[int]] = {"ended": [], "truncated": []}
    for sample in samples:
        if sample.tokens is not None:
            series["truncated" if sample.truncated else "ended"].append(sample.tokens)
    found = histogram(series)
    return draw_bars(found.labels, found.counts, " responses")
