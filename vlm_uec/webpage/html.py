"""HTML elements, tables, pictures and offline pages. All values are escaped."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)  # safe markup; a plain str must be escaped first

_PICTURE_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
# Characters that a browser drops, rejects or interprets instead of displaying: control characters, lone
# surrogates, and marks that change the direction of text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --dim: #667085; --line: #e3e6ec;
  --card: #fff; --page: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ee; --dim: #98a1b2; --line: #333a48; --card: #1b2029; --page: #12151b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 28px; background: var(--page); color: var(--ink);
  font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 17px; margin: 34px 0 12px; }
h3 { font-size: 14px; margin: 0 0 6px; }
p { color: var(--dim); margin: 4px 0 0; overflow-wrap: anywhere; }
.grid { display: grid; gap: 16px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); }
.stack { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px;
  overflow-x: auto; }
.tile b { display: block; font-size: 22px; } .tile span { color: var(--dim); }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 18px; } .tile { min-width: 150px; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--dim); }
svg .rule { stroke: var(--line); } svg .bar:hover { opacity: 0.75; }
svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .interval { fill: none; stroke-width: 1.4; opacity: 0.7; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; color: var(--dim); font-size: 12px; }
.legend span { overflow-wrap: anywhere; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 5px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 6px 10px; border-top: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; border-top: 0; white-space: nowrap; }
.numbers td, .numbers th { padding: 5px 7px; }
.numbers td:first-child { overflow-wrap: anywhere; }
.numbers td:not(:first-child), .numbers th:not(:first-child) { text-align: right; white-space: nowrap; }
td pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 180px;
  overflow-y: auto; font-size: 12px; }
.gallery { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }
.pictures { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 10px; }
img { flex: 1 1 40%; min-width: 0; height: 190px; object-fit: contain; padding: 6px; border-radius: 6px;
  background: #fff; border: 1px solid var(--line); }
.gallery p { margin: 0 0 6px; white-space: pre-line; } .gallery .body-text { color: var(--ink); }
.gallery .name { font: 12px ui-monospace, monospace; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; font-size: 12px; }
.chips span { padding: 1px 8px; border: 1px solid var(--line); border-radius: 9px; color: var(--dim);
  overflow-wrap: anywhere; }
details { margin-bottom: 10px; } summary { cursor: pointer; font-weight: 600; }
.stack details { margin: 0; } .stack summary { margin-bottom: 6px; }
"""


def page(title: str, body: Iterable[Html], style: str = "") -> str:
    """A complete, self-contained document; its content security policy forbids scripts and network access.

    `style`: CSS for this page only. It is not escaped and must not contain data.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def element(tag: str, *content: str | Html, kind: str = "") -> Html:
    """`<tag class=kind>content</tag>`. The content must be markup made by this module."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return Html(f"<{tag}{attribute}>{''.join(content)}</{tag}>")


def text(value: object) -> Html:
    """Any value as escaped text: floats with 4 digits, None as a dash, invisible characters as \\uXXXX."""
    if value is None:
        return Html("–")
    string = f"{value:.4g}" if isinstance(value, float) else str(value)
    return Html(escape(_INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", string)))


def tile(value: object, name: str) -> Html:
    """A number in large type, with its name."""
    return element("div", element("b", text(value)), element("span", text(name)), kind="card tile")


def table(headers: Sequence[str], rows: Iterable[Sequence[Html]]) -> Html:
    """A table of cells made by `text` or `element`."""
    head = element("tr", *(element("th", text(header)) for header in headers))
    return element("table", head, *(element("tr", *(element("td", cell) for cell in row)) for row in rows))


def picture(data: bytes, description: str) -> Html:
    """PNG or JPEG bytes as an embedded picture. Raises `ValueError` on other bytes."""
    kind = next((kind for signature, kind in _PICTURE_KINDS.items() if data.startswith(signature)), None)
    if kind is None:
        raise ValueError("a picture on a page must be PNG or JPEG")
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    return Html(f'<img alt="{text(description)}" src="{source}"/>')
