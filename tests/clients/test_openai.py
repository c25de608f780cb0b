# SPDX-License-Identifier: MIT
"""The openai package: chat, completions, responses, embeddings; asynchronous, too."""

import asyncio
import json
import math

import jsonschema
import openai

from matrix import expect
from server import Crowd
from asked import LONG, PERSON, QUESTION, TOOL, WEATHER


def features(server, busy):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)
    name = server.name
    ask = [{"role": "user", "content": QUESTION}]

    def chat(**more):
        return client.chat.completions.create(model=name, **{"messages": ask, "max_tokens": 12, **more})

    def models():
        assert name in [model.id for model in client.models.list().data]
        assert client.models.retrieve(name).id == name

    def chats():
        reply = chat(temperature=0)
        text = reply.choices[0].message.content
        assert text and reply.choices[0].finish_reason in ("stop", "length"), reply
        assert reply.usage.prompt_tokens > 5 and reply.usage.completion_tokens <= 12
        assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
        assert chat(temperature=0).choices[0].message.content == text
        assert chat(seed=5).choices[0].message.content == chat(seed=5).choices[0].message.content
        parts = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
        assert chat(temperature=0, messages=parts).choices[0].message.content == text
        assert len(chat(n=2, temperature=1).choices) == 2
        word = text.split()[1]
        short = chat(temperature=0, stop=[word]).choices[0]
        assert word not in short.message.content and short.finish_reason == "stop"
        biased = chat(temperature=0, max_tokens=1, logit_bias={"100": 100}).choices[0].message.content
        assert biased != text[:len(biased)]
        completion = client.completions.create(model=name, prompt="Once upon", max_tokens=4)
        assert completion.choices[0].text and completion.usage.completion_tokens <= 4
        response = client.responses.create(model=name, input=QUESTION, max_output_tokens=8)
        assert response.output_text and response.status in ("completed", "incomplete"), response

    def stream():
        whole = chat(temperature=0).choices[0].message.content
        text, usage, end = "", None, None
        for chunk in chat(temperature=0, stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                end = choice.finish_reason or end
            usage = chunk.usage or usage
        assert text == whole, (text, whole)
        assert end in ("stop", "length") and usage.completion_tokens > 0

        async def several():
            many = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key=server.key, max_retries=0)

            async def one():
                found = await many.chat.completions.create(model=name, messages=ask, max_tokens=12,
                                                           temperature=0, stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in found if c.choices])
            texts = await asyncio.gather(*[one() for _ in range(4)])
            await many.close()
            return texts
        # together they may be rounded otherwise than alone, but they end
        assert all(asyncio.run(several()))
        pieces = client.completions.create(model=name, prompt="Once upon", max_tokens=4, stream=True)
        assert "".join(p.choices[0].text for p in pieces if p.choices)
        events = [e.type for e in client.responses.create(model=name, input=QUESTION, stream=True,
                                                          max_output_tokens=8)]
        assert events[0] == "response.created" and "response.output_text.delta" in events, events
        assert events[-1] in ("response.completed", "response.incomplete"), events

    def tools():
        def call(**more):
            return chat(tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_tokens=120,
                        **more)
        choice = call(temperature=0).choices[0]
        made = choice.message.tool_calls[0]
        assert choice.finish_reason == "tool_calls" and made.function.name == "get_weather", choice
        jsonschema.validate(json.loads(made.function.arguments), WEATHER)
        named, arguments = None, ""
        for chunk in call(temperature=0, stream=True):
            for part in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
                named = part.function.name or named
                arguments += part.function.arguments or ""
        assert named == "get_weather" and arguments == made.function.arguments
        forced = chat(tools=[TOOL], max_tokens=120, temperature=0, parallel_tool_calls=False, tool_choice={
            "type": "function", "function": {"name": "get_weather"}}).choices[0]
        assert forced.message.tool_calls[0].function.name == "get_weather"
        back = ask + [choice.message.model_dump(exclude_none=True),
                      {"role": "tool", "tool_call_id": made.id, "content": "18 degrees, rain"}]
        after = chat(messages=back, tools=[TOOL], tool_choice="none").choices[0].message
        assert after.content and not after.tool_calls, after

    def schema():
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        for temperature in (0, 1.5):
            reply = chat(response_format=form, max_tokens=300, temperature=temperature).choices[0]
            assert reply.finish_reason == "stop", reply
            jsonschema.validate(json.loads(reply.message.content), PERSON)
        reply = chat(response_format={"type": "json_object"}, max_tokens=300, temperature=0).choices[0]
        if reply.finish_reason == "stop":
            assert isinstance(json.loads(reply.message.content), dict)
        wrong = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
        expect(openai.BadRequestError, chat, response_format=wrong, status=400, says="not")

    def embeddings():
        reply = client.embeddings.create(model=name, input=["a cat", "a kitten", "stock market"])
        a, b, c = [e.embedding for e in reply.data]
        assert math.isclose(sum(x * x for x in a), 1, abs_tol=1e-3) and len(a) == len(c)
        assert sum(x * y for x, y in zip(a, b)) > sum(x * y for x, y in zip(a, c))
        plain = client.embeddings.create(model=name, input="a cat", encoding_format="float")
        assert all(math.isclose(x, y, abs_tol=1e-4) for x, y in zip(plain.data[0].embedding, a))
        assert reply.usage.prompt_tokens > 0

    def probabilities():
        reply = chat(logprobs=True, top_logprobs=3, temperature=0).choices[0]
        tokens = reply.logprobs.content
        assert "".join(t.token for t in tokens).startswith(reply.message.content.strip()[:8])
        for token in tokens:
            assert token.logprob <= 0 and len(token.top_logprobs) == 3
            assert token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
        assert bytes(tokens[0].bytes).decode("utf-8", "replace") == tokens[0].token

    def unauthorized():
        other = openai.OpenAI(base_url=server.url + "/v1", api_key="wrong", max_retries=0)
        expect(openai.AuthenticationError, other.models.list, status=401)
        expect(openai.AuthenticationError, other.chat.completions.create, model=name, messages=ask, status=401)

    def not_found():
        expect(openai.NotFoundError, client.get, "/nonesuch", cast_to=object, status=404)
        expect(openai.NotFoundError, client.models.retrieve, "nonesuch", status=404, says="nonesuch")
        error = expect(openai.NotFoundError, client.chat.completions.create, model="nonesuch", messages=ask,
                       status=404)
        assert error.code == "model_not_found", error.code

    def bad():
        error = expect(openai.BadRequestError, chat, messages=[{"role": "user", "content": LONG}], status=400)
        assert error.code == "context_length_exceeded", error.code
        expect(openai.BadRequestError, chat, temperature=-1, status=400, says="temperature")
        expect(openai.BadRequestError, chat, extra_body={"max_tokens": "many"}, status=400, says="max_tokens")
        expect(openai.BadRequestError, chat, messages=[], status=400, says="messages")
        expect(openai.BadRequestError, chat, extra_body={"top_p": 7}, status=400, says="top_p")

    def too_many():
        crowded = openai.OpenAI(base_url=busy.url + "/v1", api_key=busy.key, max_retries=0)
        with Crowd(busy):
            error = expect(openai.RateLimitError, crowded.chat.completions.create, model=name,
                           messages=ask, status=429)
        assert int(error.response.headers["retry-after"]) > 0

    return {"models": models, "chat": chats, "stream": stream, "tools": tools, "schema": schema,
            "embeddings": embeddings, "log-probabilities": probabilities, "401": unauthorized,
            "404": not_found, "400": bad, "429": too_many}
