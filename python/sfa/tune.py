"""`python -m sfa.tune ARGUMENTS`: sfa-tune with these arguments, also where it is only inside of the library of the wheel; --help
says what they are. As `sfa.tune`, also after `import sfa.tune`, this is the function."""

import sys

from . import _tuning, errors


def main() -> int:
    try:
        return _tuning.run_tuner(sys.argv[1:])
    except errors.Error as error:
        print(f"sfa.tune: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
else:
    # The import system takes what is here then.
    sys.modules[__name__] = _tuning.tune  # type: ignore[assignment]
