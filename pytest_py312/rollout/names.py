"""Names of services as names that a cluster takes, and back. Pure."""

import hashlib
import re
import string

LONGEST = 63
"""Characters of a DNS label, and of the value of a label (RFC 1123; Kubernetes' own rule for labels)."""
_IN_LABELS = frozenset(string.ascii_letters + string.digits + "-.")
_DIGEST = re.compile(r"h\.[0-9a-f]{40}")


def dns_label(name: str) -> str:
    """``name`` as a DNS label: small letters, digits and dashes, no longer than 63.

    Where too much of it is lost (it is too long, or nothing is left), a digest makes up for it.
    """
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if found and len(found) <= LONGEST:
        return found
    return f"{found[:50].rstrip('-') or 'service'}-{_digest(name)[:8]}"


def label_value(service: str) -> str:
    """A service's name as the value of a label, from which :func:`service_in` reads it again.

    What a label cannot hold is written as ``_2F``, the bytes of it. Where even that is no value (too long, or a sign at
    an end), it is a digest, and cannot be read again.
    """
    made = "".join(
        one if one in _IN_LABELS else "".join(f"_{byte:02X}" for byte in one.encode("utf-8", "surrogatepass"))
        for one in service
    )
    if len(made) <= LONGEST and made[:1].isalnum() and made[-1:].isalnum():
        return made
    return f"h.{_digest(service)[:40]}"


def service_in(label: str) -> str | None:
    """The service that a label names; ``None`` where it is a digest."""
    if _DIGEST.fullmatch(label):
        return None
    plain = re.sub(rb"_([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), label.encode())
    return plain.decode("utf-8", "surrogatepass")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
