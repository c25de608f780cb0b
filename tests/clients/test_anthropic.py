# SPDX-License-Identifier: MIT
"""The anthropic package."""

import anthropic
import jsonschema

from matrix import expect
from server import Crowd
from asked import LONG, QUESTION, WEATHER


def features(server, busy):
    client = anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0)
    ask = [{"role": "user", "content": QUESTION}]
    tool = {"name": "get_weather", "description": "the weather in a city", "input_schema": WEATHER}

    def create(of=client, temperature=0, extra_body=None, **more):
        # newer versions of the package have no temperature of their own
        return of.messages.create(extra_body={"temperature": temperature, **(extra_body or {})},
                                  **{"model": server.name, "max_tokens": 12, "messages": ask, **more})

    def follow(**more):
        asked = {"model": server.name, "max_tokens": 12, "messages": ask, "extra_body": {"temperature": 0}, **more}
        with client.messages.stream(**asked) as events:
            return "".join(events.text_stream), events.get_final_message()

    def chat():
        reply = create(system="You are brief.")
        assert reply.content[0].type == "text" and reply.content[0].text, reply
        assert reply.role == "assistant" and reply.stop_reason in ("end_turn", "max_tokens")
        assert reply.usage.input_tokens > 5 and 0 < reply.usage.output_tokens <= 12
        blocks = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        assert create(system=[{"type": "text", "text": "You are brief."}],
                      messages=blocks).content[0].text == reply.content[0].text
        word = reply.content[0].text.split()[1]
        short = create(system="You are brief.", stop_sequences=[word])
        assert short.stop_reason == "stop_sequence" and short.stop_sequence == word, short
        count = client.messages.count_tokens(model=server.name, messages=ask, system="You are brief.")
        assert count.input_tokens == reply.usage.input_tokens, (count, reply.usage)

    def stream():
        whole = create().content[0].text
        text, last = follow()
        assert text == whole and last.content[0].text == whole, (text, whole)
        assert last.usage.output_tokens > 0 and last.stop_reason in ("end_turn", "max_tokens")

    def tools():
        named = {"type": "tool", "name": "get_weather"}
        for choice in ({"type": "any"}, named):
            choice["disable_parallel_tool_use"] = True
            reply = create(tools=[tool], tool_choice=choice, max_tokens=120)
            call = [block for block in reply.content if block.type == "tool_use"][0]
            assert call.name == "get_weather" and reply.stop_reason == "tool_use", reply
            jsonschema.validate(call.input, WEATHER)
        last = follow(max_tokens=120, tools=[tool], tool_choice=named)[1]
        streamed = [block for block in last.content if block.type == "tool_use"][0]
        assert streamed.input == call.input, last
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees, rain"}
        back = ask + [{"role": "assistant", "content": [block.model_dump() for block in reply.content]},
                      {"role": "user", "content": [result]}]
        after = create(messages=back, tools=[tool], tool_choice={"type": "none"})
        assert after.content[0].type == "text", after

    def unauthorized():
        other = anthropic.Anthropic(base_url=server.url, api_key="wrong", max_retries=0)
        expect(anthropic.AuthenticationError, create, other, status=401)

    def not_found():
        expect(anthropic.NotFoundError, client.get, "/v1/nonesuch", cast_to=object, status=404)
        expect(anthropic.NotFoundError, create, model="nonesuch", status=404)

    def bad():
        expect(anthropic.BadRequestError, create, messages=[{"role": "user", "content": LONG}], status=400,
               says="context")
        expect(anthropic.BadRequestError, create, temperature=-1, status=400, says="temperature")
        expect(anthropic.BadRequestError, create, max_tokens=-5, status=400, says="max_tokens")

    def too_many():
        crowded = anthropic.Anthropic(base_url=busy.url, api_key=busy.key, max_retries=0)
        with Crowd(busy):
            expect(anthropic.RateLimitError, create, crowded, status=429)

    return {"chat": chat, "stream": stream, "tools": tools, "401": unauthorized, "404": not_found,
            "400": bad, "429": too_many}
