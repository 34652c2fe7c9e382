"""Runs the parts that are named, or all, and says how many checks held.

Not here: the checks.
"""

import sys
import time

import everyday
import follow
import holes
import rights
from harness import Report, World

PARTS = {"everyday": everyday.run, "rights": rights.run, "holes": holes.run, "follow": follow.run}


def main() -> int:
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no part {unknown}; there are {list(PARTS)}", file=sys.stderr)
        return 2
    report, began = Report(), time.monotonic()
    for name in names:
        started = time.monotonic()
        with World() as world:
            try:
                PARTS[name](world, report)
            except Exception as error:  # a part that ends early is a failure, and the others still run
                report.check(f"{name}: runs to its end", False, repr(error))
        print(f"   {name}: {time.monotonic() - started:.1f} s", flush=True)
    print(f"{report.passed} checks of real clients passed, {len(report.failed)} failed in {time.monotonic() - began:.0f} s")
    for name in report.failed:
        print(f"FAILED: {name}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
