#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""llama-server's options for "stoker serve": what its tests start as LLAMA_SERVER_BIN_PATH.  STOKER and MODEL,
from the environment, are the program and what stands for every model of theirs."""

import os
import sys
import tempfile

SAME = {"--host": "--host", "--port": "--port", "--temp": "--temp", "--seed": "--seed", "--alias": "--alias",
        "--parallel": "--sequences", "--chat-template": "--template", "--chat-template-file": "--template",
        "--threads": "--threads", "-ctk": "--kv-k", "-ctv": "--kv-v"}
# what makes no difference here, with and without a value
VALUES = {"--hf-repo", "--hf-file", "--model", "--model-url", "--batch-size", "--ubatch-size", "-fa",
          "--n-gpu-layers", "--n-predict", "--pooling", "--cache-ram", "--slot-save-path", "--reasoning-format"}
FLAGS = {"--offline", "--cont-batching", "--embedding", "--metrics", "--slots", "--no-slots", "--kv-unified",
         "--swa-full", "--jinja", "--no-jinja", "--verbose", "--no-ui", "--no-cache-idle-slots"}


def main():
    words = sys.argv[1:]
    given = [os.environ["STOKER"], "serve", "-m", os.environ["MODEL"]]
    context, slots = 0, 1
    while words:
        word = words.pop(0)
        if word in FLAGS:
            continue
        value = words.pop(0) if words else ""
        if word == "--ctx-size":
            context = int(value)
        elif word == "--api-key":
            # it has to be there for as long as the server starts; the folder of tests is a temporary one
            with tempfile.NamedTemporaryFile("w", delete=False, prefix="keys.") as keys:
                keys.write(value + "\n")
            given += ["--api-key-file", keys.name]
        elif word == "--reasoning":
            given += ["--kwargs", f'{{"enable_thinking": {str(value == "on").lower()}}}'] if value != "auto" else []
        elif word in SAME:
            given += [SAME[word], value]
            slots = int(value) if word == "--parallel" else slots
        elif word not in VALUES:
            sys.exit(f"stoker serve has no {word}")
    if context:
        # theirs is for all sequences together
        given += ["--context", str(context // slots)]
    os.execv(given[0], given)


main()
