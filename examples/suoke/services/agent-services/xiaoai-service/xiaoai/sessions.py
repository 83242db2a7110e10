"""Consultations and when they took place. All times are in UTC."""

import datetime
from dataclasses import dataclass, field


def utc_now():
    return datetime.datetime.now(datetime.UTC)


@dataclass
class Session:
    user: str
    begun: datetime.datetime = field(default_factory=utc_now)
    remarks: list = field(default_factory=list)

    def remark(self, text):
        self.remarks.append((utc_now().isoformat(timespec="seconds"), text))

    def minutes(self, until=None):
        """Full minutes from its begin to ``until``, which is now unless given."""
        return int(((until or utc_now()) - self.begun).total_seconds() // 60)
