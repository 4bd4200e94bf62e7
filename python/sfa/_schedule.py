"""The text of a schedule, such as "softmax = lazy, splits = 4", or None."""

import re


def given(schedule, parameter):
    """The number that it gives a parameter; None where it does not."""
    found = schedule and re.search(rf"\b{parameter}\s*=\s*(\d+)", schedule)
    return int(found[1]) if found else None


def add(schedule, parameter, number):
    """The same with a parameter of which 1 is none, where it does not name it."""
    if number == 1 or (schedule and re.search(rf"\b{parameter}\b", schedule)):
        return schedule
    text = f"{parameter} = {number}"
    return f"{schedule}, {text}" if schedule and schedule.strip() else text
