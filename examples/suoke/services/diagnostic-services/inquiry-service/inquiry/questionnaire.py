"""A questionnaire that follows up on what it hears."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    key: str
    text: str
    choices: tuple = ("yes", "no")
    follow_up: str = ""
    """The question that comes next when the answer is the first of the choices."""


QUESTIONS = {
    "chills": Question("chills", "Do you feel cold?", follow_up="fever"),
    "fever": Question("fever", "Do you have a fever?"),
    "sleep": Question("sleep", "How do you sleep?", ("badly", "well"), follow_up="dreams"),
    "dreams": Question("dreams", "Do you dream a lot?"),
    "thirst": Question("thirst", "Do you drink much?"),
}
OPENING = ("chills", "sleep", "thirst")


class Interview:
    """Answers of one patient, and the question that comes next."""

    def __init__(self, questions=None, opening=OPENING):
        self._questions = questions or QUESTIONS
        self._open = list(opening)
        self.answers = {}

    @property
    def current(self):
        """The question to ask, or ``None`` at the end."""
        return self._questions[self._open[0]] if self._open else None

    def answer(self, choice):
        question = self.current
        if question is None:
            raise ValueError("the interview is over")
        if choice not in question.choices:
            raise ValueError("{}: choose one of {}".format(question.key, ", ".join(question.choices)))
        self._open.pop(0)
        self.answers[question.key] = choice
        if question.follow_up and choice == question.choices[0]:
            self._open.insert(0, question.follow_up)

    def signs(self):
        """What the answers come to."""
        found = [key for key in ("chills", "fever", "thirst") if self.answers.get(key) == "yes"]
        if self.answers.get("sleep") == "badly":
            found.append("troubled sleep" if self.answers.get("dreams") == "yes" else "light sleep")
        return sorted(found)
