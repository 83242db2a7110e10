import pytest

from rag_service.index import Index, cosine, words


@pytest.fixture
def index():
    index = Index()
    index.add("Ginger warms the stomach and helps against a cold.", "herbs")
    index.add("A wiry pulse feels like the string of a lute.", "pulse")
    index.add("Mugwort is burnt near the point Zusanli.", "moxa")
    return index


def test_common_words_do_not_count():
    assert words("The pulse of the lute") == ["pulse", "lute"]


def test_chinese_is_read_by_character():
    assert words("弦脉 pulse") == ["弦", "脉", "pulse"]


def test_the_best_passage_comes_first(index):
    assert [source for _, _, source in index.search("what does a wiry pulse feel like")] == ["pulse"]


def test_no_common_word_no_passage(index):
    assert index.search("hospital") == []


def test_a_rare_word_weighs_more(index):
    index.add("Cold hands, cold feet.", "signs")
    assert index.search("ginger cold")[0][2] == "herbs"


def test_an_empty_passage_is_refused(index):
    with pytest.raises(ValueError, match="no words"):
        index.add("and of the", "nowhere")


def test_the_same_direction_is_one():
    assert cosine({"a": 1.0, "b": 2.0}, {"a": 2.0, "b": 4.0}) == pytest.approx(1.0)


def test_nothing_in_common_is_zero():
    assert cosine({"a": 1.0}, {"b": 1.0}) == cosine({}, {}) == 0.0
