# SPDX-License-Identifier: MIT
"""Counts what passed, failed and was skipped, and says so in the last line."""

import sys


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, good, what):
        if good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)

    def skip(self, what, why):
        self.skipped += 1
        print(f"skipped: {what}: {why}", flush=True)

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        sys.exit(1 if self.failed else 0)
