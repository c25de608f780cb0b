# SPDX-License-Identifier: MIT
"""What each client can do with the server: a table that docs/CLIENTS.md shows."""

import os
import sys
import traceback

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "real"))
from report import Report  # noqa: E402

# columns, in their order
FEATURES = ["models", "chat", "stream", "tools", "schema", "embeddings", "log-probabilities",
            "401", "404", "400", "429"]


class Matrix(Report):
    def __init__(self):
        super().__init__()
        self.cells = {}

    def client(self, name, version, features):
        """Each of FEATURES that the client has, as a function that raises where something is wrong."""
        row = self.cells.setdefault(f"{name} {version}", {})
        for feature, function in features.items():
            assert feature in FEATURES, feature
            try:
                function()
                row[feature] = "yes"
                self.check(True, f"{name}: {feature}")
            except Exception as error:  # whatever it is, the next feature has its turn
                row[feature] = "no"
                self.check(False, f"{name}: {feature}: {type(error).__name__}: {str(error)[:500]}")
                if os.environ.get("TRACE"):
                    traceback.print_exc()

    def lines(self):
        rows = [["client"] + FEATURES]
        for name, row in self.cells.items():
            rows.append([name] + [row.get(feature, "-") for feature in FEATURES])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return ["    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                for row in rows]


def expect(error, function, *arguments, status=None, says=None, **named):
    """That @function raises @error, with this status and a message that says so."""
    try:
        function(*arguments, **named)
    except error as raised:
        found = getattr(raised, "status_code", None)
        if status and found != status:
            raise AssertionError(f"status {found}, not {status}: {raised}") from raised
        if says and says not in str(raised):
            raise AssertionError(f"\"{raised}\" doesn't say \"{says}\"") from raised
        return raised
    raise AssertionError(f"no {error.__name__}")
