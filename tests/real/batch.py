# SPDX-License-Identifier: MIT
"""Asks the program of batch.c, which stays there, one question after the other."""

import json
import subprocess


class Batch:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question):
        # not escaped: json-c takes some pairs of escapes for broken ones
        self.process.stdin.write(json.dumps(question, ensure_ascii=False).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the library ended: status {self.process.wait()}, asked {question!r}")
        return json.loads(line.decode(errors="surrogateescape"))
