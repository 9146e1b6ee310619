"""What the command lines of the benchmarks share."""

import argparse
from collections.abc import Iterable
from fnmatch import fnmatch


def pick(
    parser: argparse.ArgumentParser, option: str, names: Iterable[str], patterns: str
) -> list[str]:
    """Those of the names that one of the patterns matches; the command ends if there is none.

    Parameters
    ----------
    parser
        Of the command, for the message.
    option
        Such as ``"--methods"``.
    names
        All there are.
    patterns
        Comma-separated names or shell patterns.
    """
    names = list(names)
    found = [name for name in names if any(fnmatch(name, p) for p in patterns.split(","))]
    if not found:
        parser.error(f"expected {option} among {', '.join(names)}; found {patterns}")
    return found
