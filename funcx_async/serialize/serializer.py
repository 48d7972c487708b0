"""The serializer: which strategy writes, and which may be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from funcx_async.errors import DeserializationError, SerializationError
from funcx_async.serialize.payloads import TooMuch
from funcx_async.serialize.sizes import (
    Sized,
    estimated_size,
    sizes_of_arguments,
    too_large,
)
from funcx_async.serialize.strategies import (
    UNCOMBINED,
    AllCodeStrategies,
    AllDataStrategies,
    CombinedCode,
    DillCode,
    DillDataBase64,
    JSONData,
    PickleCode,
    lone_part,
)
from funcx_async.serialize.strategy import IDENTIFIER_LENGTH, SerializationStrategy
from funcx_async.serialize.strategy import pack_buffers as pack
from funcx_async.serialize.strategy import unpack_buffers as unpack
from funcx_async.serialize.wrappers import runnable

STRATEGIES: Mapping[str, SerializationStrategy] = {
    strategy.identifier: strategy
    for strategy in (
        *UNCOMBINED.values(),
        CombinedCode(),
        AllCodeStrategies(),
        DillDataBase64(),
        JSONData(),
        AllDataStrategies(),
    )
}
"""Every strategy by its identifier."""

ANY_CODE = "globus_compute_sdk.*Code"
"""In an allow-list: every strategy for code."""

ANY_DATA = "globus_compute_sdk.*Data"
"""In an allow-list: every strategy for data."""

MAX_PAYLOAD = 10_000_000
"""Characters: the service's limit for the arguments of one task."""

_OFFICIAL_HOMES = ("globus_compute_sdk.serialize.concretes.", "globus_compute_sdk.serialize.")

Strategylike = SerializationStrategy | type[SerializationStrategy] | str
"""A strategy as its class, an instance, or its official import path."""


class FuncXSerializer:
    """Writes functions and arguments for the wire, and reads results from it.

    Reading a pickle may run code of its writer, and results are written by the endpoint. If you
    do not trust an endpoint that far, allow JSON only; the executor then also asks the endpoint to
    return JSON.

    Args:
        strategy_code: how callables are written. By default as source text with the compiled
            function behind it (:class:`AllCodeStrategies`, which workers read since version 4.0)
            where the text is complete, and compiled (:class:`DillCode`) where it is not.
        strategy_data: how everything else is written; :class:`DillDataBase64` by default.
        allowed_deserializers: the strategies that may be read, each a class, an instance or an
            official import path, or the wildcards ``globus_compute_sdk.*Code`` and
            ``globus_compute_sdk.*Data``, which cannot be mixed with single strategies of their
            kind. At least one must be for data. If none is for code, no code is read. Allowing a
            combined strategy allows its parts. None allows everything, an empty list nothing: such
            a serializer only writes.

    Raises:
        ValueError: a strategy is unknown or of the wrong kind, or the list makes no sense.

    Example:
        >>> serializer = FuncXSerializer(allowed_deserializers=[JSONData])
        >>> serializer.deserialize(JSONData().serialize([1, 2]))
        [1, 2]
    """

    def __init__(
        self,
        strategy_code: Strategylike | None = None,
        strategy_data: Strategylike | None = None,
        *,
        allowed_deserializers: Iterable[Strategylike] | None = None,
    ) -> None:
        self._code = _for(True, AllCodeStrategies if strategy_code is None else strategy_code)
        self._lone_parts = strategy_code is None
        self._data = _for(False, DillDataBase64 if strategy_data is None else strategy_data)
        self._no_kwargs = self._data.encode({})
        self._allowed = None if allowed_deserializers is None else list(allowed_deserializers)
        self._readable = STRATEGIES if self._allowed is None else _readable(self._allowed)

    def __repr__(self) -> str:
        code, data = type(self._code).__name__, type(self._data).__name__
        limit = "" if self._allowed is None else f", reads {len(self._readable)} strategies"
        return f"<FuncXSerializer {code}, {data}{limit}>"

    def serialize(self, value: Any) -> str:
        r"""Write an object: a callable by the strategy for code, others by that for data.

        Args:
            value: the object.

        Returns:
            The serialized text, which begins with the strategy's identifier.

        Raises:
            SerializationError: it cannot be sent; the message names the part and the reason.

        Example:
            >>> FuncXSerializer().serialize(None)
            '00\ngAROLg==\n'
        """
        return self._write_code(value) if callable(value) else self._data.serialize(value)

    def serialize_function(self, function: Callable[..., Any]) -> str:
        """Write a callable so that any worker can run it as a task.

        Unlike :meth:`serialize`, this puts partials, callable objects and async functions into a
        named synchronous function.

        Args:
            function: any callable.

        Returns:
            The serialized text.

        Raises:
            TypeError: it is not callable.
            SerializationError: it, or something that it uses, cannot be sent.
        """
        task = runnable(function)
        return self._write_code(task, getattr(task, "__qualname__", "the function"))

    def without_source(self) -> FuncXSerializer:
        """Return a serializer for endpoints before 4.0, which read compiled functions only.

        It differs only if the choice of strategy was left to this one.
        """
        if not self._lone_parts:
            return self
        return FuncXSerializer(DillCode, self._data, allowed_deserializers=self._allowed)

    def serialize_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        r"""Write the arguments of one task.

        Args:
            args: the positional ones.
            kwargs: the keyword ones.

        Returns:
            The two serialized texts, packed.

        Raises:
            SerializationError: one cannot be sent, or they are too large together; the message
                names it, as ``args[1]['f']``, or the largest.

        Example:
            >>> FuncXSerializer().serialize_arguments((1,), {})
            '28\n00\ngASVBQAAAAAAAABLAYWULg==\n12\n00\ngAR9lC4=\n'
        """
        data = self._data
        try:
            positional = data.body(tuple(args), "args", MAX_PAYLOAD)
            named = data.body(dict(kwargs), "kwargs", MAX_PAYLOAD) if kwargs else self._no_kwargs
        except TooMuch:
            raise self._too_large(args, kwargs) from None
        packed = (  # in one step, as there may be megabytes to copy
            f"{IDENTIFIER_LENGTH + len(positional)}\n{data.identifier}{positional}"
            f"{IDENTIFIER_LENGTH + len(named)}\n{data.identifier}{named}"
        )
        if len(packed) > MAX_PAYLOAD:
            raise self._too_large(args, kwargs)
        return packed

    def sizes(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Sized]:
        """Return the size of each argument of a task; raises as serializing them."""
        self.serialize_arguments(args, kwargs)
        return sizes_of_arguments(args, kwargs, self._size)

    def _size(self, value: Any) -> int:
        return len(self._data.encode(value))

    def _too_large(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> SerializationError:
        if isinstance(self._data, DillDataBase64):
            return too_large(args, kwargs, MAX_PAYLOAD, estimated_size, encoded=True)
        return too_large(args, kwargs, MAX_PAYLOAD, self._size)

    def _write_code(self, value: Any, name: str = "the value") -> str:
        payload = self._code.serialize(value, name=name)
        return lone_part(payload) if self._lone_parts else payload

    def deserialize(self, payload: str) -> Any:
        """Read an object, by whichever strategy wrote it.

        Args:
            payload: serialized text.

        Returns:
            The object.

        Raises:
            DeserializationError: its strategy is unknown or not allowed, or it cannot be read;
                ``payload`` has the text.
        """
        strategy = self._readable.get(payload[:IDENTIFIER_LENGTH])
        if strategy is None:
            raise self._not_read(payload)
        return strategy.deserialize(payload)

    def _not_read(self, payload: str) -> DeserializationError:
        identifier = payload[:IDENTIFIER_LENGTH]
        strategy = STRATEGIES.get(identifier)
        if strategy is None:
            return DeserializationError(
                f"no strategy is known that begins with {identifier!r}", payload=payload
            )
        allowed = ", ".join(sorted(type(known).__name__ for known in self._readable.values()))
        return DeserializationError(
            f"the payload is written by {type(strategy).__name__}, which this serializer is not "
            f"allowed to read (allowed: {allowed or 'nothing'})",
            payload=payload,
        )

    @staticmethod
    def pack_buffers(buffers: list[str]) -> str:
        """Join serialized texts, as :func:`funcx_async.serialize.strategy.pack_buffers` does.

        Example:
            >>> FuncXSerializer.unpack_buffers(FuncXSerializer.pack_buffers(["a", "b"]))
            ['a', 'b']
        """
        return pack(buffers)

    @staticmethod
    def unpack_buffers(packed_buffer: str) -> list[str]:
        """Split a pack, as :func:`funcx_async.serialize.strategy.unpack_buffers` does."""
        return unpack(packed_buffer)

    @property
    def result_serializers(self) -> list[str] | None:
        """The strategies that endpoints are to write results with, as official import paths.

        None where every strategy for data may be read, so that the endpoint's default does, and
        where nothing may be read, so that it does not matter.
        """
        data = [known for known in self._readable.values() if not known.for_code]
        if not data or len(data) == sum(not known.for_code for known in STRATEGIES.values()):
            return None
        if ANY_CODE in (self._allowed or ()):
            code = [STRATEGIES[DillCode.identifier]]
        else:
            code = [known for known in self._readable.values() if known.for_code]
            code = [known for known in code if not isinstance(known, PickleCode)]
        return [_OFFICIAL_HOMES[0] + type(known).__name__ for known in (*data, *code)]


def _for(code: bool, like: Strategylike) -> SerializationStrategy:
    strategy = _strategy(like)
    if strategy.for_code != code:
        wanted, got = ("code", "data") if code else ("data", "code")
        raise ValueError(
            f"{type(strategy).__name__} is a strategy for {got}, and one for {wanted} is needed"
        )
    return strategy


def import_path(like: Strategylike) -> str:
    """Return the official import path of a strategy, which endpoints write results with.

    Args:
        like: the strategy as its class or an instance, ours or the official one, or its path.

    Raises:
        ValueError: it is unknown, or can only read.

    Example:
        >>> import_path(JSONData)
        'globus_compute_sdk.serialize.concretes.JSONData'
    """
    strategy = _strategy(like)
    if isinstance(strategy, PickleCode):
        raise ValueError("PickleCode only reads: no endpoint writes results with it")
    return like if isinstance(like, str) else _OFFICIAL_HOMES[0] + type(strategy).__name__


def _strategy(like: object) -> SerializationStrategy:
    """The known strategy that is meant by a class, an instance or an import path."""
    given = like if isinstance(like, type) else type(like)
    path = like if isinstance(like, str) else f"{given.__module__}.{given.__qualname__}"
    for strategy in STRATEGIES.values():
        kind = type(strategy)
        if given is kind or path in [home + kind.__name__ for home in _OFFICIAL_HOMES]:
            return strategy
    names = ", ".join(type(strategy).__name__ for strategy in STRATEGIES.values())
    raise ValueError(f"{like!r} is not a known strategy; the strategies are {names}")


def _readable(allowed: list[Strategylike]) -> Mapping[str, SerializationStrategy]:
    wildcards = {like for like in allowed if like in (ANY_CODE, ANY_DATA)}
    single = [_strategy(like) for like in allowed if like not in wildcards]
    readable = {strategy.identifier: strategy for strategy in single}
    for wildcard in wildcards:
        kind = [known for known in STRATEGIES.values() if known.for_code == (wildcard == ANY_CODE)]
        if any(strategy in kind for strategy in single):
            raise ValueError(f"{wildcard!r} cannot be mixed with single strategies of its kind")
        readable.update((strategy.identifier, strategy) for strategy in kind)
    if readable and all(strategy.for_code for strategy in readable.values()):
        raise ValueError("allowed_deserializers needs a strategy for data, or no result is read")
    return readable
