"""A pickler that ships what the worker does not have: functions, classes and modules by value.

Anyone who has dill can read what it writes; nothing of funcx_async is needed for that. It only
reads the objects that it is given and never changes them, as rebuilding them would.

How a function is written: its code and an empty namespace first; then, when it can already be
referred to, the contents of its closure, its defaults, and exactly those globals that its code
reads, each written in the same way. So recursion of any kind ends. All functions of one module
share one namespace on the worker too, and it grows by what each of them needs.

One's own modules do not travel as such. Where a function says ``mymod.f``, a stand-in carries
``f`` and nothing else; where it uses ``mymod`` as a value, nobody can know what it will need of
it, and that is an error.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import io
import operator
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from operator import methodcaller
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any, ClassVar, TypeVar
from weakref import WeakValueDictionary

import dill
from dill import _dill

from funcx_async.serialize import classes
from funcx_async.serialize.diagnosis import CannotTravel
from funcx_async.serialize.expressions import Call, Namespace, Referable
from funcx_async.serialize.functions import check_imports, state_of
from funcx_async.serialize.imports import NotImportable, importable
from funcx_async.serialize.names import Chain, globals_read, submodules_read
from funcx_async.serialize.origin import found_by_name, is_ours, worker_has

PROTOCOL = 4
"""What Python 3.8 and later read, and dill's own choice up to 3.13."""

LOCK = type(threading.Lock())
RLOCK = type(threading.RLock())


_Pickler: Any = dill.Pickler  # dill has no types


class ByValuePickler(_Pickler):  # type: ignore[misc]  # likewise
    """dill's pickler, but for functions, classes and modules that the worker does not have."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, PROTOCOL, byref=False, recurse=False)
        self._namespaces: dict[int, Namespace] = {}
        self._filled: set[int] = set()
        self._nesting = 0
        self._put_off: list[tuple[Namespace, FunctionType]] = []
        registry = methodcaller("setdefault", classes.REGISTRY_NAME, Call(WeakValueDictionary, ()))
        self._registry = Referable(Call(registry, (Call(vars, (sys,)),)))

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Write one object; pickle calls this for every part of every object."""
        if type(obj) is Call:
            self.save_reduce(obj.function, obj.arguments)
        elif id(obj) not in self.memo and (write := self._writer_for(obj)):
            write(self, obj)
        else:
            super().save(obj, save_persistent_id)

    def _writer_for(self, obj: Any) -> Callable[[ByValuePickler, Any], None] | None:
        """What writes an object if dill does not."""
        kind = type(obj)
        if (writer := self._writers.get(kind)) is not None:
            return None if kind is FunctionType and found_by_name(obj) else writer
        if isinstance(obj, type):
            return ByValuePickler._save_class if is_ours(obj) else None
        if isinstance(obj, ModuleType):
            return ByValuePickler._save_module
        is_mark = id(obj) in classes.DATACLASS_MARKS
        return ByValuePickler._save_dataclass_mark if is_mark else None

    def _run(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have the reader call something for its effect."""
        self.save_reduce(function, arguments)
        self.write(pickle.POP)  # drop what it returned

    def _save_referable(self, referable: Referable) -> None:
        made_by = referable.made_by
        self.save_reduce(made_by.function, made_by.arguments, obj=referable)

    def _save_dict(self, mapping: dict[Any, Any]) -> None:
        """Write a dict as it is; dill would first ask whether it is that of __main__."""
        super(_Pickler, self).save_dict(mapping)

    def _save_lock(self, lock: Any) -> None:
        """Write a new lock: who holds this one is not there to release it."""
        if type(lock) is LOCK and lock.locked():
            raise CannotTravel("it is held, and nobody would ever release it on the worker")
        self.save_reduce(threading.RLock if type(lock) is RLOCK else threading.Lock, (), obj=lock)

    def _save_dataclass_mark(self, mark: object) -> None:
        name = classes.DATACLASS_MARKS[id(mark)]
        self.save_reduce(getattr, (dataclasses, name), obj=mark)

    # Functions

    def _save_function(self, function: FunctionType) -> None:
        code = function.__code__
        check_imports(function)
        namespace = self._namespace_of(function.__globals__)
        cells = function.__closure__ or ()
        for cell in cells:
            if id(cell) not in self.memo:
                self._save_cell(cell)
                self.write(pickle.POP)
        self.save_reduce(
            _dill._create_function,  # noqa: SLF001  # the name that dill's own pickles use
            (code, namespace, function.__name__, None, cells or None),
            obj=function,
        )
        for cell in cells:
            self._fill_cell(cell)
        for name, value in state_of(function).items():
            self._run(setattr, function, name, value)
        if isinstance(namespace, Namespace):
            self._send_globals(namespace, function)

    def _namespace_of(self, source: dict[str, Any]) -> Referable:
        module_name = source.get("__name__")
        if isinstance(module_name, str) and worker_has(module_name):
            module = sys.modules[module_name]
            if vars(module) is source:
                return Referable(Call(vars, (module,)))
        return self._namespaces.setdefault(id(source), Namespace(source))

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

    def _send(self, namespace: Namespace, name: str, value: Any) -> None:
        if name not in namespace.sent:
            namespace.sent.add(name)
            self._run(operator.setitem, namespace, name, value)

    def _save_whole_cell(self, cell: CellType) -> None:
        self._save_cell(cell)
        self._fill_cell(cell)

    def _save_cell(self, cell: CellType) -> None:
        self.save_reduce(_dill._create_cell, (), obj=cell)  # noqa: SLF001  # as above

    def _fill_cell(self, cell: CellType) -> None:
        if id(cell) in self._filled:
            return
        self._filled.add(id(cell))
        try:
            contents = cell.cell_contents
        except ValueError:  # it is empty here too
            self._run(delattr, cell, "cell_contents")
        else:
            self._run(setattr, cell, "cell_contents", contents)

    def _save_method(self, method: MethodType | BuiltinFunctionType) -> None:
        """Write a bound method; one that a module gives is the worker's module's own.

        Else ``random.random`` would bring its generator along, and give each task the same number.
        """
        if not isinstance(method.__self__, ModuleType | None):
            with suppress(NotImportable):
                home, name = importable(method, method.__name__)
                self.save_reduce(getattr, (sys.modules[home], name), obj=method)
                return
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
            for submodule in sorted(submodules_read(module, chains)):
                self._run(importlib.import_module, submodule)
            return
        stand_in = self._namespaces.setdefault(id(vars(module)), Namespace(vars(module)))
        self._send(namespace, name, stand_in.module)
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
                self._send_module(stand_in, attribute, value, frozenset({tuple(rest)}), function)
            elif value is not _MISSING:
                self._send(stand_in, attribute, value)

    def _save_module(self, module: ModuleType) -> None:
        if not worker_has(module.__name__):
            raise CannotTravel(
                f"your module {module.__name__} cannot travel as a value, and the worker does not "
                "have it; pass what is needed of it"
            )
        self.save_reduce(importlib.import_module, (module.__name__,), obj=module)

    # Classes

    def _save_class(self, kind: type) -> None:
        if isinstance(kind, enum.EnumType):
            skeleton = self._begin_class(kind, self._enum_body(kind))
            attributes = classes.enum_attributes_of(kind)
        else:
            skeleton = self._begin_class(kind, classes.body_of(kind))
            attributes = classes.attributes_of(kind)
        for name, value in attributes.items():
            self._run(type.__setattr__, skeleton, name, value)
        if isinstance(kind, enum.EnumType):
            for name, member in classes.members_by_name(kind).items():
                for attribute, value in classes.member_state(member).items():
                    self._run(setattr, Call(getattr, (skeleton, name)), attribute, value)

    def _begin_class(self, kind: type, body: Any) -> Referable:
        """Write the bare class; if the reader has it already, it drops the new one."""
        key = classes.key_of(kind)
        skeleton = Referable(Call(type(kind), (kind.__name__, kind.__bases__, body)))
        known = methodcaller("setdefault", key, skeleton)
        self.save_reduce(known, (self._registry,), obj=kind)
        module = Referable(Call(ModuleType, (key,)))
        self._run(setattr, module, kind.__name__, kind)
        self._run(methodcaller("setdefault", key, module), Call(getattr, (sys, "modules")))
        return skeleton

    def _enum_body(self, kind: enum.EnumType) -> Referable:
        body = Referable(Call(type(kind).__prepare__, (kind.__name__, kind.__bases__)))
        for name, value in classes.enum_items_of(kind).items():
            self._run(operator.setitem, body, name, value)
        return body

    def _save_type_variable(self, variable: TypeVar) -> None:
        if worker_has(variable.__module__):
            self.save_global(variable, variable.__name__)
            return
        make = partial(
            TypeVar,
            variable.__name__,
            *variable.__constraints__,
            bound=variable.__bound__,
            covariant=variable.__covariant__,
            contravariant=variable.__contravariant__,
        )
        self.save_reduce(make, (), obj=variable)

    _writers: ClassVar[dict[type, Callable[[ByValuePickler, Any], None]]] = {
        Referable: _save_referable,
        Namespace: _save_referable,
        FunctionType: _save_function,
        CellType: _save_whole_cell,
        MethodType: _save_method,
        BuiltinFunctionType: _save_method,
        TypeVar: _save_type_variable,
        LOCK: _save_lock,
        RLOCK: _save_lock,
        dict: _save_dict,
    }


_MISSING = object()
_DEEPEST = 10
