# SPDX-License-Identifier: MIT
"""Requests that schemathesis makes of the server's own description, right and wrong ones: none is
answered with 500, and the server is as well afterwards.  fuzz.py STOKER MODEL [--runs N] [--seed N]."""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request

from matrix import Report
from server import Server

# a request that generates takes as long as the context allows
CONTEXT = "96"
SECONDS_A_RUN = 0.2


def ask(server, path, body=None):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode() if body else None, {
        "Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def resident(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) >> 10


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def schemathesis(server, operations, options):
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run",
               options.description or server.url + "/openapi.json", "--url", server.url, "--header", f"Authorization: Bearer {server.key}",
               "--checks", "not_a_server_error", "--max-examples", str(max(1, options.runs // operations)),
               "--phases", options.phases, "--workers", "2", "--no-shrink", "--continue-on-failure",
               "--request-timeout", "60", "--seed", str(options.seed), "--generation-database", "none",
               "--suppress-health-check", "all", "--warnings", "off", "--no-color"]
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder,
                              timeout=120 + SECONDS_A_RUN * options.runs).stdout


def statuses(server):
    """Of all requests, as the server's log has them."""
    found = collections.Counter()
    server.errors.flush()
    with open(server.errors.name, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.search(r'" (\d{3}) \d+ bytes', line)
            if match:
                found[match.group(1)] += 1
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("stoker")
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="fuzzing", help="examples,coverage,fuzzing: 5,000 more")
    parser.add_argument("--description", type=os.path.abspath, help="a file in place of the server's own")
    options = parser.parse_args()
    report = Report()
    question = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0}
    with Server(options.stoker, options.model, "--context", CONTEXT) as server:
        if options.description:
            with open(options.description, encoding="utf-8") as file:
                paths = json.load(file)["paths"]
        else:
            paths = ask(server, "/openapi.json")["paths"]
        operations = sum(len([name for name in path if name in ("get", "post", "delete", "put")])
                         for path in paths.values())
        before = ask(server, "/v1/chat/completions", question)["choices"][0]["message"]
        memory, open_files = resident(server), descriptors(server)
        said = schemathesis(server, operations, options)
        report.check(server.alive(), "the server is still there")
        if server.alive():
            after = ask(server, "/v1/chat/completions", question)["choices"][0]["message"]
            report.check(after == before, "and answers as before")
            print(f"resident {memory} MiB, then {resident(server)}; descriptors {open_files}, then "
                  f"{descriptors(server)}")
            report.check(descriptors(server) <= open_files + 4, "no descriptor is lost")
        found = statuses(server)
        print(f"{sum(found.values())} requests to {operations} operations: " +
              ", ".join(f"{count} with {status}" for status, count in sorted(found.items())))
        report.check(sum(found.values()) > operations, "requests have arrived")
        report.check(found["500"] == 0, "none was answered with 500")
        network = re.findall(r"(?im)^.*(?:connection (?:aborted|refused|reset)|timed out|timeout).*$", said)
        report.check(not network, f"every request has a reply{': ' + network[0].strip() if network else ''}")
        if report.failed:
            print(said[-6000:], server.said()[-3000:], sep="\n")
    report.check(server.status == 0, "it ends as it should")
    report.close()


main()
