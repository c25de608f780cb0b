# SPDX-License-Identifier: MIT
"""What pytest loads beside llama.cpp's own tests: nothing is downloaded, and no server is started beforehand."""

import os
import sys
import types

sys.modules["wget"] = types.ModuleType("wget")


def with_version(function):
    def ask(self, method, path, *arguments, **named):
        first = path.split("/")[1].split("?")[0]
        path = "/v1" + path if first in ("chat", "models", "responses", "embeddings") else path
        return function(self, method, path, *arguments, **named)
    return ask


def pytest_configure(config):
    del config
    import utils

    utils.ServerPreset.load_all = staticmethod(lambda: None)
    utils.DEFAULT_HTTP_TIMEOUT = 20
    utils.ServerProcess.start.__defaults__ = (20,)
    # llama-server has them without /v1, too
    for name in ("make_request", "make_stream_request"):
        setattr(utils.ServerProcess, name, with_version(getattr(utils.ServerProcess, name)))


def pytest_runtest_logreport(report):
    """A line for each test as soon as it is over, so that those before one that hangs are known."""
    if report.when != "call" and report.outcome == "passed":
        return
    why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr or "")
    why = why.strip().rsplit("\nE ", 1)[-1].split("\n")[0].strip()[:200]
    with open(os.environ["RESULT"], "a", encoding="utf-8") as result:
        result.write("\t".join([report.outcome, os.path.basename(report.fspath).removesuffix(".py"),
                                report.nodeid.split("::", 1)[1].encode("unicode_escape").decode(), why]) + "\n")
