import pytest

from rag_service.index import Index, words

PASSAGES = ["ginger warms the stomach and dries the damp {}".format(number) for number in range(40)]


@pytest.fixture
def index():
    full = Index()
    for number, passage in enumerate(PASSAGES):
        full.add(passage, "book {}".format(number))
    return full


@pytest.mark.benchmark(max_time=0.05)
def test_a_search_is_quick(benchmark, index):
    assert len(benchmark(index.search, "what warms the stomach")) == 3


@pytest.mark.benchmark(max_time=0.05)
def test_words_are_found_quickly(benchmark):
    assert len(benchmark(words, " ".join(PASSAGES))) == 5 * len(PASSAGES)
