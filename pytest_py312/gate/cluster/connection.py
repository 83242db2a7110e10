"""The connection to a Dask cluster: the only module of the coordinator that uses its library."""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

from pytest_py312.core.errors import Py312Error
from pytest_py312.gate.cluster import worker
from pytest_py312.gate.cluster.address import ClusterAddress
from pytest_py312.gate.cluster.jobs import ALONE

CONNECT_LIMIT = 10.0
"""Seconds until a scheduler that does not answer is given up, at the start and when it is lost."""
ANSWER_LIMIT = 60.0
"""Seconds for fetching an answer from the worker that has it."""
CLOSE_LIMIT = 60.0
SCHEDULER_CANNOT_READ = (
    "the scheduler of the cluster cannot read its task: install the same version of pytest-py312[cluster] there"
)
_KEY = "py312_service"


class ClusterUnavailable(Py312Error):
    """The cluster of ``--py312-cluster`` cannot be used."""


class Failure(Enum):
    """Why an attempt at a job brought no answer."""

    FINAL = "another attempt is of no use"
    REFUSED = "it came to a worker that takes no part in the run"
    LOST = "its worker was lost"


class AttemptFailed(Exception):
    """An attempt at a job brought no answer."""

    def __init__(self, reason: str, failure: Failure) -> None:
        self.failure = failure
        super().__init__(reason)


class ClusterConnection:
    """A connection to the scheduler of a cluster; with ``local:N``, to one of its own. Has to be closed."""

    def __init__(self, address: ClusterAddress) -> None:
        """
        :raises ClusterUnavailable: no scheduler answers.
        """
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is reported as an outcome
        self._address = address
        self._cluster: Any = None
        try:
            if address.workers:
                self._cluster = LocalCluster(
                    n_workers=address.workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                )
            self._client: Any = Client(
                self._cluster or address.text, timeout=CONNECT_LIMIT, set_as_default=False, name="py312"
            )
        except Exception as error:  # of the operating system, TLS, and Dask's own
            self._close_cluster()
            reason = str(error) or type(error).__name__
            raise ClusterUnavailable(
                f"--py312-cluster={address.text}: no scheduler of Dask answers there ({reason})"
            ) from None

    @property
    def is_alive(self) -> bool:
        """Whether the scheduler is connected. A connection that was lost stays so: its tasks are cancelled."""
        return bool(self._client.status == "running")

    def workers(self) -> list[str]:
        """Return the addresses of the workers that are present."""
        return [str(address) for address in self._client.nthreads()]  # scheduler_info answers from a cache

    def run(self, function: Callable[..., Any], *arguments: object, workers: Collection[str]) -> Mapping[str, Any]:
        """Call a function on workers, outside of their tasks; return results, or the exceptions instead."""
        try:
            return dict(self._client.run(function, *arguments, workers=list(workers), on_error="return"))
        except Exception as error:  # Dask cannot return all of them; and one that has just left fails the whole call
            if len(workers) == 1 or not self.is_alive:
                return dict.fromkeys(workers, error)
        answers: dict[str, Any] = {}
        for address in workers:
            answers |= self.run(function, *arguments, workers=[address])
        return answers

    def subscribe(self, topic: str, handler: Callable[[Mapping[str, Any]], None]) -> None:
        """Call ``handler`` with each message that workers send about ``topic``."""
        self._client.subscribe_topic(topic, lambda event: handler(event[1]))

    def submit(
        self, job: str, key: str, *, workers: Collection[str], alone: bool, priority: int, on_end: Callable[[Any], None]
    ) -> Any:
        """Submit a job, and return its future; ``on_end`` is called with it once, in another thread.

        :param workers: those that can take it; empty: all.
        """
        future = self._client.submit(
            worker.check_service,
            job,
            key=f"{_KEY}-{key}",
            pure=False,
            retries=0,
            priority=priority,
            workers=sorted(workers) or None,
            resources={ALONE: 1} if alone else None,
        )
        future.add_done_callback(on_end)
        return future

    def answer(self, future: Any) -> str:
        """Return the answer of a future that has ended.

        :raises AttemptFailed: it has none.
        """
        from distributed import KilledWorker

        if future.status == "cancelled":
            raise AttemptFailed("its task was cancelled on the cluster by someone else", Failure.FINAL)
        try:
            return str(future.result(timeout=ANSWER_LIMIT))
        except worker.WorkerNotPrepared as error:
            raise AttemptFailed(str(error), Failure.REFUSED) from None
        except (KilledWorker, worker.TooManyStarts):
            raise AttemptFailed("its workers were lost", Failure.LOST) from None
        except TimeoutError:
            raise AttemptFailed("the worker that had its answer was lost", Failure.LOST) from None
        except Exception as error:
            if "deserialization" in str(error):
                raise AttemptFailed(SCHEDULER_CANNOT_READ, Failure.FINAL) from None
            raise AttemptFailed(
                f"the cluster could not run it ({type(error).__name__}: {error})", Failure.FINAL
            ) from None

    def cancel(self, futures: Collection[Any]) -> None:
        """Cancel tasks; nothing if the scheduler is lost."""
        with suppress(Exception):
            self._client.cancel(list(futures), force=True)

    def close(self) -> None:
        """Close the connection, and the cluster if it was made for this run."""
        with suppress(Exception):
            self._client.close(timeout=CONNECT_LIMIT)
        self._close_cluster()

    def _close_cluster(self) -> None:
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=CLOSE_LIMIT)
