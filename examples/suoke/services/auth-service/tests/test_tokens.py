import pytest

from auth_service.tokens import InvalidToken, Tokens


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def test_a_token_names_its_user():
    tokens = Tokens("secret", clock=Clock())
    assert tokens.check(tokens.issue("lin")) == "lin"


def test_a_token_expires():
    clock = Clock()
    tokens = Tokens("secret", lifetime=60, clock=clock)
    token = tokens.issue("lin")
    clock.now += 60
    with pytest.raises(InvalidToken, match="expired"):
        tokens.check(token)


@pytest.mark.parametrize("token", ["", ".", "abc.def", "你好.你好"])
def test_rubbish_is_no_token(token):
    with pytest.raises(InvalidToken):
        Tokens("secret").check(token)


def test_a_token_of_another_secret_is_refused():
    with pytest.raises(InvalidToken, match="signature"):
        Tokens("ours").check(Tokens("theirs").issue("lin"))
