#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of api_complete.py: what it takes for driven, and what it finds."""
import pathlib
import unittest

import api_complete

INPUTS = {
    "target_prefix": "T", "invalid": "INVALID_PARAMETER",
    "operations": {"Make": {"input": "MakeRequest"}},
    "shapes": {"MakeRequest": {"type": "structure", "members": {"name": "String", "part": "Part", "kind": "Kind"}},
               "Part": {"type": "structure", "members": {"size": "Integer"}},
               "Kind": {"type": "string", "enum": ["BIG", "SMALL"]},
               "String": {"type": "string"}, "Integer": {"type": "integer"}}}
ANSWERS = {"operations": {"Make": {"answer": {"thing": "Thing"}, "errors": ["LimitExceededException"]}},
           "shapes": {"Thing": {"size": "int", "kind": "Kind"}}, "enums": {"Kind": ["BIG", "SMALL"]}}
ALL = {"Make.name", "Make.part", "Make.kind", "Part.size", "Kind=BIG", "Kind=SMALL", "Make!LimitExceededException",
       "Make!InvalidParameterException", "Make>thing", "Thing>size", "Thing>kind"}


class Tables(api_complete.Tables):
    def __init__(self):
        self.inputs, self.answers, self.built = INPUTS, ANSWERS, ["Make"]


def seen(*calls, name="test_none"):
    it = api_complete.Seen(Tables(), pathlib.Path(name))
    for given, answer in calls:
        it.call("Make", given, answer)
    return it


class Complete(unittest.TestCase):
    def test_everything_of_the_tables_is_wanted(self):
        self.assertEqual(api_complete.Wanted(Tables()).all, ALL)

    def test_what_worked_is_driven(self):
        it = seen(({"name": "n", "part": {"size": 1}, "kind": "BIG"}, {"thing": {"size": 1}}))
        self.assertEqual(it.all_driven(), {"Make.name", "Make.part", "Make.kind", "Part.size", "Kind=BIG"})

    def test_a_refusal_drives_what_it_names_and_all_in_it(self):
        refusal = {"__type": "InvalidParameterException", "message": "part is bad."}
        it = seen(({"name": "n", "part": {"size": 1}, "kind": "BIG"}, refusal))
        self.assertEqual(it.all_driven(), {"Make.part", "Part.size", "Make!InvalidParameterException"})

    def test_an_answer_counts_where_a_test_names_it(self):
        it = seen(({}, {"thing": {"size": 1, "kind": "BIG"}}))
        it.expected({"thing": {"size": 1, "kind": None}})
        self.assertEqual(it.all_driven(), {"Make>thing", "Thing>size"})

    def test_an_answer_that_is_not_of_ecs_form_is_a_fault(self):
        for thing in ({"size": "1"}, {"size": True}, {"kind": "HUGE"}, {"color": 1}, []):
            self.assertEqual(len(seen(({}, {"thing": thing})).faults), 1, thing)
        self.assertEqual(len(seen(({}, {"__type": "ConflictException", "message": ""})).faults), 1)

    def test_what_is_drawn_by_dice_drives_nothing(self):
        self.assertEqual(seen(({"name": "n"}, {}), name="test_x_inputs").all_driven(), set())

    def test_allowances_are_for_what_nobody_drives(self):
        everything = seen(*[({"name": "n", "part": {"size": 1}, "kind": kind}, {"thing": {"size": 1, "kind": kind}})
                            for kind in ("BIG", "SMALL")])
        everything.expected({"thing": {"size": 1, "kind": "BIG"}})
        faults = api_complete.compare(ALL, [everything], {"Make!*": "never", "Kind=B*": "driven"})
        self.assertEqual(len(faults), 1)
        self.assertIn("Kind=B* is allowed (driven)", faults[0])
        self.assertIn("no test drives Make!LimitExceededException", api_complete.compare(ALL, [everything], {}))


if __name__ == "__main__":
    unittest.main()
