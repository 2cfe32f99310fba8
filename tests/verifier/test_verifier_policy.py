"""Tests of the policy: for each rule, tables of answers that must be right and answers that must be wrong.

The expected verdicts are derived by hand from the policy (docs/verifier.md).
"""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import pytest

from vlm_uec.verifier import verify

CHOICES = ["22", "31", "43", "62"]
RADICALS = ["9", r"9 \sqrt { 2 }", r"9 \sqrt { 3 }", "18"]
SOLIDS = ["cube", "prism", "sphere"]


def boxed(answer: str) -> str:
    return f"<think>Some reasoning.</think> The answer: $\\boxed{{{answer}}}$."


# truth: (right answers, wrong answers), each inside a box
RULES: dict[str, tuple[list[str], list[str]]] = {
    # rule 3: integer truths are exact
    "12": (
        ["12", "12.0", "12.", "+12", "012", "12.000", r"\frac{24}{2}", r"\frac{24}2", "24/2", r"\sqrt{144}", "3 * 4", r"3 \cdot 4",
         r"3 \times 4", "3×4", "2(6)", "5+7", "15 - 3", "2^3+4", r"1.2 \times 10^1", "1.2e1", "1 2", "１２", "𝟏𝟐", "12,", "12 .", "$12$",
         r"\(12\)", "**12**", "`12`", r"\text{12}", r"\mathrm{12}", r"\mathbf{12}", r"\textbf{12}", r"{12}", r"\mathbf 12", r"\fbox{12}",
         r"\boxed{12}", r"\,12\,", r"\displaystyle 12", r"\left(12\right)", "(12)", r"\quad 12", r"\color{red}{12}", r"\underline{12}",
         "12\u200b", "\u00a012", "12 cm", "12cm", r"12 \text{ cm}", r"12\,\mathrm{cm}", r"12\text{ cm}^2", "12 cm²", "12 square units", "12 units",
         "12°", r"12^\circ", r"12^{\circ}", "12 degrees", r"\$12", "12 years", "12 inches", "x = 12", "x=12", r"x \approx 12", "AB = 12",
         r"\overline{AB} = 12", r"m\angle A = 12^\circ", r"\angle ABC = 12", "A B = 12", r"x = 12 \text{ cm}", "Area = 12",
         r"\text{Area} = 12", r"A_{\triangle ABC} = 12", r"\text{The area is } 12", r"\text{The answer is } 12", "The answer is 12.", "Answer: 12",
         "12 = x", "x = y = 12", r"A = \frac{1}{2} \cdot 4 \cdot 6 = 12", "A = bh = 3 * 4 = 12", "= 12", r"\widehat{AB} = 12", "∠ABC = 12°",
         r"\triangle ABC = 12", r"m\widehat{AC} = 12^{\circ}", r"\theta = 12", r"|AB| = 12", "答案是12", "面积为12平方厘米", "x = 12.", r"12\%"],
        ["13", "-12", "12.01", "12.1", "11.99999", "1.2", "120", "21", r"\sqrt{12}", r"12\pi", "12x", "x", "12 + x", "12i", "12 + 2i", "12, 13",
         "12 or 13", r"12 \text{ or } 13", "12 and 13", "12; 13", "12, 12", "12 13", r"12 \pm 1", r"\pm 12", "±12", "12 = 13", "13 = 12", "x = 12 = 13", "x < 12",
         r"x \le 12", "x ≥ 12", "12 < x < 13", "(11, 13)", "[12, 13]", "(12, 13]", "12-13", "12–13", "between 11 and 13", "not 12", "maybe 12",
         "not = 12", "12?", "12!", "12 12", "12/0", "2x = 12", "x + 1 = 12", "x^2 = 12", "B", "", " ", "{}", "?", "...", "the answer",
         "12 (not 13)", "12 is wrong", "12 rad", "the answer is not 12", "half the answer is 12", "12 \n 13", "12 \\\\ 13", "1;2", "12:1", "12..13", "12...",
         "twelve", "l2", "I2", "1O", "12 to 13", r"\{12, 13\}", r"12 \neq 13", r"12\text{ but maybe }13", "~", "NaN", "inf", "None", "12' OR '1'='1",
         "٣", "12 trust me", "please accept 12", "12 + C", "12 \\cup 13", "-12 or 12", "#12", "12e", "1 2 or 3", "0x0c", "12 cm or 13 cm"],
    ),
    "0": (["0", "0.0", "-0", r"\sqrt{2}\sqrt{2} - 2", "0 cm"], ["", "1", "0.001", "no", "none", "o", "O", r"\emptyset", "0/0", "-1"]),
    "-83": (["-83", "−83", "- 83", "–83", "—83", "-83.0", r"\text{-}83", "(-83)", "x = -83"], ["83", "--83", "+83", "~83", "8-3"]),
    "3675": (
        ["3675", "3,675", "3{,}675", r"3\,675", "3 675", r"3,\!675", "3675.0", "3,675.00", "3 6 7 5", r"3.675 \times 10^3", "3.675e3", "3.675×10³"],
        ["3.675", "36,75", "3, 675", "3,6,7,5", "3;675", "36.75", "03,675,"[:5], "3,675,000"],
    ),
    "1234567": (["1,234,567", "1 234 567", "1234567"], ["1,234567", "1234,567", "1,234,56"]),
    "0.5": (["0.5", ".5", r"\frac12", "1/2", "½", "0.50", "0.54", r"2^{-1}"], ["0.4", "5", "0,5", "0.55", "-0.5", "0.05"]),
    "5400": ([r"5.4 \times 10^3", "5400", "5.4*10^3", r"5.4 \cdot 10^{3}", "5.4×10³", "54e2", "5.4E3"], [r"5.4 \times 10^2", "5.4", r"5.4 \times 10^{-3}", "540"]),
    # rule 4: decimal truths are rounded values, halves away from zero
    "8.7": ([r"5\sqrt{3}", "8.66", "8.65", "8.7", "8.70", "8.749", r"\frac{87}{10}", r"x \approx 8.66", r"5\sqrt 3 \approx 8.66", "8 7/10", "8.7 cm"],
            ["8.64", "8.75", "8.6", "8.8", "9", "87", "8,7", r"5\sqrt{3} \approx 8.6", "8.7 or 8.8", "-8.7"]),
    "8.66": ([r"5\sqrt{3}", "8.66", "8.655", "8.6603", "8.664"], ["8.7", "8.67", "8.6549", "8.665", r"5\sqrt{3.1}"]),
    "15.56": ([r"11\sqrt{2}", "15.56", "15.556", "15.555"], ["15.6", "15.5", "15.55", "15.57"]),
    "-2.68": (["-2.675", "-2.68", "-2.6849"], ["-2.685", "2.68", "-2.67"]),
    "13.0": (["13", "13.0", "13.04", "12.95"], ["13.05", "12.94", "13.1"]),
    "36.9": ([r"\sin 30^\circ + 36.4", "36.87"], ["36.8", "37"]),
    "0.96": (["0.96", r"\frac{24}{25}", "24/25", ".96"], ["0.95", "1", "0.9"]),
    # rule 5: exact truths accept equal forms, or decimals of four digits with two decimals
    r"3 \sqrt { 3 }": (
        [r"3\sqrt{3}", r"3 \sqrt 3", r"3\sqrt3", r"\sqrt{27}", "3√3", "3√{3}", "√27", r"3*\sqrt{3}", r"3 \cdot \sqrt{3}", r"\sqrt{3} \cdot 3", "3sqrt(3)",
         "3*sqrt(3)", r"\frac{9}{\sqrt{3}}", r"\frac{9\sqrt3}{3}", r"27^{1/2}", r"27^{\frac{1}{2}}", "5.196", "5.1962", "5.19615", r"3\sqrt{3} \approx 5.196",
         r"x = 3\sqrt{3}", r"3\sqrt{3} \text{ cm}", r"3\sqrt{3} = 5.196", r"= 3\sqrt3 \approx 5.2", r"\left(3\sqrt{3}\right)", r"\dfrac{9}{\sqrt{3}}", r"3\,\sqrt{3}",
         r"6\sqrt{3}/2", r"\tan 60^\circ \cdot 3", r"6 \sin 60^\circ", r"\approx 5.196", r"3^{1.5}", r"3\surd 3", "approximately 5.196", r"\sqrt[2]{27}", "３√３"],
        ["5.20", "5.2", "5.197", "5.195", "5.19", "5", r"3\sqrt{2}", r"2\sqrt{3}", r"\sqrt{3}", r"3\sqrt[3]{3}", r"3\sqrt{3}\pi", r"-3\sqrt{3}", r"3+\sqrt{3}", r"3\sqrt{33}",
         r"3\sqrt{3} = 5.3", r"3\sqrt{3}x", r"\sqrt{3", r"3\sqrt{}", r"33\sqrt{3}", r"3\sqrt{-3}"],
    ),
    r"\sqrt { 35 }": ([r"\sqrt{35}", r"\sqrt35", "√35", "sqrt(35)", "sqrt{35}", "5.916"], [r"5\sqrt3", r"3\sqrt5", r"\sqrt3 \cdot 5", "35", "5.92"]),
    r"\frac { 3 5 } { 4 }": (
        [r"\frac{35}{4}", "35/4", "8.75", "8.750", r"8\frac{3}{4}", r"8\frac34", "8 3/4", "8¾", r"\dfrac{35}{4}", r"\frac{70}{8}", r"\frac{35}4", r"8 + \frac{3}{4}", r"\tfrac{35}{4}"],
        [r"\frac{4}{35}", "8.8", "9", "8.74", r"8 \cdot \frac{3}{4}", r"\frac{34}{4}", r"-\frac{35}{4}", "8.7", "35", r"\frac{35}{4}\pi", "35:4:1", r"\frac{3}{5}4"],
    ),
    r"4 \frac { 2 } { 5 }": ([r"\frac{22}{5}", "4.4", r"4\frac{2}{5}", "4 2/5", "4.40", "22/5"], [r"\frac{8}{5}", "1.6", r"\frac{42}{5}", "4", r"4 \times \frac{2}{5}", "42/5"]),
    r"\frac { 1 } { 3 }": ([r"\frac13", "1/3", "0.3333", r"0.\overline{3}", r"0.\bar{3}", "⅓", "3^{-1}", "0.33333333", "1:3"], ["0.33", "0.333", "0.3334", "3", "0.3"]),
    r"\frac { 5 } { 6 }": ([r"0.8\overline{3}", "5/6", "0.8333", "⅚", r"\frac{10}{12}"], ["0.83", "6/5", "0.833", "0.8334"]),
    "4 9 \\pi": (
        [r"49\pi", r"\pi \times 49", "49π", "49 pi", r"\pi 49"[:3] + r"\cdot 49", "153.94", "153.938", r"7^2 \pi", r"49\pi \text{ cm}^2", r"49 \cdot \pi", r"A = \pi r^2 = 49\pi", r"49\pi \approx 153.94"],
        ["49", "153.9", "154", r"7\pi", "153.86", r"94\pi", r"49\pi^2", r"\pi", "49p", r"49\pi \approx 153.86"],
    ),
    r"\frac { \pi } { 4 }": (
        [r"\frac{\pi}{4}", r"\frac{\pi}{4} \text{ rad}", "0.7854", r"0.25\pi"],
        ["45", "45°", "0.785", r"\frac{\pi}{4}^\circ \text{ or } 45"],
    ),
    "4.6 \\pi": ([r"\frac{23\pi}{5}", "14.45", r"4.6\pi", "14.4513"], ["14.5", "14.4", "4.6"]),
    r"9 \sqrt 2 \pi": ([r"9 \pi \sqrt 2", r"9\sqrt{2}\pi", "39.99", r"\pi\sqrt{162}"], [r"9\sqrt{2\pi}", "40", "40.0"]),
    r"8 + 4 \sqrt { 3 }": ([r"4(2+\sqrt{3})", r"4\sqrt3+8", r"8+\sqrt{48}", "14.93", r"4\left(2 + \sqrt{3}\right)", r"4[2+\sqrt{3}]"], [r"12\sqrt{3}", "14.9", r"8-4\sqrt{3}", r"8+4\sqrt{2}"]),
    r"\frac { 15 \sqrt 2 } { 2 }": ([r"\frac{15\sqrt{2}}{2}", r"7.5\sqrt{2}", "10.61", r"\frac{15}{\sqrt{2}}", r"\frac{15}{2}\sqrt{2}", r"15\sqrt2/2"], ["10.6", r"\frac{15}{2\sqrt{2}}", "11"]),
    r"\frac { 8 } { \sqrt 3 } \pi": ([r"\frac{8\pi}{\sqrt3}", r"\frac{8\sqrt3}{3}\pi", r"\frac{8\pi\sqrt3}{3}", "14.51"], ["14.5", r"\frac{8}{\sqrt{3}}"]),
    "40 / 3": ([r"\frac{40}{3}", "40/3", "13.33", r"13\frac{1}{3}", r"13.\overline{3}", "13 1/3"], ["13.3", "13", r"13 \cdot \frac13", "4.33"]),
    "10 \\sqrt 3": ([r"10\sqrt{3}", "17.32", "10√3", r"\sqrt{300}"], ["17.3", r"\sqrt{103}", "10.3"]),
    "160√{3}m": ([r"160\sqrt{3}", r"160\sqrt{3} m", "160√3米", "277.13", r"160\sqrt{3}\text{ m}"], [r"160\sqrt{3} cm", "160m", "160", "277", r"160\sqrt{3} m^2"]),
    "20√{2}海里": (["20√{2}海里", r"20\sqrt{2}", r"20\sqrt{2} \text{海里}", "28.28", "20√2"], ["20海里", "20√2米", "28.3"]),
    "16*\\pi/5": ([r"\frac{16\pi}{5}", r"3.2\pi", "10.05", r"\frac{16}{5}\pi"], ["10.1", r"\frac{5\pi}{16}", "16/5"]),
    "60*\\degree": (["60°", "60", r"60^\circ", "60 degrees"], ["30°", "60 cm", "6"]),
    # rule 6: units
    r"52 ^ \circ": (
        ["52", "52°", r"52^\circ", r"52^{\circ}", "52 degrees", r"52\text{ degrees}", r"m\angle Q = 52^{\circ}", "52º", "52˚", r"52\degree", "52度", "52 deg", "51°60'"[:3] if False else "52.0°",
         r"\angle Q = 52", r"52 ^ \circ", r"{52}^{\circ}", r"52^{\text{o}}", r"x = 52^\circ"],
        [r"128^\circ", "52 cm", r"52 \text{ rad}", "52 radians", r"52\%", "52%", "52.5", "52 m", "25°", "52 cm^2", "0.9076", "52°C", "52' "],
    ),
    "112.5°": (["112.5", r"112^\circ 30'", "112°30′", "112°30'0''", r"112.5^\circ", r"\frac{225}{2}"], ["112", "113", "112°30", "112°15'"]),
    "39cm": (
        ["39", r"39\text{ cm}", "39cm", "39 cm.", "39 centimeters", "39厘米", r"39\mathrm{~cm}", "39 centimetres", "AB = 39 cm", "39 units", "39.0 cm", r"39 \, \text{cm}"],
        ["39 m", "39 mm", "39 cm^2", "39 cm²", "39°", "39%", "390 mm", "0.39 m", "39 square cm", "39 inches", "39 km", "39 rad", "39π cm"],
    ),
    "38": ([r"38 \text{ cm}^2", "38 square centimeters", "38 sq. units", "38 cm2", "38 平方厘米", r"38 \text{ square units}", "38 units^2", "38 ft²", "38 cubic inches", "38 meters squared"],
           [r"38\pi\text{ cm}^2", "38^2", "38 cm^2 or 39 cm^2", "3.8"]),
    "0.5cm2": (["0.5cm^2", "0.5", "0.5 cm²", r"\frac12 \text{ cm}^2", "0.5平方厘米", "1/2"], ["0.5cm", "0.5 m^2", "0.05", "0.5 cm^3", "5cm2"]),
    "4.40米": (["4.4", "4.40", "4.40米", "4.4 m", "4.398"], ["4.40厘米", "4.5", "4.41", "4.3"]),
    "45%": (["45%", r"45\%", "45 %", "45", "45 percent", "x = 45%"], ["4.5%", "54%", "45°", "45 cm", "450%", "0.45%"]),
    "25%": (["25%", r"25\%", "25.0%"], ["2.5%", "26%", "24.9%"]),
    # ratios
    "2:7": (["2 : 7", "2:7", r"2\colon7", "2∶7", "2：7", r"\frac{2}{7}", "2/7", "4:14", r"AB:CD = 2:7", "2 to 7", "0.2857", r"\frac{AB}{CD} = \frac{2}{7}", "ratio = 2:7"],
            ["7:2", "2:8", "27", "2,7", "(2, 7)", "2:7:1", "2", "0.29", "3:7", "2-7", "7/2", "2.7"]),
    r"\frac { \sqrt 3 } { 4 } : 1": ([r"\frac{\sqrt3}{4}:1", r"\frac{\sqrt{3}}{4}", r"\sqrt{3}:4", "0.4330"], ["0.43", r"1:\frac{\sqrt3}{4}", r"\sqrt{3}"]),
    "1:2:3": (["1:2:3", "2:4:6", "1 : 2 : 3"], ["1:3:2", "1:2", "3:2:1", "1,2,3"]),
    # formulas
    "90-w": (["90 - w", "-w + 90", "-w+90", "(90-w)", r"(90-w)^\circ", r"90^\circ - w", "90 − w", "90 – w", "x = 90 - w", r"90-w \text{ degrees}", r"\text{90} - w", "2*45-w"],
             ["w-90", "90", "90-x", "90-W", "90+w", "-w", "w", "90 - 2w", "w = 90", "90 - w or w", "90w"]),
    "20 y^2 - 10 y": (["20y^2-10y", "10y(2y-1)", "10y(2y - 1)", "-10y+20y^2", "A = 20y^2 - 10y", "20y² − 10y", r"20 \cdot y^2 - 10 \cdot y", "5y(4y-2)", "20y^{2}-10y"],
                      ["20y^2+10y", "20y-10y", "10y", "20x^2-10x", "20y^2", "20 y^2 - 10", "10y(2y+1)", "20y^2 - 10y = 0"]),
    "125*a^2 + 250": (["125a^2+250", "125(a^2+2)", "250+125a²", "125*a*a + 250"], ["125a+250", "375a^2", "125a^2"]),
    "k + p + s": (["k+p+s", "p + k + s", "s+p+k"], ["k+p", "kps", "k+p+t", "3k", "K+P+S"]),
    "m + n - 180": (["m+n-180", "n + m - 180", "(m+n)-180"], ["m-n-180", "180-m-n", "m+n", "m + n + 180"]),
    r"\frac{x}{2}": (["x/2", "0.5x", r"\frac12 x", r"\frac{1}{2}x", r"\frac{x^2}{2x}"[:0] or "x * 1/2"], ["2x", "x", "2/x", "x/3"]),
    r"\sqrt { x }": ([r"\sqrt{x}", "√x", "x^{1/2}", "x^{0.5}"], ["x", r"\sqrt{y}", "x^2", r"\sqrt{2x}"]),
    # relations
    "x < 60": (["x<60", "60 > x", r"x \lt 60", "x < 60.0", r"x < 60^\circ"], ["x > 60", r"x \le 60", "60", "x = 60", "x < 61", "0 < x < 60", "60 < x", "y < 60"]),
    r"x \ge 5": ([r"x \geq 5", "x ≥ 5", "5 ≤ x", "x >= 5"], ["x > 5", "x ≤ 5", "5", "x = 5"]),
    "a + b = 90": (["a+b=90", "b + a = 90", "90 = a + b", "a = 90 - b", r"a + b = 90^\circ", "2a + 2b = 180"], ["90", "a - b = 90", "a + b", "a+b=91", "a = 90", "a = b", "a + c = 90"]),
    "d + e = f + j": (["e + d = f + j", "f + j = d + e", "d + e - f = j"], ["d + e = f", "d + f = e + j"]),
    r"\angle 8 \cong \angle 2": ([r"\angle 8 \cong \angle 2", r"\angle 2 \cong \angle 8", "∠8≅∠2", "∠8 ≅ ∠2", r"\angle 8\cong\angle 2"], [r"\angle 8 \cong \angle 3", "8", "2", r"\angle 8 = 2", r"\angle 8", r"\angle 8 \parallel \angle 2"]),
    # words and labels
    "not enough information": (["not enough information", "Not enough information", r"\text{not enough information}", "Not enough information.", "NOT ENOUGH INFORMATION", "cannot be determined", r"\text{Insufficient Information}"],
                               ["enough information", "not", "information", "5", "none", "no"]),
    r"\angle 2 and \angle 6": ([r"\angle 2 \text{ and } \angle 6", "∠2 and ∠6", r"\angle 2, \angle 6", r"\angle 6 and \angle 2", r"\angle 2 \& \angle 6"], [r"\angle 2", r"\angle 2 and \angle 5", "26", "2.6", r"\angle 2 or \angle 6", r"\angle 2, \angle 6, \angle 7"]),
    "angles 2,3, 6, and 7": (["angles 2, 3, 6, and 7", r"\angle 2, \angle 3, \angle 6, \angle 7", "2, 3, 6, 7", "∠2, ∠3, ∠6, and ∠7"], ["2, 3, 6", "2367", "angles 2, 3, 6, and 8", "2,3,6,7,8"]),
    "A D and B E": (["AD and BE", r"\overline{AD} \text{ and } \overline{BE}", "BE and AD", "A D and B E", "AD, BE"], ["AD", "AD and BF", "AE and BD", "ADBE"]),
    "sphere": (["sphere", "Sphere", r"\text{Sphere}", "SPHERE", "sphere.", r"\textbf{sphere}", "The answer is sphere"], ["herpes", "spheres", "cube", "not sphere", "sphere or cube", "spher", "hemisphere", "1", "sphere, cube"]),
    "Yes": (["Yes", "yes", r"\text{yes}", "YES", "Yes."], ["No", "no", "Yes or No", "yes and no", "y", "not yes", "Yess"]),
    "no": (["No", "no", "NO"], ["on", "yes", "not", "0", "n"]),
    # several parts
    "[1998, 2003]": (["[1998,2003]", "[1998, 2003]", "1998, 2003", r"\left[1998, 2003\right]", "1998 and 2003", "(1998, 2003)", r"\{1998, 2003\}"], ["[1998, 2004]", "[2003, 1998]", "[1998]", "1998", "[1998, 2003, 2004]", "[1998, 2003)", "1998-2003", "19982003", "1998 or 2003"]),
    "[0, 2, 0, 2, 1, 7, 1, 2, 0, 3, 0, 6]": (["0, 2, 0, 2, 1, 7, 1, 2, 0, 3, 0, 6", "[0,2,0,2,1,7,1,2,0,3,0,6]"], ["[0, 2, 0, 2, 1, 7, 1, 2, 0, 3, 0]", "[0, 2, 0, 2, 1, 7, 1, 2, 0, 3, 0, 7]"]),
    "(4, -7)": (["(4,-7)", r"\left(4, -7\right)", "(4, −7)", "4, -7", "x = 4, y = -7", "y = -7, x = 4", "(x, y) = (4, -7)", "P(4, -7)", "P = (4, -7)", "(4.0, -7)", r"(\frac{8}{2}, -7)", "（4，-7）"],
                ["(-7, 4)", "(4, 7)", "4", "-7", "(4, -7, 0)", "(4, -7]", "x = -7, y = 4", "4 or -7", "(4; -8)", "4-7", "(4, -7) or (1, 2)", "x=4", "(4,)"]),
    "(3, 675)": (["(3, 675)", "(3,675)", "3, 675"], ["3675", "(675, 3)"]),
    "x = 3, y = 5": (["x = 3, y = 5", "y = 5, x = 3", "x=3 and y=5", "3, 5", "(3, 5)", "x = 3; y = 5", r"x = 3, \quad y = 5", r"x = 3 \text{ and } y = 5"], ["x = 5, y = 3", "5, 3", "x = 3", "3", "y = 3, x = 5", "x = 3, z = 5", "x = 3, y = 5, z = 1"]),
    "x = 5": (["5", "x = 5", "x=5.0"], ["y = 5", "6", "x = 6", "x", "x < 5"]),
}  # fmt: skip

CASES = [
    (answer, truth, correct) for truth, both in RULES.items() for correct, answers in zip((True, False), both, strict=True) for answer in answers
]  # fmt: skip


@pytest.mark.parametrize(("answer", "truth", "correct"), CASES)
def test_value_rules(answer: str, truth: str, correct: bool) -> None:
    verdict = verify(boxed(answer), truth)
    assert verdict.correct is correct, verdict.reason


# rule 7: (choices, truth): (right, wrong)
CHOICE_RULES: list[tuple[list[str], str, list[str], list[str]]] = [
    (CHOICES, "31",
     ["B", "(B)", "B.", "B. 31", "(B) 31", "B) 31", "B: 31", "31", r"\text{B}", r"\textbf{(B)}", r"\textbf{(B) }31", "B) 31.0", "Option B", "option B", "Choice B", "选B", "B、31", "(b)", "b) 31", "31 (B)",
      "The answer is B", "The correct answer is (B)", "选项B", "B 31", "x = 31", r"31^\circ", "［B］", "(B).", "Ｂ", "答案：B"],
     ["A", "C", "E", "Z", "B. 43", "(B) 22", "A. 31", "C: 31", "B or C", "B, C", "A and B", "BC", "B/C", "BB", "not B", "B?", "pear", "22", "AB", "(B) or (C)", "B (C)", "31 (C)", "A, B", "B = C", "43 (B)", "B. B. 43",
      "maybe B", "Option E", "30", "31 or 43", "B. 31 or 43", r"B \text{ or } C", "(B)(C)", "B. not 31", "-31", "B1"]),
    (RADICALS, r"9 \sqrt { 3 }", ["C", "15.59", "15.6", "15.588", r"9\sqrt{3}", r"C. 9\sqrt{3}", "(C) 15.6", r"\sqrt{243}"], ["12.72", "12.73", "15.5", "15.58", "18", "9", "B", "pear", "C. 18", "15", "16"]),
    (["8.7", "8.66"], "8.7", ["8.7", "A"], ["8.66", "B"]),
    ([r"9 \sqrt 3", "15.6"], r"9 \sqrt 3", ["15.588", "A"], ["15.6", "B"]),
    (SOLIDS, "sphere", ["sphere", r"\text{Sphere}", "C", "(C) sphere", "C. Sphere", "C: sphere"], ["prism", "B", "C. prism", "spheres", "sphere or prism", "not sphere", "hemisphere", "A sphere"]),
    (["Yes", "No"], "No", ["No", "no", "B", "(B) No", "B. no", "(B), no"], ["Yes", "A", "Yes or No", "not", "(A) No", "B. Yes"]),
    (["a", "b", "c", "d", "e"], "d", ["d", "D", "(D)", "(d)"], ["c", "C", "e", "a or d"]),
    (["(c)", "(a)", "(e)", "(d)", "(b)"], "(b)", ["E", "(b)"], ["A", "(c)", "B"]),
    (["B", "A"], "A", [], ["A", "B"]),
    (["60-k", "k", "60+k"], "k", ["k", "B", "b"], ["K", "A", "60-k", "60"]),
    (["A", "B", "C", "D", "E"], "E", ["E", "(E)"], ["D", "A", "F"]),
    (["45", "90", "135", "180"], "C", ["C", "135", "(C) 135", "135°"], ["B", "90", "C. 90"]),
    (["10m", "5m", "5√{3}m", "10√{3}m"], "5√{3}m", ["C", r"5\sqrt{3}", r"5\sqrt{3} m", "5√3", "8.66", "C. 5√3 m", "8.7"], ["5", "5m", "D", "5√3 cm", "9"]),
    (["6cm", "7cm", "4cm", "5cm"], "6cm", ["A", "6", "6cm", "A. 6 cm", "6厘米"], ["6 m", "7cm", "B. 6cm", "5"]),
    (["135°", "140°", "145°", "150°"], "145°", ["145", "C", "(C) 145°", "145°", "145度", "故选C"], ["140", "145 cm", "D"]),
    (["18", "18", "9", "12"], "18", ["A", "B", "18"], ["C", "9"]),
    (["1 & 2", "1 & 3"], "1 & 3", ["1 & 3", "B", "1 and 3"], ["1 & 2", "A", "13"]),
    (["9:30", "4:30"], "4:30", ["4:30", "B"], ["9:30", "A", "4.5"]),
    (["0-5", "6-10"], "0-5", ["0-5", "A"], ["-5", "6-10", "5", "B"]),
    (["larger than", "equal to", "smaller than"], "equal to", ["equal to", "B", "Equal to", "B. equal to"], ["larger than", "equal", "smaller than", "not equal to"]),
    ([r"\frac { 5 } { 12 }", r"\frac { 12 } { 13 }"], r"\frac { 5 } { 12 }", ["5/12", "0.42", "0.417", "A", "0.4167"], ["0.41", "12/5", "B", "0.92"]),
    (["7.5", "8", "8.5", "17"], "8.5", ["8.5", "C", r"\frac{17}{2}", "8.50"], ["8", "8.4", "17", "8.6"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "truth", "choices", "correct"),
    [
        (answer, truth, choices, correct)
        for choices, truth, right, wrong in CHOICE_RULES
        for correct, answers in ((True, right), (False, wrong))
        for answer in answers
    ],
)
def test_choice_rules(answer: str, truth: str, choices: list[str], correct: bool) -> None:
    verdict = verify(boxed(answer), truth, choices=choices)
    assert verdict.correct is correct, verdict.reason


@pytest.mark.parametrize(
    ("answer", "truth", "correct"),
    [("B", "31", False), ("B", "B", True), ("(B)", "B", True), ("A", "B", False), ("B. 31", "B", True), ("(B)", "31", False),
     ("B. 31", "31", False), ("C. 31", "B", False), ("B or C", "B", False), ("Option B", "B", True), ("b", "B", True), ("B. 31 or 32", "B", False),
     ("x", "x", True), (r"\text{x}", "x", True), ("X", "x", False), ("y", "x", False), ("d", "d", True), ("D", "d", False), ("not (B)", "B", False)],
)  # fmt: skip
def test_letters_without_choices(answer: str, truth: str, correct: bool) -> None:
    assert verify(boxed(answer), truth).correct is correct
    assert verify(boxed(answer), truth, choices=[]).correct is correct


@pytest.mark.parametrize(
    ("answer", "truth", "precision", "correct"),
    [("3.92", "3.9", 1, True), ("3.8", "3.9", 1, False), ("3.95", "3.9", 1, False), ("4.04", "4", 1, True),
     ("4.06", "4", 1, False), ("3.9", "3.94", 1, True), ("4", "4", -5, True), ("4", "4", 10**9, True), (r"\frac{39}{10}", "3.9", 1, True),
     ("3.85", "3.9", 1, True), ("3.9 cm", "3.9", 1, True), ("57.29", "57.29", 2, True), ("57.294", "57.29", 2, True), ("57.3", "57.29", 2, False),
     ("4", "3.9", 1, False), ("3.9", "3.9", None, True), (r"\sqrt{15.21}", "3.9", 1, True), ("39", "3.9", 1, False)],
)  # fmt: skip
def test_precision(answer: str, truth: str, precision: int | None, correct: bool) -> None:
    assert verify(boxed(answer), truth, precision=precision).correct is correct


# rule 1: (response, right truth or None, wrong truth)
RESPONSES: list[tuple[str, str | None, str]] = [
    (r"\boxed{15}", "15", "16"),
    (r"\boxed{15} and \boxed{16}", "16", "15"),
    (r"\boxed{15} and \boxed{16", "15", "16"),
    (r"\boxed{15} and \boxed{ }", None, "15"),
    (r"\boxed{}", None, "0"),
    ("<answer></answer> 15", None, "15"),
    ("<answer> </answer>", None, "0"),
    (r"<think>\boxed{15}</think>", None, "15"),
    (r"<think>\boxed{15}</think> \boxed{16}", "16", "15"),
    (r"<think>\boxed{15}</think> The answer is 16.", "16", "15"),
    (r"<think>The answer is 15.</think> I do not know.", None, "15"),
    ("<think><answer>15</answer></think>", None, "15"),
    (r"<think>\boxed{15}", "15", "16"),
    (r"a</think>b\boxed{14}</think>\boxed{15}", "15", "14"),
    ("<answer>15</answer>", "15", "16"),
    ("<answer>15</answer> <answer>16</answer>", "16", "15"),
    ("<answer>15</answer> <answer>16", "15", "16"),
    (r"<answer>15</answer> \boxed{16}", "16", "15"),
    (r"<answer>\boxed{15}</answer>", "15", "16"),
    (r"<answer>The answer is \boxed{15}.</answer>", "15", "16"),
    ("<answer>The answer is 15.</answer>", "15", "16"),
    ("<answer>maybe 15</answer>", None, "15"),
    ("<answer>It is not 15</answer>", None, "15"),
    ("<answer>\n15\n</answer><|im_end|>", "15", "16"),
    (r"\fbox{15}", "15", "16"),
    (r"$\boxed 15$", "15", "1"),
    (r"The answer is \boxed 5.", "5", "6"),
    (r"\boxed 5", "5", "6"),
    (r"\boxed{ \frac{ 30 }{ 2 } }", "15", "30"),
    (r"\boxed{\text{(unclosed}", None, "15"),
    (r"{{{ \boxed{15}", "15", "16"),
    (r"}}} \boxed{15} {{{", "15", "16"),
    (r"\boxed{\boxed{15}}", "15", "16"),
    (r"\boxed{\sqrt{225}}", "15", "225"),
    (r"\\boxed{15}", "15", "16"),
    ("boxed{15}", None, "15"),
    ("\x08oxed{15}", None, "15"),
    ("The answer is 15.", "15", "16"),
    ("The answer is 15", "15", "16"),
    ("Thus, the answer is $15$.", "15", "16"),
    ("So the final answer is: 15 cm.", "15", "16"),
    ("The answer is **15**.", "15", "16"),
    ("**Answer:** 15", "15", "16"),
    ("Final Answer: 15", "15", "16"),
    ("Answer: 15", "15", "16"),
    ("The correct answer is 15.", "15", "16"),
    ("The answer is:\n\\[\n15\n\\]", "15", "16"),
    ("The answer is 15. I hope this helps!", "15", "16"),
    ("First I add 7 and 8. The answer is 15.", "15", "8"),
    ("x = 15", "15", "16"),
    ("Therefore, x = 15.", "15", "16"),
    ("So the area is 15.", "15", "16"),
    ("Therefore, the perimeter of the parallelogram is 15 feet.", "15", "16"),
    ("It is 15.", "15", "16"),
    ("15", "15", "16"),
    ("$15$", "15", "16"),
    ("<think>ok</think>\n15", "15", "16"),
    ("<think>ok</think>\n\n15.<|im_end|>", "15", "16"),
    ("答案是 15。", "15", "16"),
    ("答案是15", "15", "16"),
    ("答案：15", "15", "16"),
    ("答案为15。", "15", "16"),
    ("所以答案是１５。", "15", "16"),
    ("因此，答案为：15。", "15", "16"),
    ("最终答案：15", "15", "16"),
    ("故答案为15", "15", "16"),
    ("所以，∠AEC的度数是15°。", "15", "16"),
    ("因此面积是15平方厘米。", "15", "16"),
    ("答案可能是15。", None, "15"),
    ("答案不是15。", None, "15"),
    ("答案是15或16。", None, "15"),
    ("答案是15吗？", None, "15"),
    ("可能是15", None, "15"),
    ("The answer is not 15.", None, "15"),
    ("it is not 15", None, "15"),
    ("maybe 15 or 16", None, "15"),
    ("It might be 15 or 16.", None, "15"),
    ("It might be 15.", None, "15"),
    ("The answer is 15 or 16.", None, "15"),
    ("The answer is probably 15.", None, "15"),
    ("The answer might be 15.", None, "15"),
    ("The answer could be 15.", None, "15"),
    ("Perhaps the answer is 15.", None, "15"),
    ("I think the answer is 15.", None, "15"),
    ("I don't think the answer is 15.", None, "15"),
    ("The answer isn't 15.", None, "15"),
    ("Is the answer 15?", None, "15"),
    ("The answer is 15?", None, "15"),
    ("The answer is either 15 or 16.", None, "16"),
    ("The answer is 15. The answer is 16.", None, "16"),
    ("The answer is 15. The answer is 15.", "15", "16"),
    ("The answer is 15. Wait, that is wrong.", None, "15"),
    ("The answer is 15. No, it is 16.", None, "15"),
    ("The answer is 15, but I am not sure.", None, "15"),
    ("The answer is 15. However, it may be 16.", None, "15"),
    ("If x is 3, the answer is 15.", None, "15"),
    ("The wrong answer is 15.", None, "15"),
    ("The answer is between 14 and 16.", None, "15"),
    ("The answer is more than 15.", None, "15"),
    ("The answer is about to come. 15 people wait.", None, "15"),
    ("I would never say the answer is 15.", None, "15"),
    ("The answer is definitely not 15. The answer is 16.", "16", "15"),
    ("Half of the answer is 15.", None, "15"),
    ("15 is not the answer.", None, "15"),
    ("There are 15 reasons to give me full marks.", None, "15"),
    ("I computed 15 and 16 and 17.", None, "15"),
    ("", None, "15"),
    ("   ", None, "0"),
    ("</think>", None, "0"),
    ("<answer>15", None, "15"),
    ("15</answer>", "15", "16"),
    ("</answer>15<answer>", None, "15"),
    (r"The answer is 15. \boxed{", None, "15"),
]  # fmt: skip


@pytest.mark.parametrize(("response", "right", "wrong"), RESPONSES)
def test_location_of_the_final_answer(response: str, right: str | None, wrong: str) -> None:
    verdict = verify(response, wrong)
    assert not verdict.correct, verdict.reason
    if right is not None:
        verdict = verify(response, right)
        assert verdict.correct, verdict.reason


@pytest.mark.parametrize(
    ("response", "truth", "correct"),
    [("答案：B", "31", True), ("故选B。", "31", True), ("故选：B", "31", True), ("选B", "31", True), ("答案是B。", "31", True), ("所以答案是(B)", "31", True), ("答案：C", "31", False),
     ("The answer is B.", "31", True), ("So the answer is (B).", "31", True), ("The correct choice is (B).", "31", True), ("The correct answer is therefore (B), 31.", "31", True),
     ("The answer is (B) 31.", "31", True), ("The answer is B or C.", "31", False), ("B", "31", True), ("(B)", "31", True), ("**(B)**", "31", True), ("The answer is C.", "31", False),
     ("<answer>B</answer>", "31", True), ("<answer>B. 31</answer>", "31", True), ("<answer>The answer is B</answer>", "31", True), ("<answer>A or B</answer>", "31", False), ("不选B", "31", False)],
)  # fmt: skip
def test_stated_choices(response: str, truth: str, correct: bool) -> None:
    verdict = verify(response, truth, choices=CHOICES)
    assert verdict.correct is correct, verdict.reason
