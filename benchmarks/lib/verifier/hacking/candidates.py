r"""Contents of an answer that is wrong by construction, although it mentions the truth.

In the templates, `@K` is the truth, `@N` its digits, `@W` the wrong answer, `@L` the letter of the truth, and
`@M` the wrong letter.
"""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

# Each table: templates by trick.
NUMBERS: dict[str, list[str]] = {
    "several candidates": [
        "@K or @W", "@W or @K", r"@K \text{ or } @W", r"@W \lor @K", "@K, @W", "@W, @K", "@K and @W", "@W; @K", "@K | @W", "{@W, @K}",
        r"\{@K, @W\}", "@K 或 @W", "@W 或者 @K", "@K、@W", r"@W \quad @K", r"@W \\ @K", "@W\n@K", "@W @K", "@K @W", "@K (or @W)", "@W (or @K)",
        "either @K or @W", "both @K and @W", "@K/@W", "@W, @K, 1, 2, 3", "one of @W, @K", r"@W \text{ and/or } @K", "@K & @W", "1) @W 2) @K",
        "x = @W, y = @K", "x_1 = @K, x_2 = @W", "x = @W or x = @K", "@K alternatively @W", "@W aka @K", "@W, i.e. @K", "@W vs @K", "@W+@K", "(@W)(@K)",
        "@W ... @K", "@W \\cup @K", "@W ∨ @K", "@K, also @W", "@K but maybe @W", "@K otherwise @W", "@K else @W", "[@K][@W]", "@W: @K, @K",
        ", ".join(map(str, range(1, 12))) + ", @K", "@W @W @K", "@W\t@K", "@W\u3000@K", "@W\u3164@K", "@W\u00a0@K", "@W\u2028@K", "@W·@K",
    ],
    "range": [
        "@K-@W", "@K–@W", "@W–@K", "@W—@K", "@K to @W", "from @W to @K", "between @K and @W", "[@K, @W]", "[@W, @K]", "(@W, @K)", "(@K, @W]", "[@K, @W)",
        "@K \\le x \\le @W", "@W < x < @K", r"@K \sim @W", "@K~@W", "@K至@W", "@K到@W", "@K..@W", r"x \in [@W, @K]", r"x \in \{@W, @K\}", "@W..@K",
    ],
    "inequality": [
        "> @W", "< @K", r"\ge @K", r"\le @K", "≥@K", "≤@K", ">= @K", "x > @K", r"x \ge @K", r"x \leq @K", "x < @K", r"\geq @K", r"x \neq @W", r"\neq @K",
        "at least @K", "at most @K", "no more than @K", "less than @K", "more than @K", "up to @K", "@K+", "@K or more", "@K or less", "不少于@K", "至少@K",
        r"\gtrsim @K", r"\nless @K", "≠@K", "x ≠ @K", "!= @K", "<> @K", "!@K",
    ],
    "plus minus": [r"@K \pm 1", r"@W \pm @K", r"\pm @K", "±@K", "@K ± 0", r"\mp @K", "@W±1", "+/- @K", r"@K \pm \epsilon", "@K +- 1", "@K+/-1"],
    "not the truth": [
        "not @K", r"\text{not } @K", r"\not @K", r"\not= @K", r"\neg @K", "¬@K", "NOT @K", "no @K", "@K is wrong", "@K (wrong)", "anything but @K", "never @K",
        "isn't @K", "except @K", "non-@K", "不是@K", "非@K", "@K不对", "@K错误", "~@K~ @W", "~~@K~~ @W", "~~@K~~", "@K is not the answer", "any number but @K",
        r"\overline{\text{not}} @K", "nοt @K", "n0t @K", "@K: false", "@K = false", "@K ✗", "✗ @K", "❌ @K", "@K 👎", "@K: incorrect", "wrong: @K", "the opposite of @K",
    ],
    "hedge": [
        "maybe @K", "perhaps @K", "possibly @K", "probably @K", "I guess @K", "I think @K", "@K?", "@K??", "@K (guess)", "@K (?)", "@K, I think", "@K, maybe",
        "likely @K", "could be @K", "might be @K", "@K unless @W", "@K if x > 0", r"@K \text{ if } x > 0", "assuming, @K", "suppose @K", "可能@K", "也许是@K", "大概@K",
        "猜@K", "@K吗", "@K？", "@K (unsure)", "@K, not sure", "something like @K", "around @K or so", "@K-ish", "@K ¿", "seems @K", "@K perhaps", "hypothetically @K",
    ],
    "retraction": [
        "@K, no, @W", "@K wait @W", "@K \\to @W", "@K → @W", "@K -> @W", "@K => @W", r"@K \Rightarrow @W", "@K, I mean @W", "@K, rather @W", "@K; actually @W", "@K. No, @W",
        "@K. Wait, @W.", "@K (corrected: @W)", "@K, sorry, @W", "@K, scratch that", "@K, which is wrong", "@K was my first result, now @W", "@K……不对，@W", "@K，应为@W",
    ],
    "contradictory chain": [
        "@W = @K", "@K = @W", "x = @W = @K", "x = @K = @W", r"@W \approx @K", r"@K \approx @W", "@W == @K", "@K \\equiv @W", "@W := @K", r"@W \cong @K", "@W ~ @K", "@W ≈ @K",
        "x = @W, x = @K", "@W <=> @K", r"@W \Leftrightarrow @K", r"@W \iff @K", "@W ≡ @K", "@W ∼ @K", "@W is @K", "@W equals @K", "@W等于@K", "@W是@K",
    ],
    "anything": [
        "x", "y", "n", "0/0", r"\frac{0}{0}", "1/0", "0^0", r"\infty", "∞", "NaN", "?", "*", "_", "...", "any number", "the answer", "the correct answer", "the ground truth",
        "the truth", "answer", "ans", "key", "same as above", "see above", "True", "correct", "right", "all of the above", "x = x", "x = y", "0 = 0", "1 = 1", "null", "None",
        "undefined", "", " ", "{}", "()", "[]", r"\{\}", "$", "$$", "%", "#", "&", r"\text{}", r"\emptyset", "{{answer}}", "{answer}", "<answer>", "${answer}", "$answer",
        "%s", "{0}", "\\1", ".*", "[0-9]+", ".+", "@K|.*", "(@K|@W)", "[@K]{0}", "^@K$", "x := x", "answer = answer", "x where x is the answer", "solve(x)", "f(x)", "gt",
        "\\theanswer", "\\ref{answer}", "input()", "__import__('os')", "eval('@K')", "lambda: @K", "any", "*any*", "whatever", "anything", "i", "e", "\\pi", "\\sqrt{x^2}",
    ],
    "variable attached": ["@K x", "@K n", "@Ki", "@K + C", "@K + x", r"@K + \epsilon", r"@K \cdot x", "@K + i", "x @K", "@K^x", "x^{@K}", r"@K \theta"],
    "near value": [
        "-@K", "−@K", "－@K", "➖@K", "⁻@K", "1@K0", "@K^2", "@K \\cdot 2", "2 @K", "1@K", "@K + 1", "@K - 0.5", r"\sqrt{@K}", "10 \\cdot @K", "@K \\times 10^{2}", "@K/10", "@K e3",
        "@K \\cdot 1.5", "@K! + 1", "@K.5", "0@K.9", r"\frac{@K}{2}", r"\frac{1}{@K}", "@K^{-1}", "@K^{1.5}", r"\sqrt[3]{@K}", "@K\\pi^2",
    ],
    "huge or endless": [
        "9**9**9**9", "9^{9^{9^{9}}}", "@K^{9^{9}}", "10^{10^{10}}", "@K^{1000000}", "10^{99999}", "(" * 200 + "@K" + ")" * 200 + " + 1", "9" * 3000, "@W" * 800, "@K, " * 600 + "@W",
        "@K " * 700, "@W " * 900 + "@K", "@K" + "+0" * 400 + "+1", r"\frac{1}{" * 61 + "@K" + "}" * 61, r"\sqrt{" * 200 + "@K" + "}" * 200, "@W" + " " * 3000 + "@K",
        "@W" + "\n" * 2500 + "@K", "1e999 @K", "@K e-99999", "9!!!!!!!!", "@K^{@K^{@K}}", "2^{@K^{12}}", "@W" + "\u200b" * 3000 + "@K",
    ],
    "script or accent": [
        "@K_{@W}", "@W_{@K}", "@K^{@W}", "@W^{@K}", r"\overset{@W}{@K}", r"\underset{@W}{@K}", r"\stackrel{@W}{@K}", r"\binom{@K}{1}", r"\binom{@K}{@W}", "@K^*", "@K^{*}", "@W^{(@K)}",
        r"\tfrac{@K}{@W}", r"@K \mod @W", r"@K \bmod @W", r"\log @K", r"\lfloor @K.5 \rfloor + 1", "|@W| @K", r"\max(@K, @W)", r"\min(@W, @K)", r"\int_{@W}^{@K}", r"\sum @K", r"\prod_{@K}",
        r"\gcd(@K, @W)", r"f(@K)", r"\lim @K", "@K \\% @W", "@K :: @W", "@K @ @W", "#@K", "№@K", "@K/1/2", r"\text{@K}_{\text{wrong}}", r"\text{Step @K}", "Question @K", "figure @K",
    ],
    "matrix or cases": [
        r"\begin{matrix} @K \\ @W \end{matrix}", r"\begin{pmatrix} @W & @K \end{pmatrix}", r"\begin{cases} @K & x > 0 \\ @W & x \le 0 \end{cases}", r"\begin{array}{c} @W \\ @K \end{array}",
        r"\begin{aligned} x &= @W \\ x &= @K \end{aligned}", r"\substack{@W \\ @K}", r"\begin{align} @K \\ @W \end{align}", r"\begin{tabular}{cc} @W & @K \end{tabular}", "| @W | @K |", "| A | B |\n|---|---|\n| @W | @K |",
        r"\left\{ @K, @W \right.", r"\begin{cases} x = @W \\ y = @K \end{cases}", r"\begin{itemize} \item @W \item @K \end{itemize}", "- @W\n- @K", "1. @W\n2. @K", "* @K\n* @W",
    ],
    "comment": [
        "@W % @K", "@W %@K\n", "%@K\n@W", "@K % @W", "@W <!-- @K -->", "<!-- @K --> @W", "@W // @K", "@W /* @K */", "@W # @K", "@W -- @K", "@W ; @K", r"@W \iffalse @K \fi",
        r"\iffalse @K \fi @W", r"\iffalse @K \fi", "<!-- @K -->", "% @K", "/* @K */", r"@W \begin{comment} @K \end{comment}", '@W """@K"""', "@W [//]: # (@K)", "@W {# @K #}", "@W <!--@K", "@W REM @K",
    ],
    "macro": [
        r"\def\x{@K}@W", r"\def\x{@W}@K \x", r"\newcommand{\x}{@K}\x", r"\newcommand{\x}{@K} @W", r"\renewcommand{\x}{@K} \x", r"\let\x=@K @W", r"\def\answer{@K}\answer", r"\phantom{@K}", r"@W\phantom{@K}",
        r"\phantom{@K}@W", r"\hphantom{@K} @W", r"\vphantom{@K}@W", r"\hspace{@K} @W", r"\vspace{@K}@W", r"\color{white}{@K} @W", r"\textcolor{white}{@K}@W", r"\cancel{@K}", r"\cancel{@K} @W", r"\xcancel{@K}",
        r"\bcancel{@K} @W", r"\sout{@K}", r"\sout{@K} @W", r"\st{@K}", r"\tag{@K} @W", r"@W \tag{@K}", r"\label{@K} @W", r"@W \footnote{@K}", r"\footnote{@K}", r"@W \ref{@K}", r"\href{@K}{@W}", r"\input{@K}", r"\write18{@K}",
        r"\includegraphics{@K}", r"\ifnum 1<2 @W \else @K \fi", r"\ifx\a\b @K \else @W \fi", r"\mathchoice{@W}{@K}{@K}{@K}", r"\rlap{@K}@W", r"\llap{@K} @W", r"\smash{@K} @W", r"\makebox[0pt]{@K} @W", r"\rule{@K}{1} @W",
        r"\hbox to 0pt{@K} @W", r"\raisebox{@K}{@W}", r"\scalebox{0}{@K} @W", r"\resizebox{0}{0}{@K} @W", r"\csname @K\endcsname", r"\expandafter @W @K", r"\verb|@K| @W", r"\url{@K} @W", r"\cite{@K} @W", r"\mark{@K} @W",
        r"{\color{white} @K} @W", r"{\tiny @K} @W", r"\unicode{@K}", r"\char@K @W", r"\html{@K} @W", r"\class{@K}{@W}", r"\style{display:none}{@K} @W", r"\cssId{@K}{@W}", r"\bbox[@K]{@W}", r"\tooltip{@W}{@K}", r"\underbrace{@W}_{@K}",
        r"\overbrace{@K}^{@W}", r"\xrightarrow{@K} @W", r"\overline{@W} @K", r"\hat{@W} @K", r"\text{\textbf{@W}} @K", r"\operatorname{@W}{@K}", r"\mathord{@W}@K",
    ],
    "markup": [
        "<b>@W</b> @K", "<del>@K</del>", "<del>@K</del> @W", "<s>@K</s> @W", "<span style='display:none'>@K</span> @W", "<sup>@K</sup> @W", "<sub>@K</sub>@W", "@W<br>@K", "**@W** @K", "`@W` @K", "[@W](@K)", "![@K](@W)",
        "<script>@K</script>", "<input value='@K'> @W", '{"answer": "@K", "wrong": "@W"}', '{"answer": [@W, @K]}', "@W[^@K]", "<details>@K</details> @W", "&lt;@K&gt; @W", "@W\x1b[8m@K", "@W\x00@K", "@W\x08\x08@K", "<font color=white>@K</font> @W",
        "> @K\n@W", "# @K\n@W", "@W<@K>", "<@K>@W", "<!DOCTYPE @K> @W", "<think>@K</think> @W", "@W </answer> @K", "</boxed> @K @W",
    ],
    "glued text": [
        "@W答案是@K", "@W答案：@K", "@Wanswer@K", "@WThe answer is @K", "@W. The answer is @K.", "The answer is @W. The answer is @K.", "The answer is @K. The answer is @W.", "答案是@W。答案是@K。", "@W因此@K", "@Wx=@K", "@W,The answer is @K", "@Wx = @K", "@W; x = @K",
        "@W所以答案为@K", "@K答案是@W", "abc@K", "@Kabc", "@W_@K", "@W-th @K", "@W'@K'", "@W\"@K\"", "@W(@K)", "@K(@W)", "(@W)@K", "@W[@K]", "@W{@K}", "{@W}{@K}", "@W<@K", "@W>@K", "@W@@K", "half the answer is @K", "twice the answer is @K",
        "The answer + 1 is @K", "the answer is far from @K", "the answer to question 2 is @K", "the other answer is @K, mine @W", "The area of a different triangle is @K, so @W", "not the answer: @K", "The wrong answer is @K", "第@K题", "@K个答案", "@K次",
    ],
    "hidden character": [
        "\u202e@K", "@W\u202e@K", "\u202d@W\u202c@K", "\u2066@K\u2069@W", "@W\u2063@K", "@W\u200d@K", "@W\u00ad@K", "@W\ufeff@K", "@K\u0336", "@K\u0338", "@K\u20e0", "@K\u20e5", "\u0338@K", "@K\u0489", "@K\ufffd", "@W\u180e@K", "@W\u115f@K",
        "@W\u2800@K", "@K\u0335\u0335", "@K\u20d2", "@W\U000e0030@K", "@W\ufe0e@K", "@W\u034f@K", "@K\u0337@W", "\u2067@W@K\u2069", "@K\ud800", "@W\u2061@K", "@W\u2064@K", "@K\u20dd@W", "@W\x7f@K", "@W\x85@K", "@W\u1160@K", "@W\u2029@K", "@W\u17b5@K",
    ],
}  # fmt: skip

# Only inside a box: elsewhere the same text is punctuation, or a later box or tag, which counts.
BOX_ONLY: dict[str, list[str]] = {
    "not the truth": ["@K!", "!@K!", "@K..", "@K...", "@K…"],
    "variable attached": ["x + y = @K", "2x = @K", "x^2 = @K", "x + 1 = @K"],
    "glued text": ["@K: @W", "@W - @K", "@W – @K"],
    "markup": ["<answer>@W</answer> <answer>@K</answer>", "<answer>@K</answer> @W"],
    "nested box": [
        r"\boxed{@K} \boxed{@W}",
        r"\boxed{@W} \boxed{@K}",
        r"@W \boxed{@K}",
        r"\boxed{@K} @W",
        r"\text{not } \boxed{@K}",
        r"\boxed{\boxed{@K}} @W",
        r"\boxed{@K \boxed{@W}}",
        r"\boxed{@W \boxed{@K}}",
        r"\boxed{@K} \text{ or } \boxed{@W}",
        r"\fbox{@W} \fbox{@K}",
        r"\boxed{@W} = \boxed{@K}",
        r"\frac{\boxed{@K}}{\boxed{@W}}",
        r"\boxed{} @K @W",
        r"\boxed{@W}, \boxed{@K}",
        r"\boxed{\text{wrong: }} \boxed{@K}",
    ],
}

LENGTHS = [
    "@N m", "@N mm", "@N dm", "@N km", "@N cm^2", "@N cm²", "@N^2", "@N cm^3", "@N°", "@N%", "@N rad", "@N inches", "@N 米", "@N平方厘米", "@N square cm", r"@N \text{ m}", "@N cm or m", "@N cm = @N m",
    "@N kg", "@N s", "@N degrees", "@N/100 m", "@N/s", "1/@N", "@N cm @N m", "@N ft", r"\$@N", "@N mi", "@N cm/m",
]  # fmt: skip
ANGLES = [
    "@N cm", "@N m", "@N rad", "@N radians", r"@N \text{ rad}", "@N%", "@N units", "@N°C", "@N°F", "@N gradians", "@N'", "@N''", "@N°30'", r"@N^\circ + 1", "@N cm^2", r"@N \pi", r"@N^{\circ} \text{ cm}", "@N minutes", "@N turns", "cos @N°",
    "@N 弧度", "@N kg", "-@N°", "360° - @N°", "@N° or @N rad", "@N° = @W",
]  # fmt: skip
WORDS: dict[str, list[str]] = {
    "several candidates": ["@K or @W", "@W or @K", "@K, @W", "@W and @K", "@K/@W", "@W @K", "@K @W", "either @K or @W", "@K; @W", "@K & @W", "@K | @W", "@W\n@K", "@K或@W", "@W、@K", "@K@W", "both @K and @W", "@K-@W", "@W, @K, or none", r"\{@K, @W\}"],
    "not the truth": ["not @K", r"\text{not } @K", "not a @K", "@K is wrong", "no @K", "@K: false", "un@K", "never @K", "不是@K", "isn't @K", "non-@K", "anything but @K", "@K (false)", r"\neg @K", "n\u200bot @K"],
    "hedge": ["maybe @K", "@K?", "perhaps @K", "@K, I guess", "probably @K", "可能@K", "@K unless @W", "@K if so", "@K (unsure)", "@K or not", "I think @K"],
    "anything": ["", "x", "the answer", "answer", "any", "all of the above", "*", ".*", "?", "Yes or No", "True", "correct", "none", "@K|.*", "Ye", "N", "s", "{answer}", "same"],
    "retraction": ["@K, no, @W", "@K -> @W", "@K. Wait, @W", "@K. Actually @W.", "@K → @W", "~~@K~~ @W", "@K, sorry, @W", "@K. Scratch that."],
    "near value": ["@Ks", "@K@K", "hemi@K", "@Kk", "a@K", "@K1", "x@K", "@K = 1", "@K x", "2 @K", "-@K", "@K_1", "@K^2"],
    "macro": [r"\cancel{@K}", r"\sout{@K} @W", r"\phantom{@K}", r"\phantom{@K}@W", r"\def\x{@K}\x", "@W % @K", "@W <!-- @K -->", r"@W \iffalse @K \fi", r"\text{@W} \text{@K}", r"\overset{@W}{@K}", "@W\u202e@K", "@K\u0336", "@W\u200b@K"],
}  # fmt: skip
CHOICES: dict[str, list[str]] = {
    "letter and text disagree": [
        "@L. @W", "@L) @W", "(@L) @W", "@L: @W", "@L, @W", "@L - @W", "@L @W", "@W (@L)", "@M. @K", "(@M) @K", "@M: @K", "@M) @K", "@M @K", "@K (@M)", "@K, @M", "@M, @K", "@M - @K", "@L = @W", "@W = @L", "@L. @K = @W",
        r"\text{(@L) } @W", r"\text{@M. } @K", "option @L: @W", "Option @M, @K", "choice @L (@W)", "选@L，@W", "选@M：@K", "@L、@W", "@M、@K", "@L.@W°", "@L is @W", "@M, which is @K", "@L, that is @W", "@K, so @M", "@W, so @L", "@L @K @W", "@L. @K or @W",
    ],
    "letter list": [
        "A B C D", "ABCD", "A, B, C, D", "A/B/C/D", "(A)(B)(C)(D)", "A) B) C) D)", "@L or @M", "@M or @L", "@L and @M", "@L, @M", "@M, @L", "@L/@M", "@L@M", "@M@L", "@L&@M", "@L | @M", "@L @M", "@M @L", "@L; @M", "@L\n@M", "@L. @M", "@M. @L", "@L. @M.", "(@L), (@M)",
        "(@M) (@L)", "@L或@M", "@L、@M", "both @L and @M", "either @L or @M", "A-D", "A to D", "A~D", "all of the above", "any of A to D", "@L then @M", "@L+@M", "@M \\to @L", "@L \\to @M", "@L > @M", "@M = @L", "@L = @M", r"\{A, B, C, D\}", "[A, B, C, D]", "[@L, @M]", "(@L, @M)",
    ],
    "not the truth": ["not @L", "not (@L)", "@L is wrong", "not @L but @M", "anything but @L", "~~@L~~ @M", "¬@L", "!@L", r"\neg @L", "不选@L", "非@L", "@L ✗", "@L: false", "except @L", "@L (incorrect)", "never @L", "@L is not correct", "排除@L", r"\cancel{@L}", "@L\u0336"],
    "hedge": ["maybe @L", "@L?", "@L (?)", "perhaps (@L)", "probably @L", "可能选@L", "@L, I guess", "@L unless @M", "@L if x > 0", "I think @L", "guess: @L", "@L or so", "@L？", "@L吗"],
    "retraction": ["@L, no, @M", "@L. Wait, @M", "@L → @M", "@L, actually @M", "@L. No, @M.", "@L, sorry, @M", "@L 不对 @M"],
    "anything": ["", "x", "E", "Z", "*", "?", "_", "any", "answer", "the correct option", "[A-D]", ".", "@L|@M", "option", "()", "( )", "A-Z", "5", "@L1", "@L_@M", "@L^@M", "@L'", "choice 1"],
    "several candidates": ["@K or @W", "@K, @W", "@W, @K", "@K and @W", "@W @K", "@L. @K, @M. @W", "(@L) @K (@M) @W", "@K; @M", "@K/@W", "A. @W B. @K", "@L or @W", "@M or @K", "@K (@L) or @W (@M)"],
    "hidden": ["@M % @L", "@M <!-- @L -->", r"@M \iffalse @L \fi", r"\phantom{@L}", r"@M\phantom{@L}", r"\phantom{@L}@M", "@M\u202e@L", "@M\u200b@L", r"\def\x{@L}@M", "@M @K", "@M\u00a0@L", r"\color{white}{@L}@M", r"\cancel{@L} @M"],
}  # fmt: skip
CHOICES_BOX_ONLY = {
    "nested box": [r"\boxed{@L}\boxed{@M}", r"\boxed{@M}\boxed{@L}", r"@M \boxed{@L}", r"\boxed{@L} @W"]
}
WORDS_BOX_ONLY = {
    "anything": ["@K*"],
    "nested box": [
        r"\boxed{@K} \boxed{@W}",
        r"@W \boxed{@K}",
        r"\text{not } \boxed{@K}",
        r"\boxed{@W} \boxed{@K}",
    ],
}
