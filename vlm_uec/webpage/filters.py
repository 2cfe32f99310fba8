"""Page filters without script: radio buttons, and CSS rules that hide the elements not selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_uec.webpage.html import Html, element, text

_STYLE = """
fieldset { border: 0; margin: 0 0 10px; padding: 0; display: flex; flex-wrap: wrap; gap: 6px;
  align-items: baseline; min-width: 0; }
legend { float: left; color: var(--dim); font-size: 12px; margin-right: 6px; min-width: 84px; padding: 0; }
fieldset label { border: 1px solid var(--line); border-radius: 14px; padding: 2px 12px; cursor: pointer;
  background: var(--card); overflow-wrap: anywhere; }
fieldset label b { color: var(--dim); font-weight: 400; margin-left: 6px; }
fieldset input { position: absolute; opacity: 0; }
fieldset label:hover { border-color: var(--accent); }
fieldset label:has(:checked) { background: var(--accent); border-color: var(--accent); color: #fff; }
fieldset label:has(:checked) b { color: #fff; }
fieldset label:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
:root { --accent: #2f5fc4; }
"""


@dataclass(frozen=True)
class Filter:
    """A choice among options. The first option is the default and hides nothing."""

    key: str  # part of element ids and classes: letters and digits only
    name: str
    options: Sequence[tuple[str, int | None]]  # name, and the number of elements it keeps (None: not shown)

    def option_class(self, number: int) -> str:
        """The class of an element that option `number` keeps."""
        return f"{self.key}-{number}"


def filter_bar(filters: Sequence[Filter]) -> Html:
    """The radio buttons: arrow keys move within a filter, the tab key between filters."""
    return element("div", *(_fieldset(page_filter) for page_filter in filters), kind="filters")


def filter_style(filters: Sequence[Filter]) -> str:
    """CSS for `page`: the look of the filters, and their rules for elements of class `filtered`."""
    return _STYLE + filter_rules(filters)


def filter_rules(filters: Sequence[Filter], kind: str = "filtered") -> str:
    """CSS that hides an element of class `kind` unless the selected option of every filter keeps it."""
    rules = [
        f"body:has(#{option}:checked) .{kind}:not(.{option}) {{ display: none; }}"
        for page_filter in filters
        for option in map(page_filter.option_class, range(1, len(page_filter.options)))
    ]
    return "\n".join(rules)


def _fieldset(page_filter: Filter) -> Html:
    labels = [_radio(page_filter, number) for number in range(len(page_filter.options))]
    return element("fieldset", element("legend", text(page_filter.name)), *labels)


def _radio(page_filter: Filter, number: int) -> Html:
    name, count = page_filter.options[number]
    chosen = " checked" if number == 0 else ""
    button = f'<input type="radio" name="{page_filter.key}" id="{page_filter.option_class(number)}"{chosen}/>'
    badge = [] if count is None else [element("b", text(count))]
    return element("label", Html(button), text(name), *badge)
