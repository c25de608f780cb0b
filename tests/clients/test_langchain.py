# SPDX-License-Identifier: MIT
"""The langchain-openai package."""

import jsonschema
import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from matrix import expect
from server import Crowd
from asked import LONG, PERSON, QUESTION


@tool
def get_weather(city: str) -> str:
    """the weather in a city"""
    return f"18 degrees in {city}"


def features(server, busy):
    def model(of=server, key=None, **more):
        return ChatOpenAI(base_url=of.url + "/v1", api_key=key or of.key, max_retries=0,
                          **{"model": server.name, "max_tokens": 12, "temperature": 0, **more})

    def chat():
        reply = model().invoke([("system", "You are brief."), ("human", QUESTION)])
        assert reply.content and reply.usage_metadata["output_tokens"] <= 12, reply
        assert len(model().batch([QUESTION, QUESTION])) == 2

    def stream():
        parts = list(model().stream(QUESTION))
        assert "".join(part.text for part in parts) == model().invoke(QUESTION).text

    def tools():
        able = model(max_tokens=120).bind_tools([get_weather], tool_choice="required",
                                                parallel_tool_calls=False)
        reply = able.invoke(QUESTION)
        call = reply.tool_calls[0]
        assert call["name"] == "get_weather" and isinstance(call["args"]["city"], str), reply
        result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
        free = model().bind_tools([get_weather], tool_choice="none")
        assert free.invoke([HumanMessage(QUESTION), reply, result]).text

    def schema():
        named = {"title": "person", "description": "somebody", **PERSON}
        for method in ("json_schema", "function_calling"):
            able = model(max_tokens=300).with_structured_output(named, method=method)
            jsonschema.validate(able.invoke("Describe a person."), PERSON)

    def embeddings():
        able = OpenAIEmbeddings(base_url=server.url + "/v1", api_key=server.key, model=server.name,
                                check_embedding_ctx_length=False, max_retries=0)
        two = able.embed_documents(["a cat", "stock market"])
        assert len(two) == 2 and len(two[0]) == len(able.embed_query("a cat"))

    def probabilities():
        reply = model(logprobs=True, top_logprobs=2).invoke(QUESTION)
        assert len(reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]) == 2

    def unauthorized():
        expect(openai.AuthenticationError, model(key="wrong").invoke, QUESTION, status=401)

    def not_found():
        expect(openai.NotFoundError, model(model="nonesuch").invoke, QUESTION, status=404)

    def bad():
        expect(openai.BadRequestError, model().invoke, LONG, status=400, says="context")

    def too_many():
        with Crowd(busy):
            expect(openai.RateLimitError, model(busy).invoke, QUESTION, status=429)

    return {"chat": chat, "stream": stream, "tools": tools, "schema": schema, "embeddings": embeddings,
            "log-probabilities": probabilities, "401": unauthorized, "404": not_found, "400": bad, "429": too_many}
