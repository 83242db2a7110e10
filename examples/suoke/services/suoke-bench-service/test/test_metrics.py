import math
import sys

import pytest

from suoke_bench.metrics import f1, percentile, precision, recall, reciprocal_rank


def test_precision_is_about_what_was_found():
    assert precision(["ginger", "goji"], ["ginger"]) == 0.5


def test_recall_is_about_what_is_right():
    assert recall(["ginger"], ["ginger", "goji", "mugwort", "licorice"]) == 0.25


def test_f1_is_between_the_two():
    assert f1(["ginger", "goji"], ["ginger"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("figure", [precision, f1])
def test_no_answer_is_worth_nothing(figure):
    assert figure([], ["ginger"]) == 0.0


def test_the_second_place_is_worth_half():
    assert reciprocal_rank(["goji", "ginger"], {"ginger"}) == 0.5


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.95, 4), (0.0, 1)])
def test_percentiles(share, expected):
    assert percentile([4, 1, 3, 2], share) == expected


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sum() of floats is more exact there, to be looked at")
def test_scores_add_up():
    assert math.isclose(sum(reciprocal_rank(["a", "b", "c"], {letter}) for letter in "abc"), 11 / 6)
