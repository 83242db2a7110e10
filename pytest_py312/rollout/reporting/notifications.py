"""Notifications about the state of a stage, or that its samples cannot be stored: webhooks, commands, messages, mail.

A failed notification does not affect the rollout. The failure is returned to the caller.
"""

import json
import os
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from pytest_py312.core import process
from pytest_py312.core.concurrency import run_in_thread
from pytest_py312.core.process import ExitReason
from pytest_py312.repository.plan.rollout_settings import EnvironmentSettings, MailSettings
from pytest_py312.rollout.domain.model import StageRun, StageState
from pytest_py312.rollout.metrics.http_client import NoResponse, RequestNotSent, http_request
from pytest_py312.rollout.metrics.reading import single_line
from pytest_py312.rollout.reporting.messages import Message, compose_message, mail_of, slack_payload, teams_payload

NOTIFY_TIMEOUT = 10.0
"""Seconds for each webhook and command."""
USER_VARIABLE, PASSWORD_VARIABLE = "PY312_SMTP_USER", "PY312_SMTP_PASSWORD"
"""Name and password for the mail server come from the environment only."""
_EVENTS = {
    StageState.HELD: "held",
    StageState.ROLLING_BACK: "rolling_back",
    StageState.ROLLED_BACK: "rolled_back",
    StageState.ROLLBACK_FAILED: "rollback_failed",
    StageState.ACCEPTED: "accepted",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """A notification. ``text`` is for people, the rest for programs; the manual lists the values of ``event``."""

    event: str
    environment: str
    stage: int
    run: str
    services: tuple[str, ...]
    reason: str
    text: str

    def document(self) -> str:
        """Return the notification as JSON. Chat systems show its ``text``."""
        return json.dumps(asdict(self))

    def message(self) -> Message:
        """Return the notification for people, in the form of the template of all messages."""
        return compose_message(**asdict(self))


def notice_for_change(previous: StageRun, current: StageRun) -> Notice | None:
    """Return the notification for a change of state, ``None`` if the new state needs none."""
    event = _EVENTS.get(current.state)
    if event is None or previous.state is current.state:
        return None
    affected = current.scope if event.startswith("roll") and current.scope else current.services
    phrase = {
        "held": "waits for a decision",
        "rolling_back": "is being rolled back to the previous version",
        "rolled_back": "was rolled back to the previous version",
        "rollback_failed": "could not be rolled back",
        "accepted": f"is accepted on Python {current.target}",
    }[event]
    reason = single_line(current.reason)
    text = f"Stage {current.stage} in {current.environment} {phrase}" + (f": {reason}" if reason else "")
    return Notice(
        event=event, environment=current.environment, stage=current.stage, run=current.run, services=affected,
        reason=reason, text=text,
    )  # fmt: skip


def notice_for_storage(run: StageRun, problem: str) -> Notice:
    """Return the notification that samples of a run cannot be stored or, without a problem, that they can be again."""
    reason = single_line(problem)
    phrase = f"earns no credit, its samples cannot be stored: {reason}" if problem else "stores its samples again"
    return Notice(
        event="samples_not_stored" if problem else "samples_stored", environment=run.environment, stage=run.stage,
        run=run.run, services=run.services, reason=reason, text=f"Stage {run.stage} in {run.environment} {phrase}",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Notifier:
    """Sender of the notifications of an environment: webhooks get a POST of the JSON, commands get it on stdin, and
    Slack, Teams and mail a message for people.
    """

    environment: EnvironmentSettings
    timeout: float = NOTIFY_TIMEOUT

    async def send(self, notice: Notice) -> list[str]:
        """Send a notification to all recipients and return the problems; never raises."""
        to, message = self.environment, notice.message()
        problems = [await self._post(url, json.loads(notice.document())) for url in to.webhooks]
        problems += [await self._post(url, slack_payload(message), "Slack") for url in to.slack]
        problems += [await self._post(url, teams_payload(message), "Teams") for url in to.teams]
        problems += [await self._mail(to.mail, message)] if to.mail is not None else []
        problems += [await self._run_command(argv, notice) for argv in to.notify]
        return [problem for problem in problems if problem]

    async def _post(self, address: str, body: Mapping[str, Any], kind: str = "") -> str:
        url = os.environ.get(address[1:], "").strip() if address.startswith("$") else address
        if not url:
            return f"the webhook of {kind}: the variable {address[1:]} is not set"
        host = urlsplit(url).hostname or "?"  # the rest of the URL often contains a secret
        if urlsplit(url).scheme not in ("http", "https"):
            return f"the webhook at {host} is not an HTTP URL"
        try:
            response = await http_request(url, json=body, timeout=self.timeout)
        except NoResponse as error:
            return f"the webhook at {host}: {error}"
        except RequestNotSent:
            return f"the webhook at {host} has an invalid or unknown address"
        return "" if response.status < 300 else f"the webhook at {host} answers with HTTP {response.status}"

    async def _mail(self, settings: MailSettings, message: Message) -> str:
        mail = mail_of(message, sender=settings.sender, recipients=settings.to)
        timeout = self.timeout
        try:
            return await run_in_thread(lambda: send_mail(mail, settings, timeout=timeout), timeout=timeout + 5.0)
        except TimeoutError:
            return "the mail was not accepted in time"

    async def _run_command(self, argv: Sequence[str], notice: Notice) -> str:
        variables = {
            **os.environ,
            "PY312_EVENT": notice.event,
            "PY312_ENVIRONMENT": notice.environment,
            "PY312_STAGE": str(notice.stage),
        }
        timeout = self.timeout
        try:
            result = await run_in_thread(
                lambda: process.run(argv, env=variables, stdin=notice.document(), time_limit=timeout, tail_limit=2000),
                timeout=timeout + 5.0,
            )
        except TimeoutError:
            return f"{argv[0]} did not end in time"
        except Exception as error:  # no error of a notification may delay a rollback
            return f"{argv[0]} could not be started: {error}"
        if result.exit_reason is ExitReason.EXITED and result.exit_code == 0:
            return ""
        output = single_line(result.stderr or result.stdout)[-200:]
        return f"{argv[0]} {result.exit_reason.value.replace('_', ' ')} ({result.exit_code}): {output}"


# ---- mail


def send_mail(mail: EmailMessage, settings: MailSettings, *, timeout: float) -> str:
    """Send a mail and return what went wrong, without any secret; empty if the server has accepted it."""
    user, password = os.environ.get(USER_VARIABLE, ""), os.environ.get(PASSWORD_VARIABLE, "")
    host, port = settings.address
    if password and settings.security == "none":
        return f'mail by {host}: the password is not sent without encryption; set security = "starttls" in the plan'
    try:
        with closing(_connect(settings, timeout)) as server:
            if user:
                server.login(user, password)
            server.send_message(mail)
            with suppress(smtplib.SMTPException, OSError):  # the mail is accepted, whatever the answer is
                server.quit()
    except smtplib.SMTPAuthenticationError as error:
        return f"mail by {host}: it refuses {USER_VARIABLE} and {PASSWORD_VARIABLE} (code {error.smtp_code})"
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return f"mail by {host}:{port}: {type(error).__name__}: {error}"
    return ""


def _connect(settings: MailSettings, timeout: float) -> smtplib.SMTP:
    host, port = settings.address
    context = ssl.create_default_context()
    if settings.security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    server = smtplib.SMTP(host, port, timeout=timeout)
    try:
        if settings.security == "starttls":
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server
