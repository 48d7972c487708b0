"""What source text begins with: the function that makes functions of lines of the user's files.

It compiles the lines where they stand in their file, under its name, and puts them where tracebacks
look for them, as the worker need not have the file. It takes the code out of what was compiled and
runs none of it, so decorators, defaults and annotations are the user's own text and do nothing.
Any Python from 3.7 on reads it.
"""

from __future__ import annotations

import sys
from typing import Any

NAME = "_from_file"
"""What the text calls it."""

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

TEXT = f"""\
from __future__ import annotations

def {NAME}(file, line, path, text, inside='', only=None, future=False, closure={{}}, **state):
    import linecache, sys
    text = text[1:]
    lines = [each + '\\n' for each in text.split('\\n')[:-1]]
    place = slice(line - 1, line - 1 + len(lines))
    known = linecache.getlines(file)
    if known[place] != lines:
        known = known + ['\\n'] * (line - 1 - len(known))
        known[place] = lines
        linecache.cache[file] = len(text), None, known, file
    if only:
        gap = only[0] - len(inside.rpartition('\\n')[2])
        text = ' ' * gap + text[only[0]:only[1]] + ')'
    text = '\\n' * (line - 1 - inside.count('\\n')) + inside + text
    try:
        code = compile(text, file, 'exec', 0, not future)
    except SyntaxError as error:
        problem = error
        problem.msg += ' in Python %d.%d; it was written for {_VERSION}' % sys.version_info[:2]
        def fail(*args, **kwargs):
            raise problem
        return fail
    for name in path.split('.'):
        code = [c for c in code.co_consts if getattr(c, 'co_name', None) == name][-1]
    names = code.co_freevars
    cells = tuple((lambda x: lambda: x)(closure.get(name)).__closure__[0] for name in names)
    made = type({NAME})(code, globals(), None, None, cells or None)
    for name, cell in zip(names, cells):
        if name not in closure:
            cell.cell_contents = made
    for name in state:
        setattr(made, '__%s__' % name, state[name])
    return made

"""
"""Defines that function.

Its arguments are the file and the first line there; the names of the functions and classes around,
and its own, with dots between; the lines, after an empty one; what is to be compiled before them,
for the names around; the part of the lines that is the function, if it is a lambda; whether
annotations are text in that file; the values of free variables, among which one that is missing
is the function itself; and attributes. Where the syntax is too new, what it makes says so when it
is called, as the compiled form would not run there either.
"""


def _define() -> Any:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(TEXT, "<source>", "exec", dont_inherit=True), namespace)  # noqa: S102  # our own
    return namespace[NAME]


from_file = _define()
"""The same function for use here, to try what the worker will do."""
