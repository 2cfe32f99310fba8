r"""Spellings of values inside a box: units in brackets, notes on rounding, rare LaTeX, escaped backslashes, equations.

For each truth: answers that are right and similar answers that are wrong, by rules 2 to 8 of docs/verifier.md.
"""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import pytest

from vlm_uec.verifier import verify

SPELLINGS: dict[str, tuple[list[str], list[str]]] = {
    "36": (
        [r"36 \text{ (cm)}", "36 (cm)", "36 (cm^2)", r"36 \text{ (square units)}", r"36 \, (\text{cm}^2)", r"36 \text{ [square units]}", "36 [cm]", r"36 (\mathrm{cm})", r"36\ (\text{square centimeters})", "36 (units)", "36（cm）", "36（平方厘米）",
         "36 (degrees)", r"36 \text{ (degrees)}", "36 sides", r"36 \text{ sides}", "36 vertices", "36 V", r"36 \text{ V}", r"36\text{ A}", r"36\,\mathrm{s}", "36 mph", "36 acres", r"36 \text{ miles per hour}", "36 hectares", "36 faces", "36 edges", "36 triangles", "36 diagonals",
         r"36 \text{ km/h}", r"36 \text{ (approx.)}", "36 approx.", r"36 \text{ approx.}", "approx. 36", "36 (approximately)", "36 ft.", "36 sq. ft.", "36 in.", "36 sq units", "36 unit^2", r"36 \text{ units}^2", r"36\text{ units squared}", r"36 \text{ square feet}",
         "36 nautical miles", "36 n mile", r"36 \text{ nautical miles}", r"36 \text{cm}", r"36\mbox{ cm}", r"{\tt 36}", r"\tt 36", r"\mathtt{36}", r"\texttt{36}", r"{\sl 36}", r"\begin{aligned} x &= 36 \end{aligned}", r"\begin{aligned} 36 \end{aligned}",
         r"\begin{aligned} x &= 30 + 6 \\ &= 36 \end{aligned}", r"\begin{align*} x = 36 \end{align*}", r"\begin{split} x &= 36 \end{split}", r"\begin{gathered} 36 \end{gathered}", r"\begin{equation} x = 36 \end{equation}", "x := 36", "x:=36", r"x \coloneqq 36", "x ≔ 36", r"AB := 36 \text{ cm}",
         r"m\overset{\frown}{AB} = 36", r"m\overset{\frown}{AB} = 36^\circ", r"\overset{\frown}{AB} = 36", r"m \overset{\frown} {A B} = 36", r"m\stackrel{\frown}{AB} = 36", r"\overset\frown{AB} = 36", r"m\widehat{AB} = 36", r"m\overarc{AB}=36", r"\overset{\Large\frown}{AB} = 36", r"\overset{\large{\frown}}{AB} = 36",
         r"m\overparen{AB} = 36", r"\text{arc } AB = 36", r"\\text{36}", r"36^{\\circ}", r"36\\text{ cm}", r"\\frac{72}{2}", r"\\sqrt{1296}", r"x = 36\\,\\text{cm}", r"\\left(36\\right)", r"\\mathrm{36}", r"36\\%", r"36 \text{ people}", "36 square meters (m^2)",
         r"36 \text{ (to the nearest whole number)}", r"36 \text{ rounded to the nearest whole number}", "36 rounded to the nearest integer", r"3.6 \times 10^{1}", r"3.6 \times 10 \text{ cm}", r"3.6 \times 10^{1} \text{ cm}", r"\text{The area is } 36 \text{ (cm}^2)", r"36 \text{ square units}.", "a+b = 30+6 = 36",
         r"36 \text{ cubic units}", r"36\text{ }\text{cm}", r"36\text{sq. cm}", r"\mathbf{36}\textbf{ cm}", r"36 \text{ metres per second}", "36 m/s", r"36 \text{ inches}^2", "36 kPa", r"36 \text{ W}",
         r"{36}^{\circ}", r"36^{\,\circ}", r"36 \textdegree", r"36 \degree", r"36^\text{o}"],
        ["36 (cm) or 37 (cm)", "36 (cm), 37 (cm)", "36 (37)", "36 (or 37)", "36 (maybe)", "36 (not)", "36 (guess)", r"36 \text{ (if } x = 3)", "36 [37]", "36 (x)", "36 (x cm)", r"36 \text{ (wrong)}", "36 rad", "36 (rad)", r"36 \text{ (radians)}", "36.5 approx.", "36.1 (cm)",
         r"{72 \over 3}", r"\begin{aligned} x &= 36 \\ y &= 37 \end{aligned}", r"\begin{aligned} 36 \\ 37 \end{aligned}", r"\begin{aligned} x &= 36 \\ &= 37 \end{aligned}", r"\begin{aligned} x &= 37 \end{aligned}", r"\begin{aligned} 2x &= 36 \end{aligned}", "2x := 36", "x := 37", "x := y := 37", "36 := 37",
         r"m\overset{\frown}{AB} = 36, m\overset{\frown}{BC} = 37", r"\overset{37}{36}", r"36^{\\pi}", r"\\frac{36}{2}", r"36\\pi", r"3.6 \times 10^{2} \text{ cm}", r"3.6 \times 10^{-1} \text{ cm}", "36.4 rounded to the nearest whole number", r"36 \text{ rounded to the nearest tenth or } 37", r"36\\text{ or }37",
         "36 sides or 37 sides", "36 sides and 37 vertices", r"36 \text{ (cm)} (37)", "36 ((37))", r"36\text{ V}37", "36Vs", "36 apples", "36 approx. 37", "a+b = 36", "a+b = 30+7 = 36", "a^2 = 30+6 = 36", r"36\\ 37", "36 (cm)(dm)"],
    ),
    "36 cm": (["36 (cm)", r"36 \text{ (cm)}", "36 cm (approx.)", "36 (centimeters)", "36"], ["36 (m)", "36 (cm^2)", r"36 \text{ (square units)}", "36 (degrees)", "36 sides", "36 mph", "36 V", "36 A", "36 s", "36 acres", "36 (mm)", "36 nautical miles"]),
    "20√{2}海里": ([r"20\sqrt{2} \text{ nautical miles}", "20√2 nautical miles", r"20\sqrt{2}\ \text{n mile}", r"20\sqrt{2} \text{ (nautical miles)}", r"20\sqrt2", "28.28 nautical miles", r"20\sqrt{2} \text{ nmi}", "20√2海里", r"20\sqrt{2} \text{ nautical mile}"],
                  [r"20\sqrt{2} \text{ miles}", "20 nautical miles", r"20\sqrt{2} \text{ km}", r"20\sqrt{3} \text{ nautical miles}", "28.3 nautical miles", r"20\sqrt{2} \text{ square nautical miles}"]),
    "15.6": (["15.6 rounded to the nearest tenth", r"15.6 \text{ (rounded to the nearest tenth)}", "15.6 (to the nearest tenth)", "15.6, rounded to the nearest tenth", "15.6 (nearest tenth)", "15.6 to the nearest tenth", "15.6 to one decimal place", "15.6 (1 d.p.)", r"\approx 15.6 \text{ (1 decimal place)}",
              r"\text{approximately } 15.6", "≈ 15.6", r"15.6 \text{ cm (rounded to the nearest tenth)}", r"15.6 \text{ cm, rounded to the nearest tenth}", "15.6（保留一位小数）", "15.6（精确到0.1）", "15.6 (3 s.f.)", "15.6 correct to one decimal place", r"11\sqrt{2} \approx 15.6 \text{ (nearest tenth)}", "15.6 (approx)", "15.6 approximately"],
             ["15.5 rounded to the nearest tenth", "15.6 rounded to the nearest tenth, or 15.7", "15.6 or 15.5, rounded to the nearest tenth", "16 rounded to the nearest tenth", "15.6 rounded down from 16", "15.6 rounded to 16", "15.6 (15.7)", "15.6 to 15.7", "15.6 (rounded to 16)"]),
    r"\frac { 3 } { 8 }": ([r"{3 \over 8}", r"3 \over 8", r"{{3} \over {8}}", r"{ 3\over8 }", r"x = {3 \over 8}", r"\displaystyle{3 \over 8}", r"\\frac{3}{8}", r"\\dfrac{3}{8}", r"\\\\frac{3}{8}", r"{6 \over 16}", r"\left({3 \over 8}\right)", r"$\\frac{3}{8}$", r"{\tt 3/8}", r"\begin{aligned} \frac{3}{8} \end{aligned}", r"x = \\frac{3}{8}"],
                           [r"{8 \over 3}", r"{3 \over 8} \text{ or } {8 \over 3}", r"3 \over 8 \over 2", r"{3 \over }", r"{ \over 8}", r"1 + {3 \over 8}", r"\\frac{8}{3}", r"3 + 1 \over 8"]),
    r"3 \frac { 1 } { 2 }": ([r"3{1 \over 2}", r"3 {1 \over 2}", r"{7 \over 2}", r"3\\frac{1}{2}"], [r"3 \cdot {1 \over 2}", r"{1 \over 2}"]),
    r"\frac { 3 \sqrt { 2 } } { 4 }": ([r"{3\sqrt{2} \over 4}", r"{3 \sqrt 2 \over 4}", r"3{\sqrt{2} \over 4}", r"\\frac{3\\sqrt{2}}{4}"], [r"{3 \over 4\sqrt{2}}", r"{\sqrt{2} \over 4}"]),
    "9:16": (["9{:}16", "9{:}16 ", r"9\mathbin{:}16", r"9 \mathrel{:} 16", r"9\text{:}16", r"9\!:\!16", r"9\,:\,16", "9 : 16", r"9\colon 16", "9∶16", r"{9 \over 16}", "AB:CD = 9{:}16", "18{:}32", r"9 \text{ to } 16", "9{ : }16"], ["16{:}9", "9{:}15", "9{:}16{:}1", "9{,}16", "9{:}", "916"]),
    "7340": ([r"7.34 \times 10^{3} \text{ cm}", r"7.34 \times 10^{3}", r"7.34 \times 10^3\text{ m}^2", r"7.34 \cdot 10^{3} \text{ km}", r"7.34\times10^{3}\,\mathrm{m}", "7.34 × 10³ cm", "7.34*10^3 cm", r"7.34 \times {10}^{3} \text{ ft}", r"7.34 \times 10^{3} \text{ (cm)}", r"7.34 \times 10^{3}\ \text{square units}", r"7.34 \times 10^{3} \text{ units}"],
             [r"7.34 \times 10^{2} \text{ cm}", r"7.34 \times 10^{4} \text{ cm}", r"7.34 \times 10^{-3} \text{ cm}", r"7.34 + 10^{3} \text{ cm}", r"7.35 \times 10^{3} \text{ cm}", r"7.34 \times 3^{10}"]),
    "7340 m": ([r"7.34 \times 10^{3} \text{ m}", r"7.34 \times 10^3 \, \mathrm{m}", "7.34×10³ m", "7340 (m)"], [r"7.34 \times 10^{3} \text{ cm}", r"7.34 \times 10^{3} \text{ m}^2", r"7.34 \times 10^{3} \text{ s}"]),
    "5.4e3": ([r"5.4 \times 10^{3} \text{ kg}", "5400"], [r"5.4 \times 10^{2} \text{ kg}"]),
    "y = 2x + 3": (["y = 2x + 3", "2x - y + 3 = 0", "y - 3 = 2x", "2x - y = -3", "y = 3 + 2x", "-2x + y = 3", "4x - 2y + 6 = 0", "2x + 3 = y", "0 = 2x - y + 3", "y - 2x = 3", "y - 5 = 2(x - 1)", r"x = \frac{y - 3}{2}", r"y - 2x - 3 = 0", "2x+3", r"y = 2\left(x + \frac{3}{2}\right)"],
                   ["2x + y + 3 = 0", "2x - y - 3 = 0", "y = 2x - 3", "y = 3x + 2", "x = 2y + 3", "2x - y + 3", "y < 2x + 3", "2x - y + 3 = 1", "2x + 3 = 0", "y = 2x + 3 = 5", "y = 2x + 3, y = 2x", "2x - z + 3 = 0", "y = 2x + 3 or y = 2x", "y = 5", "2x - y + 3 > 0", "x^2 = 0"]),
    "2x - y + 3 = 0": (["2x - y + 3 = 0", "y = 2x + 3", "4x - 2y + 6 = 0", "y - 2x = 3", "2x + 3 = y"], ["2x - y + 3", "2x + y + 3 = 0", "y = 2x - 3", "0", "y = 2x"]),
    r"y = \frac { 1 } { 2 } x - 4": ([r"y = \frac{1}{2}x - 4", "x - 2y - 8 = 0", "x - 2y = 8", "2y = x - 8", "y + 4 = x/2", r"y = \frac{x}{2} - 4", "y = 0.5x - 4"], ["x - 2y + 8 = 0", "x + 2y = 8", "y = 2x - 4", "x = 2y - 4", "x - 2y - 8"]),
    "x^2 + y^2 = 25": (["x^2 + y^2 = 25", "x^2 + y^2 - 25 = 0", "25 = x^2 + y^2", "y^2 = 25 - x^2", r"x^2+y^2=5^2"], ["x^2 + y^2 = 5", "x^2 - y^2 = 25", "x + y = 5", "25", "x^2 + y^2", "(x-1)^2 + y^2 = 25"]),
    "20 y^2 - 10 y": (["20y^2 - 10y", r"20{y}^{2} - 10{y}"], ["20y^2 - 10y = 0", "20y^2 = 10y", "x = 20y^2 - 10y = 0"]),
    "2x + 3": (["2x + 3", "3 + 2x", "y = 2x + 3"], ["2x + 3 = 0", "2x - y + 3 = 0", "y = 2x"]),
    "5": (["5", "x = 5"], ["2x = 10", "x - 5 = 0", "5 - x = 0", "x^2 = 25"]),
    "45%": ([r"45\\%", "45 (%)", r"45 \text{ percent}", r"45\% \text{ (approx.)}"], [r"4.5\\%", "45 (degrees)"]),
    "12 sides": (["12", "12 sides", r"12 \text{ sides}", "n = 12"], ["12 cm", "12 vertices", "12°", "13 sides"]),
    "52 ^ \\circ": ([r"52 \text{ (degrees)}", "52 (degrees)", r"52^{\\circ}", "52 (°)", "52 deg.", r"52 \text{ degrees (approx.)}", r"\\angle A = 52^{\\circ}", r"m\\angle A = 52"], ["52 (cm)", "52 (radians)", "52 sides", "52 V", r"52 \text{ (square units)}", r"\\angle A = 53"]),
    "4 9 \\pi": ([r"49\\pi", r"49\pi \text{ (cm}^2)", r"49\pi \text{ (square units)}", r"49 \pi (\text{cm}^2)", r"49\pi \approx 153.94 \text{ (cm}^2)", r"\begin{aligned} A &= \pi r^2 \\ &= 49\pi \end{aligned}", r"49\pi\text{ sq. units}"], [r"49 (\pi)^2", "49 (cm)", r"94\pi \text{ (cm}^2)"]),
}  # fmt: skip

# (answer, truth, right)
MORE_SPELLINGS = [
    ("24 \\text{ (cm}^{2})", "24", True), ("24\\ \\text{(cm)}", "24", True), ("24~\\mathrm{(m)}", "24", True), ("24 \\ (\\text{units}^2)", "24", True), ("24 \\text{ sq. units}", "24", True),
    ("24\\,\\text{square units}", "24", True), ("24 \\text{ (inches)}", "24", True), ("24 \\, \\text{(degrees)}", "24", True), ("24^\\circ \\text{ (degrees)}", "24", True),
    ("24\\text{ sides}", "24", True), ("\\text{24 sides}", "24", True), ("24 \\text{ V}", "24", True), ("24\\text{V}", "24", True), ("24\\,\\text{V}", "24", True), ("24\\text{ seconds}", "24", True),
    ("24\\text{ s}", "24", True), ("24 s", "24", True), ("24 A", "24", True), ("24\\text{mph}", "24", True), ("24\\text{ acres}", "24", True), ("24\\text{ nautical miles}", "24", True),
    ("\\approx 24 \\text{ cm}", "24", True), ("24\\text{ approx.}", "24", True), ("\\text{approx. }24", "24", True), ("\\text{approximately } 24 \\text{ cm}", "24", True),
    ("24.5 \\text{ (rounded to the nearest tenth)}", "24.5", True), ("24.5, \\text{ rounded to the nearest tenth}", "24.5", True), ("\\text{24.5 (rounded to the nearest tenth)}", "24.5", True),
    ("24.5 \\text{ to the nearest tenth}", "24.5", True), ("x \\approx 24.5 \\text{ (to the nearest tenth)}", "24.5", True), ("24.5\\text{ cm (nearest tenth)}", "24.5", True),
    ("24.53 \\text{ (to two decimal places)}", "24.53", True), ("24.53 \\text{ (2 d.p.)}", "24.53", True), ("24.53 \\text{ (rounded to the nearest hundredth)}", "24.53", True),
    ("{5\\over7}", "\\frac{5}{7}", True), ("\\left({5 \\over 7}\\right)", "\\frac{5}{7}", True), ("-{5 \\over 7}", "-\\frac{5}{7}", True), ("{5\\pi \\over 7}", "\\frac{5\\pi}{7}", True),
    ("4{:}9", "4:9", True), ("4\\mathpunct{:}9", "4:9", True), ("4{\\,:\\,}9", "4:9", True), ("x:=24", "24", True), ("x\\mathrel{:=}24", "24", True),
    ("m\\overset{\\frown}{BC}=24^{\\circ}", "24", True), ("\\overset{\\frown}{BC} = 24", "24", True), ("m\\overset{\\huge\\frown}{BC} = 24", "24", True), ("\\overset{⌢}{BC}=24", "24", True),
    ("{\\tt 24}", "24", True), ("\\tt{24}", "24", True), ("\\begin{aligned}x&=24\\end{aligned}", "24", True), ("\\begin{aligned} x &= 20+4 \\\\ &= 24 \\end{aligned}", "24", True),
    ("\\begin{aligned} 2x &= 48 \\\\ x &= 24 \\end{aligned}", "24", True), ("\\begin{align} x=24 \\end{align}", "24", True), ("\\\\text{24}", "24", True), ("\\\\dfrac{48}{2}", "24", True),
    ("5\\\\sqrt{3}", "5 \\sqrt{3}", True), ("5\\\\pi", "5 \\pi", True), ("24\\\\text{ cm}", "24", True), ("24^{\\\\circ}", "24", True), ("\\\\(24\\\\)", "24", True), ("\\\\mathbf{24}", "24", True),
    ("x = 24\\\\,\\\\mathrm{cm}", "24", True), ("7.34 \\times 10^{3}\\text{ cm}", "7340", True), ("7.34\\times10^3~\\text{m}^3", "7340", True),
    ("7.34 \\times 10^{3} \\text{ square meters}", "7340", True), ("7.34\\cdot10^3 \\text{ (m)}", "7340", True), ("7.34 \\times 10^{-3} \\text{ m}", "0.00734", True),
    ("3x - y = 2", "y = 3x - 2", True), ("3x - y - 2 = 0", "y = 3x - 2", True), ("y + 2 = 3x", "y = 3x - 2", True), ("3x - y - 2 = 0", "y=3x-2", True), ("2x + y = 5", "y = -2x + 5", True),
    ("2x + y - 5 = 0", "y = -2x + 5", True), ("2x - 3y + 3 = 0", "y = \\frac{2}{3}x + 1", True), ("y = 2x - 5", "y-1=2(x-3)", True), ("y = 5 - x", "x + y = 5", True),
    ("24 \\text{ square units (units}^2)", "24", True), ("24 (sq cm)", "24", True), ("24 (ft^2)", "24", True), ("24\\text{ ft}^2", "24", True), ("24 m/s^2", "24", True),
    ("a+b+c=20+31+36=87", "87", True), ("24 nautical miles", "24海里", True), ("24\\text{ n miles}", "24海里", True), ("24\\text{ vertices}", "24", True), ("24.0 \\text{ (approximately)}", "24", True),
    ("24 miles/hour", "24", True), ("24 km/hr", "24", True), ("24 \\text{ miles per hour}", "24", True), ("24 ° ", "24", True), ("24 \\text{ unit}^2", "24", True),
    ("24 \\text{ cubic cm}", "24", True), ("24 cm^{2}", "24", True), ("24\\ \\mathrm{cm^2}", "24", True), ("24 sec", "24", True), ("24\\text{ volts}", "24", True), ("24.", "24", True),
    ("24 (cm) 25", "24", False), ("25 (cm)", "24", False), ("24 \\text{ (or 25)}", "24", False), ("24 (25 cm)", "24", False), ("24 \\text{ (m)}", "24 cm", False),
    ("24 (\\text{cm}^2)", "24 cm", False), ("24 s", "24 cm", False), ("24 V", "24°", False), ("24 mph", "24 cm", False), ("{7\\over5}", "\\frac{5}{7}", False), ("5{1\\over7}", "\\frac{5}{7}", False),
    ("9{:}4", "4:9", False), ("x:=25", "24", False), ("x := 24 := 25", "24", False), ("\\begin{aligned} x&=24\\\\y&=25\\end{aligned}", "24", False),
    ("\\begin{aligned} x&=25\\\\x&=24\\end{aligned}", "24", False), ("\\begin{aligned} 24\\\\25\\end{aligned}", "24", False), ("5\\\\pi^2", "5 \\pi", False),
    ("7.34 \\times 10^{2}\\text{ cm}", "7340", False), ("7.34 \\times 10^{3}\\text{ m}", "7340 cm", False), ("3x + y = 2", "y = 3x - 2", False), ("3x - y + 2 = 0", "y = 3x - 2", False),
    ("3x - y - 2", "y = 3x - 2", False), ("3x - 2 = 0", "3x - 2", False), ("3x - y - 2 = 0", "3x-2", False), ("x - 24 = 0", "24", False), ("2x = 48", "x = 24", False), ("24 - x = 0", "24", False),
    ("24.5 rounded to 25", "24.5", False), ("24.46 rounded to the nearest tenth", "24.5", False), ("24 (rounded from 25)", "24", False), ("24 \\text{ (half)}", "24", False),
    ("24 \\text{ (not sure)}", "24", False), ("24 \\text{ (if } x=3)", "24", False), ("24 (?)", "24", False), ("24 (x)", "24", False), ("16\\text{答案是}24", "24", False), ("25答案24", "24", False),
    ("答案是24吗", "24", False), ("24或25", "24", False), ("24\\text{ or so}", "24", False), ("2 4 5", "24", False), ("24 sides 25", "24", False), ("a+b=24", "24", False),
    ("\\overset{25}{24}", "24", False), ("m\\overset{\\frown}{AB}=25", "24", False), ("a+b+c=20+31+37=87", "87", False), ("a+a = 40+47 = 87", "87", False), ("2a = 80+7 = 87", "87", False),
]  # fmt: skip

CASES = [
    (answer, truth, right) for truth, both in SPELLINGS.items() for right, answers in zip((True, False), both, strict=True) for answer in answers
] + MORE_SPELLINGS  # fmt: skip


@pytest.mark.parametrize(("answer", "truth", "right"), CASES)
def test_spellings(answer: str, truth: str, right: bool) -> None:
    verdict = verify(rf"<think>It is 1.</think> \boxed{{{answer}}}", truth)
    assert verdict.correct is right, (verdict.extracted, verdict.reason)


@pytest.mark.parametrize(
    ("response", "truth", "right"),
    [
        (r"\\boxed{\\frac{3}{8}}", r"\frac{3}{8}", True),
        (r"The answer is \\(\\frac{3}{8}\\).", r"\frac{3}{8}", True),
        (r"The answer is $\\frac{3}{8}$.", r"\frac{3}{8}", True),
        (r"\\[ x = 5\\sqrt{3} \\]", r"5 \sqrt { 3 }", True),
        (r"<answer>5\\sqrt{3}</answer>", r"5 \sqrt { 3 }", True),
        (r"<answer>\\(5\\sqrt{3}\\)</answer>", r"5 \sqrt { 3 }", True),
        (r"<answer>\\(5\\sqrt{2}\\)</answer>", r"5 \sqrt { 3 }", False),
        (r"The answer is \\(\\frac{3}{8}\\). So x = \\frac{8}{3}.", r"\frac{3}{8}", False),
        ("\\[\\begin{aligned} x &= 30 + 6 \\\\ &= 36 \\end{aligned}\\]", "36", True),
        ("So\n\\begin{align*}\nx &= 30 + 6 \\\\\n&= 36\n\\end{align*}", "36", True),
        ("So\n\\begin{align*}\nx &= 36 \\\\\ny &= 37\n\\end{align*}", "37", False),
    ],
)
def test_escaped_and_aligned_responses(response: str, truth: str, right: bool) -> None:
    assert verify(response, truth).correct is right
