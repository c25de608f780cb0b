# SPDX-License-Identifier: MIT
"""What pytest loads beside llama.cpp's own tests: nothing is downloaded, and no server is started beforehand."""

import sys
import types

sys.modules["wget"] = types.ModuleType("wget")


def pytest_configure(config):
    del config
    import utils

    utils.ServerPreset.load_all = staticmethod(lambda: None)
    utils.DEFAULT_HTTP_TIMEOUT = 20
    utils.ServerProcess.start.__defaults__ = (20,)
