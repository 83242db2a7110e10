"""One template, three formats: Slack, Teams and mail."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.reporting.messages import Message, compose_message, mail_of, slack_payload, teams_payload

HELD = compose_message(
    event="held",
    environment="prod",
    stage=2,
    run="r-1",
    services=("user-service", "auth-service"),
    reason="latency <slow> & *worse*",
    text="Stage 2 in prod waits for a decision: latency <slow> & *worse*",
)


def test_the_template_says_what_happened_and_what_to_do() -> None:
    assert HELD.title == "Stage 2 in prod waits for a decision: latency <slow> & *worse*"
    assert dict(HELD.facts) == {
        "Environment": "prod",
        "Stage": "2",
        "Services": "user-service, auth-service",
        "Reason": "latency <slow> & *worse*",
        "To do": "py312 promote --stage 2 --env prod --reason TEXT, or py312 abort with the same",
        "Run": "r-1",
    }


def test_a_message_that_needs_no_decision_has_nothing_to_do() -> None:
    message = compose_message(
        event="accepted", environment="test", stage=1, run="r", services=("a",), reason="", text="Stage 1 is accepted"
    )

    assert [name for name, _ in message.facts] == ["Environment", "Stage", "Services", "Run"]


def test_slack_gets_text_without_mentions_and_links() -> None:
    payload = slack_payload(HELD)

    assert payload["text"] == "Stage 2 in prod waits for a decision: latency &lt;slow&gt; &amp; *worse*"
    assert "*Services:* user-service, auth-service" in payload["blocks"][1]["text"]["text"]


def test_teams_gets_a_card_with_escaped_markdown() -> None:
    payload = teams_payload(HELD)

    [attachment] = payload["attachments"]
    title, facts = attachment["content"]["body"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert (title["type"], facts["type"]) == ("TextBlock", "FactSet")
    assert r"\*worse\*" in title["text"]
    assert {"title": "Services", "value": "user-service, auth-service"} in facts["facts"]


def test_a_mail_is_plain_text() -> None:
    mail = mail_of(HELD, sender="py312@example.com", recipients=("a@example.com", "b@example.com"))

    assert (mail["From"], mail["To"]) == ("py312@example.com", "a@example.com, b@example.com")
    assert mail["Subject"].startswith("[py312] Stage 2 in prod waits")
    assert "Services:    user-service, auth-service" in mail.get_content()


@given(text=st.text(max_size=400), reason=st.text(max_size=50))
def test_any_text_can_be_sent(text: str, reason: str) -> None:
    line = " ".join(text.split())
    message = compose_message(
        event="held", environment="e", stage=1, run="r", services=(reason,), reason=reason, text=line
    )
    assert isinstance(message, Message)
    assert json.loads(json.dumps(slack_payload(message))) == slack_payload(message)
    assert json.loads(json.dumps(teams_payload(message))) == teams_payload(message)
    assert b"Subject: [py312]" in bytes(mail_of(message, sender="a@b", recipients=("c@d",)))
