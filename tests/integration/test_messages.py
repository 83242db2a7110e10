"""Messages reach Slack, Teams and a mail server, and a failure says nothing secret."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from pytest_py312.repository.plan.rollout_settings import MailSettings
from pytest_py312.rollout.reporting.notifications import Notice
from tests.integration.local_servers import OK, listening, request_on
from tests.unit.rollout.runs import notifier

NOTICE = Notice(
    event="held", environment="prod", stage=2, run="r", services=("user",), reason="slow", text="Stage 2 waits: slow"
)


def mail_to(port: int, security: str = "none") -> MailSettings:
    return MailSettings(
        to=("team@example.com",), sender="py312@example.com", server=f"127.0.0.1:{port}", security=security
    )


class MailServer:
    """A mail server that accepts everything, or refuses the login."""

    def __init__(self, login: bytes = b"235 welcome") -> None:
        self.lines: list[str] = []
        self._login = login

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        in_data = False
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            self.lines.append(text)
            word = text.upper().partition(" ")[0]
            if in_data:
                in_data = text != "."
                if not in_data:
                    writer.write(b"250 taken\r\n")
                continue
            in_data = word == "DATA"
            answers = {"EHLO": b"250-test\r\n250 AUTH PLAIN", "DATA": b"354 go on", "AUTH": self._login}
            writer.write(answers.get(word, b"250 ok") + b"\r\n")
            if word == "QUIT":
                return


def sent_to(server: MailServer, security: str = "none") -> list[str]:
    """Return the problems of a notification by mail."""

    async def send() -> list[str]:
        async with listening(server.answer) as port:
            return await notifier(timeout=20.0, mail=mail_to(port, security)).send(NOTICE)

    return asyncio.run(send())


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PY312_SMTP_USER", "PY312_SMTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def test_a_mail_is_delivered() -> None:
    server = MailServer()

    assert sent_to(server) == []
    assert "Subject: [py312] Stage 2 waits: slow" in server.lines
    assert any(line.upper().startswith("RCPT TO:<TEAM@EXAMPLE.COM>") for line in server.lines)


def test_a_password_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PY312_SMTP_USER", "robot")
    monkeypatch.setenv("PY312_SMTP_PASSWORD", "top-secret")
    server = MailServer()

    (problem,) = sent_to(server)

    assert "the password is not sent without encryption" in problem
    assert "top-secret" not in problem
    assert not any("AUTH" in line for line in server.lines)


def test_a_login_that_is_refused_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PY312_SMTP_USER", "robot")

    (problem,) = sent_to(MailServer(login=b"535 no"))

    assert "it refuses PY312_SMTP_USER and PY312_SMTP_PASSWORD (code 535)" in problem


def test_a_server_without_encryption_gets_no_mail_that_needs_it() -> None:
    server = MailServer()

    (problem,) = sent_to(server, "starttls")

    assert "STARTTLS" in problem
    assert not any(line.startswith("Subject") for line in server.lines)


def test_nobody_listens() -> None:
    (problem,) = asyncio.run(notifier(timeout=5.0, mail=mail_to(9)).send(NOTICE))

    assert problem.startswith("mail by 127.0.0.1:9: ConnectionRefusedError")


@pytest.mark.parametrize(
    ("kind", "text_of"),
    [
        ("slack", lambda body: body["text"]),
        ("teams", lambda body: body["attachments"][0]["content"]["body"][0]["text"]),
    ],
)
def test_a_chat_gets_its_format_at_the_address_in_a_variable(
    kind: str, text_of: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await request_on(reader))
        writer.write(OK)

    async def send() -> list[str]:
        async with listening(answer) as port:
            monkeypatch.setenv("PY312_CHAT", f"http://127.0.0.1:{port}/secret")
            return await notifier(timeout=20.0, **{kind: ("$PY312_CHAT",)}).send(NOTICE)

    assert asyncio.run(send()) == []
    assert text_of(json.loads(requests[0].partition(b"\r\n\r\n")[2])) == "Stage 2 waits: slow"


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PY312_CHAT", raising=False)

    problems = asyncio.run(notifier(slack=("$PY312_CHAT",)).send(NOTICE))

    assert problems == ["the webhook of Slack: the variable PY312_CHAT is not set"]
