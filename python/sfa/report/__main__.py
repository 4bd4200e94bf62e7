"""python -m sfa.report DATABASE [...] [-o report.html]; --help says the rest."""

import argparse
import pathlib
import sys

from .. import errors
from . import database, page


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m sfa.report", description="Write a page that shows what is in databases of tuned schedules, as sfa-tune "
        "and sfa.tune make them: all entries, what won and by how much, what is uncertain, and how far it is from the peaks of "
        "the device. The page is one file without scripts; it loads nothing.")
    parser.add_argument("databases", nargs="+", metavar="DATABASE", help="files of sfa-tune; their entries go into one page")
    parser.add_argument("-o", "--output", default="report.html", metavar="FILE",
                        help="where the page goes; report.html where not given")
    parser.add_argument("--compiler", metavar="TEXT", help="the build whose entries are sure, as `sfa-tune show` prints it; "
                        "where not given, the one of the newest entries")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    try:
        entries = [entry for file in options.databases for entry in database.read(file)]
        pathlib.Path(options.output).write_text(page.render(entries, options.databases, options.compiler), encoding="utf-8")
    except (errors.Error, OSError) as error:
        print(f"sfa.report: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: {len(entries)} entr{'y' if len(entries) == 1 else 'ies'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
