import unittest
from datetime import date

from user_service.profiles import Profile, masked, read_profile

LIN = {"name": "lin", "email": "Lin@Example.org", "born": "1988-04-02"}


class ReadProfile(unittest.TestCase):
    def test_the_address_is_kept_in_lower_case(self):
        self.assertEquals(read_profile(LIN).email, "lin@example.org")

    def test_the_language_is_chinese_unless_said_otherwise(self):
        self.assertEqual(read_profile(LIN).language, "zh")

    def test_allergies_are_sorted_and_named_once(self):
        profile = read_profile(dict(LIN, allergies=["pollen", "mugwort", "pollen"]))
        self.assertEqual(profile.allergies, ["mugwort", "pollen"])

    def test_a_name_has_rules(self):
        with self.assertRaisesRegex(ValueError, "name:"):
            read_profile(dict(LIN, name="Lin Mei"))

    def test_an_address_has_an_at_sign(self):
        with self.assertRaises(ValueError) as caught:
            read_profile(dict(LIN, email="lin"))
        self.assertRegexpMatches(str(caught.exception), "^email:")

    def test_a_language_is_one_of_two(self):
        with self.assertRaisesRegex(ValueError, "zh, en"):
            read_profile(dict(LIN, language="fr"))


class Age(unittest.TestCase):
    def setUp(self):
        self.profile = Profile("lin", "lin@example.org", date(1988, 4, 2))

    def test_the_day_before_the_birthday(self):
        self.assertEqual(self.profile.age_on(date(2026, 4, 1)), 37)

    def test_the_birthday(self):
        self.assertEqual(self.profile.age_on(date(2026, 4, 2)), 38)


class Masked(unittest.TestCase):
    def test_the_first_letter_and_the_domain_stay(self):
        self.assertEqual(masked("lin@example.org"), "l**@example.org")

    def test_the_rest_of_the_name_does_not(self):
        self.assertNotRegexpMatches(masked("lin@example.org"), "lin")
