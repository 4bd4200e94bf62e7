#!/usr/bin/env python3
"""Sums the results of one lit run: summarize-tests.py RESULTS EXIT_STATUS

RESULTS.json and RESULTS.xml are what lit wrote for --output and --xunit-xml-output, EXIT_STATUS is how it ended. Prints
`N passed, N failed, N skipped`. Skipped are tests that are unsupported here, that skip themselves and that were left out.
Failed are all others that did not do what they should, also those without a verdict, over time, or passing where a failure
is expected. A run that ended badly without a failed test counts as one failure, and so does a run without any test. Exit
status: 1 when anything failed.
"""

import json
import sys
import xml.etree.ElementTree


def count(results):
    with open(results + ".json", encoding="utf-8") as file:
        codes = [test["code"] for test in json.load(file)["tests"]]
    passed = sum(code in ("PASS", "FLAKYPASS", "XFAIL") for code in codes)
    unsupported = codes.count("UNSUPPORTED")
    # Only the .xml has the tests that were left out or skipped themselves; only the .json tells XPASS from PASS.
    left_out = sum(1 for _ in xml.etree.ElementTree.parse(results + ".xml").iter("testcase")) - len(codes)
    return passed, len(codes) - passed - unsupported, unsupported + left_out


def main(results, lit_status):
    try:
        passed, failed, skipped = count(results)
    except (OSError, ValueError, xml.etree.ElementTree.ParseError) as error:
        print(f"no results of lit: {error}", file=sys.stderr)
        passed = failed = skipped = 0
    if failed == 0 and lit_status != 0:
        print(f"lit ended with exit status {lit_status}", file=sys.stderr)
        failed = 1
    elif passed + failed == 0:
        print("no test ran", file=sys.stderr)
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
