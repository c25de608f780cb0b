# SPDX-License-Identifier: MIT
"""stoker bench serve beside the server."""

import json
import subprocess
import unittest

from server import DEMO, PROGRAM, Server

FEW = ("--clients", "1,3", "--requests", "1", "--prompt-tokens", "24", "-n", "6", "--arrive", "200",
       "--shared-prefix", "150", "--turns", "3", "--json")


def bench(*options, status=0):
    done = subprocess.run([PROGRAM, "bench", "serve", *FEW, *options], capture_output=True, text=True, timeout=120)
    if done.returncode != status:
        raise AssertionError(f"{done.returncode}: {done.stderr}")
    return done


class Bench(unittest.TestCase):
    def check(self, load, requests, tokens):
        self.assertEqual((load["failed"], load["refused"], load["requests"]), (0, 0, requests), load)
        if tokens:
            self.assertEqual(load["generated_tokens"], tokens)
        self.assertGreater(load["ttft_seconds"]["p50"], 0)
        self.assertLessEqual(load["ttft_seconds"]["p99"], load["e2el_seconds"]["max"])
        self.assertGreater(load["tokens_per_second"], 0)

    def test_loads(self):
        root = json.loads(bench("-m", DEMO, "--load", "concurrent,mixed,prefix,chat,poisson", "-t", "2").stdout)
        loads = root["loads"]
        self.assertEqual([load["load"] for load in loads], ["concurrent"] * 2 + ["mixed"] + ["prefix"] * 3 +
                         ["chat"] + ["poisson"] * 3)
        self.check(loads[0], 1, 6)
        self.check(loads[1], 3, 18)
        self.assertGreater(sum(load["server_cpu_seconds"] for load in loads if load["load"] != "mixed"), 0)
        # the prompt's length is what was asked for, nearly
        self.assertLess(abs(loads[1]["prompt_tokens"] / 3 - 24), 4)
        self.check(loads[2], 1, 0)
        self.assertEqual(loads[2]["hung_up"], 4)
        self.check(loads[3], 1, 16)
        self.check(loads[4], 8, 128)
        # the first one's pages of 64 are there for all of them
        self.assertGreaterEqual(loads[4]["cached_tokens"], 8 * 128)
        self.check(loads[5], 8, 128)
        self.check(loads[6], 3, 0)
        for load, part in zip(loads[7:], ("0.5", "0.8", "1.1")):
            self.assertIn(f"{part} of capacity", load["note"])
            self.check(load, 6, 36)

    def test_against(self):
        with Server("--context", "512") as server:
            url = f"http://127.0.0.1:{server.port}"
            loads = json.loads(bench("--against", url, "--load", "disconnect,schema", "--clients", "4").stdout)["loads"]
            self.assertEqual([load["load"] for load in loads], ["schema", "disconnect"])
            self.assertEqual(loads[0]["failed"], 0)
            self.assertIn(f"{loads[0]['requests']} of {loads[0]['requests']} follow the schema", loads[0]["note"])
            self.assertEqual(loads[1]["failed"], 0)
            self.assertGreater(loads[1]["hung_up"], 0)
            self.assertEqual(loads[1]["hung_up"] + loads[1]["requests"], 16)
            # prompts that are longer than the context fail, and why is said once
            done = bench("--against", url, "--load", "long", "--clients", "2")
            self.assertEqual(json.loads(done.stdout)["loads"][0]["failed"], 2)
            self.assertEqual(done.stderr.count("a request failed"), 1, done.stderr)

    def test_no_server(self):
        done = bench("-m", "README.md", status=1)
        self.assertIn("the server has ended", done.stderr)


if __name__ == "__main__":
    unittest.main()
