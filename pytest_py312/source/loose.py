"""Methods that are known by their names alone, for objects of which the scanner does not know the class."""

from pytest_py312.source.questions import Question

LIKELY_METHODS: dict[str, tuple[Question, ...]] = {
    name: tuple(Question(module=module, path=path) for module, path in places)
    for name, places in {
        "assertAlmostEquals": [("unittest", "TestCase().assertAlmostEquals")],
        "assertDictContainsSubset": [("unittest", "TestCase().assertDictContainsSubset")],
        "assertEquals": [("unittest", "TestCase().assertEquals")],
        "assertItemsEqual": [("unittest", "TestCase().assertItemsEqual")],
        "assertNotAlmostEquals": [("unittest", "TestCase().assertNotAlmostEquals")],
        "assertNotEquals": [("unittest", "TestCase().assertNotEquals")],
        "assertNotRegexpMatches": [("unittest", "TestCase().assertNotRegexpMatches")],
        "assertRaisesRegexp": [("unittest", "TestCase().assertRaisesRegexp")],
        "assertRegexpMatches": [("unittest", "TestCase().assertRegexpMatches")],
        "assert_": [("unittest", "TestCase().assert_")],
        "failIf": [("unittest", "TestCase().failIf")],
        "failUnless": [("unittest", "TestCase().failUnless")],
        "failUnlessEqual": [("unittest", "TestCase().failUnlessEqual")],
        "getchildren": [("xml.etree.ElementTree", "Element().getchildren")],
        "getiterator": [("xml.etree.ElementTree", "Element().getiterator")],
        "isAlive": [("threading", "Thread().isAlive")],
        "isDaemon": [("threading", "Thread().isDaemon")],
        "setDaemon": [("threading", "Thread().setDaemon")],
        "notifyAll": [("threading", "Condition().notifyAll")],
        "isSet": [("threading", "Event().isSet")],
        "readfp": [("configparser", "RawConfigParser().readfp")],
    }.items()
}
"""Name of a method -> where it stands."""
