from itertools import count

from suoke_bench.runs import Question, run

QUESTIONS = [Question("What warms?", frozenset(["ginger"])), Question("What is red?", frozenset(["goji"]))]


def test_a_perfect_agent():
    summary = run("laoke", QUESTIONS, lambda agent, text: ["ginger"] if "warms" in text else ["goji"])
    assert (summary.quality, summary.unanswered) == (1.0, 0)


def test_a_silent_agent():
    def silent(agent, text):
        raise ConnectionResetError

    summary = run("laoke", QUESTIONS, silent)
    assert (summary.quality, summary.p95, summary.unanswered) == (0.0, 0.0, 2)


def test_times_are_taken_around_each_question():
    ticks = count(step=2)
    assert run("laoke", QUESTIONS, lambda agent, text: [], clock=lambda: next(ticks)).p95 == 2
