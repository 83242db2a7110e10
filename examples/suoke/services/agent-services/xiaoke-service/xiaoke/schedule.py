"""Appointments: who is free when, and who waits for what falls free."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, order=True)
class Slot:
    begin: datetime
    doctor: str
    minutes: int = 20

    @property
    def end(self):
        return self.begin + timedelta(minutes=self.minutes)


class Taken(Exception):
    """The slot belongs to somebody else."""


class Schedule:
    def __init__(self, slots):
        self._booked = dict.fromkeys(sorted(slots))
        self._waiting = []

    def free(self, doctor=None, after=None):
        """Free slots in order."""
        return [
            slot
            for slot, patient in self._booked.items()
            if patient is None and doctor in (None, slot.doctor) and (after is None or slot.begin >= after)
        ]

    def book(self, slot, patient):
        """Give ``slot`` to ``patient``, who cannot be in two places at once."""
        if self._booked[slot] is not None:
            raise Taken("{} at {:%H:%M} is taken".format(slot.doctor, slot.begin))
        for other, holder in self._booked.items():
            if holder == patient and slot.begin < other.end and other.begin < slot.end:
                raise Taken("{} is with {} then".format(patient, other.doctor))
        self._booked[slot] = patient

    def wait(self, patient, doctor):
        self._waiting.append((patient, doctor))

    def cancel(self, slot):
        """Free ``slot``; returns whoever waited longest for that doctor and now has it, or ``None``."""
        self._booked[slot] = None
        for entry in self._waiting:
            patient, doctor = entry
            if doctor == slot.doctor:
                self._waiting.remove(entry)
                self._booked[slot] = patient
                return patient
        return None


def day(date, doctors, first=9, last=12, minutes=20):
    """All slots of one morning."""
    begin, slots = datetime.fromisoformat(date) + timedelta(hours=first), []
    while begin + timedelta(minutes=minutes) <= datetime.fromisoformat(date) + timedelta(hours=last):
        slots += [Slot(begin, doctor, minutes) for doctor in doctors]
        begin += timedelta(minutes=minutes)
    return slots
