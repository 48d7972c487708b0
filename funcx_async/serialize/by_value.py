"""A pickler that sends what the worker does not have: functions, classes and modules by value.

Anyone who has dill can read what it writes: what rebuilds functions and classes travels inside the
pickle as text (:mod:`funcx_async.serialize.rebuild`). The pickler only reads the objects that it
is given and never changes them.

How a function is written: its code and an empty namespace first; then, when it can already be
referred to, the contents of its closure, its defaults, and exactly those globals that its code
reads, each written in the same way. So recursion of any kind ends. All functions of one module
share one namespace on the worker too, and it grows by what each of them needs. A class is written
in the same order: bare, then what it has.

The user's own modules do not travel as such. Where a function says ``mymod.f``, a stand-in carries
``f`` and nothing else; a function that uses ``mymod`` as a value is refused.
"""

from __future__ import annotations

import ast
import copyreg
import enum
import functools
import hashlib
import importlib
import importlib.util
import inspect
import io
import marshal
import mmap
import operator
import pickle
import sys
import threading
import typing
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, ClassVar

import dill
from dill import _dill

from funcx_async.serialize import classes, rebuild
from funcx_async.serialize.bytecode import (
    Chain,
    globals_read,
    modules_used,
    submodules_of,
    submodules_read,
    words_of,
)
from funcx_async.serialize.diagnosis import CannotTravel
from funcx_async.serialize.functions import check_imports, state_of
from funcx_async.serialize.literals import LONGEST
from funcx_async.serialize.origin import (
    SENTINEL,
    NotImportable,
    found_by_name,
    importable,
    is_ours,
    public_home,
    state_of_worker,
    worker_has,
)
from funcx_async.serialize.payloads import BoundedFile
from funcx_async.serialize.statements import lines_of

# What the reader does


@dataclass(frozen=True, slots=True)
class Call:
    """An expression that the reader evaluates.

    Attributes:
        function: what is called; a :class:`Referable` where that exists on the other side only.
        arguments: what it is called with.
    """

    function: Any
    arguments: tuple[Any, ...]


class Referable:
    """Something that exists on the reader's side only, and is written once.

    Attributes:
        made_by: the expression that makes it.
    """

    __slots__ = ("made_by",)

    def __init__(self, made_by: Call) -> None:
        self.made_by = made_by


class Namespace(Referable):
    """The globals of one of the user's modules, as the reader has them.

    Attributes:
        module: the stand-in whose namespace this is.
        source: the globals here.
        sent: the names that are written already.
    """

    __slots__ = ("module", "sent", "source")

    def __init__(self, name: str, source: Mapping[str, Any]) -> None:
        self.module = Referable(Call(ModuleType, (name,)))
        super().__init__(Call(vars, (self.module,)))
        self.source = source
        self.sent: set[str] = set()


# The pickler

PROTOCOL = 4
"""What Python 3.8 and later read, and dill's own choice up to 3.13."""

LOCK = type(threading.Lock())
RLOCK = type(threading.RLock())

_TYPE_VARIABLES: tuple[type, ...] = tuple(
    getattr(typing, name)
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple", "NewType", "TypeAliasType")
    if hasattr(typing, name)
)

REBUILD_NAME = "_funcx_async_"
"""Begins the name of the module that workers rebuild with."""

_LOAD_REBUILD = """\
import sys, types, zlib
if name not in sys.modules:
    module = types.ModuleType(name)
    exec(zlib.decompress(text), vars(module))
    sys.modules.setdefault(name, module)
"""


@functools.cache
def rebuild_text() -> tuple[str, bytes]:
    """Return the name of the module that workers rebuild with, and its compressed text."""
    try:
        text = inspect.getsource(rebuild)
    except OSError as error:
        raise CannotTravel(
            f"the source of {rebuild.__name__} is not in this application, and workers need it; "
            "have your packaging tool include the package's .py files"
        ) from error
    tree = ast.parse(text)
    for node in ast.walk(tree):  # a worker reads neither documentation nor types
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    short = ast.unparse(tree).encode()
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return REBUILD_NAME + digest, zlib.compress(short, 9)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


_Pickler: Any = dill.Pickler  # dill has no types
_stock_save: Any = vars(pickle)["_Pickler"].save


class ByValuePickler(_Pickler):  # type: ignore[misc]  # for the same reason
    """dill's pickler, but for functions, classes and modules that the worker does not have.

    Args:
        file: where the pickle goes.
        runs: what is written is a task's function; the source lines of functions go along, for
            tracebacks.
        refer: refer to classes that came here by value, as results do.

    Attributes:
        trail: after a failure, the objects that were being written, the innermost first.
    """

    def __init__(self, file: io.BytesIO, *, runs: bool = False, refer: bool = False) -> None:
        super().__init__(file, PROTOCOL, byref=False, recurse=False)
        self.trail: list[object] = []
        self._runs = runs
        self._refer = refer
        self._is_version = False
        self._is_trial = False
        self._by_kind = dict(self._writers)
        self._ours: dict[type, bool] = {}
        self._namespaces: dict[int, Namespace] = {}
        self._filled: set[int] = set()
        self._incomplete: set[type] = set()
        self._nesting = 0
        self._put_off: list[tuple[Namespace, FunctionType]] = []
        self._words: set[str] = set()
        self._modules: dict[str, ModuleType] = {}
        self._imported: set[str] = set()
        self._rebuilders: dict[str, Referable] = {}
        self._rebuild: Referable | None = None
        self._checked = False

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Write one object; pickle calls this for every part of every object."""
        try:
            kind = type(obj)
            if kind in _PLAIN:
                _stock_save(self, obj)
            elif kind is Call:
                self._save_call(obj)
            elif id(obj) not in self.memo and (write := self._writer_for(obj)):
                write(self, obj)
            else:
                super().save(obj, save_persistent_id)
        except Exception:
            self.trail.append(obj)
            raise

    def _writer_for(self, obj: Any) -> Callable[[ByValuePickler, Any], None] | None:
        """Return what writes an object if dill does not."""
        kind = type(obj)
        if kind not in self._by_kind:
            bases = (base for base in self._writers_of_bases if issubclass(kind, base))
            write = self._writers_of_bases.get(next(bases, object))
            if write is None and is_ours(kind) and rebuild.reduction_of(kind, is_ours):
                write = ByValuePickler._save_by_reduction
            if any(str(each.__module__).split(".")[0] == "globus_sdk" for each in kind.__mro__):
                write = ByValuePickler._refuse_login
            self._by_kind[kind] = write
        if kind is FunctionType and found_by_name(obj):
            return None
        if kind not in _NEVER_STATE and state_of_worker(obj) is not None:
            return ByValuePickler._save_state_of_worker
        return self._by_kind[kind]

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write an object by the name of its module; pickle calls this for what says so."""
        qualified = str(name or getattr(obj, "__qualname__", "") or vars(obj)["__name__"])
        home = _module_of(obj, qualified)
        if worker_has(home):
            super().save_global(obj, name)
        elif type(obj) is SENTINEL:
            self._make(obj, self._by("once"), f"{home}:{qualified}", type(obj), obj.__name__)
        elif is_ours(type(obj)):
            self._save_named(obj, f"{home}:{qualified}")
        else:
            raise CannotTravel(
                f"it is found by its name, {home}.{qualified}, and the worker does not have your "
                f"module {home}; make it inside the function, or say "
                f"send_by_reference({home!r}) if the workers have the module"
            )

    # What the reader does

    def _save_call(self, call: Call) -> None:
        self.save(call.function)
        self.save(call.arguments)
        self.write(pickle.REDUCE)

    def _make(self, obj: Any, function: Any, *arguments: Any) -> None:
        """Write a call that makes an object on the reader's side, and remember the object."""
        self._save_call(Call(function, arguments))
        if id(obj) in self.memo:  # it was made on the way, by what it refers to
            self.write(pickle.POP + self.get(self.memo[id(obj)][0]))
        else:
            self.memoize(obj)

    def _run(self, function: Any, *arguments: Any) -> None:
        """Write a call that the reader makes for its effect."""
        self._save_call(Call(function, arguments))
        self.write(pickle.POP)  # drop what it returned

    def _save_referable(self, referable: Referable) -> None:
        self._save_call(referable.made_by)
        self.memoize(referable)

    def _by(self, name: str) -> Referable:
        """Return a function of the reader's module that rebuilds things."""
        if self._rebuild is None:
            module, text = rebuild_text()
            self._run(exec, _LOAD_REBUILD, {"name": module, "text": text})
            self._rebuild = Referable(Call(importlib.import_module, (module,)))
        if name not in self._rebuilders:
            self._rebuilders[name] = Referable(Call(getattr, (self._rebuild, name)))
        return self._rebuilders[name]

    # Values

    def _save_dict(self, mapping: dict[Any, Any]) -> None:
        """Write a dict; that of a module is the module's own, and too much to send of one of ours.

        Raises:
            CannotTravel: it is all that a module of the user's has, or the session.
        """
        name: Any = mapping.get("__name__")
        module = sys.modules.get(name) if type(name) is str else None
        if module is None or getattr(module, "__dict__", None) is not mapping:
            super(_Pickler, self).save_dict(mapping)
        elif worker_has(name):
            self._make(mapping, vars, module)
        else:
            raise CannotTravel(
                f"it is everything that your module {name} has; send what is needed of it"
            )

    def _save_state_of_worker(self, obj: Any) -> None:
        """Write what a module of the worker's holds, such as ``os.environ``, by its name."""
        home, name = state_of_worker(obj) or ("", "")
        self._make(obj, getattr, sys.modules[home], name)

    def _save_lock(self, lock: Any) -> None:
        """Write a new lock: who holds this one is not there to release it."""
        if type(lock) is LOCK and lock.locked():
            raise CannotTravel("it is held, and nobody would ever release it on the worker")
        name = "RLock" if type(lock) is RLOCK else "Lock"
        self._make(lock, Call(getattr, (threading, name)))  # its own module is another elsewhere

    def _save_open_file(self, file: Any) -> None:
        """Refuse a file: dill would open it again on the other side, and so empty it."""
        path = getattr(file, "name", None)
        for name in ("stdin", "stdout", "stderr"):
            if path == f"<{name}>" or file is getattr(sys, name):
                raise CannotTravel(
                    f"it is this process's sys.{name}; read sys.{name} inside the function"
                )
        what = f"the open file {path!r}" if isinstance(path, str | bytes) else "an open file"
        raise CannotTravel(
            f"it is {what}; send its path and open it inside the function, or send what it contains"
        )

    def _save_view(self, view: memoryview) -> None:
        """Write what a view shows; the worker gets a view of a copy."""
        if view.format == "B" and view.ndim == 1:
            self._make(view, memoryview, view.tobytes())
        else:
            shown = Call(memoryview, (view.tobytes(),))
            self._make(view, Call(getattr, (shown, "cast")), view.format, view.shape)

    def _save_thread(self, thread: threading.Thread) -> None:
        raise CannotTravel(f"{thread.name} is a thread of this process; start one in the function")

    def _save_mapped_file(self, mapped: mmap.mmap) -> None:
        raise CannotTravel(
            "it maps a file into memory, which is not on the worker; send the file's path, or a "
            "copy of what it contains, such as numpy.array(...)"
        )

    def _refuse_login(self, obj: object) -> None:
        raise CannotTravel(
            "it is part of globus_sdk and may hold credentials; make it inside the function, and "
            "read secrets on the worker from its own environment"
        )

    def _save_sentinel(self, obj: object) -> None:
        """Write a bare object, which is one in a task if a module of ours has a name for it."""
        for home, module in list(sys.modules.items()):
            if not worker_has(home):
                for name, value in list(getattr(module, "__dict__", {}).items()):
                    if value is obj:
                        self._make(obj, self._by("once"), f"{home}:{name}", object)
                        return
        super().save(obj)

    def _save_named(self, obj: Any, key: str) -> None:
        """Write an object that its module names, so that a task has it once."""
        self._make(obj, self._by("once"), key, copyreg.__newobj__, type(obj))  # type: ignore[attr-defined]
        for name, value in getattr(obj, "__dict__", {}).items():
            self._run(object.__setattr__, obj, name, value)

    def _save_by_reduction(self, obj: Any) -> None:
        """Write an instance as its class is not asked to make it; see :mod:`rebuild`."""
        reduction = rebuild.reduction_of(type(obj), is_ours)
        make, arguments, *rest = reduction(obj) if reduction else (None, ())
        if make is rebuild.remake:
            self._make(obj, self._by("remake"), *arguments)
            self._run(self._by("refill"), obj, rest[0])
        elif isinstance(obj, enum.Enum) and make is not None:
            self._make(obj, make, *arguments)
        else:
            super().save(obj)

    def _save_partial_method(self, method: functools.partialmethod[Any]) -> None:
        """Write a partial method, which pickle cannot read since Python 3.14."""
        arguments = (method.func, *method.args)
        self._make(
            method, functools.partial(functools.partialmethod, *arguments, **method.keywords)
        )

    # Functions

    def _save_function(self, function: FunctionType) -> None:
        check_imports(function)
        self._words |= words_of(function.__code__)
        namespace = self._namespace_of(function.__globals__)
        cells = function.__closure__ or ()
        for cell in cells:
            if id(cell) not in self.memo:
                self._save_cell(cell)
                self.write(pickle.POP)
        self._make(
            function,
            self._by("function"),
            function.__code__,
            namespace,
            function.__name__,
            cells or None,
        )
        self._send_lines(function)
        for cell in cells:
            self._fill_cell(cell)
        if state := state_of(function):
            if "__annotations__" in state:
                state["__annotations__"] = self._annotations(state["__annotations__"])
            self._run(self._by("describe"), function, state)
        if isinstance(namespace, Namespace):
            self._send_globals(namespace, function)

    def _save_code(self, code: CodeType) -> None:
        """Write compiled code; a reader of another version refuses it before it is loaded."""
        self._check_version()
        self._make(code, self._by("code"), _marshalled(code))

    def _check_version(self) -> None:
        """Write a check that refuses another version of Python before anything else fails."""
        if not self._checked:
            self._checked = True
            version = "{}.{}".format(*sys.version_info[:2])
            self._run(self._by("check"), importlib.util.MAGIC_NUMBER, version)

    def _send_lines(self, function: FunctionType) -> None:
        text = lines_of(function) if self._runs else []
        if text and sum(map(len, text)) <= LONGEST:
            code = function.__code__
            self._run(self._by("lines"), code.co_filename, code.co_firstlineno, text)

    def _namespace_of(self, source: dict[str, Any]) -> Referable:
        module_name = source.get("__name__")
        if not isinstance(module_name, str):
            module_name = "__main__"
        elif worker_has(module_name):
            module = sys.modules[module_name]
            if vars(module) is source:
                return Referable(Call(vars, (module,)))
        return self._namespace(source, module_name)

    def _namespace(self, source: dict[str, Any], name: str) -> Namespace:
        if id(source) not in self._namespaces:
            self._namespaces[id(source)] = Namespace(name, source)
        return self._namespaces[id(source)]

    def _send_globals(self, namespace: Namespace, function: FunctionType) -> None:
        """Write what the code reads; below some depth that is put off, as recursion has limits."""
        if self._nesting == _DEEPEST:
            self._put_off.append((namespace, function))
            return
        self._nesting += 1
        for name, chains in sorted(globals_read(function.__code__).items()):
            if name not in namespace.source or name == "__builtins__":
                continue
            value = namespace.source[name]
            if isinstance(value, ModuleType):
                self._send_module(namespace, name, value, chains, function)
            else:
                self._send(namespace, name, value)
        self._nesting -= 1
        while self._put_off and self._nesting == 0:
            self._send_globals(*self._put_off.pop())
        if self._nesting == 0:
            for module in list(self._modules.values()):
                self._import(submodules_of(module, self._words))

    def _send(self, namespace: Namespace, name: str, value: Any) -> None:
        if name not in namespace.sent:
            namespace.sent.add(name)
            is_module = isinstance(value, ModuleType)  # whose submodules _send_module knows
            written = Call(importlib.import_module, (value.__name__,)) if is_module else value
            self._run(operator.setitem, namespace, name, written)

    def _save_whole_cell(self, cell: CellType) -> None:
        self._save_cell(cell)
        self._fill_cell(cell)

    def _save_cell(self, cell: CellType) -> None:
        self._make(cell, self._by("cell"))

    def _fill_cell(self, cell: CellType) -> None:
        if id(cell) in self._filled:
            return
        self._filled.add(id(cell))
        with suppress(ValueError):  # it is empty here too
            self._run(setattr, cell, "cell_contents", cell.cell_contents)

    def _save_method(self, method: MethodType | BuiltinFunctionType) -> None:
        """Write a bound method; one that a module gives is the worker's module's own.

        Else ``random.random`` would bring its generator along, and give each task the same number.
        """
        if not isinstance(method.__self__, ModuleType | None):
            with suppress(NotImportable):
                home, name = importable(method, method.__name__)
                self._make(method, getattr, sys.modules[home], name)
                return
            self.save(method.__self__)  # first, as it is what an error should name
            self.write(pickle.POP)
        super().save(method)

    # Modules

    def _send_module(
        self,
        namespace: Namespace,
        name: str,
        module: ModuleType,
        chains: frozenset[Chain],
        function: FunctionType,
    ) -> None:
        if worker_has(module.__name__):
            self._send(namespace, name, module)
            self._import(submodules_read(module, chains))
            self._modules.update({each.__name__: each for each in modules_used(module, chains)})
            return
        attributes = self._namespace(vars(module), module.__name__)
        self._send(namespace, name, attributes.module)
        for chain in sorted(chains):
            if not chain:
                raise CannotTravel(
                    f"{function.__qualname__} uses your module {module.__name__} (as {name!r}) as "
                    "a value, and the worker does not have it; read its attributes directly "
                    f"({name}.something), or import from it the names that are needed"
                )
            attribute, *rest = chain
            value = getattr(module, attribute, _MISSING)
            if isinstance(value, ModuleType):
                inner = frozenset({tuple(rest)})
                self._send_module(attributes, attribute, value, inner, function)
            elif value is not _MISSING:
                self._send(attributes, attribute, value)

    def _save_module(self, module: ModuleType) -> None:
        if not worker_has(module.__name__):
            raise CannotTravel(
                f"your module {module.__name__} cannot be sent as a value, and the worker does not "
                "have it; pass what is needed of it"
            )
        self._modules[module.__name__] = module
        self._save_call(Call(importlib.import_module, (module.__name__,)))  # not remembered: each
        # use as a value has to come here

    def _import(self, submodules: set[str]) -> None:
        """Write imports of submodules that ``import package`` would not import."""
        for submodule in sorted(submodules - self._imported):
            self._run(importlib.import_module, submodule)
        self._imported |= submodules

    # Classes

    def _save_class(self, kind: type) -> None:
        key = rebuild.key_of(kind) if self._refer else None
        if key is not None and classes.is_known_elsewhere(key):
            self._make(kind, _dill._load_type, rebuild.PREFIX + key)  # noqa: SLF001
        elif not is_ours(kind) or kind in _dill._typemap:  # noqa: SLF001
            self._save_known_class(kind)
        elif isinstance(kind, enum.EnumType):
            self._save_enumeration(kind)
        else:
            what = (type(kind), kind.__name__, kind.__bases__, classes.body_of(kind))
            key = classes.key_of(kind)
            attributes = classes.attributes_of(kind)
            if classes.methods_among(attributes):
                self._check_version()
            self._make(kind, self._by("class_"), key, self._version_of(kind), *what)
            self._incomplete.add(kind)
            self._fill(kind, attributes)
            self._incomplete.discard(kind)

    def _save_known_class(self, kind: type) -> None:
        if not worker_has(kind.__module__):
            raise CannotTravel(
                f"the type {kind.__qualname__} is part of your extension module "
                f"{kind.__module__}, and the worker does not have it; say "
                f"send_by_reference({kind.__module__!r}) if the workers do have it"
            )
        home = public_home(kind)
        if home == kind.__module__:
            super().save(kind)
        else:
            self._make(kind, getattr, sys.modules[home], kind.__name__)

    def save_reduce(self, func: Any, args: Any, *more: Any, obj: Any = None, **named: Any) -> None:
        """Write an object by its reduction; pickle calls this where there is no writer."""
        kind = type(obj)
        if kind not in self._ours:
            self._ours[kind] = is_ours(kind)
        if func is _NEW_OBJECT and self._ours[kind] and not any(more[1:]):
            state = next(iter(more), named.get("state"))
            # A __new__ of the user's may ask for what the class does not have yet.
            without_new = kind in self._incomplete or not _takes(kind.__new__, args)
            if without_new or _fails_to_be_filled(kind, state):
                self._make(obj, self._by("instance") if without_new else func, kind, *args[1:])
                self._run(self._by("refill"), obj, (None, state, (), ()))
                return
        super().save_reduce(func, args, *more, obj=obj, **named)

    def _save_enumeration(self, kind: enum.EnumType) -> None:
        members = classes.members_by_name(kind)
        what = (
            type(kind),
            kind.__name__,
            kind.__bases__,
            classes.body_of(kind),
            classes.mixin_of(kind),
            [(name, each._value_, classes.arguments_of(each)) for name, each in members.items()],
            classes.enum_options(kind),
        )
        key = classes.key_of(kind)
        self._make(kind, self._by("enumeration"), key, self._version_of(kind), *what)
        states = {name: classes.member_state(member) for name, member in members.items()}
        states = {name: state for name, state in states.items() if any(state)}
        self._fill(kind, classes.enum_attributes_of(kind), states)

    def _fill(
        self,
        kind: type,
        attributes: dict[str, Any],
        members: dict[str, tuple[dict[str, Any], dict[str, Any]]] | None = None,
    ) -> None:
        if "__annotations__" in attributes:
            attributes["__annotations__"] = self._annotations(attributes["__annotations__"])
        if methods := classes.methods_among(attributes):
            self._run(self._by("fill"), kind, methods, [], {})
        rest = {name: attributes[name] for name in attributes if name not in methods}
        registered = classes.registered_with(kind)
        if rest or registered or members:
            self._run(self._by("fill"), kind, rest, registered, members or {})
        for abstract in classes.registered_as(kind):
            self._run(Call(getattr, (abstract, "register")), kind)

    def _annotations(self, annotations: Mapping[str, Any]) -> dict[str, Any]:
        """Return annotations as they are sent: what cannot be, or is much, as its text."""
        return {
            name: value if self._can_annotate(value) else classes.text_of(value)
            for name, value in annotations.items()
        }

    def _can_annotate(self, annotation: object) -> bool:
        if classes.is_portable(annotation):
            return True
        if self._is_trial:
            return False
        file: Any = BoundedFile(_LONGEST_ANNOTATION)
        pickler = ByValuePickler(file)
        pickler._is_version = pickler._is_trial = True  # it is one of us
        try:
            pickler.dump(annotation)
        except Exception:  # whatever is wrong with it, its text will do
            return False
        return True

    def _version_of(self, kind: type) -> str:
        """Return what tells the state of a class from its other states.

        A class that comes with the arguments as the function knows it must not be set again: it
        would no longer share the function's globals.
        """
        if self._runs:
            classes.sent_with_functions.add(kind)
        if self._is_version or kind not in classes.sent_with_functions:
            return ""
        file = io.BytesIO()
        pickler = ByValuePickler(file)
        pickler._is_version = True  # it is one of us
        try:
            pickler.dump(kind)
        except Exception:
            self.trail += pickler.trail
            raise
        return hashlib.sha256(file.getvalue()).hexdigest()[:16]

    def _save_type_variable(self, variable: Any) -> None:
        """Write what :mod:`typing` makes and pickle finds by its name."""
        home, name = variable.__module__, variable.__name__
        found = getattr(sys.modules.get(home), "__dict__", {}).get(name)
        if found is variable and worker_has(home):
            super(_Pickler, self).save_global(variable, name)
            return
        make = (self._by("made_in"), home, _maker_of(variable))
        is_named = found is variable or (self._refer and home not in sys.modules)
        key = f"{home}:{name}" if is_named else classes.key_of_variable(variable)
        if key is None:
            self._make(variable, *make)
        else:
            self._make(variable, self._by("once"), key, *make)

    _writers: ClassVar[dict[type, Callable[[ByValuePickler, Any], None] | None]] = {
        Referable: _save_referable,
        Namespace: _save_referable,
        FunctionType: _save_function,
        CodeType: _save_code,
        CellType: _save_whole_cell,
        MethodType: _save_method,
        BuiltinFunctionType: _save_method,
        LOCK: _save_lock,
        RLOCK: _save_lock,
        object: _save_sentinel,
        dict: _save_dict,
        memoryview: _save_view,
        functools.partialmethod: _save_partial_method,
    }
    """What writes an object of exactly this type; None is dill."""

    _writers_of_bases: ClassVar[dict[type, Callable[[ByValuePickler, Any], None] | None]] = {
        type: _save_class,
        ModuleType: _save_module,
        threading.Thread: _save_thread,
        io.BytesIO: None,
        io.FileIO: _save_open_file,
        io.BufferedIOBase: _save_open_file,
        io.TextIOWrapper: _save_open_file,
        mmap.mmap: _save_mapped_file,
        **dict.fromkeys(_TYPE_VARIABLES, _save_type_variable),
    }
    """What writes an object of a subtype; the first that fits counts."""


def _marshalled(code: CodeType) -> bytes:
    """Return code as bytes, the same for the same code; references within it would vary."""
    try:
        return marshal.dumps(code, _WITHOUT_REFERENCES)
    except ValueError:  # it has constants that only later formats know
        return marshal.dumps(code)


def _takes(function: Any, arguments: tuple[Any, ...]) -> bool:
    """Return whether a function of the user can be called with these arguments."""
    if type(function) is FunctionType:
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            return False
    return True


def _fails_to_be_filled(kind: type, state: object) -> bool:
    """Return whether pickle would read attributes of an instance that has none yet."""
    set_attribute: object = kind.__setattr__
    is_frozen = isinstance(state, tuple) and set_attribute is not object.__setattr__
    return is_frozen or hasattr(kind, "__getattr__")


def _module_of(obj: Any, name: str) -> str:
    find: Any = vars(pickle)["whichmodule"]  # as pickle asks; typeshed lacks it
    return str(find(obj, name))


def _maker_of(variable: Any) -> Callable[[], Any]:
    """Return what makes a type variable, or another object of :mod:`typing`, once more."""
    kind: Any = type(variable)
    name = variable.__name__
    if hasattr(variable, "__supertype__"):  # a NewType
        return functools.partial(kind, name, variable.__supertype__)
    if hasattr(variable, "__value__"):  # a type alias
        parameters = variable.__type_params__
        return functools.partial(kind, name, variable.__value__, type_params=parameters)
    options = {
        option: getattr(variable, f"__{option}__")
        for option in ("bound", "covariant", "contravariant", "infer_variance", "default")
        if hasattr(variable, f"__{option}__")
    }
    if options.get("default") is getattr(typing, "NoDefault", None):
        options.pop("default", None)
    if options.get("infer_variance") is False:
        del options["infer_variance"]  # unknown to older Pythons
    constraints = getattr(variable, "__constraints__", ())
    return functools.partial(kind, name, *constraints, **options)


_PLAIN = frozenset({type(None), bool, int, float, str, bytes, tuple})

_NEVER_STATE = frozenset(
    {
        *(type(None), bool, int, float, str, bytes, tuple, type),
        *(Referable, Namespace, FunctionType, CodeType, CellType, MethodType, BuiltinFunctionType),
    }
)
"""Types whose objects are not asked whether a module of the worker's has them."""

_NEW_OBJECT: Any = vars(copyreg)["__newobj__"]
_MISSING = object()
_WITHOUT_REFERENCES = 2
"""The last format of :mod:`marshal` that repeats an object instead of referring to it."""
_DEEPEST = 10
_LONGEST_ANNOTATION = 20_000
"""Bytes that a class may make which is sent only since an annotation names it."""
