# SPDX-License-Identifier: MIT
"""Jinja2 set up as Hugging Face's transformers sets it up for chat templates, with a clock of ours."""

import json
from datetime import datetime

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %} marks what an assistant wrote; here it's only passed on."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("pass_on"), [], [], body).set_lineno(line)

    def pass_on(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def environment(now, optimized=True):
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols],
        optimized=optimized,
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda layout: datetime.fromtimestamp(now).strftime(layout)
    return env


def render(env, compiled, case):
    """(text, None) or (None, what went wrong)"""
    source = case["template"]
    try:
        if source not in compiled:
            compiled[source] = env.from_string(source)
        # fresh objects: a template may change what it's given
        variables = {"tools": None, "documents": None, "bos_token": "", "eos_token": ""}
        variables.update(json.loads(case.get("variables") or "{}"))
        variables["messages"] = json.loads(case["messages"])
        if case.get("tools"):
            variables["tools"] = json.loads(case["tools"])
        variables["add_generation_prompt"] = case["answer"]
        return compiled[source].render(**variables), None
    except Exception as e:  # whatever a template does wrong, Python's errors too
        return None, f"{type(e).__name__}: {e}"
