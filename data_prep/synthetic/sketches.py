"""Pictures, one per kind of problem. A sketch draws all values of the problem."""

from __future__ import annotations

from collections.abc import Mapping

from data_prep.synthetic.canvas import Canvas

Values = Mapping[str, int]


def triangle_angle(canvas: Canvas, v: Values) -> None:
    canvas.polygon((4, 74), (80, 74), (42, 8))
    canvas.label((20, 66), v["a"])
    canvas.label((63, 66), v["b"])
    canvas.label((42, 27), "x")


def isosceles_base(canvas: Canvas, v: Values) -> None:
    canvas.polygon((10, 76), (74, 76), (42, 4))
    canvas.line((23, 38), (29, 42))
    canvas.line((61, 38), (55, 42))
    canvas.label((42, 30), v["apex"])
    canvas.label((22, 68), "x")


def exterior_angle(canvas: Canvas, v: Values) -> None:
    canvas.polygon((4, 70), (58, 70), (30, 8))
    canvas.line((58, 70), (82, 70))
    canvas.label((18, 62), v["a"])
    canvas.label((31, 34), v["b"])
    canvas.label((68, 61), "x")


def quadrilateral_angle(canvas: Canvas, v: Values) -> None:
    canvas.polygon((6, 76), (78, 76), (68, 8), (16, 12))
    canvas.label((20, 66), v["a"])
    canvas.label((64, 66), v["b"])
    canvas.label((59, 18), v["c"])
    canvas.label((25, 20), "x")


def parallel_lines(canvas: Canvas, v: Values) -> None:
    canvas.line((4, 26), (80, 26))
    canvas.line((4, 60), (80, 60))
    canvas.line((24, 80), (60, 4))
    canvas.label((65, 17), v["a"])
    canvas.label((20, 52), "x")


def inscribed_angle(canvas: Canvas, v: Values) -> None:
    canvas.circle((42, 42), 36)
    canvas.line((14, 64), (42, 42), (70, 64))
    canvas.line((14, 64), (42, 6), (70, 64))
    canvas.dot((42, 42))
    canvas.label((42, 57), v["central"])
    canvas.label((42, 22), "x")


def central_angle(canvas: Canvas, v: Values) -> None:
    canvas.circle((42, 42), 36)
    canvas.line((14, 64), (42, 42), (70, 64))
    canvas.line((14, 64), (42, 6), (70, 64))
    canvas.dot((42, 42))
    canvas.label((42, 57), "x")
    canvas.label((42, 22), v["inscribed"])


def rectangle(canvas: Canvas, v: Values) -> None:
    canvas.rectangle((6, 10), (64, 62))
    canvas.label((35, 72), v["w"])
    canvas.label((74, 36), v["h"])


def rectangle_diagonal(canvas: Canvas, v: Values) -> None:
    rectangle(canvas, v)
    canvas.line((6, 62), (64, 10))
    canvas.label((35, 36), "x")


def right_triangle_hypotenuse(canvas: Canvas, v: Values) -> None:
    canvas.polygon((20, 8), (20, 66), (80, 66))
    canvas.right_angle((20, 66), 1, -1)
    canvas.label((10, 38), v["a"])
    canvas.label((48, 75), v["b"])
    canvas.label((57, 34), "x")


def right_triangle_leg(canvas: Canvas, v: Values) -> None:
    canvas.polygon((20, 8), (20, 66), (80, 66))
    canvas.right_angle((20, 66), 1, -1)
    canvas.label((10, 38), v["a"])
    canvas.label((48, 75), "x")
    canvas.label((58, 33), v["c"])


def similar_triangles(canvas: Canvas, v: Values) -> None:
    canvas.polygon((18, 4), (18, 28), (50, 28))
    canvas.polygon((30, 43), (30, 70), (80, 70))
    canvas.label((9, 17), v["a"])
    canvas.label((34, 36), v["b"])
    canvas.label((20, 58), v["c"])
    canvas.label((55, 77), "x")


def circle(canvas: Canvas, v: Values) -> None:
    canvas.circle((42, 42), 36)
    canvas.dot((42, 42))
    canvas.line((42, 42), (78, 42))
    canvas.label((59, 34), v["r"])


def ring(canvas: Canvas, v: Values) -> None:
    canvas.circle((42, 42), 38, fill="shade")
    canvas.circle((42, 42), 21, fill="white")
    canvas.line((42, 42), (42, 4))
    canvas.line((42, 42), (63, 42))
    canvas.dot((42, 42))
    canvas.label((52, 50), v["inner"])
    canvas.label((42, 13), v["outer"])


def trapezoid(canvas: Canvas, v: Values) -> None:
    canvas.polygon((6, 68), (78, 68), (60, 18), (24, 18))
    canvas.line((34, 18), (34, 68))
    canvas.right_angle((34, 68), 1, -1)
    canvas.label((42, 9), v["top"])
    canvas.label((42, 77), v["bottom"])
    canvas.label((34, 44), v["h"])


def l_shape(canvas: Canvas, v: Values) -> None:
    canvas.polygon((18, 10), (46, 10), (46, 38), (76, 38), (76, 70), (18, 70))
    canvas.label((47, 77), v["width"])
    canvas.label((9, 40), v["height"])
    canvas.label((32, 10), v["top"])
    canvas.label((74, 54), v["right"])


def frame(canvas: Canvas, v: Values) -> None:
    canvas.rectangle((18, 4), (80, 66), fill="shade")
    canvas.label((49, 76), v["width"])
    canvas.label((9, 35), v["height"])
    canvas.rectangle((32, 20), (66, 54), fill="white")
    canvas.label((49, 54), v["inner_width"])
    canvas.label((33, 36), v["inner_height"])


def chained_triangles(canvas: Canvas, v: Values) -> None:
    canvas.polygon((4, 70), (66, 70), (66, 40))
    canvas.polygon((4, 70), (66, 40), (50, 8))
    canvas.right_angle((66, 70), -1, -1)
    canvas.line((61.5, 42.2), (59.3, 37.7), (63.8, 35.5))
    canvas.label((36, 77), v["a"])
    canvas.label((75, 56), v["b"])
    canvas.label((69, 20), v["c"])
    canvas.label((25, 38), "x")


def rectangle_around_circle(canvas: Canvas, v: Values) -> None:
    canvas.rectangle((4, 4), (64, 64))
    canvas.circle((34, 34), 26)
    canvas.dot((34, 34))
    canvas.line((34, 34), (60, 34))
    canvas.label((34, 74), v["w"])
    canvas.label((74, 34), v["h"])
    canvas.label((46, 26), v["r"])


def stadium(canvas: Canvas, v: Values) -> None:
    canvas.line((28, 12), (56, 12))
    canvas.line((28, 62), (56, 62))
    canvas.line((28, 12), (28, 62))
    canvas.line((56, 12), (56, 62))
    canvas.arc((28, 37), 25, 90, 270)
    canvas.arc((56, 37), 25, 270, 90)
    canvas.label((42, 72), v["w"])
    canvas.label((28, 37), v["d"])


def triangle_in_circle(canvas: Canvas, v: Values) -> None:
    canvas.circle((42, 42), 38)
    canvas.polygon((4, 42), (80, 42), (28, 7))
    canvas.dot((42, 42))
    canvas.label((18, 26), v["a"])
    canvas.label((56, 24), v["b"])
