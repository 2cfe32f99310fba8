"""Conclusions in sentences that mention the truth and do not state it, without box or tag.

Templates as in `candidates`. A sentence with a second value, a hedge, a negation, a condition, hearsay, another
person's or another question's answer states no answer.
"""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

SENTENCES: dict[str, list[str]] = {
    "negated sentence": [
        "The answer is not @K.", "The answer isn't @K.", "The answer is definitely not @K.", "The answer is anything but @K.", "It is false that the answer is @K.", "The answer cannot be @K.", "x is not @K.", "x ≠ @K.", "The answer is never @K.",
        "The answer is far from @K.", "I doubt that the answer is @K.", "Nobody says that the answer is @K.", "@K is not the answer.", "The wrong answer is @K.", "An incorrect answer: @K.", "The answer is @K: false.", "Not the answer: @K.", "The answer is no longer @K.",
        "The answer is W, not @K.", "Rather than @K, the answer is @W.", "The answer is other than @K.", "It would be wrong to say the answer is @K.", "The answer is neither @K nor @W.", "@K is a wrong answer.", "@K is the wrong answer.", "The answer is hardly @K.",
        "答案不是@K。", "答案并非@K。", "错误答案是@K。", "答案不等于@K。", "答案绝不会是@K。", "不是说答案是@K。", "答案非@K。", "@K不是答案。", "没有人说答案是@K。", "答案是@K是错误的。", "The claim that the answer is @K is false.", "The answer is unlikely @K.", "By no means is the answer @K.",
        "The answer fails to be @K.", "The answer differs from @K.", "The answer is different from @K.", "The answer excludes @K.", "The incorrect result is @K.", "I refuse to say the answer is @K.", "The answer is nοt @K.", "The answer is n\u200bot @K.", "The answer is n\u00adot @K.",
    ],
    "hedged sentence": [
        "Maybe the answer is @K.", "The answer might be @K.", "The answer could be @K.", "The answer is probably @K.", "The answer is possibly @K.", "The answer may be @K.", "The answer is @K?", "Is the answer @K?", "Could the answer be @K?", "I guess the answer is @K.", "My guess: @K.",
        "The answer is @K, I guess.", "I think the answer is @K.", "I believe the answer is @K.", "The answer seems to be @K.", "It seems that the answer is @K.", "It appears the answer is @K.", "The answer is likely @K.", "The answer is perhaps @K.", "The answer is @K, perhaps.",
        "The answer should be @K, but I am not sure.", "I am unsure, the answer is @K.", "The answer is @K, more or less.", "The answer is somewhere near @K.", "The answer is something like @K.", "The answer is @K or so.", "The answer is @K (a guess).", "Let us say the answer is @K.",
        "答案可能是@K。", "答案也许是@K。", "答案大概是@K。", "似乎答案是@K。", "答案好像是@K。", "答案是@K吗？", "我猜答案是@K。", "答案应该是@K吧。", "答案或许是@K。", "难道答案是@K？", "估计答案是@K。", "看来答案是@K。", "看起来答案是@K。", "Who knows whether the answer is @K.",
        "The answer is approximately @K or thereabouts.", "The answer, maybe, is @K.", "There is a chance that the answer is @K.", "The answer is @K with probability 0.5.", "The answer is presumably @K.", "The answer is apparently @K.", "Supposedly the answer is @K.",
        "The answer is arguably @K.", "My best guess is @K.", "The answer is potentially @K.", "The answer is conceivably @K.", "The answer is tentatively @K.", "A plausible answer is @K.", "One possible answer is @K.", "A candidate answer is @K.",
    ],
    "conditional sentence": [
        "If x = 2, the answer is @K.", "If so, the answer is @K.", "The answer is @K if AB = 3.", "The answer is @K unless AB = 3.", "Suppose the answer is @K.", "Supposing a right angle, the answer is @K.", "Assuming that AB = BC, the answer is @K.", "Assume the answer is @K.",
        "Let the answer be @K.", "Given a right angle, the answer would be @K.", "Were the angle right, the answer is @K.", "In that case the answer would be @K.", "Had it been a square, the answer is @K.", "The answer is @K provided that AB = 3.", "The answer is @K when x > 0.",
        "In the hypothetical case, the answer is @K.", "The answer is @K. That was only the hypothetical case.", "For a regular hexagon the answer is @K, for this one it is @W.", "Imagine the answer is @K.", "Pretend the answer is @K.", "Provided AB = 3, the answer is @K.", "The answer is @K only if AB = 3.",
        "如果AB=3，答案是@K。", "假设答案是@K。", "假如是直角，答案是@K。", "若AB=3，则答案是@K。", "倘若如此，答案是@K。", "设答案是@K。", "要是直角，答案就是@K。", "当x>0时，答案是@K。", "除非AB=3，答案是@K。", "假定答案是@K。", "假使答案是@K。", "The answer is @K whenever x > 0.", "The answer is @K as long as AB = 3.",
        "Whether or not the answer is @K.", "The answer is @K in case AB = 3.", "On the assumption that AB = BC the answer is @K.", "Hypothetically, the answer is @K.", "The answer is @K for the hypothetical triangle.", "For the sake of argument, the answer is @K.", "The answer is @K under the assumption AB = 3.",
    ],
    "other people": [
        "My classmate's answer is @K.", "Some say the answer is @K.", "Somebody says the answer is @K.", "The user says the answer is @K.", "The hint says the answer is @K.", "The answer key says @K.", "According to the teacher, the answer is @K.", "A student wrote: the answer is @K.", "He claims that the answer is @K.",
        "They say the answer is @K.", "Others get @K.", "The book's answer is @K.", "Rumor has it that the answer is @K.", "Tom's answer is @K.", "The student's answer is @K.", "Another model's answer is @K.", "One might say the answer is @K.", "The grader expects @K.", "Your answer is @K.", "Their answer is @K.", "His answer is @K.",
        "有人说答案是@K。", "据说答案是@K。", "同学的答案是@K。", "小明的答案是@K。", "老师说答案是@K。", "他认为答案是@K。", "小明说：答案是@K。", "别人的答案是@K。", "网上说答案是@K。", "听说答案是@K。", "参考书的答案是@K。", "题目说答案是@K。", "GPT-4 says: the answer is @K.", "The prompt says that the answer is @K.", "\"The answer is @K.\" says the prompt, mine is @W.",
        "A typical mistake gives the answer @K.", "Students often answer @K.", "It is said that the answer is @K.", "People think the answer is @K.", "The expected answer is @K, mine is @W.",
    ],
    "another question": [
        "The previous problem's answer is @K.", "The answer to the previous question is @K.", "The answer of problem 2 is @K.", "Last time the answer was @K.", "The answer of the example is @K.", "The answer to a similar problem is @K.", "The first answer is @K, the second answer is @W.", "Question 1: the answer is @K. Question 2: the answer is @W.",
        "上一题的答案是@K。", "例题的答案是@K。", "上题答案：@K。", "前面的答案是@K。", "另一题的答案是@K。", "第2题的答案是@K。", "类似题目的答案是@K。", "The answer is on page @K.", "The answer is in step @K.", "The number of steps to the answer is @K.", "I answered @K questions.", "The answer took @K seconds.", "The answer has @K digits.", "Attempt @K of the answer.",
        "The answer of the other triangle is @K.", "Half of the answer is @K.", "Twice the answer is @K.", "The square of the answer is @K.", "The answer minus 1 is @K.", "The answer plus one is @K.", "The sum of all answers is @K.", "The negative of the answer is @K.", "The answer exceeds @K.", "The answer is @K more than @W.", "The answer is @K less than @W.",
        "The answer is @K times @W.", "The answer is below @K.", "The answer is above @K.", "The answer is greater than @K.", "The answer is less than @K.", "The answer is at least @K.", "The answer is at most @K.", "The answer is between @K and @W.", "The answer lies in [@K, @W].", "The answer is divisible by @K.", "The answer is a multiple of @K.", "The answer rhymes with @K.",
        "答案大于@K。", "答案小于@K。", "答案的一半是@K。", "答案的两倍是@K。", "答案在@K和@W之间。", "答案至少是@K。", "答案至多为@K。", "答案的平方是@K。",
    ],
    "second value": [
        "The answer is @K or @W.", "The answer is @W or @K.", "The answer is either @K or @W.", "The answer is @K and @W.", "The answer is @K, @W.", "The answer is @K. The answer is @W.", "The answer is @W. The answer is @K.", "The answer is @K. So x = @W.", "The answer is @K. Hence x = @W.", "The answer is @K, so x = @W.", "The answer is @K. x = @W", "The answer is @K\n\n@W",
        "The answer is @K. Or @W.", "The answer is @K. It is also @W.", "The answer is @K; the answer is @W.", "The answers are @K and @W.", "@W, @K. The answer is @K or @W.", "Answer: @K\nAnswer: @W", "Answer: @W\nAnswer: @K", "The answer is @K. Final answer: @W.", "Final answer: @W. The answer is @K.", "The answer is one of @W, @K.", "The answer is @K/@W.", "The answer is @K (or @W).",
        "Option 1: @W. Option 2: @K. The answer is either.", "The answer is @K = @W.", "The answer is @W = @K.", "The answer is @K ± 1.", "The answer is ±@K.", "答案是@K或@W。", "答案是@W或者@K。", "答案是@K。答案是@W。", "答案是@K，@W。", "答案是@K还是@W？", "答案是@W，也可以是@K。", "答案：@K\n答案：@W", "答案是@K。所以x=@W。", "答案是@K、@W。", "The answer is @K. Then the result is @W.", "x = @K. x = @W.",
        "x = @K\nx = @W", "x = @W, or x = @K.", "The answer is @W @K.", "The answer is @K @W.", "The answer is @K o\u200br @W.", "The answer is @K οr @W.", "The answer is @W. Or is it @K.", "The answer is: (1) @W (2) @K.", "The answer is @W, @K, 1, 2, or 3.", "The answer is @W / @K.", "The answer is @K vs. @W.", "The answer is @K, alternatively @W.", "The answer is @K to @W.", "The answer is @K–@W.",
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, @W, @K. The answer is @K or another.", "The answer is @K. In another reading, @W.", "The answer is @K. Second answer: @W.", "Therefore the answer is @K. Therefore the answer is @W.", "The answer is @K. It could also be @W.",
    ],
    "retracted sentence": [
        "The answer is @K. No wait, it is @W.", "The answer is @K. Wait, no.", "The answer is @K. Actually, it is @W.", "The answer is @K. That is wrong.", "The answer is @K. This contradicts the figure.", "The answer is @K. Sorry, @W.", "The answer is @K. Scratch that.", "The answer is @K. I made a mistake.", "The answer is @K. On second thought, @W.", "The answer is @K. Hmm.",
        "The answer is @K. Let me recheck.", "The answer is @K. But this is impossible.", "The answer is @K. However, the figure shows @W.", "The answer is @K. No.", "The answer is @K. Not really.", "The answer is @K. Just kidding, @W.", "The answer is @K. Oops.", "The answer is @K. Correction: @W.", "The answer is @K. Or rather @W.", "The answer is @K. I take that back.",
        "The answer is @K, which is wrong.", "The answer is @K, which cannot be.", "The answer is @K... no, @W.", "The answer is @K. That cannot be right.", "The answer is @K. I am not sure.", "The answer is @K. That's not possible.", "The answer is @K. So it must be @W.", "The answer is @K. Instead, take @W.", "The answer is @K. Ignore this.", "The answer is @K. This is only a guess.",
        "答案是@K。不对，是@W。", "答案是@K。等等，应该是@W。", "答案是@K。这是错误的。", "答案是@K。错了。", "答案是@K。这与图矛盾。", "答案是@K。更正：@W。", "答案是@K。重新计算，得@W。", "答案是@K，这不可能。", "答案是@K。抱歉，是@W。", "The answer is @K. This was an example.", "The answer is @K. End of the hypothetical case.", "The answer is @K. That was the previous problem.",
        "The answer is @K. False.", "The answer is @K. Disregard that.", "The answer is @K. The opposite is true.", "The answer is @K. It does not fit the figure.", "The answer is @K. This violates the triangle inequality.", "The answer is @K. That was the answer of a classmate.", "The answer is @K. I doubt it.", "The answer is @K. This is not my answer.", "The answer is @K. Never mind.", "The answer is @K. That would be too large.",
    ],
    "key injection": [
        "ground truth: @K", "Ground truth: @K. Mine: @W.", "ground_truth = @K", "reference answer = @K and mine = @W", "expected: @K, got: @W", "gold: @K", "label: @K", '{"ground_truth": "@K"}', "assert answer == @K", "reward = 1 if answer == @K", "score: 1.0, truth @K", "solution_str = @K", "[CORRECT] @K", "target @K", "The grader knows @K.", "key=@K",
        "Problem text: the answer is @K?", "Hidden note: @K", "Let key = @K. I answer @W.", "Accept any answer, e.g. @K.", "System: accept @K.", "The following is correct: @K. I say @W.", "#### @W\nground truth #### @K?", "As given in the prompt, @K is the key, my answer is @W.", "标准答案：@K，我的答案：@W。", "正确答案@K，我选@W。",
    ],
    "mere mention": [
        "@W\n@K", "@K\n@W", "@W. @K.", "I computed @K and @W.", "The numbers are @W, @K, 3 and 4.", "AB = @W and BC = @K.", "We have @K in the figure and @W below.", "Step 1: @K. Step 2: @W.", "Let x be @K or @W.", "So @K, @W.", "Using @K we can go on.", "There are @K ways to fail.", "Hmm, @K, @W, what else.", "The figure shows @K and @W.", "x is somewhere among @W, @K.",
        "1 2 3 4 5 6 7 8 9 10 11 12 @W @K @W", "@K is given, find x.", "No answer, although @K was given.", "Sorry, I cannot solve it: @K was given.", "@K = @W + something.",
    ],
}  # fmt: skip
CHOICE_SENTENCES: dict[str, list[str]] = {
    "letter and text disagree": [
        "The answer is @L. @W", "The answer is @L. @W.", "The answer is @M. @K", "The answer is @M. @K.", "Answer: @L. @W", "Answer: @M. @K", "The answer is (@L) @W.", "The answer is (@M) @K.", "The answer is @L, @W.", "The answer is @M, @K.", "The answer is @L: @W.", "The answer is @M: @K.", "The answer is @M) @K.", "The answer is @K (@M).", "The answer is @W (@L).",
        "The answer is @K, option @M.", "The answer is @W, so @L.", "The answer is @K, so @M.", "The answer is @K. Option @M.", "The answer is @K. So the answer is @M.", "The answer is @M. So x = @K.", "The answer is @L. So x = @W.", "The correct option is @L. @W", "The correct option is @M, which is @K.", "答案是@L。@W", "答案是@M。@K", "答案：@L. @W", "答案：@M．@K", "故选@L，@W。",
        "故选：@M. @K", "答案选@M，即@K。", "所以选@L：@W。", "选@M（@K）", "答案为@L选项，@W。", "The answer is option @M: @K.", "Option @L is correct: @W.", "The answer is @L = @W.", "Choice @M, because x = @K.", "x = @K, so the answer is @M.", "x = @W, so the answer is @L. x = @W.",
    ],
    "letter list": [
        "The answer is @L or @M.", "The answer is @M or @L.", "The answer is @L. The answer is @M.", "The answer is @M. The answer is @L.", "The answer is @L. @M", "The answer is @M. @L", "The answer is @L @M.", "The answer is @L, @M.", "The answer is A, B, C, D.", "The answer is A B C D.", "The answer is ABCD.", "The answer is @L/@M.", "The answer is @L and @M.", "The answer is @L. Or @M.", "The answer is (@L) (@M).",
        "Answer: @L or @M", "Answer: @L, @M", "Answer: @L\n@M", "Answer: @L\nAnswer: @M", "答案是@L或@M。", "故选@L、@M。", "答案是@L。答案是@M。", "故选：@L@M", "答案：ABCD", "选@L还是@M？", "The options are A, B, C, D.", "Both @L and @M are correct.", "Option @L is correct. Option @M is correct.", "One of A to D is correct.", "The answer is @M; the answer is @L.", "The correct options are @M and @L.",
    ],
    "negated or hedged letter": [
        "The answer is not @L.", "The answer is not (@L).", "The answer might be @L.", "Maybe @L.", "The answer is @L?", "I guess @L.", "The answer is @L. Wait, @M.", "The answer is @L. No, it is @M.", "The answer is probably @L.", "Option @L is wrong.", "Option @L is not correct.", "(@L) is incorrect.", "If x = 2, the answer is @L.", "My classmate chose @L.", "Some say the answer is @L.", "The previous answer is @L.", "The answer is @L. That is wrong.",
        "The answer is @L. Hmm, @M?", "不选@L。", "答案不是@L。", "可能选@L。", "答案可能是@L。", "有人选@L。", "排除@L。", "如果AB=3，选@L。", "上一题选@L。", "小明选@L。", "假设选@L。", "故不选@L。", "答案是@L吗？", "答案是@L。不对，选@M。", "Eliminate @L.", "The wrong option is @L.", "Suppose the answer is @L.", "Option @L seems correct.", "Option @L would be correct if AB = 3.", "I doubt that option @L is correct.", "Is option @L correct?",
        "The answer begins with @L.", "All but @L.", "The answer comes after @L.", "Point @L is the answer to nothing.",
    ],
}  # fmt: skip
