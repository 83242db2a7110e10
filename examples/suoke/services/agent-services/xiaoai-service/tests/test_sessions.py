import datetime

from xiaoai.sessions import Session

EIGHT = datetime.datetime(2026, 3, 2, 8, 0, tzinfo=datetime.timezone.utc)


def test_full_minutes_count():
    session = Session("lin", begun=EIGHT)
    assert session.minutes(until=EIGHT + datetime.timedelta(minutes=12, seconds=59)) == 12


def test_a_session_begins_now():
    assert Session("lin").minutes() == 0


def test_a_remark_has_its_time():
    session = Session("lin", begun=EIGHT)
    session.remark("sleeps badly")
    [(time, text)] = session.remarks
    assert text == "sleeps badly"
    assert time.endswith("+00:00")
