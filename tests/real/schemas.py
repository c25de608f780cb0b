# SPDX-License-Identifier: MIT
"""Random JSON Schemas of the keywords that become grammars, each with a function that writes texts it allows.

Texts are written as grammars have them: keys in the schema's order, none that it doesn't name unless it says
so, one blank or none behind commas and colons.  The same seed makes the same schema.
"""

import json
import random

KEYS = ["a", "b", "ab", "abc", "id", "name", "é", "x y", 'q"', "n\n", "\\", "/", "~", "", "漢字", "items", "$ref"]
STRINGS = ["", "a", "abc", "Hello", 'q"', "\\", "\n\t", "é漢😀", "/", "\u0001", "true", "{}"]
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
FORMATS = {
    "date": ["2024-02-29", "1999-12-31", "0001-01-01"],
    "time": ["00:00:00Z", "23:59:59.999+01:00"],
    "date-time": ["2024-02-29T12:00:00Z", "2000-01-01T00:00:00.5-05:30"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
    "ipv4": ["0.0.0.0", "255.10.99.1"],
    "ipv6": ["::", "::1", "1:2:3:4:5:6:7:8", "fe80::1:2", "::ffff:10.0.0.1"],
    "email": ["a@b.cd", "first.last+tag@mail.example.org"],
    "uri": ["http://example.org/a?b=c#d", "urn:isbn:1", "https://u@[::1]:8080/%20"],
    "hostname": ["a", "www.example.org", "a-b.c-d.e"],
}
# with what each matches, and whether its length may be limited further
PATTERNS = {
    "^[a-z]+$": (["a", "xyz"], True),
    "^[A-F0-9]{2,6}$": (["0A", "FFFFFF"], True),
    "^\\d{3}-\\d{4}$": (["555-0123"], False),
    "^(foo|bar)*baz?$": (["ba", "foobarbaz"], False),
    "colou?r": (["color", "a colour!"], False),
    "^\\w+@": (["me@", "a_1@ x"], False),
    '^[^"\\\\]*$': (["", "a b", "é"], True),
    "\\.json$": (["a.json", ".json"], False),
    "^[a-z][a-z0-9-]*$": (["a", "b-2"], True),
    "^x(?:y\\d{1,4}z)$": (["xy1z", "xy123z"], True),
    "^.{1,3}$": (["a", "é漢😀", '"\\'], True),
    "^a|b$": (["ax", "xb"], False),
}


def escaped(text):
    """The inside of a string with the shortest escapes."""
    return "".join(ESCAPES.get(c, f"\\u{ord(c):04x}" if c < " " else c) for c in text)


def spelled(r, text):
    """A string with any escapes that JSON has."""
    out = []
    for c in text:
        units = c.encode("utf-16-be").hex()
        code = "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))
        out.append(r.choice([escaped(c)] * 5 + [code, code.upper().replace("\\U", "\\u")]))
    return '"' + "".join(out) + '"'


class Writer:
    """Texts of one schema; depth keeps recursive ones from going on for ever."""

    def __init__(self, r):
        self.r, self.depth = r, 0

    def comma(self):
        return self.r.choice([",", ", "])

    def colon(self):
        return self.r.choice([":", ": "])

    def value(self, v):
        """Of an enum: as it stands there, but for blanks."""
        if isinstance(v, str):
            return '"' + escaped(v) + '"'
        if isinstance(v, list):
            return "[" + self.join(self.value(e) for e in v) + "]"
        if isinstance(v, dict):
            return "{" + self.join(self.member(k, self.value(e)) for k, e in v.items()) + "}"
        return json.dumps(v)

    def member(self, key, text):
        return '"' + escaped(key) + '"' + self.colon() + text

    def join(self, parts):
        out = ""
        for i, part in enumerate(parts):
            out += (self.comma() if i else "") + part
        return out

    def any(self):
        r = self.r
        if self.depth < 2 and r.random() < 0.3:
            self.depth += 1
            parts = [self.any() for _ in range(r.randrange(3))]
            self.depth -= 1
            if r.random() < 0.5:
                return "[" + self.join(parts) + "]"
            return "{" + self.join(spelled(r, r.choice(KEYS)) + self.colon() + p for p in parts) + "}"
        return r.choice(["null", "true", "false", "0", "-1.5", "2e5", spelled(r, r.choice(STRINGS))])


class Generator:
    """make() is (schema, function of a Writer that returns a text)."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.definitions, self.writers = {}, {}

    def schema(self):
        for i in range(self.r.randrange(3)):
            name = f"d{i}"
            schema, write = self.make(2)
            self.definitions[name], self.writers[name] = schema, write
        if self.r.random() < 0.3:
            self.tree()
        schema, write = self.make(0)
        if self.definitions:
            if not isinstance(schema, dict) or "$defs" in schema:
                schema = {"allOf": [schema]}
            schema = {**schema, "$defs": self.definitions}
        return schema, write

    def tree(self):
        inner, write_inner = self.make(3)
        self.definitions["tree"] = {
            "type": "object",
            "properties": {"value": inner, "left": {"$ref": "#/$defs/tree"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
            "required": ["value"],
        }

        def write(w):
            parts = [w.member("value", write_inner(w))]
            w.depth += 1
            if w.depth < 4 and w.r.random() < 0.5:
                parts.append(w.member("left", write(w)))
            if w.depth < 4 and w.r.random() < 0.5:
                parts.append(w.member("children", "[" + w.join(write(w) for _ in range(w.r.randrange(3))) + "]"))
            w.depth -= 1
            return "{" + w.join(parts) + "}"

        self.writers["tree"] = write

    def make(self, depth):
        r = self.r
        kinds = [self.string, self.string, self.integer, self.number, self.simple, self.listed]
        if depth < 4:
            kinds += [self.object] * (6 if depth == 0 else 2) + [self.array] * 2 + [self.choice, self.all_of]
        if self.writers:
            kinds += [self.reference]
        schema, write = r.choice(kinds)(depth)
        if isinstance(schema, dict) and r.random() < 0.1:
            schema = {"title": "T", "description": "some \"text\"", **schema, "default": None}
        return schema, write

    def reference(self, depth):
        name = self.r.choice(sorted(self.writers))
        return {"$ref": f"#/$defs/{name}"}, lambda w: self.writers[name](w)

    def simple(self, depth):
        r = self.r
        kind = r.randrange(5)
        if kind == 0:
            return {"type": "null"}, lambda w: "null"
        if kind == 1:
            return {"type": "boolean"}, lambda w: w.r.choice(["true", "false"])
        if kind == 2:
            return r.choice([{}, True]), lambda w: w.any()
        if kind == 3:
            return {"type": ["null", "integer"]}, lambda w: w.r.choice(["null", "17"])
        return {"type": "object"}, lambda w: "{" + w.join(spelled(w.r, k) + w.colon() + w.any() for k in w.r.sample(KEYS, 2)) + "}"

    def listed(self, depth):
        r = self.r
        values = r.sample([*STRINGS, 0, 1, -2.5, None, True, [], [1, "x"], {"k": [None]}], r.randrange(1, 6))
        if r.random() < 0.3:
            return {"const": values[0]}, lambda w: w.value(values[0])
        return {"enum": values}, lambda w: w.value(w.r.choice(values))

    def string(self, depth):
        r = self.r
        kind = r.randrange(4)
        if kind == 0:
            name = r.choice(sorted(FORMATS))
            return {"type": "string", "format": name}, lambda w: '"' + w.r.choice(FORMATS[name]) + '"'
        if kind == 1:
            pattern = r.choice(sorted(PATTERNS))
            texts, limited = PATTERNS[pattern]
            schema = {"type": "string", "pattern": pattern}
            if limited and r.random() < 0.4:
                schema["maxLength"] = max(len(t) for t in texts) + r.randrange(2)
            return schema, lambda w: '"' + escaped(w.r.choice(texts)) + '"'
        schema, least, most = {"type": "string"}, 0, 12
        if r.random() < 0.5:
            schema["minLength"] = least = r.randrange(4)
        if r.random() < 0.5:
            schema["maxLength"] = most = least + r.randrange(5)
        return schema, lambda w: spelled(w.r, "".join(w.r.choice('abé漢😀"\\\n /') for _ in range(w.r.randint(least, most))))

    def bounds(self, step):
        r = self.r
        low, high = sorted(r.choice([-1, 1]) * r.randrange(10 ** r.randrange(1, 8)) for _ in range(2))
        schema, inside = {}, [low, high]
        if r.random() < 0.6:
            exclusive = r.random() < 0.3 and high - low > 2 * step
            schema["exclusiveMinimum" if exclusive else "minimum"] = low
            inside[0] = low + step * exclusive
        if r.random() < 0.6:
            exclusive = r.random() < 0.3 and high - low > 2 * step
            schema["exclusiveMaximum" if exclusive else "maximum"] = high
            inside[1] = high - step * exclusive
        return schema, inside

    def integer(self, depth):
        schema, inside = self.bounds(1)
        return {"type": "integer", **schema}, lambda w: str(w.r.choice([*inside, w.r.randint(*inside)]))

    def number(self, depth):
        schema, inside = self.bounds(1)
        if not schema and self.r.random() < 0.5:
            return {"type": "number"}, lambda w: w.r.choice(["0", "-0", "1.5", "-2E+8", "1e-9", "123456789.000001"])
        if inside[0] == inside[1]:
            return {"type": "number", **schema}, lambda w: str(inside[0]) + w.r.choice(["", ".0", ".00"])

        def write(w):
            whole = w.r.randint(inside[0], inside[1] - 1)
            if whole < 0:  # towards the other end: -1.5 is below -1
                whole += 1
                if not whole:
                    return f"-0.{w.r.randrange(1, 1000):03}"
            return w.r.choice([str(whole), f"{whole}.{w.r.randrange(1000):03}" if whole else f"0.{w.r.randrange(1000):03}"])

        return {"type": "number", **schema}, write

    def array(self, depth):
        r = self.r
        prefix = [self.make(depth + 1) for _ in range(r.choice([0, 0, 1, 2, 3]))]
        schema = {"type": "array"}
        least, most = 0, len(prefix)
        if prefix:
            schema["prefixItems"] = [p[0] for p in prefix]
        others = None
        if not prefix or r.random() < 0.5:
            others = self.make(depth + 1)
            schema["items"] = others[0]
            most = len(prefix) + 3
        if r.random() < 0.4:
            schema["minItems"] = least = r.randint(0, most)
        if r.random() < 0.4:
            schema["maxItems"] = most = r.randint(least, most)

        def write(w):
            w.depth += 1
            n = least if w.depth > 5 else w.r.randint(least, most)
            parts = [(prefix[i] if i < len(prefix) else others)[1](w) for i in range(n)]
            w.depth -= 1
            return "[" + w.join(parts) + "]"

        return schema, write

    def object(self, depth):
        r = self.r
        names = r.sample(KEYS, r.randrange(0, 5))
        members = {n: self.make(depth + 1) for n in names}
        required = [n for n in names if r.random() < 0.5]
        schema = {"type": "object", "properties": {n: m[0] for n, m in members.items()}}
        if required:
            schema["required"] = r.sample(required, len(required))
        others, keys = None, [*KEYS, "abcd", "aé", "zz"]
        kind = r.randrange(4)
        if kind == 0:
            schema["additionalProperties"] = False
        elif kind == 1:
            others = r.choice([(True, lambda w: w.any()), self.make(depth + 1)])
            schema["additionalProperties"] = others[0]
        elif kind == 2:  # keys of another kind, which none of KEYS is
            others, keys = self.make(depth + 1), ["zq", "zé", "z\"", "z\\"]
            schema["patternProperties"] = {"^z[^abz]$": others[0]}
            if r.random() < 0.5:
                schema["additionalProperties"] = r.choice([False, {"type": "null"}])
        least, most = 0, 99
        if r.random() < 0.2:
            schema["minProperties"] = least = r.randint(0, len(names) + bool(others))
        if r.random() < 0.2:
            schema["maxProperties"] = most = r.randint(max(least, len(required)), len(names) + 2)

        def write(w):
            w.depth += 1
            wanted = [n for n in names if n in required]
            rest = [n for n in names if n not in required]
            extra = 0
            least_rest = max(0, least - len(wanted))
            if others and (least_rest > len(rest) or w.r.random() < 0.5) and len(wanted) < most:
                extra = 1
            count = w.r.randint(max(0, least_rest - extra), len(rest)) if w.depth < 6 else max(0, least_rest - extra)
            count = min(count, most - len(wanted) - extra)
            chosen = wanted + w.r.sample(rest, max(count, 0))
            parts = [w.member(n, members[n][1](w)) for n in names if n in chosen]
            free = [k for k in keys if k not in names]
            if extra:
                as_is = names or "patternProperties" in schema
                text = '"' + escaped(w.r.choice(free)) + '"' if as_is else spelled(w.r, w.r.choice(free))
                parts.append(text + w.colon() + others[1](w))
            w.depth -= 1
            return "{" + w.join(parts) + "}"

        return schema, write

    def choice(self, depth):
        parts = [self.make(depth + 1) for _ in range(self.r.randint(1, 3))]
        return {self.r.choice(["anyOf", "oneOf"]): [p[0] for p in parts]}, lambda w: w.r.choice(parts)[1](w)

    def all_of(self, depth):
        """An object's schema in two."""
        schema, write = self.object(depth)
        closed = schema.get("additionalProperties", True) is not True
        if closed or "patternProperties" in schema or "minProperties" in schema or "maxProperties" in schema:
            return {"allOf": [schema]}, write
        open_ = {"additionalProperties": True} if "additionalProperties" in schema else {}
        names = list(schema["properties"])
        cut = self.r.randint(0, len(names))
        parts = []
        for some in (names[:cut], names[cut:]):
            part = {"type": "object", "properties": {n: schema["properties"][n] for n in some}, **open_}
            needed = [n for n in schema.get("required", []) if n in some]
            parts.append({**part, "required": needed} if needed else part)
        return {"allOf": parts}, write
