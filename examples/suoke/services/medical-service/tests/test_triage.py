import pytest

from app.triage import RULES, read_rules, triage


@pytest.fixture(scope="module")
def rules():
    return read_rules(RULES.read_text(encoding="utf-8"))


def test_the_first_rule_that_holds_decides(rules):
    assert triage({"cold sweat", "chest pain", "fever", "rapid pulse"}, rules).name == "emergency"


def test_all_conditions_have_to_hold(rules):
    assert triage({"chest pain"}, rules) is None


def test_a_fever_is_no_common_cold(rules):
    assert triage({"cough"}, rules).name == "common cold"
    assert triage({"cough", "fever"}, rules) is None


def test_rules_come_from_the_most_to_the_least_urgent(rules):
    hours = [rule.hours for rule in rules]
    assert hours == sorted(hours)


def test_a_rule_that_can_never_hold_is_refused():
    with pytest.raises(ValueError, match="rule odd"):
        read_rules("- {name: odd, when: [cough, not cough], advice: none, hours: 1}")


def test_a_rule_without_conditions_is_refused():
    with pytest.raises(ValueError, match="no conditions"):
        read_rules("- {name: always, advice: none, hours: 1}")
