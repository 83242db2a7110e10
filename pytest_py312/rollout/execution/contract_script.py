"""What runs in a service's container to keep a contract, by the container's own Python: standard library only, 3.7+.

``python -c`` with this text and one argument, a request as JSON. The last line it prints is the answer:
``py312-contract {"ok": ..., "detail": ..., "data": ..., "python": "3.12"}``. Anything else it prints is the service's.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import io
import json
import marshal
import os
import pickle
import shelve
import signal
import subprocess
import sys
import tarfile
import tempfile
import traceback
import urllib.error
import urllib.request
from typing import Any, Callable, Dict

Request = Dict[str, Any]


class Broken(Exception):
    """The contract does not hold. Everything else that is raised means the same, with its place."""


class Unable(Exception):
    """It could not be tried: what the plan names is not there. Says nothing about the contract."""


def ask(request: Request) -> str:
    """GET a path of the callee, and not of a proxy that the service has for the world outside."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request["url"], timeout=request["limit"]) as answer:
            answer.read()
            return str(answer.status)
    except urllib.error.HTTPError as error:
        raise Broken(f"HTTP {error.code}") from None
    except OSError as error:
        raise Broken(str(getattr(error, "reason", None) or error)) from None


def function_of(reference: str) -> Callable[..., Any]:
    """The function that ``module:function`` means, as the service itself would import it."""
    module, _, name = reference.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise Unable(f"there is no module {module}") from None
        raise
    if not hasattr(found, name):
        raise Unable(f"{module} has no {name}")
    function: Callable[..., Any] = getattr(found, name)
    return function


def called(function: Callable[..., Any], *given: Any) -> Any:
    """What ``function`` gives for as many of ``given`` as it takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*given)
    kinds = [one.kind for one in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        given = given[: sum(kind in positional for kind in kinds)]
    return function(*given)


def call(request: Request) -> str:
    """Call a function or run a command that uses the callee."""
    if request["command"]:
        ran(request, b"")
        return "exit code 0"
    if called(function_of(request["function"]), request["url"]) is False:
        raise Broken(f"{request['function']} returned False")
    return ""


def ran(request: Request, data: bytes) -> bytes:
    """What a command prints, given ``data``."""
    try:
        done = subprocess.run(
            request["command"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=request["limit"]
        )
    except FileNotFoundError as error:
        raise Unable(f"there is no {error.filename}") from None
    except subprocess.TimeoutExpired:
        raise Broken(f"not ended within {request['limit']:g} s") from None
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip() or done.stdout.decode("utf-8", "replace").strip()
        raise Broken(f"exit code {done.returncode}: {told[-200:]}")
    return done.stdout


def write(request: Request) -> bytes:
    """What the writer writes, as bytes."""
    if request["command"]:
        return ran(request, b"")
    value = called(function_of(request["function"]))
    kind = request["format"]
    if kind == "shelve":
        with tempfile.TemporaryDirectory() as folder:
            with shelve.open(os.path.join(folder, "shelf")) as shelf:
                shelf.update(value if isinstance(value, dict) else {"value": value})
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.add(folder, arcname=".")
            return packed.getvalue()
    if kind == "hash":
        return str(hash(value)).encode()
    if kind:
        return {"pickle": pickle.dumps, "marshal": marshal.dumps, "json": lambda it: json.dumps(it).encode()}[kind](
            value
        )
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def read(request: Request) -> str:
    """Read what the writer has written."""
    data = base64.b64decode(request["data"])
    if request["command"]:
        ran(request, data)
        return ""
    kind = request["format"]
    if kind == "hash":
        own = str(hash(called(function_of(request["function"])))).encode()
        if own != data:
            raise Broken(f"the hash is {own.decode()} here, and {data.decode()} where it was written")
        return ""
    value = loaded(kind, data)
    if request["function"] and called(function_of(request["function"]), value) is False:
        raise Broken(f"{request['function']} returned False")
    return ""


def loaded(kind: str, data: bytes) -> Any:
    """The value in ``data``; only of one's own services' writing."""
    if kind == "shelve":
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive.getmembers():
                    if member.isfile():
                        name = os.path.basename(member.name)
                        packed = archive.extractfile(member)
                        with open(os.path.join(folder, name), "wb") as out:
                            out.write(packed.read() if packed else b"")
            with shelve.open(os.path.join(folder, "shelf"), flag="r") as shelf:
                return dict(shelf)
    if kind:
        readers: Dict[str, Callable[[bytes], Any]] = {
            "pickle": pickle.loads, "marshal": marshal.loads, "json": json.loads,
        }  # fmt: skip
        return readers[kind](data)
    return data


def too_long(*_: object) -> None:
    raise Broken("not ended in time")


def main(text: str) -> None:
    request = json.loads(text)
    answer: Request = {"ok": False, "detail": "", "data": "", "python": "%d.%d" % sys.version_info[:2]}
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(request["limit"]) + 5)
    try:
        acts: Dict[str, Callable[[Request], Any]] = {"ask": ask, "call": call, "write": write, "read": read}
        found = acts[request["do"]](request)
        if isinstance(found, bytes):
            answer["data"] = base64.b64encode(found).decode()
        else:
            answer["detail"] = found
        answer["ok"] = True
    except Broken as error:
        answer["detail"] = str(error)
    except Unable as error:
        answer.update(detail=str(error), unable=True)
    except BaseException as error:  # the service's own code: whatever it raises is the answer
        last = traceback.extract_tb(error.__traceback__)[-1]
        answer["detail"] = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
    print("\npy312-contract " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
