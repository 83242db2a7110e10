from message_bus.broker import Broker


def test_a_message_waits_for_each_subscriber():
    broker = Broker()
    broker.subscribe("xiaoai", "health.*")
    broker.subscribe("laoke", "health.pulse")
    message, reached = broker.publish("health.pulse", "lin", {"rate": 72})
    assert reached == 2
    assert broker.fetch("xiaoai") == broker.fetch("laoke") == [message]


def test_what_was_fetched_is_gone():
    broker = Broker()
    broker.subscribe("xiaoai", "#")
    broker.publish("a", "lin", {})
    assert len(broker.fetch("xiaoai")) == 1
    assert broker.fetch("xiaoai") == []


def test_two_patterns_of_one_subscriber_are_one_message():
    broker = Broker()
    broker.subscribe("xiaoai", "#")
    broker.subscribe("xiaoai", "a")
    assert broker.publish("a", "lin", {})[1] == 1


def test_a_full_queue_drops_its_oldest():
    broker = Broker(limit=2)
    broker.subscribe("xiaoai", "#")
    for number in range(3):
        broker.publish("a", "lin", {"n": number})
    assert [message.body["n"] for message in broker.fetch("xiaoai")] == [1, 2]


def test_nobody_gets_what_nobody_wants():
    assert Broker().publish("a", "lin", {})[1] == 0
