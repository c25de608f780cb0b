# SPDX-License-Identifier: MIT
"""A server that plays answers: what it says to a message stands in SCRIPTS under the message's first word.

It notes what was asked, and who hung up in the middle.
"""
import http.server
import json
import os
import select
import socket
import threading
import time

CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
       "base-uri 'none'; frame-ancestors 'none'")
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".svg": "image/svg+xml"}
PAGE = os.path.join(os.path.dirname(__file__), "../../tools/serve/page")

HOSTILE = """Look: <script>alert(1)</script> and <img src=x onerror=alert(2)>.

[go](javascript:alert(3)) and [data](data:text/html,<script>alert(4)</script>)

![picture](https://example.invalid/picture.png) and <https://example.invalid/page>

<iframe src="https://example.invalid/"></iframe>

| <b>a</b> | <svg onload=alert(5)> |
| --- | --- |
| <script>alert(6)</script> | `<script>alert(7)</script>` |

```html"><script>alert(8)</script>
<script>alert(9)</script>
```
"""
TABLE = """# Three ways to keep warm

Peat, coal and **oak** differ in what they give and in how long they *last*. See [the notes](https://example.org/heat?x=1) for more.

| Fuel | Energy, MJ/kg | Burns |
| :--- | ---: | :---: |
| Peat | 15 | slowly |
| Coal | 24 | hot |
| Oak | 17 | long |

### In code

1. Weigh what you have
   - dry it first
   - then split it
2. Multiply

```python
def heat(mass_kg: float, energy: float = 17.0) -> float:
	\"\"\"Megajoules in a pile of wood.\"\"\"
	return mass_kg * energy

print(f"{heat(12):.0f} MJ")
```

> Wood warms twice: when it is cut, and when it burns.

So $E = m \\cdot h$ holds, and `heat(12)` is 204.
"""
THOUGHT = "The question is short. Two and two are four. I should simply say so."
CALL = '{"city": "Tampere", "unit": "celsius"}'


def words(text):
    """In pieces as a model makes them."""
    piece = ""
    for char in text:
        if char == " " and piece:
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece


def answer(kind, request):
    """What is streamed: deltas, numbers (seconds to wait), or what the reply does beside."""
    asked = request["messages"][-1]["content"]
    if request["messages"][-1]["role"] == "tool":
        kind = "result"
    if kind == "slow":
        for i in range(400):
            yield {"content": f"word{i} "}
            yield 0.05
    elif kind == "silent":
        yield 60
    elif kind == "think":
        for piece in words(THOUGHT):
            yield {"reasoning_content": piece}
            yield 0.02
        yield {"content": "Four."}
    elif kind == "call":
        yield {"content": "Let me look."}
        yield {"tool_calls": [{"index": 0, "id": "call-1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}]}
        for i in range(0, len(CALL), 5):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": CALL[i:i + 5]}}]}
        yield "tool_calls"
    elif kind == "result":
        yield {"content": f"It is {asked} there."}
    elif kind == "break":
        yield {"content": "This breaks"}
        yield 0.5  # a browser drops what it hasn't read by then
        yield "break"
    elif kind == "fault":
        yield {"content": "This fails"}
        yield {"error": {"message": "The device was lost.", "type": "server_error", "param": None, "code": None}}
    elif kind == "script":
        for piece in words(HOSTILE):
            yield {"content": piece}
    elif kind == "table":
        for piece in words(TABLE):
            yield {"content": piece}
            yield 0.002
    elif kind == "now":
        yield 0.1
        yield {"content": f"at {time.time() * 1000:.3f}"}
        yield 0.05
        yield {"content": " that was it"}
    elif kind == "long":
        for i in range(int(asked.split()[1])):
            yield {"content": f"- item {i} has **bold** text and `code` in it\n"}
    elif kind == "cut":
        yield {"content": "As far as it goes"}
        yield "length"
    elif kind == "progress":
        for i in range(5):
            yield {"prompt_progress": {"total": 1000, "cache": 0, "processed": i * 200, "time_ms": i}}
            yield 0.15
        yield {"content": "Read."}
    else:
        turn = sum(message["role"] == "user" for message in request["messages"])
        yield {"content": f"Answer {turn} to: {asked}"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections.add(self.connection)

    def log_message(self, *_):
        pass

    def reply(self, status, body, kind="application/json", more=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", len(data)), ("Content-Security-Policy", CSP),
                            ("X-Content-Type-Options", "nosniff"), *more):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def problem(self, status, message, code=None, **more):
        kind = {401: "authentication_error", 503: "service_unavailable"}.get(status, "server_error")
        self.reply(status, {"error": {"message": message, "type": kind, "param": None, "code": code}, **more})

    def refused(self):
        server = self.server
        if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            self.problem(401, "A key is needed.")
        elif server.loading is not None:
            self.problem(503, "The model is being loaded.", "loading", progress=server.loading)
        else:
            return False
        return True

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/health":
            if self.server.loading is None:
                self.reply(200, {"status": "ok"})
            else:
                self.problem(503, "The model is being loaded.", "loading", progress=self.server.loading)
        elif path == "/v1/models":
            if not self.refused():
                self.reply(200, {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "stoker"}
                                                            for name in self.server.models]})
        elif path == "/props":
            if not self.refused():
                self.reply(200, {"default_generation_settings": {"n_ctx": 2048, "params": {
                    "temperature": 0.8, "top_p": 0.95, "top_k": 40, "min_p": 0.05, "repeat_penalty": 1.0}},
                    "total_slots": 4, "build_info": "stoker scripted"})
        else:
            name = "index.html" if path == "/" else path[1:]
            full = os.path.join(PAGE, name)
            kind = TYPES.get(os.path.splitext(name)[1])
            if "/" in name or not kind or not os.path.isfile(full):
                return self.problem(404, "There is no such path.")
            with open(full, "rb") as file:
                self.reply(200, file.read(), kind, (("Cache-Control", "no-cache"),))

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        if self.path == "/tokenize":
            return self.reply(200, {"tokens": list(range(len(request["content"].split())))})
        if self.path != "/v1/chat/completions":
            return self.problem(404, "There is no such path.")
        if self.refused():
            return None
        self.server.requests.append(request)
        asked = request["messages"][-1]["content"]
        kind = asked.split()[0].lower() if asked.split() else ""
        if kind == "full":
            return self.problem(400, "The prompt has 4096 tokens, the context 2048.", "context_length_exceeded")
        if kind == "busy" and len(self.server.requests) % 2:
            return self.problem(429, "Too many requests are waiting.")
        return self.stream(kind, request)

    def send(self, text):
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def chunk(self, **fields):
        self.send(f"data: {json.dumps({'id': 'chat-1', 'object': 'chat.completion.chunk', 'created': 0, 'model': self.model, **fields})}\n\n")

    def hung_up(self, seconds):
        """Waits, and says whether the client has gone meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def stream(self, kind, request):
        self.send_response(200)
        for name, value in (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("Transfer-Encoding", "chunked")):
            self.send_header(name, value)
        self.end_headers()
        finish, pieces = "stop", 0
        self.model = request.get("model", "smol-135m")
        try:
            self.chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}])
            for step in answer(kind, request):
                if isinstance(step, (int, float)):
                    if self.hung_up(step):
                        raise BrokenPipeError
                elif step == "break":
                    self.close_connection = True
                    return
                elif isinstance(step, str):
                    finish = step
                elif "error" in step:
                    self.send(f"data: {json.dumps(step)}\n\n")
                    self.close_connection = True
                    self.send("")
                    return
                elif "prompt_progress" in step:
                    self.chunk(choices=[{"index": 0, "delta": {}, "finish_reason": None}], **step)
                else:
                    pieces += 1
                    self.chunk(choices=[{"index": 0, "delta": step, "finish_reason": None}])
            self.chunk(choices=[{"index": 0, "delta": {}, "finish_reason": finish}])
            prompt = sum(len(str(message.get("content")).split()) for message in request["messages"]) + 8
            if request.get("stream_options", {}).get("include_usage"):
                self.chunk(choices=[], usage={"prompt_tokens": prompt, "completion_tokens": pieces, "total_tokens": prompt + pieces,
                                              "prompt_tokens_details": {"cached_tokens": prompt // 2}})
            self.send(": the end\n\ndata: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.server.hung_up.append((kind, time.monotonic()))
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.requests, self.hung_up, self.connections = [], [], set()
        self.key, self.loading, self.models = None, None, ("smol-135m", "large-30b")
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_):
        pass  # a browser closes connections as it likes

    def stop(self):
        self.shutdown()
        self.server_close()
        for connection in self.connections.copy():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already


if __name__ == "__main__":
    print(f"{Server().address}/")
    threading.Event().wait()
