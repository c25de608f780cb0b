# SPDX-License-Identifier: MIT
"""Which models there are, what is known of them, and how they are doing."""

import json
import os
import re
import tempfile
import unittest

from server import DEMO, Server

SAMPLE = re.compile(r'([a-z_]+)(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? ([0-9.e+-]+|\+Inf)$')


def setUpModule():
    global server, folder
    folder = tempfile.TemporaryDirectory()
    for name in ("one.gguf", "two.gguf"):
        os.symlink(os.path.abspath(DEMO), os.path.join(folder.name, name))
    server = Server("--alias", "first", "--context", "256", model=folder.name)


def tearDownModule():
    server.__exit__()
    folder.cleanup()


def get(path, status=200):
    got, _, data = server.get(path)
    assert got == status, (path, got, data)
    return json.loads(data)


def post(path, status=200, **body):
    got, _, data = server.post(path, body)
    assert got == status, (path, got, data)
    return json.loads(data)


def loaded():
    return [m["name"] for m in get("/api/ps")["models"]]


class Listing(unittest.TestCase):
    def test_openai(self):
        listed = get("/v1/models")
        self.assertEqual(listed["object"], "list")
        self.assertEqual([m["id"] for m in listed["data"]], ["first", "two"])
        self.assertEqual({m["object"] for m in listed["data"]}, {"model"})
        self.assertEqual(listed["data"][0]["meta"]["n_ctx"], 256)
        self.assertEqual(get("/v1/models/two")["id"], "two")
        self.assertEqual(get("/v1/models/one")["id"], "first")
        self.assertEqual(get("/v1/models/three", 404)["error"]["code"], "model_not_found")
        self.assertNotIn(folder.name, json.dumps(listed))

    def test_ollama(self):
        one, two = get("/api/tags")["models"]
        self.assertEqual((one["name"], two["model"]), ("first", "two"))
        self.assertEqual(one["size"], os.path.getsize(DEMO))
        self.assertRegex(one["digest"], "^[0-9a-f]{64}$")
        self.assertNotEqual(one["digest"], two["digest"])
        self.assertEqual(one["details"]["family"], "qwen3moe")
        self.assertEqual(one["details"]["parameter_size"], "21M")
        self.assertEqual(one["details"]["quantization_level"], "Q4_K")
        self.assertRegex(get("/api/version")["version"], r"^\d+\.\d+\.\d+$")

    def test_show(self):
        for key, name in (("model", "two:latest"), ("name", "two"), ("model", "first")):
            shown = post("/api/show", **{key: name})
            self.assertEqual(shown["model_info"]["general.architecture"], "qwen3moe")
            self.assertIsNone(shown["model_info"]["tokenizer.ggml.tokens"])
            self.assertIn("completion", shown["capabilities"])
            self.assertIn("temperature 0.8", shown["parameters"])
            self.assertNotIn(folder.name, json.dumps(shown))
        verbose = post("/api/show", model="two", verbose=True)
        self.assertGreater(len(verbose["model_info"]["tokenizer.ggml.tokens"]), 1000)
        self.assertIn("error", post("/api/show", 404, model="three"))
        self.assertIn("error", post("/api/show", 400))
        self.assertIn("error", post("/api/show", 400, model=7))

    def test_props_and_slots(self):
        props = get("/props")
        self.assertEqual(props["default_generation_settings"]["n_ctx"], 256)
        self.assertEqual((props["total_slots"], props["model_alias"]), (8, "first"))
        self.assertNotIn(folder.name, json.dumps(props))
        slots = get("/slots")
        self.assertEqual([s["id"] for s in slots], list(range(len(slots))))
        self.assertFalse(any(s["is_processing"] for s in slots))

    def test_names(self):
        body = {"prompt": "And", "n_predict": 2}
        self.assertEqual(post("/completion", 404, model="three", **body)["error"]["code"], "model_not_found")
        post("/completion", model="two:latest", **body)
        self.assertEqual(sorted(loaded()), ["first", "two"])
        post("/completion", **body)


class Metrics(unittest.TestCase):
    """Prometheus' text format: a type before samples, buckets that add up, names as documented."""

    def test_format(self):
        post("/completion", prompt="And God said", n_predict=5)
        server.get("/no/such/path?with=\"quotes\"")
        status, head, data = server.get("/metrics")
        self.assertTrue(head["content-type"].startswith("text/plain; version=0.0.4"))
        self.assertTrue(data.endswith(b"\n"))
        types, values = {}, {}
        for line in data.decode().splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.assertNotIn(name, types)
                types[name] = kind
            elif not line.startswith("# HELP "):
                found = SAMPLE.match(line)
                self.assertTrue(found, line)
                name = found.group(1)
                base = re.sub("_(bucket|sum|count)$", "", name)
                self.assertIn(types.get(base) if name not in types else types[name],
                              ("counter", "gauge", "histogram"), line)
                values[name + (found.group(2) or "")] = float(found.group(4))
        for name, kind in types.items():
            self.assertTrue(name.startswith("stoker_"))
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            if kind == "histogram":
                buckets = [v for k, v in values.items() if k.startswith(name + "_bucket{")]
                self.assertEqual(buckets, sorted(buckets))
                self.assertEqual(buckets[-1], values[name + "_count"])
        for name in ("requests_running", "requests_waiting", "prompt_tokens_total", "generated_tokens_total",
                     "prefix_hit_tokens_total", "time_to_first_token_seconds", "inter_token_seconds",
                     "request_seconds", "step_rows", "kv_bytes", "memory_bytes", "expert_hits_total",
                     "expert_misses_total", "store_read_bytes_total", "store_stall_seconds_total", "requests_total"):
            self.assertIn("stoker_" + name, types)
        self.assertGreater(values['stoker_requests_total{endpoint="other",code="404"}'], 0)
        self.assertGreaterEqual(values["stoker_generated_tokens_total"], 5)


class Seed(unittest.TestCase):
    def test_of_the_command_line(self):
        body = {"prompt": "And God said", "n_predict": 12, "temperature": 1.5}
        with Server("--seed", "7") as s:
            first, second, other = (json.loads(s.post("/completion", {**body, **more})[2])["content"]
                                    for more in ({}, {}, {"seed": 8}))
        self.assertEqual(first, second)
        self.assertNotEqual(first, other)


class Failing(unittest.TestCase):
    """A model that can't be loaded: the server says why, without saying where its file is."""

    def test_memory(self):
        with Server("--memory", "2M", ready=False) as s:
            while b"loading" in (reply := s.get("/health")[2]):
                pass
            said = json.loads(reply)
            self.assertEqual(said["status"], "failed")
            self.assertIn("stoker-demo-Q4_K", said["error"]["message"])
            self.assertNotIn(os.path.dirname(DEMO), said["error"]["message"])
            status, _, data = s.post("/completion", {"prompt": "And", "n_predict": 2})
            self.assertEqual(status, 503, data)
            self.assertEqual(s.stop(), 0)


if __name__ == "__main__":
    unittest.main()
