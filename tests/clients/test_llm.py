# SPDX-License-Identifier: MIT
"""The llm program (Simon Willison's), with the server as one of its models."""

import json
import os
import subprocess
import sys
import tempfile

import jsonschema

from server import Crowd
from asked import LONG, PERSON, QUESTION

MODELS = """
- model_id: ours
  model_name: {name}
  api_base: "{url}/v1"
  api_key_name: ours
  supports_tools: true
  supports_schema: true
- model_id: other
  model_name: nonesuch
  api_base: "{url}/v1"
  api_key_name: ours
- model_id: busy
  model_name: any
  api_base: "{busy}/v1"
  api_key_name: ours
"""


def features(server, busy):
    folder = tempfile.TemporaryDirectory()
    with open(os.path.join(folder.name, "extra-openai-models.yaml"), "w", encoding="utf-8") as models:
        models.write(MODELS.format(name=server.name, url=server.url, busy=busy.url))

    def llm(*arguments, key=server.key, status=0):
        with open(os.path.join(folder.name, "keys.json"), "w", encoding="utf-8") as keys:
            json.dump({"ours": key}, keys)
        environment = {**os.environ, "LLM_USER_PATH": folder.name, "OPENAI_MAX_RETRIES": "0"}
        done = subprocess.run([sys.executable, "-m", "llm", *arguments], capture_output=True, text=True,
                              env=environment, timeout=120, check=False, stdin=subprocess.DEVNULL)
        assert (done.returncode == 0) == (status == 0), done.stderr[-500:]
        return done.stderr if status else done.stdout

    few = ("-m", "ours", "-o", "max_tokens", "12", "-o", "temperature", "0")

    def chat():
        assert llm(*few, "--no-stream", QUESTION).strip()
        # a conversation goes on
        assert llm(*few, "--no-stream", "-c", "And of Spain?").strip()

    def stream():
        assert llm(*few, QUESTION) == llm(*few, "--no-stream", QUESTION)

    def tools():
        # it can't be told to call one: that the prompt with tools is taken is what is seen
        function = "def get_weather(city: str) -> str:\n    return '18 degrees'"
        assert llm(*few, "--functions", function, "--no-stream", QUESTION) is not None

    def schema():
        text = llm("-m", "ours", "-o", "max_tokens", "300", "--schema", json.dumps(PERSON), QUESTION)
        jsonschema.validate(json.loads(text), PERSON)

    def unauthorized():
        assert "401" in llm(*few, QUESTION, key="wrong", status=1)

    def not_found():
        assert "nonesuch" in llm("-m", "other", QUESTION, status=1)

    def bad():
        assert "context" in llm(*few, LONG, status=1)
        assert "temperature" in llm("-m", "ours", "-o", "temperature", "2.5", QUESTION, status=1)

    def too_many():
        with Crowd(busy):
            assert "429" in llm("-m", "busy", QUESTION, status=1)

    return {"chat": chat, "stream": stream, "tools": tools, "schema": schema, "401": unauthorized,
            "404": not_found, "400": bad, "429": too_many}
