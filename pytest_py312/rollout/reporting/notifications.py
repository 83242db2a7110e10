"""Telling people: a stage is held, goes back, came back or did not, or is accepted.

What cannot be told changes nothing about the rollout; that it could not be is said to whoever asked.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from pytest_py312.core import process
from pytest_py312.core.process import Ended
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.metrics.http_client import NoAnswer, NotAsked, ask
from pytest_py312.rollout.metrics.reading import one_line
from pytest_py312.rollout.metrics.threads import in_thread

LIMIT = 10.0
"""Seconds for each one that is told."""
_EVENTS = {
    StageState.HELD: "held",
    StageState.ROLLING_BACK: "rolling_back",
    StageState.ROLLED_BACK: "rolled_back",
    StageState.ROLLBACK_FAILED: "rollback_failed",
    StageState.ACCEPTED: "accepted",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What is told. ``text`` is for people, the rest for programs; ``event`` is one of those in the manual."""

    event: str
    environment: str
    stage: int
    run: str
    services: tuple[str, ...]
    reason: str
    text: str

    def document(self) -> str:
        """As JSON. ``text`` is what chats show of a webhook."""
        return json.dumps(asdict(self))


def notice_of(before: StageRun, after: StageRun) -> Notice | None:
    """What there is to tell of a change; ``None`` where it is nobody's business."""
    event = _EVENTS.get(after.state)
    if event is None or before.state is after.state:
        return None
    concerned = after.scope if event.startswith("roll") and after.scope else after.services
    said = {
        "held": "waits for a decision",
        "rolling_back": "goes back to the old version",
        "rolled_back": "is back on the old version",
        "rollback_failed": "could not be brought back",
        "accepted": f"is accepted on Python {after.target}",
    }[event]
    reason = one_line(after.reason)
    text = f"Stage {after.stage} in {after.environment} {said}" + (f": {reason}" if reason else "")
    return Notice(
        event=event, environment=after.environment, stage=after.stage, run=after.run, services=concerned,
        reason=reason, text=text,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Notifier:
    """Who is told: ``webhooks`` by POST of the JSON, ``commands`` (argv each) with the JSON on their stdin."""

    webhooks: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    limit: float = LIMIT

    async def tell(self, notice: Notice) -> list[str]:
        """Tell all of them, and return what went wrong; never raises."""
        troubles = [await self._post(url, notice) for url in self.webhooks]
        troubles += [await self._run(argv, notice) for argv in self.commands]
        return [trouble for trouble in troubles if trouble]

    async def _post(self, url: str, notice: Notice) -> str:
        place = urlsplit(url).hostname or "?"  # the rest of it is often a secret
        if urlsplit(url).scheme not in ("http", "https"):
            return f"the webhook at {place} is not one of HTTP"
        try:
            answer = await ask(url, json=json.loads(notice.document()), limit=self.limit)
        except NoAnswer as error:
            return f"the webhook at {place}: {error}"
        except NotAsked:
            return f"the webhook at {place} cannot be reached by that address"
        return "" if answer.status < 300 else f"the webhook at {place} answers with HTTP {answer.status}"

    async def _run(self, argv: Sequence[str], notice: Notice) -> str:
        variables = {
            **os.environ,
            "PY312_EVENT": notice.event,
            "PY312_ENVIRONMENT": notice.environment,
            "PY312_STAGE": str(notice.stage),
        }
        limit = self.limit
        try:
            ran = await in_thread(
                lambda: process.run(argv, env=variables, stdin=notice.document(), time_limit=limit, tail=2000),
                limit=limit + 5.0,
            )
        except TimeoutError:
            return f"{argv[0]} did not end"
        except Exception as error:  # whatever it is, a way back must not be kept up by it
            return f"{argv[0]} could not be told: {error}"
        if ran.ended is Ended.EXITED and ran.exit_code == 0:
            return ""
        said = one_line(ran.stderr or ran.stdout)[-200:]
        return f"{argv[0]} {ran.ended.value.replace('_', ' ')} ({ran.exit_code}): {said}"
