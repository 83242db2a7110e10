"""Notifications as messages of Slack, of Teams and as a mail: one template, three formats. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from pytest_py312.core.text import escape_markdown, join_names, shorten

_TITLE_LIMIT = 300
_VALUE_LIMIT = 1000
_NEXT_STEPS = {
    "held": "py312 promote --stage {stage} --env {environment} --reason TEXT, or py312 abort with the same",
    "rollback_failed": "py312 recover --env {environment}",
    "samples_not_stored": "free space for the journal",
}
"""What a person has to do; the other events only inform."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A message: its title, and facts as (name, value). Plain text on one line each."""

    title: str
    facts: tuple[tuple[str, str], ...]


def compose_message(
    *, event: str, environment: str, stage: int, run: str, services: tuple[str, ...], reason: str, text: str
) -> Message:
    """Return the message of a notification: the template of all formats."""
    next_step = _NEXT_STEPS.get(event, "").format(stage=stage, environment=environment)
    facts = (
        ("Environment", environment),
        ("Stage", str(stage)),
        ("Services", join_names(services, 10)),
        ("Reason", reason),
        ("To do", next_step),
        ("Run", run),
    )
    return Message(
        title=shorten(text, _TITLE_LIMIT),
        facts=tuple((name, shorten(value, _VALUE_LIMIT)) for name, value in facts if value),
    )


def slack_payload(message: Message) -> Mapping[str, Any]:
    """Return the body for an incoming webhook of Slack: https://docs.slack.dev/messaging/formatting-message-text."""
    lines = [f"*{_slack_text(name)}:* {_slack_text(value)}" for name, value in message.facts]
    title = _slack_text(message.title)
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": shorten("\n".join(lines), 3000)}},
    ]
    return {"text": title, "blocks": blocks}


def teams_payload(message: Message) -> Mapping[str, Any]:
    """Return the body for a workflow of Teams that posts an adaptive card when a webhook request is received.

    https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features: text blocks read Markdown.
    """
    facts = [{"title": name, "value": escape_markdown(value)} for name, value in message.facts]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": escape_markdown(message.title), "weight": "bolder", "wrap": True},
            {"type": "FactSet", "facts": facts},
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def mail_of(message: Message, *, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """Return the mail, as plain text."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, ", ".join(recipients), f"[py312] {message.title}"
    width = max((len(name) for name, _ in message.facts), default=0) + 1
    lines = [f"{name + ':':<{width}} {value}" for name, value in message.facts]
    mail.set_content("\n".join([message.title, "", *lines, ""]))
    return mail


def _slack_text(text: str) -> str:
    """Escape what is a mention or a link in Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
