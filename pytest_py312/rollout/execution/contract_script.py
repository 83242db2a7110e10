"""The script that tries a contract in a service's container, on the container's Python: standard library only, 3.7+.

It runs as ``python -c SCRIPT REQUEST``; the request is JSON. The last line that it prints is the answer:
``py312-contract {"ok": ..., "detail": ..., "data": ..., "python": "3.12"}``. Anything else is printed by the service.
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


class ContractBroken(Exception):
    """The contract does not hold. Any other exception of the service's code means the same."""


class CannotTest(Exception):
    """The contract could not be tried: something that the plan names is missing. Says nothing about the contract."""


def http_get(request: Request) -> str:
    """GET a path of the callee, bypassing a proxy that the service has for external requests."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request["url"], timeout=request["limit"]) as answer:
            answer.read()
            return str(answer.status)
    except urllib.error.HTTPError as error:
        raise ContractBroken(f"HTTP {error.code}") from None
    except OSError as error:
        raise ContractBroken(str(getattr(error, "reason", None) or error)) from None


def load_function(reference: str) -> Callable[..., Any]:
    """Load the function that ``module:function`` names, as the service itself would import it."""
    module, _, name = reference.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        loaded_module = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise CannotTest(f"there is no module {module}") from None
        raise
    if not hasattr(loaded_module, name):
        raise CannotTest(f"{module} has no {name}")
    function: Callable[..., Any] = getattr(loaded_module, name)
    return function


def call_function(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function`` with as many of ``arguments`` as it takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return function(*arguments)
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        arguments = arguments[: sum(kind in positional for kind in kinds)]
    return function(*arguments)


def call(request: Request) -> str:
    """Call a function or run a command that uses the callee."""
    if request["command"]:
        run_command(request, b"")
        return "exit code 0"
    if call_function(load_function(request["function"]), request["url"]) is False:
        raise ContractBroken(f"{request['function']} returned False")
    return ""


def run_command(request: Request, data: bytes) -> bytes:
    """Run a command with ``data`` as its input, and return its output."""
    try:
        completed = subprocess.run(
            request["command"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=request["limit"]
        )
    except FileNotFoundError as error:
        raise CannotTest(f"there is no {error.filename}") from None
    except subprocess.TimeoutExpired:
        raise ContractBroken(f"did not finish within {request['limit']:g} s") from None
    if completed.returncode:
        output = (
            completed.stderr.decode("utf-8", "replace").strip() or completed.stdout.decode("utf-8", "replace").strip()
        )
        raise ContractBroken(f"exit code {completed.returncode}: {output[-200:]}")
    return completed.stdout


def write(request: Request) -> bytes:
    """Run the writer, and return what it writes as bytes."""
    if request["command"]:
        return run_command(request, b"")
    value = call_function(load_function(request["function"]))
    kind = request["format"]
    if kind == "shelve":
        with tempfile.TemporaryDirectory() as folder:
            with shelve.open(os.path.join(folder, "shelf")) as shelf:
                shelf.update(value if isinstance(value, dict) else {"value": value})
            archive_bytes = io.BytesIO()
            with tarfile.open(fileobj=archive_bytes, mode="w") as archive:
                archive.add(folder, arcname=".")
            return archive_bytes.getvalue()
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
    """Run the reader on what the writer has written."""
    data = base64.b64decode(request["data"])
    if request["command"]:
        run_command(request, data)
        return ""
    kind = request["format"]
    if kind == "hash":
        own_hash = str(hash(call_function(load_function(request["function"])))).encode()
        if own_hash != data:
            raise ContractBroken(f"the hash is {own_hash.decode()} here, and {data.decode()} where it was written")
        return ""
    value = deserialize(kind, data)
    if request["function"] and call_function(load_function(request["function"]), value) is False:
        raise ContractBroken(f"{request['function']} returned False")
    return ""


def deserialize(kind: str, data: bytes) -> Any:
    """Return the value in ``data``, which must come from the user's own services."""
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


def on_timeout(*_: object) -> None:
    raise ContractBroken("did not finish in time")


def main(text: str) -> None:
    request = json.loads(text)
    answer: Request = {"ok": False, "detail": "", "data": "", "python": "%d.%d" % sys.version_info[:2]}
    signal.signal(signal.SIGALRM, on_timeout)
    signal.alarm(int(request["limit"]) + 5)
    try:
        actions: Dict[str, Callable[[Request], Any]] = {"ask": http_get, "call": call, "write": write, "read": read}
        result = actions[request["do"]](request)
        if isinstance(result, bytes):
            answer["data"] = base64.b64encode(result).decode()
        else:
            answer["detail"] = result
        answer["ok"] = True
    except ContractBroken as error:
        answer["detail"] = str(error)
    except CannotTest as error:
        answer.update(detail=str(error), unable=True)
    except BaseException as error:  # the service's own code may raise anything, which is the answer
        last = traceback.extract_tb(error.__traceback__)[-1]
        answer["detail"] = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
    print("\npy312-contract " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
