#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Continues a text with a model, through ctypes:  complete.py MODEL.gguf "In the beginning"

Structs are those of the headers, each with its size in front; what is left out behind the members
that one needs is 0 to the library.
"""
import ctypes
import sys
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_char, c_char_p, c_int, c_size_t, c_uint,
                    c_uint32, c_uint64, c_void_p, sizeof)

API = 1  # STOKER_API_VERSION of the headers that this was written after


class Error(Structure):
    _fields_ = [("message", c_char * 480), ("needed", c_uint64), ("available", c_uint64),
                ("reserved", c_uint64 * 2)]


TEXT = CFUNCTYPE(c_int, c_void_p, POINTER(c_char), c_size_t)


class GenerateParams(Structure):
    _fields_ = [("size", c_size_t), ("max_tokens", c_uint32), ("stop", POINTER(c_char_p)),
                ("stop_count", c_size_t), ("ignore_end", c_int), ("text", TEXT)]


class SessionParams(Structure):
    _fields_ = [("size", c_size_t), ("context", c_uint32)]


def sized(kind, **values):
    return kind(size=sizeof(kind), **values)


class Stoker:
    """The calls that are needed; each that fails raises its sentence."""

    def __init__(self, path="libstoker-rt.so.1"):
        self.library = ctypes.CDLL(path)
        if self.library.stoker_api_version() < API:
            raise RuntimeError("the library is older than this program")

    def __getattr__(self, name):
        function = getattr(self.library, "stoker_" + name)

        def call(*arguments):
            error = Error()
            code = function(*arguments, byref(error))
            if code:
                raise OSError(-code, error.message.decode())
        return call


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} MODEL.gguf TEXT")
    stoker = Stoker()
    prompt = sys.argv[2].encode()
    device, model, vocabulary, session, sampler = (c_void_p() for _ in range(5))
    tokens, count = POINTER(c_uint32)(), c_size_t()

    def write(_user, text, size):
        sys.stdout.buffer.write(ctypes.string_at(text, size))
        sys.stdout.flush()
        return 0

    try:
        stoker.device_open(None, byref(device))
        stoker.model_load(device, sys.argv[1].encode(), None, byref(model))
        stoker.model_vocabulary(model, byref(vocabulary))
        stoker.session_create(model, byref(sized(SessionParams, context=512)), byref(session))
        stoker.sampler_create(None, byref(sampler))
        stoker.vocabulary_tokenize(vocabulary, prompt, c_size_t(len(prompt)), c_uint(1),
                                   byref(tokens), byref(count))
        stoker.session_eval(session, tokens, count, c_int(1))
        sys.stdout.write(sys.argv[2])
        sys.stdout.flush()
        stoker.session_generate(session, sampler, vocabulary,
                                byref(sized(GenerateParams, max_tokens=32, text=TEXT(write))), None)
        print()
    except OSError as error:
        sys.exit(error.strerror)
    finally:
        stoker.library.stoker_free(tokens)
        for name, what in (("sampler_free", sampler), ("session_free", session),
                           ("model_free", model), ("device_close", device)):
            getattr(stoker.library, "stoker_" + name)(byref(what))


if __name__ == "__main__":
    main()
