# SPDX-License-Identifier: MIT
"""Lists of messages that templates are tried with; each is a dict of what stoker template takes."""

import json

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather \"now\" <here> & there.\n In °C",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its name, for instance Zürich"},
                    "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                    "days": {"type": "integer", "minimum": 0},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds",
            "parameters": {
                "type": "object",
                "properties": {
                    "numbers": {"type": "array", "items": {"type": "number"}, "description": "some"},
                    "exact": {"type": "boolean"},
                },
            },
            "return": {"type": "number"},
        },
    },
]

ODD_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "odd",
            "description": None,
            "parameters": {"type": "object", "properties": {"days": {"type": ["integer", "null"]}, "x": {}}},
        },
    },
    {"type": "function", "function": {"name": "bare"}},
]


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments, id_="abcdefgh1"):
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(text, id_="abcdefgh1", **more):
    return {"role": "tool", "content": text, "tool_call_id": id_, **more}


SYSTEM = system("You are terse.")
QUESTION = user("Who are you?")
ARGUMENTS = {"city": "Zürich", "days": 2, "deep": {"a": [1, 2.5, None, True]}}
THOUGHT = assistant("<think>\nHm, 1 < 2 & so on.\n</think>\n\nI am.")

# name: messages, and what else is given
LISTS = {
    "question": ([QUESTION], {}),
    "system": ([SYSTEM, QUESTION], {}),
    "four turns": ([SYSTEM, user("Hi"), assistant("Hello!"), QUESTION], {}),
    "four turns without system": ([user("Hi"), assistant("Hello!"), user("And?"), assistant("So."), QUESTION], {}),
    "complete": ([user("Hi"), assistant("Hello!")], {"answer": False}),
    "spaces": (
        [system("  be\n terse \n"), user("\n a  b\t\n\n"), assistant(" \n yes \n"), user("ends with space ")],
        {},
    ),
    "empty": ([user(""), assistant(""), user(" ")], {}),
    "unicode and quotes": ([system("«ß» 漢字"), user("it's \"5\" \\n {{ x }} {% if %} <b>&amp;</b> 👩‍🚀")], {}),
    "thinking text": ([user("Hi"), THOUGHT, user("And?"), THOUGHT, QUESTION], {}),
    "thinking text last": ([user("Hi"), THOUGHT], {"answer": False}),
    "reasoning_content": (
        [user("Hi"), assistant("I am.", reasoning_content="Hm,\nwho?"), user("And?")],
        {},
    ),
    "reasoning_content and tool": (
        [
            SYSTEM,
            user("Weather?"),
            assistant("", reasoning_content="Look it up.", tool_calls=[call("get_weather", ARGUMENTS)]),
            result('{"t": 21}'),
            assistant("21", reasoning_content="Good."),
            user("Thanks"),
        ],
        {"tools": TOOLS},
    ),
    "no thinking": ([SYSTEM, QUESTION], {"variables": {"enable_thinking": False, "thinking": False}}),
    "thinking": ([SYSTEM, QUESTION], {"variables": {"enable_thinking": True, "thinking": True}}),
    "tokens": ([SYSTEM, QUESTION], {"variables": {"bos_token": "<s>", "eos_token": "</s>"}}),
    "tools": ([QUESTION], {"tools": TOOLS}),
    "tools and system": ([SYSTEM, QUESTION], {"tools": TOOLS}),
    "odd tools": ([QUESTION], {"tools": ODD_TOOLS}),
    "tool call": (
        [SYSTEM, user("Weather?"), assistant("", tool_calls=[call("get_weather", ARGUMENTS)])],
        {"tools": TOOLS, "answer": False},
    ),
    "tool result": (
        [
            SYSTEM,
            user("Weather?"),
            assistant("", tool_calls=[call("get_weather", ARGUMENTS)]),
            result('{"temperature": 21.0}', name="get_weather"),
        ],
        {"tools": TOOLS},
    ),
    "tool call, content null": (
        [
            user("Weather?"),
            assistant(None, tool_calls=[call("get_weather", ARGUMENTS)]),
            result("21", name="get_weather"),
            assistant("It is 21."),
            user("Thanks"),
        ],
        {"tools": TOOLS},
    ),
    "tool call, arguments as text": (
        [
            user("Weather?"),
            assistant("", tool_calls=[call("get_weather", json.dumps(ARGUMENTS, ensure_ascii=False))]),
            result("21", name="get_weather"),
        ],
        {"tools": TOOLS},
    ),
    "two calls": (
        [
            user("Both?"),
            assistant(
                "Wait.",
                tool_calls=[
                    call("get_weather", ARGUMENTS, "abcdefgh1"),
                    call("add", {"numbers": [1, -2, 0.5], "exact": False}, "abcdefgh2"),
                ],
            ),
            result("21", "abcdefgh1", name="get_weather"),
            result("-0.5", "abcdefgh2", name="add"),
            assistant("Done.\n"),
            user("Thanks"),
        ],
        {"tools": TOOLS},
    ),
    "parts": ([{"role": "user", "content": [{"type": "text", "text": "part 1"}, {"type": "text", "text": "part 2"}]}], {}),
    "developer": ([{"role": "developer", "content": "Be brief."}, QUESTION], {}),
    "two users": ([user("one"), user("two")], {}),
    "assistant first": ([assistant("Hello"), user("Hi")], {}),
    "system in the middle": ([user("Hi"), assistant("Yes"), SYSTEM, QUESTION], {}),
    "unknown role": ([{"role": "narrator", "content": "It rains."}], {}),
    "nothing": ([], {}),
    "effort": ([QUESTION], {"variables": {"reasoning_effort": "high", "model_identity": "I", "builtin_tools": ["python"], "date_string": "1 Jan 2025"}}),
}  # fmt: skip


def cases(template, now, only=None):
    """One for each list, as batch takes it."""
    for name, (messages, more) in LISTS.items():
        if only and name not in only:
            continue
        case = {
            "name": name,
            "template": template,
            "messages": json.dumps(messages, ensure_ascii=False),
            "answer": more.get("answer", True),
            "now": now,
        }
        for key in ("tools", "variables"):
            if key in more:
                case[key] = json.dumps(more[key], ensure_ascii=False)
        yield case
