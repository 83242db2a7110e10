"""What probes say, as nouns. They come from processes and files: what does not fit is no answer."""

from typing import Any, TypeGuard

from pytest_py312.source.questions import Answer, Complaint, Signature


def answer_from(data: Any) -> Answer | None:
    """The answer that a probe gave, or ``None`` where this is not one."""
    if not isinstance(data, dict) or (type(present := data.get("present", "")) is not bool and present is not None):
        return None
    reason, warning, where = data.get("reason", ""), data.get("warning", ""), data.get("defined", "")
    members, stated = data.get("members"), data.get("signature")
    signature = signature_from(stated) if stated is not None else None
    if not _are_texts([reason, warning, where]) or (stated is not None and not signature):
        return None
    if members is not None and not _are_texts(members):
        return None
    return Answer(
        present=present,
        reason=reason,
        warning=warning,
        signature=signature,
        members=None if members is None else tuple(members),
        is_class=data.get("is_class") is True,
        defined=where,
        when_called=data.get("when_called") is True,
    )


def signature_from(data: Any) -> Signature | None:
    """The signature that a probe gave, or ``None`` where this is not one."""
    if not isinstance(data, dict):
        return None
    positional, keywords, deprecated = (data.get(name) for name in ("positional", "keywords", "deprecated"))
    required = data.get("required", [])
    if not (_are_texts(positional) and _are_texts(keywords) and _are_texts(required) and isinstance(deprecated, list)):
        return None
    if deprecated and not all(_are_texts(pair) and len(pair) == 2 for pair in deprecated):
        return None
    return Signature(
        positional=tuple(positional),
        keywords=tuple(keywords),
        any_positional=data.get("any_positional") is True,
        any_keyword=data.get("any_keyword") is True,
        deprecated=tuple((name, text) for name, text in deprecated),
        required=tuple(required),
    )


_TEXT = {str}


def complaint_from(data: Any) -> Complaint | None:
    """The complaint ``[error, category, message, line, column]`` of a compiler, or ``None`` where this is not one."""
    if not isinstance(data, list) or len(data) != 5:
        return None
    error, category, message, line, column = data
    if not (isinstance(error, bool) and isinstance(category, str) and isinstance(message, str)):
        return None
    if type(line) is not int or line < 1 or not (column is None or (type(column) is int and column > 0)):
        return None
    return Complaint(error=error, category=category, message=message, line=line, column=column)


def _are_texts(data: Any) -> TypeGuard[list[str]]:
    return isinstance(data, list) and {*map(type, data)} <= _TEXT  # thousands of lists are looked at
