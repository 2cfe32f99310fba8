"""Recognise harmless text around a statement: premises before it and reasons behind it.

The vocabulary is closed. A word outside it may condition, attribute or retract the statement, so such a text
is not harmless. The vocabulary therefore lacks negations, hedges, conditions, persons, and words for answers.
"""

from __future__ import annotations

import re

MAX_REASON_LENGTH = 400  # characters

_FUNCTION_WORDS = """
    rt a an the of for in to on at from by with between and is are be been am we us our i it its
    this that these those they their them which where whose so since because as also then thus hence
    therefore have has get gets got both each all every same here there now first second third last
    next finally when how do does can must into onto up out over per above below about respectively
    after upon according based back together exactly simply directly clearly easily again namely given let
"""
_OPERATIONS = """
    find finding found use uses used using apply applying applied solve solving solved solves
    simplify simplifying simplifies simplified simplification substitute substituting substituted
    substitution calculate calculating calculated calculation calculations compute computing
    computed computation evaluate evaluating evaluates rearrange rearranging rearranged expand
    expanding factor factoring divide dividing divided division multiply multiplying multiplied
    multiplication add adding added adds addition subtract subtracting subtracted subtraction take
    taking takes square squaring isolate isolating combine combining set setting equate equating
    plug plugging put putting obtain obtaining obtained obtains know known knowing see shows show
    shown showing note recall observe consider considering denote denoted draw drawn drawing label
    labeled label construct cross-multiply cross-multiplying follow follows following comes come
    came give gives giving given yield yields yielding mean means imply implies become becomes make
    makes making satisfy satisfies hold holds agree agrees match matches confirm confirms check
    checks verify verifies results result equals equal equaling conclude deduce determine determined
    rationalize rationalizing collect collecting comparing compare relate relates relating bisect
    bisects bisecting intersect intersects intersecting divides form forms formed lie lies subtend
    subtends inscribe share shares sum sums summing complete completing doubling halving working
    convert converting round rounded rounding
"""
_GEOMETRY = """
    angle angles triangle triangles side sides length lengths area areas perimeter circumference
    radius radii diameter diameters hypotenuse leg legs base bases height heights altitude altitudes
    width depth volume surface line lines segment segments point points vertex vertices edge edges
    face faces polygon polygons pentagon hexagon heptagon octagon nonagon decagon quadrilateral
    rectangle rectangles squares rhombus kite trapezoid trapezium parallelogram parallelograms
    circle circles semicircle arc arcs chord chords tangent tangents secant secants sector center
    centre centers midpoint midpoints median medians midsegment midsegments midline diagonal
    diagonals bisector bisectors centroid incenter circumcenter orthocenter apothem cone cylinder
    sphere prism pyramid cube solid figure diagram picture image problem question parallel
    perpendicular congruent congruence similar similarity proportional proportion proportions
    proportionality corresponding alternate adjacent opposite vertical interior exterior inner outer
    supplementary complementary linear pair straight right acute obtuse isosceles equilateral
    scalene equiangular regular inscribed circumscribed central subtended included remaining missing
    unknown required desired shaded total whole part parts half twice triple double quarter one two
    three four five six seven eight nine ten left top bottom theorem theorems pythagorean pythagoras
    pythagoras' heron heron's thales thales' euclid ptolemy ptolemy's pick's law laws sine sines
    cosine cosines sin cos tan cot formula formulas formulae rule rules identity property properties
    postulate definition criterion test ratio ratios scale equation equations expression expressions
    inequality value values variable variables term terms number numbers fraction fractions root
    roots power product difference quotient mean average measure measures measured measuring degree
    degrees unit units cm mm m km meter meters metre metres centimeter centimeters foot feet inch
    inches ft yard yards mile miles symmetry symmetric distance distances coordinate coordinates
    slope slopes plane region regions step steps fact geometry congruency aa sas sss asa aas hl
    shape times plus minus hundredths place places decimal decimals
    right-angled right-triangle cyclic transversal proportionally common exact positive
    negative quadratic algebra trigonometry trigonometric sides' triangle's circle's angle-bisector
    intersecting power-of-a-point nearest tenth hundredth tenths integer ladder tower tree building
    river pole
"""
_WORDS = frozenset(f"{_FUNCTION_WORDS} {_OPERATIONS} {_GEOMETRY}".split())
_VERBS = re.compile(
    r"\b(?:is|are|has|have|equals?|follows?|comes?|gives?|uses?|sums?|adds?|forms?|agrees?|matches"
    r"|holds?|satisf(?:y|ies)"
    r"|means|bisects?|measures?|results|shares?|confirms?|yields?|lies?|because|since)\b|="
)
_CHINESE_WORDS = """
    之 精确 到 保留 位 小数 四舍五入 取 坐标
    直线 方程 解析式 函数 因为 由于 所以 因此 由 根据 可得 可知 得到 得 知 则 即 故 又 且 和 与
    的 是 为 等于 相等 都 在
    中 有 这 此 该 其 它 从而 于是 三角形 等腰 等边 直角 锐角 钝角 正 四边形 平行四边形 矩形 长方形
    正方形 菱形 梯形 圆 扇形 多边形 五边形 六边形 八边形 圆锥 圆柱 球 弧 弦 切线 直径 半径 圆心
    圆周角 圆心角 内角 外角 内角和 外角和 对顶角 同位角 内错角 同旁内角 补角 余角 角 角度 度 度数
    底角 顶角 底 底边 腰 高 边 边长 长 宽 长度 面积 周长 体积 表面积 斜边 直角边 对角线 中线 中位线
    角平分线 垂直平分线 平分线 垂线 高线 线段 直线 射线 点 中点 交点 顶点 平行 垂直 相似 全等 对应
    对边 邻边 对角 邻角 互补 互余 平分 勾股定理 定理 性质 定义 公式 余弦 正弦 正切 余弦定理 正弦定理
    三角函数 相似比 比例 比 比值 成比例 代入 化简 解得 解 解方程 方程 方程组 计算 求 求得 整理
    整理得 移项 两边 同时 除以 乘以 加 减 乘 除 加上 减去 平方 开方 题意 题 已知 图 图形 如图 值
    大小 和 差 积 商 一半 倍 两 三 四 个 条 相交 相切 外接圆 内切圆 内接 外接 阴影 部分 阴影部分
    所求 需要 同理 利用 运用 使用 由此 垂足 分别 设 厘米 米 海里 平方 千米 毫米 平方厘米 平方米 上
    下 底面 侧面 棱 旗杆 塔 树 楼 船 河 桥 灯塔 边数 宽度 高度 深度 座 栋 棵 根 数 数量 总 最大 最小
    最短 最长 路程
"""
_CHINESE_TOKENS = "|".join(sorted(set(_CHINESE_WORDS.split()), key=len, reverse=True))
_CHINESE_RUN = re.compile(rf"(?:{_CHINESE_TOKENS})++")
_CJK = re.compile(r"[\u4e00-\u9fff]+")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_ENGLISH = re.compile(r"[^\W\d_\u4e00-\u9fff]+(?:['’-][^\W\d_\u4e00-\u9fff]+)*['’]?")
_FORMULA = re.compile(r"\b[A-Z] ?= ?[0-9/½]{0,3} ?[bhlwrds]{2,3}\b")
_CONTENT = re.compile(r"[=∠△\\²]|(?<![^\W\d_])(?!(?:and|with|to)\b)[^\W\d_]{2}|(?![和与])[\u4e00-\u9fff]")
_OPENER = re.compile(
    r"(?:(?:this|that|it|which|the result)(?: value| result| length| angle)? (?:is (?:because|since|by"
    r"|due to)|follows|comes"
    r"|uses|results|agrees|matches|holds)|because|since|as|by|using|due to|indeed|note that|recall that"
    r"|(?:explanation|reason|reasoning|justification|proof|check|verification"
    r"|solution steps)\b[^\n:：]{0,20}[:：]?"
    r"|因为|由于|由|根据|这是因为|理由|解析|解释|验证|检验)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"(?:explanation|reason|reasoning|justification|proof|check|verification|理由|解析|解释|验证|检验)[:：]?$"
    r"|(?:理由|解析|解释|验证|检验)(?:如下)?[:：]|(?:explanation|reason|reasoning|justification|proof"
    r"|check|verification)[:：]",
    re.IGNORECASE,
)


def is_harmless(text: str) -> bool:
    """Whether a text has content, but only words of the vocabulary, labels, numbers and symbols."""
    if len(text) > MAX_REASON_LENGTH or _CONTENT.search(text) is None:
        return False
    plain = _FORMULA.sub(" ", _COMMAND.sub(" ", text).replace("each other", " "))
    return all(_is_known(word) for word in _ENGLISH.findall(plain)) and all(
        _CHINESE_RUN.fullmatch(run) for run in _CJK.findall(plain)
    )


def is_reason(sentence: str) -> bool:
    """Whether a sentence behind a statement only gives a reason for it: `This follows from the theorem.`"""
    if _HEADING.fullmatch(sentence.strip()):
        return True
    opener = _OPENER.match(sentence)
    if opener is None:
        return False
    body = sentence[opener.end() :]
    return is_harmless(body) and (
        _VERBS.search(sentence.casefold()) is not None or _CJK.search(body) is not None
    )


def _is_known(word: str) -> bool:
    lower = word.casefold().replace("’", "'")
    return (
        lower in _WORDS
        or lower.removesuffix("'s") in _WORDS
        or len(word.rstrip("'’")) == 1
        or (len(word.rstrip("'’")) <= 5 and word.isupper())
        or all(part in _WORDS for part in lower.split("-"))
    )
