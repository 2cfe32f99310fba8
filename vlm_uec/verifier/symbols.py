"""Tables of the normal spelling of symbols and LaTeX commands: spelling -> alternative spellings."""

from __future__ import annotations

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"  # removed

_CHARACTERS = {
    "-": "−‐‑﹣➖", "*": "×·⋅∙•∗", "/": "÷⁄∕", r"\pi ": "π𝜋", r"\sqrt ": "√", r"\sqrt[3]": "∛",
    r"\approx ": "≈≒", r"\angle ": "∠∡", r"\triangle ": "△", r"\odot ": "⊙", r"\cong ": "≅≌",
    r"\sim ": "∼∽", r"\parallel ": "∥", r"\perp ": "⊥", r"\le ": "≤⩽", r"\ge ": "≥⩾", r"\ne ": "≠",
    r"\pm ": "±", r"\infty ": "∞", "°": "º˚∘", "'": "′’‘", "''": "″", '"': "”“", ",": "，、", ".": "。",
    ":": "：∶", "=": "≔", ";": "；", "(": "（", ")": "）", "[": "【", "]": "】",
    r"\theta ": "θ", r"\alpha ": "α",
    r"\beta ": "β", r"\gamma ": "γ", r"\phi ": "φ", "°C": "℃",
    "": INVISIBLE,
}  # fmt: skip
SYMBOLS = str.maketrans({char: spelling for spelling, chars in _CHARACTERS.items() for char in chars})

_COMMAND_NAMES = {
    r"\frac ": "dfrac tfrac cfrac", "*": "times cdot ast", "/": "div", "°": "degree circ deg textdegree",
    r"\sqrt ": "surd", r"\sqrt[3]": "cbrt", r"\approx ": "simeq thickapprox approxeq",
    r"\le ": "leq leqslant", r"\ge ": "geq geqslant", "<": "lt", ">": "gt", r"\ne ": "neq", "'": "prime",
    ":": "colon", r"\angle ": "measuredangle measureangle", r"\triangle ": "bigtriangleup", "%": "%",
    r"\{": "{ lbrace", r"\}": "} rbrace", r"\dollar ": "$", "&": "&", "#": "#", "_": "_", ";": "\\",
    "|": "vert lvert rvert", "...": "ldots dots cdots", "m": "measure", "=": "coloneqq coloneq",
    "": "left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits mathopen"
        " mathclose bf rm it sf boldsymbol bold mathbf mathrm text textbf textit boxed fbox"
        " overline underline widehat ensuremath bm pmb mathit mathsf operatorname overrightarrow"
        " hat vec emph mbox textrm tiny small large Large LARGE huge Huge normalsize strut"
        " mathstrut ! tt sl em sc normalfont ttfamily bfseries itshape rmfamily sffamily mathtt"
        " texttt mathscr mathfrak",
    " ": ", ; : ( ) [ ] > quad qquad enspace thinspace space thickspace medspace negthinspace nobreakspace",
}  # fmt: skip
COMMANDS = {name: spelling for spelling, names in _COMMAND_NAMES.items() for name in names.split()} | {
    " ": " ",
    "\n": " ",
}
