"""Sentences without a box: statements as models write them, and similar texts that state nothing or something else.

The expected verdicts follow from rule 1 of docs/verifier.md: a statement counts if it is the last assertion of a
value, unhedged and uncontradicted; where that cannot be told, it does not count.
"""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import pytest

from vlm_uec.verifier import verify

ANGLES = ["30°", "45°", "60°", "90°"]
SOLIDS = ["cube", "prism", "sphere", "cone"]

# truth: texts that state it
STATES: dict[str, list[str]] = {
    "15": [
        "By the Pythagorean theorem, the hypotenuse is 15.", "By the Pythagorean Theorem, AC = 15.", "Using the law of cosines, we find that BC = 15.",
        "Applying the intersecting chords theorem, x equals 15.", "From the similarity of the triangles, we get DE = 15.", "Solving for x, we get x = 15.",
        "Solving this equation gives x = 15.", "Simplifying, we obtain x = 15.", "Dividing both sides by 3, we have x = 15.", "Substituting the values, AB = 15.",
        "Since the triangle is isosceles, AB = AC = 15.", "Because opposite sides of a parallelogram are equal, CD = 15.", "As the two triangles are congruent, EF = 15.",
        "The legs are 9 and 12, so the hypotenuse is 15.", "The angles sum to 180°, therefore x = 15.", "2x = 30, so x = 15.", "2x + 3 = 33, which gives x = 15.",
        "In triangle ABC, AB = 15.", "In the right triangle ABC, the hypotenuse AC is 15 cm.", "The perimeter comes out to 15 cm.", "The area works out to be 15.",
        "The length of AB turns out to be 15.", "The value of x is found to be 15.", "∴ AB = 15", "∴ x = 15.", "⇒ x = 15", "→ x = 15", "Hence x = 15 is the required value.",
        "The polygon has 15 sides.", "The regular polygon has 15 sides.", "Therefore, the polygon has 15 sides.", "So the solid has 15 edges.", "The figure has 15 vertices.",
        "15 is the answer.", "15 is the final answer.", "So 15 is our answer.", "15 cm is the correct answer.", "Therefore, 15 is the correct answer.", "**15** is the answer.",
        "The answer is 15, since 9^2 + 12^2 = 15^2.", "The answer is 15 because the triangle is right-angled.", "The answer is 15, by the Pythagorean theorem.",
        "The answer is 15, because 9 + 6 = 15.", "The answer is 15, as the two angles are equal.", "The answer is 15, since the sum of the angles is 180°.",
        "The answer is 15. This follows from the Pythagorean theorem.", "The answer is 15.\n\nExplanation: the sum of the angles in a triangle is 180°.",
        "x = 15, since the two triangles are similar.", "The hypotenuse is 15, by the Pythagorean theorem.", "The answer is 15. So x = 15.", "The answer is 15. Therefore AB = 15.0.",
        "Answer: 3 · 5 = 15", "Answer: x = 15", "Answer: AB = 9 + 6 = 15", "Answer: a+b+c = 4+5+6 = 15", "Answer: m + n = 8 + 7 = 15", "The answer is m+n = 8+7 = 15.",
        "**Answer:** The hypotenuse is 15.", "Answer: the length of AB is 15 cm.", "**Final answer:** $15$", "### Final Answer\n\n**x = 15**", "*The answer is 15.*", "_The answer is 15._",
        "***The answer is 15.***", "> The answer is 15.", "- The answer is 15.", "1. The triangle is right.\n2. The hypotenuse is 15.", "* **x = 15**", "`x = 15`", "## Answer: 15",
        "✅ Answer: 15", "✅ The answer is 15.", "👉 x = 15", "➡️ The answer is 15", "🎯 Final answer: 15", "📐 The hypotenuse is 15.", "⭐ **Answer: 15** ⭐", "The answer is 15 ✅", "✔️ 15 is the answer",
        "Therefore, the measure of $\\angle ABC$ is $15^\\circ$.", "Thus, \\(x = 15\\).", "So \\(AB = 15\\) cm.", "Therefore:\n\\[ x = 15 \\]", "Hence the required length is:\n$$15$$",
        "We conclude that x = 15.", "It follows that the radius is 15.", "This means that AB = 15.", "This gives us x = 15.", "We can conclude that the area is 15.", "Thus we obtain a radius of 15.",
        "Therefore, the length of side BC is 15 units.", "So the shaded area equals 15 square units.", "The triangle has an area of 15.", "The circle has a radius of 15 cm.", "The angle measures 15°.",
        "∠ABC measures 15 degrees.", "Angle ABC is 15 degrees.", "Segment AB is 15 cm long.", "The ladder is 15 feet long.", "The tower is 15 m tall.", "The building is 15 meters high.",
        "Therefore the height of the tree is 15 feet.", "So, the width of the river is 15 m.", "The correct answer is 15 units.", "Our final answer is 15.", "The solution is x = 15.", "Ans: 15", "Ans. 15", "ANS = 15",
        "The final answer comes out to 15.", "The final answer is therefore x = 15.", "So the answer to this problem is 15.", "The required area is 15 cm².", "After simplifying, x = 15.",
        "The diagram shows a right triangle. Its legs are 9 and 12. By the Pythagorean theorem, the hypotenuse is 15.", "First, 9 + 12 + 24 = 45.\nThen 45 / 3 = 15.\nSo the mean is 15.",
        "We know AB = 9. We know BC = 12. Therefore AC = 15.", "Let x be the side. Then 3x = 45. Hence x = 15.", "The answer is not 16. The answer is 15.", "Final result: 15", "Result: 15",
        "<answer>By the Pythagorean theorem, the hypotenuse is 15.</answer>", "<answer>The perimeter comes out to 15 cm.</answer>", "<answer>15, since the angles are equal.</answer>",
        "<answer>So x = 15.</answer>", "<answer>Solving for x, we get x = 15.</answer>", "<answer>15 is the answer.</answer>", "<answer>The polygon has 15 sides.</answer>",
        "<answer>∴ AB = 15</answer>", "<answer>**The answer is 15.**</answer>", "<answer>因此斜边长为15。</answer>", "<answer>The legs are 9 and 12, so the hypotenuse is 15.</answer>",
        "因此斜边的长为15。", "因此，三角形ABC的面积为15平方厘米。", "答：这个三角形的面积为15平方厘米。", "答：旗杆的高度为15米。", "答：船离灯塔的距离是15海里。", "∴AB=15", "∴∠A=15°", "∴∠ABC的度数为15°。",
        "由勾股定理得，AC=15。", "由勾股定理可得斜边为15。", "根据勾股定理，斜边AC的长是15。", "因为AB=9，BC=12，所以AC=15。", "∵AB=AC，∴∠B=15°", "解得x=15。", "解得：x=15", "解方程得x=15", "故x=15。",
        "所以这个多边形的边数是15。", "所以圆的半径等于15cm。", "则阴影部分的面积为15。", "即AB=15。", "综上所述，x的值为15。", "故答案为：15。", "故答案为15cm。", "本题答案为15。", "该题的答案是15。", "答案为：x=15。", "最终结果为15。",
        "答案是15，因为三角形的内角和是180°。", "所以，AB的长度为15厘米。", "故本题答案为15．", "【答案】15", "所以平行四边形ABCD的周长是15cm。", "因此，∠BOC＝15°。", "综上，△ABC的周长为15。", "于是得到x=15。", "化简得x=15。",
        "答：AB的长为15米．", "答：x的值是15。", "答：需要15米。", "由题意得，3x=45，解得x=15。", "因此这座塔的高度为15米。", "✅答案：15", "**答案：15**", "答案：$15$",
    ],
    "160√{3}m": ["答：旗杆的高度为 160√3 米", "因此，河的宽度为160√3米。", "So the height is 160√3 m.", "答：这栋楼的高度为$160\\sqrt{3}$米。", "故塔高为160√3米。"],
    "64 cm": ["The perimeter comes out to 64 cm.", "Therefore the perimeter is 64 centimeters.", "所以周长为64厘米。"],
    r"3 \sqrt { 3 }": ["By the Pythagorean theorem, the height is $3\\sqrt{3}$.", "∴ AB = 3√3", "Solving for h, we get $h = 3\\sqrt{3}$.", "So AD = 3\\sqrt{3} \\approx 5.196.", "因此高为3√3。", "∴AD=3\\sqrt{3}"],
    "87": ["Answer: a+b+c = 20+31+36 = 87", "**Answer: a + b + c = 20 + 31 + 36 = 87**", "So a+b+c = 20+31+36 = 87.", "Therefore, $a+b+c = 20+31+36 = 87$."],
    r"\frac { 3 } { 8 }": ["Solving, we get x = 3/8.", "The ratio equals \\frac{3}{8}.", "{3 \\over 8} is the answer.", "Thus the probability is $\\dfrac{3}{8}$."],
    "24": [
        "Using the Pythagorean theorem, we find that the missing leg is 24.", "By similar triangles, the height of the pole is 24 feet.", "By the angle bisector theorem, BD = 24.",
        "Thus, the side length is 24 cm.", "Therefore the volume is 24 cubic units.", "Plugging in the values, we get AB = 24.", "After substituting, we find x = 24.",
        "Since ABCD is a rectangle, AC = BD = 24.", "The sum of the two angles is 24°.", "So the sum of the digits is 24.", "Hence the value of y is 24.",
        "The perimeter of the rhombus comes out to be 24 cm.", "This gives x = 24.", "That gives us AB = 24.", "We therefore get x = 24.", "We get 24.", "So the length of the chord is 24.",
        "Therefore the diagonal measures 24 cm.", "The prism has 24 edges.", "24 is the correct answer.", "24 degrees is the answer.", "Hence 24 is the required answer.", "$24$ is the final answer.",
        "\\(24\\) is our answer.", "x = 24 is the solution.", "The solution is 24.", "The answer is 24, since the diagonals of a rectangle are equal.", "The answer is 24 since AB = BC.",
        "The answer is 24, because the exterior angle is 15°.", "The answer is 24 by the law of sines.", "The answer is 24, as required.", "The answer is 24, which is the length of AB.",
        "Answer: 6 \\times 4 = 24", "Answer: 2(5+7) = 24", "Answer: \\(x=24\\)", "Answer: p+q = 11+13 = 24", "Answer: a + b = 10 + 14 = 24", "**Answer**: 24 cm", "**The answer is: 24**",
        "**Therefore, x = 24.**", "# Answer\n24", "🔹 Answer: 24", "📝 The perimeter is 24.", "🟢 x = 24", "💡 So x = 24", "🎉 The answer is 24!", "➤ x = 24", "- Therefore, x = 24.",
        "1) The legs are 7 and 25.\n2) So AB = 24.", "> **Answer: 24**", "Final answer → 24", "Answer → 24", "Answer = **24**", "The final answer is $\\boldsymbol{24}$.", "∴ x = 24°", "∴ ∠A = 24°",
        "∴ the answer is 24", "∴ 24", "⇒ AB = 24 cm", "So, ∠ABC = 24°.", "m∠1 = 24", "Therefore m∠1 = 24°.", "<answer>The length of AB is 24.</answer>",
        "<answer>Therefore, the area is 24 square units.</answer>", "<answer>We get x = 24.</answer>", "<answer>The value of x is 24, since the angles are vertical.</answer>",
        "<answer>AB = 24 cm.</answer>", "<answer>∠ABC是24°。</answer>", "<answer>因此x=24。</answer>", "<answer>答：面积为24平方米。</answer>", "<answer>所以答案是24。</answer>", "<answer>24 is the answer</answer>",
        "因此正方形的面积为24。", "因此，这个梯形的高为24cm。", "答：梯形的面积为24平方厘米。", "答：这条河的宽度是24米。", "答：教学楼的高度为24米。", "答：小船到岸边的距离为24米。", "∴BC=24．", "∴∠BOC=24°．", "∴∠1=24°", "∴菱形的周长为24。", "∴AC的长为24cm。", "故BC的长为24。",
        "故面积为24。", "解得AB=24。", "得x=24。", "由相似三角形的性质，DE=24。", "由正弦定理可知BC=24。", "利用勾股定理，可得AB=24。", "在Rt△ABC中，AC=24。", "所以∠BAC的大小为24°。", "所以该多边形有24条边。", "那么面积是24。", "综上所述，答案是24。", "最后答案：24",
        "本题的答案是24。", "故本题的答案为24。", "因此，本题答案是24。", "答案为 24 厘米。", "答案等于24。", "所以这个角的度数为24°。", "因此圆锥的体积为24立方厘米。", "答案是24，因为三角形ABC是等腰三角形。", "由于AB=CD，所以x=24。", "由题意可知，AB=24。", "即x的值为24。", "所以x等于24。",
        "因此弦AB的长为24。", "所以AB=CD=24。", "The question asks for the perimeter. The perimeter is 24.", "We add 10 and 14. The result is 24.", "The two angles are complementary, and so x = 24.",
        "2x + 4 = 52 → x = 24", "2x = 48 ⇒ x = 24", "x + 10 = 34 ∴ x = 24", "We have 3x = 72; hence x = 24.", "From the figure, AB = 24.", "From the equation x + 6 = 30, we get x = 24.",
        "Adding 10 and 14 gives 24.", "Multiplying 6 by 4 yields 24.", "Hence, we have AB = 24.", "So our final answer is x = 24.", "The length of the missing side is 24 units.",
        "The measure of arc AB is 24 degrees.", "The measure of the exterior angle is 24°.", "The distance between the points is 24.", "The scale factor is 24.", "The radius of the circle is 24 cm.",
        "The answer, in centimeters, is 24.", "In conclusion, the area of the shaded region is 24.", "To conclude, x = 24.", "Thus x must be 24.", "So x has to be 24.", "The desired length is 24.",
        "The shaded area is 24 cm².", "Each side is 24 cm.", "Each angle measures 24°.", "Both angles are 24°.", "Total area = 24", "Perimeter = 24 cm", "Area of ABC = 24", "Length: 24", "AB is 24.",
        "x is 24.", "AB equals 24 cm.", "AB has length 24.", "The angle is equal to 24°.",
    ],
    "90-w": ["Therefore, the measure of the angle is 90 - w.", "x = 90 - w, since the angles are complementary."],
}  # fmt: skip

# truth: texts that do not state it
DOES_NOT_STATE: dict[str, list[str]] = {
    "15": [
        # second values and retractions behind the statement
        "The answer is 15. So x = 16.", "The answer is 15. Therefore, AB = 16.", "The answer is 15. The hypotenuse is 16.", "The answer is 15. 16.", "The answer is 15.\n16", "The answer is 15. Answer: 16",
        "The answer is 15. This contradicts the figure.", "The answer is 15. That was only the hypothetical case.", "The answer is 15. That is impossible.", "The answer is 15. Just kidding.",
        "The answer is 15. Ignore that.", "The answer is 15. That does not fit the figure.", "The answer is 15. But the figure shows 16.", "The answer is 15. On second thought, 16.",
        "The answer is 15. Hmm.", "The answer is 15. Let me recompute.", "The answer is 15. Let me check again.", "The answer is 15. This was the answer to the previous part.", "The answer is 15. Then we double it.",
        "The answer is 15. It has to be doubled.", "The answer is 15. We still have to add 1.", "The answer is 15. Adding 1, we get 16.", "The answer is 15. Now multiply by 2.", "The answer is 15. My friend disagrees.",
        "The answer is 15. This would be true in the isosceles case.", "The answer is 15. I made an error above.", "The answer is 15. I cannot verify this.", "The answer is 15. Not really.", "The answer is 15. Correction: 16.",
        "The answer is 15. Correction: the answer is 16.", "The answer is 15. Edit: 16", "The answer is 15. More precisely, 15.3.", "The answer is 15. Strictly speaking this holds for right triangles.", "The answer is 15 ❌",
        "The answer is 15. The sides are 15 and 16.", "The answer is 15; x = 16.", "The answer is 15, x = 16.", "The answer is 15, so x = 16.", "The answer is 15, which gives x = 16.", "The answer is 15, since x = 16.",
        "The answer is 15, which contradicts the figure.", "The answer is 15, which is impossible.", "The answer is 15, as my classmate says.", "The answer is 15 (or 16).", "The answer is 15/16.", "The answer is 15 → 16.",
        "x = 15. x = 16.", "x = 15, y = 16", "x = 16, y = 15", "BC = 12, AC = 15.", "x = 15 and y = 16.", "The area is 16 and the perimeter is 15.", "AB = 15. The area is 30.", "The hypotenuse is 15. The area is 54.",
        "x = 15. This contradicts the triangle inequality.", "The hypotenuse is 15. That is too long.", "The answer is 15. The answer is wrong.", "The answer is 15. None of these.", "15 is the answer. 16 is the answer.", "15 is the answer. Or 16.",
        "16 is the answer. 15 is the answer.",
        # conditions and suppositions
        "If the triangle is isosceles, the answer is 15.", "Suppose the triangle is isosceles. Then the answer is 15.", "Supposing x = 3, the answer is 15.", "Assuming the triangle is right, the answer is 15.",
        "Provided that AB = AC, the answer is 15.", "In case x = 3, the answer is 15.", "When x = 3, the answer is 15.", "For x = 3, the answer is 15.", "The answer is 15 for x = 3.", "The answer is 15 when x = 3.",
        "The answer is 15, provided that AB = AC.", "The answer is 15 assuming AB = AC.", "Unless AB = AC, the answer is 15.", "Were it isosceles, the answer would be 15.", "Hypothetically, the answer is 15.",
        "If AB = AC. The answer is 15.", "Imagine that AB = AC. The answer is 15.", "Only if AB = AC is the answer 15.", "The answer is 15 in the isosceles case.", "Had AB been 9, the answer is 15.", "If x = 3, then AB = 15.",
        "Suppose AB = 9. Then AC = 15.", "Should AB be 9, AC = 15.", "Let us pretend that x = 3. So the answer is 15.", "Then, in the hypothetical case, x = 15.", "Under this assumption, the answer is 15.",
        # hedges
        "It seems the answer is 15.", "The answer seems to be 15.", "The answer appears to be 15.", "Apparently the answer is 15.", "Presumably, x = 15.", "Supposedly the answer is 15.", "My guess: 15", "My guess is 15.",
        "I am not sure. The answer is 15.", "This is just a guess. The answer is 15.", "I have no idea, so the answer is 15.", "The answer is 15, maybe.", "The answer is 15 I suppose.", "The answer is 15, if I am right.",
        "The answer is 15 🤔", "The answer is 15...?", "The answer is hopefully 15.", "With luck, the answer is 15.", "The answer may well be 15.", "A possible answer is 15.", "One possibility is 15.", "The likely answer is 15.",
        "The estimated answer is 15.", "A rough estimate: x = 15", "I would say the answer is 15.", "I'd say 15 is the answer.", "15 is probably the answer.", "15 might be the answer.", "15 could be the answer.", "15 is one answer.",
        "Perhaps the hypotenuse is 15.", "The hypotenuse is perhaps 15.", "The polygon probably has 15 sides.", "The polygon may have 15 sides.", "The polygon has about 15 sides.", "The polygon has 15 or 16 sides.",
        "The polygon has at least 15 sides.", "The polygon does not have 15 sides.", "If so, the polygon has 15 sides.", "The other polygon has 15 red sides.", "By a lucky guess, the hypotenuse is 15.",
        # hearsay and answers of others
        "Somebody says the answer is 15.", "My friend says the answer is 15.", "A classmate's answer is 15.", "Tom's answer is 15.", "The answer to the previous problem is 15.", "The answer of the last exercise is 15.",
        "According to my classmate, the answer is 15.", "According to the internet, the answer is 15.", "The teacher claims that x = 15.", "A student wrote: the answer is 15.", "A student wrote:\nThe answer is 15.",
        "I was told the answer is 15.", "I heard that the answer is 15.", "People say AB = 15.", "His answer is 15.", "Their answer is 15.", "Your answer is 15.", "Another answer is 15.", "The other answer is 15.",
        "The answer in the book is 15.", "The old answer is 15.", "The answer to the other problem is 15.", "The example's answer is 15.", "In the example, the answer is 15.", "B's answer is 15.", "The student's final answer is 15.",
        "The first student got x = 15.", "He says: 15 is the answer.", "My neighbour wrote 15 is the answer.", "The problem says AB = 15.", "The key says: Answer: 15", "Someone's claim: AB = 15.",
        # lists, glued text, other meaning
        "12, 13, 14, 15. The answer is 15.", "14, 15, 16: the answer is 15.", "12 13 14 15 the answer is 15", "14\n15\n16\nThe answer is 15.", "16 The answer is 15.", "16the answer is 15", "16, the answer is 15.",
        "16 答案是15", "16答案是15", "14，15，16，答案是15。", "14、15、16。答案是15。", "16。答案是15。", "16\n答案是15", "13 14 15答案15", "Candidates: 14, 15, 16. The answer is 15.", "(14) (15) (16) The answer is 15.",
        "Half the hypotenuse is 15.", "Twice the radius is 15.", "The hypotenuse is 15 more than the leg.", "The hypotenuse is less than 15.", "The hypotenuse is 15 times x.", "x is not equal to 15.", "x is not 15.",
        "15 is not the answer.", "15 is the wrong answer.", "15 is an answer to another question.", "15 is the number of sides, so the answer is 16.", "15 is close to the answer.", "Neither 14 nor 15 is the answer.",
        "Everything except 15 is the answer.", "The answer key has 15 entries.", "There are 15 ways to be wrong.", "The polygon has 15 sides in my dream.", "The square of the answer is 15.", "The answer exceeds 15.",
        "<answer>If x = 3, AB = 15.</answer>", "<answer>The hypotenuse is not 15.</answer>", "<answer>The hypotenuse is 15. So x = 16.</answer>", "<answer>My friend says it is 15.</answer>", "<answer>14, 15, 16: the answer is 15</answer>",
        "<answer>16 the answer is 15</answer>", "<answer>16答案是15</answer>", "<answer>如果x=3，答案是15。</answer>", "<answer>15, or 16</answer>", "<answer>The answer is 15. That was only the hypothetical case.</answer>",
        r"\boxed{16答案是15}", r"\boxed{16\text{ the answer is }15}", r"\boxed{16 \text{, answer: } 15}", r"\boxed{16. \text{The answer is } 15}", r"\boxed{\text{if } x = 3, x = 15}", r"\boxed{如果x=3，答案是15}",
        r"\boxed{\text{Tom's answer is } 15}", r"\boxed{上一题的答案是15}", r"\boxed{14，15，答案是15}", r"\boxed{小明的答案是15}", r"\boxed{\text{It seems the answer is } 15}", r"\boxed{15答案}", r"\boxed{x=16，面积为15}",
        # Chinese
        "如果x=3，那么答案是15。", "若x=3，则答案是15。", "假设三角形是等腰的，答案是15。", "假如AB=AC，则x=15。", "假设AB=9。那么答案是15。", "倘若如此，答案为15。", "当x=3时，答案是15。", "要是AB=AC，答案就是15。", "只有AB=AC时，答案才是15。",
        "看来答案是15。", "似乎答案是15。", "好像x=15。", "看起来面积是15。", "据说答案是15。", "有人说答案是15。", "听说答案是15。", "他说答案是15。", "老师说答案是15。", "同学说x=15。", "网上说答案是15。", "小明说答案是15。",
        "上一题的答案是15。", "上题答案是15。", "前一题答案为15。", "另一题的答案是15。", "同学的答案是15。", "小明的答案是15。", "他的答案是15。", "别人的答案是15。", "同桌的结果是15。", "例题的答案是15。", "小红算出的面积是15。", "答：小明的答案是15。",
        "答案是15。所以x=16。", "答案是15。这与图形矛盾。", "答案是15。这只是假设的情况。", "答案是15。不对。", "答案是15。16。", "答案是15，但不确定。", "答案是15。等等。", "答案是15。重新计算得16。", "答案是15，所以x=16。", "面积为15。周长为16。",
        "答案是15。算错了。", "答案是15，这不可能。", "我觉得答案是15。", "我认为答案是15。", "估计答案是15。", "答案估计是15。", "应该是15。", "答案应当是15。", "差不多是15。", "答案约15左右。", "答案未必是15。", "不一定是15。", "一个可能的答案是15。",
        "错误答案是15。", "答案的一半是15。", "答案加1是15。", "答案不止15。", "答案大于15。", "答案是15的倍数。", "我不知道。答案是15。", "我不确定。答案是15。", "随便猜，答案是15。", "x=15或x=16。", "∴x=15或16", "∴x=15，y=16", "故x≠15。",
        "如果AB=9，那么∴AC=15", "答：如果x=3，面积为15。", "答：面积可能为15。", "答：面积为15或16。", "因此面积不为15。", "因此有人说面积为15。", "因此x=15？", "难道x=15？", "答案不会是15。",
    ],
    "24": [
        "The answer is 24. So y = 25.", "The answer is 24. Hence the side is 25.", "The answer is 24. Then AB = 25.", "The answer is 24. That violates the triangle inequality.",
        "The answer is 24. This does not match the diagram.", "The answer is 24. That was for the other triangle.", "The answer is 24. This was just an example.",
        "The answer is 24. I take that back.", "The answer is 24. Strike that.", "The answer is 24. My mistake.", "The answer is 24. It could also be 25.", "The answer is 24, or rather 25.",
        "The answer is 24, I mean 25.", "The answer is 24 — no, 25.", "The answer is 24 (25 in the other case).", "The answer is 24, but 25 is possible.", "The answer is 24, and x = 25.",
        "The answer is 24, which is half of the area.", "The answer is 24. The correct value is 25.", "The answer is 24. The real answer is 25.", "The answer is 24. In reality it is 25.",
        "The answer is 24. Thus the perimeter is 25.", "The answer is 24\nx = 25", "The answer is 24.\n\nTherefore, 25.", "Answer: 24\nAnswer: 25", "Answer: 24, 25", "Answer: 24 / 25",
        "x = 24. The answer is 25.", "AB = 24. Hence, BC = 25.", "The answer is 24. This is the answer to part (a).", "The answer is 24. However.", "The answer is 24. But.",
        "If x were 3, the answer would be 24.", "If AB = 5 then the answer is 24.", "Let's say x = 3; the answer is 24.", "Granted that AB = CD, the answer is 24.",
        "On the assumption that AB = CD, x = 24.", "Only when x = 3 is the answer 24.", "In that case, the answer is 24.", "The answer is 24 as long as AB = CD.",
        "The answer is 24 only for squares.", "The answer is 24 on the condition that AB = CD.", "The answer is 24 given x = 3.", "With x = 3, the answer is 24.", "For a square, the answer is 24.",
        "Taking x = 3 as a guess, the area is 24.", "Let x = 3. Then the answer is 24.", "The answer looks like 24.", "It looks like the answer is 24.", "The answer should be 24.",
        "The answer ought to be 24.", "The answer is arguably 24.", "The answer is about 24.", "Approximately speaking, maybe 24.", "I'd guess 24.", "I suspect the answer is 24.",
        "I bet the answer is 24.", "One could say the answer is 24.", "I would go with 24.", "24, I think.", "24?", "24 perhaps", "The answer is 24, probably.", "The answer is 24 (not sure).",
        "The answer is 24 (guess).", "The answer is 24 (?)", "Not sure, but x = 24.", "Educated guess: AB = 24.", "In my opinion the answer is 24.", "The solutions manual says the answer is 24.",
        "Alice got 24.", "Alice's answer is 24.", "Bob claims the answer is 24.", "The previous answer was 24.", "The previous answer is 24.", "The answer to part (a) is 24.",
        "The answer to the last question is 24.", "The first problem's answer is 24.", "Some people think the answer is 24.", "Another student found x = 24.", "The professor's answer is 24.",
        "ChatGPT says the answer is 24.", "The user says the answer is 24.", "The prompt says that x = 24.", "According to Alice, AB = 24.", "According to the answer key, x = 24.",
        "As my teacher said, x = 24.", "A common wrong answer is 24.", "The naive answer is 24.", "The trap answer is 24.", "The expected answer is 24 points.", "The sample answer is 24.",
        "22, 23, 24. The answer is 24.", "22 23 24\nThe answer is 24.", "1, 2, 3, 4, 24: x = 24", "20, 22, 24, so the answer is 24.", "20, 22 and 24, so the answer is 24.", "25 The answer is 24",
        "25answer: 24", "25x = 24", "25, x = 24", "(25) x = 24", "25; the answer is 24", "25 | 24", "25 → 24", "25 -> 24", "25 = 24", "25答案24", "25，答案为24。", "25。故答案为24。", "答案是25。答案是24。", "x=25，x=24",
        "∴x=25，24", "答案：25、24", "25故选24", "答案是24或者25。", "答案是24，也可能是25。", "答案是24。但图中是25。", "答案是24。更正：25。", "答案是24。上面算错了。", "答案是24。这是上一题的答案。", "答案是24。这是小明的答案。", "答案是24。所以面积是25。", "答案是24。因此y=25。",
        "答案是24，y=25。", "如果AB=5，那么面积是24。", "若∠A=30°，则x=24。", "假设x=3，面积为24。", "设想AB=5，则答案是24。", "万一x=3，答案就是24。", "假定AB=CD。因此x=24。", "一旦x=3，答案是24。", "在x=3的情况下，答案是24。", "当AB=CD时，x=24。", "大家说答案是24。",
        "书上的答案是24。", "课本答案是24。", "小刚的答案是24。", "小华认为答案是24。", "有同学算得24。", "某同学的答案是24。", "老师的答案是24。", "上一问的答案是24。", "第一题的答案是24。", "前面的答案是24。", "参考答案可能是24。", "据小明说，x=24。", "他认为面积为24。", "看上去答案是24。",
        "貌似答案是24。", "恐怕答案是24。", "我猜是24。", "大约是24。", "答案也许24。", "答案不一定是24。", "答案并不是24。", "答案不等于24。", "x不等于24。", "面积不是24。", "答：不是24。", "答：小明说面积为24。", "答：如果x=3，则为24。", "答：也许是24。", "因此同学认为面积为24。",
        "因此可能面积为24。", "若面积为24。", "难道答案是24？", "The area plus one is 24.", "The area is 24 less than the perimeter.", "The area divided by 2 is 24.", "Two times the area is 24.",
        "Double the length is 24.", "The square of AB is 24.", "AB squared is 24.", "AB^2 = 24.", "2x = 24.", "x + 1 = 24.", "x/2 = 24", "-x = 24", "The negative of x is 24.",
        "The answer minus 1 is 24.", "The polygon lacks 24 sides.", "The polygon has 24 more sides.", "The polygon has 2 times 24 sides.", "There is no 24.", "The 24 is wrong.",
        "24 of them are right.", "24 is the answer to life.", "24 is the answer to the other question.", "24 is the answer of Tom.", "24 is the answer, or 25.", "24 is not the final answer.",
        "24 is almost the answer.", "24 is the answer if x = 3.", "24 is the answer. 25 is the answer.", "I do not know whether the answer is 24.", "Nobody knows the answer is 24.",
        "It is false that the answer is 24.", "It is unclear that x = 24.", "Who says x = 24?", "Prove that x = 24.", "Show that x = 24.", "Find x such that AB = 24.", "We want x = 24.",
        "We need AB = 24.", "Given: AB = 24.", "We are given that AB = 24.", "The problem gives AB = 24.", "The figure is given with AB = 24.", "<answer>24 or 25</answer>", "<answer>Not 24</answer>",
        "<answer>The answer is 24. So x = 25.</answer>", "<answer>25. The answer is 24.</answer>", "<answer>25 答案是24</answer>", "<answer>Suppose x = 3. Then AB = 24.</answer>",
        "<answer>Alice's answer is 24.</answer>", "<answer>24, since x = 25</answer>", "<answer>24, wait 25</answer>",
    ],
    "3": ["2x = 6, x = 3 or x = 4", "x^2 = 3", "2x = 3", "x + 1 = 3", "a + b = 3, c = 4", "Answer: 2x = 3", "Answer: x + 1 = 3"],
    "12": ["x^2 = 12 = 3 + 9", "Answer: 2x = 12", "The legs are 9, 12.", "The legs are 9 and 12.", "AB and CD are 12 and 13.", "Answer: a + b = 5 + 7 = 13", "a+b = 5+6 = 12"],
}  # fmt: skip

# text, right; four choices, the truth is the third
WITH_ANGLES = [
    ("The answer is C. 60°", True), ("The answer is C. 60°.", True), ("Answer: C. 60°", True), ("The answer is (C) 60°.", True), ("The correct answer is C, 60°.", True), ("The correct option is C: 60°.", True), ("Answer: (C)", True),
    ("**Answer: C. 60°**", True), ("The answer is **C. 60°**.", True), ("Therefore, the correct answer is **C**.", True), ("The answer is C because the triangle is equilateral.", True), ("The answer is C, since the angle is 60°.", True),
    ("So the correct choice is C.", True), ("C is the answer.", True), ("C is the correct answer.", True), ("Option C is the correct answer.", True), ("Option C is correct.", True), ("(C) is correct.", True), ("(C) 60° is the correct answer.", True),
    ("The angle is 60°.\nC. 60°", True), ("The triangle is equilateral.\n\nC. 60°", True), ("The triangle is equilateral.\n\n(C) 60°", True), ("The triangle is equilateral.\n\n**C. 60°**", True), ("C. 60°", True), ("C) 60°", True), ("(C)", True),
    ("The angle is 60°. The answer is C.", True), ("The answer is C. The angle is 60°.", True), ("A. 30°\nB. 45°\nC. 60°\nD. 90°\nThe answer is C.", True), ("The angle is 60°, so the answer is C.", True), ("Thus the correct answer is option C.", True),
    ("So we choose C.", True), ("We choose option C.", True), ("Therefore, we select (C).", True), ("The correct answer is option (C) 60°.", True), ("The answer is C.\n\nThis follows from the sum of the angles in a triangle.", True),
    ("故本题选C", True), ("故本题选C。", True), ("故本题选：C", True), ("本题选C", True), ("答案为C选项", True), ("答案为C选项。", True), ("答案是选项C。", True), ("因此答案为C。", True), ("所以本题答案选C。", True), ("故选：C．", True), ("因此选择C选项。", True),
    ("所以正确答案是C。", True), ("正确选项为C。", True), ("综上所述，选C。", True), ("故选C，60°", True), ("答案：C. 60°", True), ("答案是C、60°", True), ("答案是(C)60°。", True), ("所以应选C。", True), ("选项C正确。", True), ("C选项正确。", True), ("故选择C", True),
    ("∴∠A=60°，故选C。", True), ("∴∠A=60°，故选：C", True), ("因为∠A=60°，所以选C。", True), ("<answer>The answer is C. 60°</answer>", True), ("<answer>C. 60°</answer>", True), ("<answer>故选C</answer>", True), ("<answer>Option C is correct.</answer>", True),
    ("The answer is C. 45°", False), ("The answer is C. 45°.", False), ("Answer: C. 45°", False), ("The answer is C. D", False), ("The answer is C. D.", False), ("The answer is C, 45°.", False), ("The answer is C: 45°.", False), ("The answer is C (45°).", False),
    ("The answer is (C) 45°.", False), ("The answer is (C). 45°", False), ("Answer: C) 45°", False), ("The answer is B. 60°", False), ("Answer: B. 60°", False), ("The answer is 60° (B).", False), ("The answer is C and D.", False), ("The answer is C or D.", False),
    ("The answer is C. The angle is 45°.", False), ("The answer is C. So the angle is 45°.", False), ("The angle is 60°. The answer is B.", False), ("The answer is C, since the angle is 45°.", False), ("The answer is C. The answer is D.", False),
    ("The answer is C. No, D.", False), ("The answer is C. Or D.", False), ("The answer is C/D.", False), ("The answer is C. Wait, D.", False), ("The answer is C; D.", False), ("The answer is C - 45°.", False), ("C. 45°", False), ("C. D", False), ("C or D", False),
    ("A. 30°\nB. 45°\nC. 60°", False), ("B. 45°\nC. 60°", False), ("(A) 30° (B) 45° (C) 60°", False), ("The choices are\nA. 30°\nB. 45°\nC. 60°", False), ("The triangle is equilateral.\n\nC. 45°", False), ("Tom chose C.", False), ("My friend says C. 60°", False),
    ("The answer is not C. 60°", False), ("Is it C. 60°?", False), ("Maybe C. 60°", False), ("If so, C. 60°", False), ("Option C is incorrect.", False), ("Option C is not correct.", False), ("C is not the answer.", False), ("C is wrong.", False), ("Options B and C are correct.", False),
    ("Not C. 60°", False), ("It seems that C is the answer.", False), ("A classmate's answer is C.", False), ("I guess C.", False), ("答案是C. 45°", False), ("答案：C、45°", False), ("答案是C，45°。", False), ("故选C，45°", False), ("答案是C。45°", False), ("答案是B，60°。", False),
    ("答案是C. D", False), ("答案是C或D。", False), ("不选C。", False), ("选C不对。", False), ("C选项错误。", False), ("选项C不正确。", False), ("如果是等腰三角形，选C。", False), ("小明选C。", False), ("同学选C", False), ("好像选C", False), ("可能选C。", False), ("故选C。故选D。", False),
    ("故选C。∴∠A=45°", False), ("∴∠A=45°，故选B。", False), ("<answer>The answer is C. 45°</answer>", False), ("<answer>C. 45°</answer>", False), (r"\boxed{C. 45^\circ}", False), (r"\boxed{\text{The answer is C. } 45^\circ}", False), ("上一题选C。", False),
    ("The correct answer is C) 60°.", True), ("Answer: C", True), ("Answer: **C**", True), ("Answer: C) 60°", True), ("The answer is choice C.", True), ("The answer is option C, 60°.", True),
    ("So, option (C) is the answer.", True), ("Therefore, the correct option is C.", True), ("The triangle is equilateral.\nAnswer: C. 60°", True),
    ("Since the angles are equal, the answer is C.", True), ("By the angle sum, the answer is (C).", True), ("(C) 60° is the answer.", True), ("The angle is 60°.\n\nC", True),
    ("The angle is 60°.\n\n**C**", True), ("The angle is 60°.\n\n(C)", True), ("The angle is 60°.\n\nC) 60°", True), ("We get x = 60°.\nC. 60°", True), ("The correct answer is C: 60°", True),
    ("因此本题选C。", True), ("所以本题选择C选项。", True), ("故本题正确答案为C。", True), ("答案应选C。", True), ("故答案选C", True), ("故选C选项", True), ("综上，本题选C。", True), ("∴本题选C", True), ("正确答案：C", True), ("【答案】C", True),
    ("答案：C选项", True), ("因此正确选项为C。", True), ("答案：（C）60°", True), ("所以选C，即60°。", True), ("故选：C。", True), ("x=60，故选C。", True), ("∠A=60°，故选C", True), ("由三角形内角和得∠A=60°，因此选C。", True),
    ("The answer is C. 30°", False), ("The answer is C. B", False), ("The answer is C. A.", False), ("The answer is C, D", False), ("The answer is C, i.e. 45°.", False),
    ("The answer is C, which is 45°.", False), ("The answer is C = 45°.", False), ("The answer is C because the angle is 45°.", False), ("So C, since x = 45.", False),
    ("The angle is 45°, so the answer is C.", False), ("As the angle is 45°, the answer is C.", False), ("Since the angle is 45°, the answer is C.", False), ("Answer: C. 90°", False),
    ("Answer: C (30°)", False), ("Answer: C → 45°", False), ("Answer: C/60°/45°", False), ("C. 30°", False), ("(C) 30°", False), ("C) D", False), ("The angle is 45°.\n\nC. 45°", False),
    ("So the angle is 45°. The answer is C.", False), ("Therefore, x = 45. The answer is C.", False), ("The answer is C. Therefore the angle is 45°.", False),
    ("The answer is C and the angle is 45°.", False), ("The answer is D. 60°", False), ("The answer is D, 60°.", False), ("答案是C，即45°。", False), ("答案是C（45°）。", False), ("答案是C：45°", False),
    ("答案是C. 30°。", False), ("答案是C、D。", False), ("故选C，即45°。", False), ("故选C。即45°。", False), ("故选C（45°）。", False), ("∠A=45°，故选C。", False), ("因为∠A=45°，所以选C。", False), ("x=45，故选C", False),
    ("故选C、D", False), ("选C或D", False), ("选C，不选D", False), ("选C还是D？", False), ("答案是D，60°。", False), ("本题选C吗？", False), ("本题可能选C。", False), ("本题不选C。", False), ("有人选C。", False), ("如果选C", False),
    ("小明选C", False), ("同学的答案是C。", False), ("上题选C。", False), ("上一题答案是C。", False), ("假设选C。", False), ("Tom picked C.", False), ("Tom's answer is C.", False), ("A friend chose C.", False),
    ("Someone says C.", False), ("C would be the answer.", False), ("C could be correct.", False), ("C is the answer if x = 3.", False), ("Option C looks right.", False), ("C seems right.", False),
    ("C is probably right.", False), ("Neither C nor D.", False), ("All except C.", False), ("A. 30°, B. 45°, C. 60°", False), ("A 30° B 45° C 60°", False), ("C. 60° D. 90°", False),
    ("Choices: C. 60°", False), ("B. 45°\nC. 60°\n", False), ("Options:\n(B) 45°\n(C) 60°", False),
]  # fmt: skip
# the truth is the third, "sphere"
WITH_SOLIDS = [
    ("The answer is C. Sphere", True), ("The answer is C. sphere.", True), ("The answer is sphere.", True), ("Answer: C. Sphere", True), ("The answer is (C) sphere.", True), ("答案是C. sphere", True), ("The correct answer is C: sphere.", True),
    ("The answer is C. Cube", False), ("The answer is C. The cube.", False), ("The answer is C. cube.", False), ("Answer: C. Cone", False), ("The answer is C. Sphere or cube", False), ("The answer is sphere. Cube.", False), ("The answer is C. Not the sphere.", False),
    ("The answer is B. Sphere", False), ("The answer is cube. Sphere", False), ("The answer is C, the cube.", False), ("答案是C，cube", False),
]  # fmt: skip


def _pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(text, truth) for truth, texts in table.items() for text in texts]


@pytest.mark.parametrize(("text", "truth"), _pairs(STATES))
def test_statements_count(text: str, truth: str) -> None:
    verdict = verify(f"<think>The answer is 7.</think>\n{text}", truth)
    assert verdict.correct, (verdict.extracted, verdict.reason)
    assert not verify(text, "7").correct


@pytest.mark.parametrize(("text", "truth"), _pairs(DOES_NOT_STATE))
def test_texts_without_a_statement_do_not_count(text: str, truth: str) -> None:
    verdict = verify(text, truth)
    assert not verdict.correct, (verdict.extracted, verdict.reason)


@pytest.mark.parametrize(
    ("text", "choices", "right"),
    [(text, ANGLES, right) for text, right in WITH_ANGLES]
    + [(text, SOLIDS, right) for text, right in WITH_SOLIDS],
)
def test_statements_with_choices(text: str, choices: list[str], right: bool) -> None:
    verdict = verify(text, choices[2], choices=choices)
    assert verdict.correct is right, (verdict.extracted, verdict.reason)


@pytest.mark.parametrize(
    "response",
    [
        "x = 48x = 49",
        r"\boxed{x = 48x = 49}",
        r"\boxed{49 % 2}",
        r"\boxed{~~49~~}",
        r"\boxed{➖49}",
        r"\boxed{49  ...}",
        "GOLD: 49",
        "The answer of problem 2 is 49.",
        "Ｙｏｕｒ ａｎｓｗｅｒ ｉｓ ４９．",
        "48 cm. The answer is 49.",
        "48 所以答案为 49",
        "The answer is 48" + " " * 3000 + "49.",
        "The answer is 48" + "\n" * 3000 + "49.",
        "\n" * 3000 + "The answer is 48. The answer is 49.",
    ],
)
def test_tricks_that_once_earned(response: str) -> None:
    assert not verify(response, "49").correct


@pytest.mark.parametrize(
    ("text", "truth", "right"),
    [
        ("The answer is option C: 60°.", "60°", True),
        ("The answer is option C: 45°.", "60°", False),
        ("The answer is option C: 45°.", "45°", False),
    ],
)
def test_a_named_option_and_its_text_agree(text: str, truth: str, right: bool) -> None:
    assert verify(text, truth, choices=["30°", "45°", "60°", "90°"]).correct is right


def test_names_within_names_end() -> None:
    """Each is the name of the next: the text shrinks, whatever its case."""
    assert not verify("a: b: c: " * 20 + "49", "48").correct
