#!/usr/bin/env python3
"""Sums the results of one lit run: summarize-tests.py RESULTS.xml EXIT_STATUS

RESULTS.xml is what lit wrote for --xunit-xml-output, EXIT_STATUS how lit ended. Prints `N passed, N failed, N skipped`.
Skipped are tests that are unsupported here, that skip themselves and that were left out. Failed are all others that did
not do what they should: also those without a verdict, over time, or passing where a failure is expected. A run that
ended badly without a failed test counts as one failure, and so does a run without any test. Exit status: 1 when
anything failed.
"""

import sys
import xml.etree.ElementTree


def count(path):
    passed = failed = skipped = 0
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main(path, lit_status):
    try:
        passed, failed, skipped = count(path)
    except (OSError, xml.etree.ElementTree.ParseError) as error:
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
