"""Send a mail by SMTP. Name and password come from the environment only."""

import os
import smtplib
import ssl
from contextlib import closing, suppress
from email.message import EmailMessage

from pytest_py312.repository.plan.rollout_settings import MailSettings

USER_VARIABLE, PASSWORD_VARIABLE = "PY312_SMTP_USER", "PY312_SMTP_PASSWORD"


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
