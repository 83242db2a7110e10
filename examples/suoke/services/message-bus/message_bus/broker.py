"""Keeps messages until their subscribers fetch them."""

from collections import deque
from dataclasses import asdict, dataclass
from itertools import count

from message_bus.topics import matches


@dataclass(frozen=True)
class Message:
    number: int
    topic: str
    sender: str
    body: dict

    def as_dict(self):
        return asdict(self)


class Broker:
    """In memory, in order, and each subscriber has a queue of its own that drops its oldest when it is full."""

    def __init__(self, limit=1000):
        self._limit = limit
        self._numbers = count(1)
        self._queues = {}

    def subscribe(self, subscriber, pattern):
        """Messages published from now on that fit ``pattern`` wait for ``subscriber``."""
        patterns, _ = self._queues.setdefault(subscriber, ([], deque(maxlen=self._limit)))
        if pattern not in patterns:
            patterns.append(pattern)

    def publish(self, topic, sender, body):
        """Returns the message and how many subscribers it waits for."""
        message = Message(next(self._numbers), topic, sender, body)
        reached = 0
        for patterns, queue in self._queues.values():
            if any(matches(pattern, topic) for pattern in patterns):
                queue.append(message)
                reached += 1
        return message, reached

    def fetch(self, subscriber, most=10):
        """Up to ``most`` messages, oldest first; what was fetched waits no longer."""
        _, queue = self._queues.get(subscriber, ([], deque()))
        return [queue.popleft() for _ in range(min(most, len(queue)))]
