"""Functions as people lay them out, and where they write them; each goes as source.

The compiler makes other instructions of other line breaks, so that a function has its source only
if its own lines are compiled, where they stand.
"""

# fmt: off
# ruff: noqa: B006, B023, C408, DTZ901, E701, E704, E731, F821, RET503, W191
import functools
import math
from datetime import datetime
from math import (
    cos,
    sin,
)

CONFIG = {"a": 1}
LEVEL = 3


def one_line(x, y=1): return divmod(x, y)


def wrapped(values, scale=2):
    return dict(
        values=values,
        scale=scale,
    )


def wrapped_call(x, y=3):
    return divmod(
        x,
        y,
    )


def wrapped_comprehension(values):
    return [
        value
        for value in range(values)
        if value and value > 0
    ]


def wrapped_condition(x, y=1):
    return (
        isinstance(x, int)
        and (x > 0
        or y > 0)
    )


def one_line_try(x):
    try: return 1 / x
    except ZeroDivisionError as error: return str(error)
    finally: pass


def one_line_match(x):
    match x:
        case {"k": v}: return v
        case _: return None


def one_line_with(x):
    with memoryview(b"ab") as view: return view[0] + x


def   oddly ( x , # a comment
   y = (
   1,
   2), *,
 z = {"a": [None]}) : return x,y,z


def tabs(x):
	if x:
		def deep(y):
			return y + x
		return deep(1)


def text_at_the_margin(x):
    return """
SELECT *
def fake():
  pass
""" + str(x)


def all_quotes(x): return '''a"b''', """c'd""", "\\ \x41 \N{BULLET} é", f"{x!r:>{10}} {'q'}"


def names_of_all_kinds(x):
    return CONFIG.get("a"), math.floor(x), datetime.min.isoformat(), str.upper("a"), sin(0), cos(0)


def annotated_inside(x: int) -> int:
    def inner(y: int, z: "Unknown" = None) -> list[int]:
        w: int = y
        return w

    return inner(x), sorted(inner.__annotations__)


def private_names_inside(x):
    class Local:
        "A class with a private name."
        attribute: int = 3
        def __private(self): return self.attribute
        def run(self): return self.__private() + x

    return Local().run()


if LEVEL:
    def indented(x):
        if x:
            return 1
        return 2


def named(name):
    def decorate(function):
        function_names.append((name, function.__name__))
        return function
    return decorate


function_names = []


@named("a "
"secret")
@named(str(lambda x: 1))
def decorated(x, function=None): return x + 1


class Outer:
    class Inner:
        @staticmethod
        def static(x, y=[1]): return x, y, LEVEL

    attribute = lambda self: self.__secret

    @staticmethod
    def maker(n):
        def made(x):
            return n + x
        return made


make = lambda n: lambda x: x + n
many = {"a": lambda x: x + 1, "b": lambda x: x + 2,
   "c": lambda x: [
       x + 3, '''q"''', """q'"""
   ]}
listed = [lambda x, i=i: x + i for i in range(3)]
closed = [(lambda i: lambda x: x + i)(i) for i in range(3)]
key = functools.partial(sorted, key=lambda p: (-p))


def globally(n):
    global made_globally

    def made_globally(x): return x + n


globally(3)


def self_named():
    factorial = lambda n: 1 if n < 1 else n * factorial(n - 1)
    return factorial


def deep(a):
    def b(c):
        def d(e):
            return lambda g: (a, c, e, g)
        return d
    return b


def after_a_page_break(x):
    return x


FUNCTIONS = [
    after_a_page_break,
    one_line, wrapped, wrapped_call, wrapped_comprehension, wrapped_condition, one_line_try,
    one_line_match, one_line_with, oddly, tabs, text_at_the_margin, all_quotes, names_of_all_kinds,
    annotated_inside, private_names_inside, indented, decorated, Outer.Inner.static, Outer.maker(4),
    make(5), *many.values(), *listed, *closed, made_globally, self_named(), deep(1)(2)(3),
    key.keywords["key"],
]
