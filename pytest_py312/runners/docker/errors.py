"""Errors of a Docker engine: it does not answer, or it refuses a request."""

import contextlib
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class EngineUnavailable(Exception):
    """The engine does not answer, or no longer answers."""


class EngineRefused(Exception):
    """The engine refused a request. ``str()`` is its own explanation, ``status`` the HTTP status."""

    def __init__(self, explanation: str, status: int) -> None:
        super().__init__(explanation)
        self.status = status

    @property
    def disk_full(self) -> bool:
        return "no space left on device" in str(self).lower()

    @property
    def not_found(self) -> bool:
        return self.status == 404

    @property
    def no_such_program(self) -> bool:
        """Whether the image does not have the program to run."""
        text = str(self)
        return "executable file not found" in text or ("exec" in text and "no such file or directory" in text)


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Turn what the SDK and the libraries below it raise into :class:`EngineUnavailable` and :class:`EngineRefused`."""
    import docker.errors
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        status = error.status_code if isinstance(error.status_code, int) else 500
        raise EngineRefused(str(error.explanation or error), status) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, docker.errors.DockerException, OSError) as error:
        close_refused_sockets(error)
        raise EngineUnavailable(f"the Docker engine does not answer ({describe_error(error)})") from error


def none_if_missing(query: Callable[[], T]) -> T | None:
    """Return the result of ``query`` with errors translated; ``None`` if the engine has nothing of that name."""
    try:
        with translate_errors():
            return query()
    except EngineRefused as refused:
        if refused.not_found:
            return None
        raise


def close_refused_sockets(error: BaseException) -> None:
    """Close the sockets whose connection was refused.

    The SDK leaves them to the garbage collector, whose ResourceWarning would stop a pytest run that turns warnings into
    errors.
    """
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            refused_socket = frame.f_locals.get("sock")
            if frame.f_code.co_name == "connect" and isinstance(refused_socket, socket.socket):
                refused_socket.close()
        cause = cause.__context__


def describe_error(error: BaseException) -> str:
    text = str(error.args[-1]) if error.args else str(error)
    return (text or type(error).__name__).strip()[:200]
