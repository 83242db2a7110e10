"""Two kinds of trouble with a Docker engine, told apart: it does not answer, and it answers that it cannot."""

import contextlib
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class EngineLost(Exception):
    """The engine does not answer (any more)."""


class Refused(Exception):
    """The engine answered that it cannot. ``str()`` is its own explanation, ``status`` the HTTP status."""

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
        """The image does not hold the program that was to be run in it."""
        text = str(self)
        return "executable file not found" in text or ("exec" in text and "no such file or directory" in text)


@contextlib.contextmanager
def told_apart() -> Iterator[None]:
    """Turn what the SDK and the libraries below it raise into :class:`EngineLost` and :class:`Refused`."""
    import docker.errors
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        status = error.status_code if isinstance(error.status_code, int) else 500
        raise Refused(str(error.explanation or error), status) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, docker.errors.DockerException, OSError) as error:
        close_refused(error)
        raise EngineLost(f"the Docker engine does not answer ({reason_of(error)})") from error


def if_known(ask: Callable[[], T]) -> T | None:
    """What ``ask`` gives, :func:`told_apart`; ``None`` where the engine knows nothing of that name."""
    try:
        with told_apart():
            return ask()
    except Refused as refused:
        if refused.not_found:
            return None
        raise


def close_refused(error: BaseException) -> None:
    """Close the sockets whose connection was refused. The SDK leaves them to the garbage collector, whose complaint
    (ResourceWarning) ends the whole of a pytest run that turns warnings into errors."""
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            refused = frame.f_locals.get("sock")
            if frame.f_code.co_name == "connect" and isinstance(refused, socket.socket):
                refused.close()
        cause = cause.__context__


def reason_of(error: BaseException) -> str:
    text = str(error.args[-1]) if error.args else str(error)
    return (text or type(error).__name__).strip()[:200]
