"""The examples of the original's documentation, with the import changed and nothing else.

Where they say ``"..."`` or ``"your-endpoint-id"`` the id of a real endpoint stands; what is left
open there (``# ... function logic ...``, a stored task group) is filled in.
"""

from __future__ import annotations

import doctest
import re
import textwrap

from funcx_async import FuncXFuture
from funcx_async.blocking import FuncXExecutor, LocalService
from tests.blocking.conftest import Program

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def completed(program: str, service: LocalService) -> str:
    """The example with the endpoint's id in it."""
    return re.sub(r'"(\.\.\.|some-ep-id|your-endpoint-id)"', repr(service.endpoint_id), program)


def test_submit(service: LocalService, environment: dict[str, str]):
    example = """
    >>> def add(a: int, b: int) -> int: return a + b
    >>> fxe = FuncXExecutor(endpoint_id="some-ep-id")
    >>> fut = fxe.submit(add, 1, 2)
    >>> fut.result()    # wait (block) until result is received from remote
    3
    """
    names = {"FuncXExecutor": FuncXExecutor}
    text = completed(example, service)
    test = doctest.DocTestParser().get_doctest(text, names, "submit", None, None)
    assert doctest.DocTestRunner().run(test).failed == 0
    test.globs.clear()


def test_submit_to_registered_function(run: Program):
    program = """
        from funcx_async.blocking import FuncXExecutor

        def some_processor(*args, **kwargs):
            # ... function logic ...
            return ["some", "result"]

        fxe = FuncXExecutor()
        fn_id = fxe.register_function(some_processor)
        print(f"Function registered successfully.\\nFunction ID: {fn_id}")

        # Example output:
        # Function registered successfully.
        # Function ID: c407ae80-b31f-447a-9fa6-124098492057
    """
    ended = run(program)
    assert ended.stderr == ""
    told = re.fullmatch(rf"Function registered successfully\.\nFunction ID: {UUID}\n", ended.stdout)
    assert told, ended.stdout


def test_a_public_function(service: LocalService, run: Program):
    program = """
        from funcx_async.blocking import FuncXExecutor

        fn_id = "b0a5d1a0-2b22-4381-b899-ba73321e41e0"  # public; "Hello World"
        with FuncXExecutor(endpoint_id="your-endpoint-id") as fxe:
            futs = [
                fxe.submit_to_registered_function(fn_id)
                for i in range(5)
            ]

        for f in futs:
            print(f.result())
    """
    ended = run(completed(program, service))
    assert (ended.stdout, ended.stderr) == ("Hello World!\n" * 5, "")


def test_a_stored_task_group_and_reload_tasks(service: LocalService, run: Program):
    program = """
        from funcx_async.blocking import FuncXExecutor

        def double(x):
            return 2 * x

        with FuncXExecutor(endpoint_id="...") as earlier:
            futures = [earlier.submit(double, n) for n in range(3)]

        fxe = FuncXExecutor(endpoint_id="...")
        fxe.task_group_id = earlier.task_group_id

        for future in fxe.reload_tasks():
            print(future.task_id in [f.task_id for f in futures], future.result())
    """
    ended = run(completed(program, service))
    assert sorted(ended.stdout.splitlines()) == ["True 0", "True 2", "True 4"]
    assert ended.stderr == ""


def test_the_naive_map(run: Program):
    program = """
        from funcx_async.blocking import FuncXExecutor

        def map(fxexec, fn, *fn_args_kwargs):
            return [fxexec.submit(fn, *a, **kw) for a, kw in fn_args_kwargs]

        def power(a, b=2):
            return a ** b

        with FuncXExecutor() as fxe:
            futs = map(fxe, power, ((3,), {}), ((2,), {"b": 10}))
        print([f.result() for f in futs])
    """
    ended = run(textwrap.dedent(program))
    assert (ended.stdout, ended.stderr) == ("[9, 1024]\n", "")


def test_the_parameters_are_named_as_in_the_original():
    executor = FuncXExecutor(
        endpoint_id=None,
        container_id=None,
        funcx_client=None,
        task_group_id=None,
        label="",
        batch_size=128,
    )
    executor.shutdown(wait=True, cancel_futures=True)
    assert FuncXFuture(task_id=None).task_id is None
    assert FuncXFuture("some-id").task_id == "some-id"
