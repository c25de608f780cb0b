# SPDX-License-Identifier: MIT
"""Random templates of the grammar that published templates use, with messages and variables.

Expressions are made for a type, so that most templates run; now and then one of another type comes
in, so that errors are tried as well.  The same seed makes the same template.
"""

import json
import random

STRINGS = ["", "a", "abc", "Hello World", " x ", "\n", " \t pad\n", "a,b,,c", "é漢😀", "<b>&'\"", "\\n", "x=1; y=2",
           "ONE two", "12", "-3", "1.5", "null", "{}", "a\nb\n\nc\n", "ǅ ß İ", "tool", "user", "aXbXc", "'", '"'] # fmt: skip
INTS = [0, 1, 2, 3, 5, 7, 10, -1, -2, -7, 100]
FLOATS = ["0.5", "1.0", "2.25", "-0.75", "3.14159", "1e3", "1.5e-7", "100.0", "-2.5", "1e16", "123456789.125"]
KEYS = ["a", "b", "name", "items", "role", "content", "z", "x y", "é", "type"]
TEXTS = ["", " ", "\n", "text", "a b", "  \n", "\n\n", " \n  ", "\t", "<|x|>", "{ }", "}}", "%}", "#", "é", "x\n", "\ny", "    "]


def literal(text):
    """A string as a template spells it."""
    quote = "'" if '"' in text or "'" not in text else '"'
    text = text.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return quote + text.replace("\n", "\\n").replace("\t", "\\t") + quote


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names = 0
        # names that are there, by type
        self.scope = {
            "str": ["s1", "s2"], "int": ["n1", "n2"], "float": ["f1"], "bool": ["yes", "no"],
            "list": ["l1", "l2", "words"], "dict": ["d1", "d2"], "any": ["nothing", "missing"],
            "messages": ["messages"], "message": [], "macro": [], "namespace": [],
        }  # fmt: skip
        self.in_loop = 0

    # --- choices -------------------------------------------------------------------------------

    def chance(self, percent):
        return self.r.random() * 100 < percent

    def pick(self, *options):
        """One of functions or values, called with nothing."""
        option = self.r.choice(options)
        return option() if callable(option) else option

    def name(self, kind):
        self.names += 1
        return f"{kind}{self.names}"

    # --- expressions ---------------------------------------------------------------------------

    def expression(self, kind, depth=3):
        if self.chance(2):
            kind = self.r.choice(["str", "int", "float", "bool", "list", "dict", "any"])
        if kind == "any":
            kind = self.r.choice(["str", "str", "int", "float", "bool", "list", "dict", "none"])
        if kind == "none":
            return self.pick("none", "None", "nothing", "missing", "d1.nokey", "d1['nokey']")
        if depth <= 0 or kind == "messages" or self.chance(20):
            return self.leaf(kind)
        text = getattr(self, "make_" + kind)(depth - 1)
        return text

    def leaf(self, kind):
        known = self.scope[kind]
        if known and self.chance(60):
            return self.r.choice(known)
        if kind == "str":
            return literal(self.r.choice(STRINGS))
        if kind == "int":
            return str(self.r.choice(INTS))
        if kind == "float":
            return self.r.choice(FLOATS)
        if kind == "bool":
            return self.r.choice(["true", "false", "True", "False"])
        if kind == "list":
            return self.pick("[]", "[1, 2, 3]", "['b', 'a', 'C']", "(1, 'x')", "[none, true, 1.5]", "range(3)")
        if kind == "dict":
            return self.pick("{}", "{'a': 1}", "{'b': 'x', 'a': [1]}")
        return "none"

    def wrap(self, text):
        return text if text.replace("_", "").isalnum() and not text[0].isdigit() else f"({text})"

    def e(self, kind, depth):
        return self.wrap(self.expression(kind, depth))

    def message(self):
        if self.scope["message"] and self.chance(70):
            return self.r.choice(self.scope["message"])
        return self.pick("messages[0]", "messages[-1]", "messages|first", "(messages|last)").replace("messages|first", "(messages|first)")

    def make_str(self, d):
        r = self.r
        s = lambda: self.e("str", d)
        return self.pick(
            lambda: f"{s()} + {s()}",
            lambda: f"{s()} ~ {self.e('any', d)}",
            lambda: f"{self.message()}{self.pick('.role', '.content', str(['role']), str(['content']))}",
            lambda: f"{s()}|{self.pick('trim', 'lower', 'upper', 'title', 'capitalize', 'string', 'safe', 'e', 'escape')}",
            lambda: f"{s()}|replace({literal(r.choice(['a', ' ', 'X', 'b', '']))}, {literal(r.choice(['', 'Y', '--']))})",
            lambda: f"{self.e('any', d)}|tojson",
            lambda: f"{self.e('any', d)}|tojson(indent={r.randint(0, 4)})",
            lambda: f"{self.e('any', d)}|string",
            lambda: f"{self.e('list', d)}|join({self.pick('', literal(', '), s)})",
            lambda: f"{s()}|default({literal('dflt')})",
            lambda: f"missing|default({s()})",
            lambda: f"{self.expression('none')}|default({s()}, true)",
            lambda: f"{s()}|indent({r.randint(0, 4)}{self.pick('', ', true', ', first=true', ', blank=true')})",
            lambda: f"{s()}.{self.pick('strip', 'lstrip', 'rstrip', 'lower', 'upper', 'title', 'capitalize')}()",
            lambda: f"{s()}.{self.pick('strip', 'lstrip', 'rstrip')}({literal(r.choice([' ', 'a', chr(10), 'ab ']))})",
            lambda: f"{s()}.replace({literal(r.choice(['a', ' ', 'b']))}, {s()}{self.pick('', ', 1')})",
            lambda: f"{s()}.split({self.pick('', literal(','), literal('X'))})[{self.pick('0', '-1')}]",
            lambda: self.sliced(s()),
            lambda: f"{s()}|{self.pick('first', 'last')}",
            lambda: f"{s()} if {self.expression('bool', d)} else {s()}",
            lambda: f"{s()} if {self.expression('bool', d)}",
            lambda: f"'%s-%s'|format({s()}, {self.e('int', d)})",
            lambda: f"'%d|%5.2f'|format({self.e('int', d)}, {self.e('float', d)})" if self.chance(30) else s(),
            lambda: f"{self.r.choice(self.scope['macro'])}({s()})" if self.scope["macro"] else s(),
            lambda: f"{self.r.choice(self.scope['namespace'])}.s" if self.scope["namespace"] else s(),
            lambda: f"{s()} * {self.pick('0', '2', '3')}",
            lambda: f"{s()}|reverse" if self.chance(50) else s(),
            lambda: f"strftime_now({literal(r.choice(['%Y-%m-%d', '%d %b %Y', '%B %d, %Y', '%H:%M', '%A %j %y']))})",
            lambda: f"{self.e('dict', d)}.get('a', {s()})",
        )

    def sliced(self, text):
        """Jinja2 computes what is printed beforehand where it's constant, and slices anything then."""
        return f"{'s1' if text.strip('(+-)')[:1].isdigit() or text.lower() in ('true', 'false', 'none') else text}[{self.slice()}]"

    def slice(self):
        part = lambda: self.pick("", "0", "1", "-1", "2", "-3", "9")
        return self.pick(lambda: f"{part()}:{part()}", lambda: f"{part()}:{part()}:{self.pick('', '1', '2', '-1', '-2')}", "::-1")

    def make_int(self, d):
        i = lambda: self.e("int", d)
        return self.pick(
            lambda: f"{i()} {self.pick('+', '-', '*')} {i()}",
            lambda: f"{i()} {self.pick('//', '%')} {self.pick(i, '3', '-2')}",
            lambda: f"{self.pick('2', '3')} ** {self.pick('0', '2', '3')}",
            lambda: f"-{i()}",
            lambda: f"+{i()}",
            lambda: f"{self.e(self.pick('list', 'str', 'dict', 'messages'), d)}|{self.pick('length', 'count')}",
            lambda: f"{self.e('any', d)}|int",
            lambda: f"{self.e('str', d)}|int({self.pick('', '5', 'default=7')})",
            lambda: f"{self.e('float', d)}|int",
            lambda: f"[1, 5, {i()}]|{self.pick('max', 'min', 'sum', 'first', 'last')}",
            lambda: f"{i()}|abs",
            lambda: f"{i()} if {self.expression('bool', d)} else {i()}",
            lambda: "loop." + self.pick("index", "index0", "revindex", "revindex0", "length", "depth") if self.in_loop else i(),
            lambda: f"{self.e('str', d)}.{self.pick('find', 'count')}({literal(self.r.choice(['a', 'X', '']))})",
            lambda: f"{self.e('list', d)}|length",
            lambda: f"{self.r.choice(self.scope['namespace'])}.n" if self.scope["namespace"] else i(),
            lambda: f"{self.e('bool', d)} + 1",
        )

    def make_float(self, d):
        f = lambda: self.e(self.pick("float", "int"), d)
        return self.pick(
            lambda: f"{f()} {self.pick('+', '-', '*')} {self.e('float', d)}",
            lambda: f"{f()} / {self.pick('2', '4', '0.5', '3', f)}",
            lambda: f"{self.e('any', d)}|float",
            lambda: f"{f()}|round({self.pick('', '1', '2')})",
            lambda: f"{f()}|abs",
            lambda: f"{self.e('float', d)} // 2",
            lambda: f"{self.e('float', d)} % 2",
        )

    def make_bool(self, d):
        a = lambda: self.e("any", d)
        compare = lambda: self.pick("==", "!=", "<", ">", "<=", ">=")
        kinds = ["str", "int", "float"]
        return self.pick(
            lambda: f"{self.e('str', d)} {compare()} {self.e('str', d)}",
            lambda: f"{self.e('int', d)} {compare()} {self.e(self.pick('int', 'float'), d)}",
            lambda: f"{a()} {self.pick('==', '!=')} {a()}",
            lambda: f"{self.e('int', d)} < {self.e('int', d)} <= {self.e('int', d)}",
            lambda: f"not {self.e('bool', d)}",
            lambda: f"{self.e('bool', d)} {self.pick('and', 'or')} {self.e('bool', d)}",
            lambda: f"{a()} {self.pick('and', 'or')} {a()}",
            lambda: f"{self.e('str', d)} {self.pick('in', 'not in')} {self.e('str', d)}",
            lambda: f"{self.e('any', d)} {self.pick('in', 'not in')} {self.e('list', d)}",
            lambda: f"{self.e('str', d)} {self.pick('in', 'not in')} {self.e('dict', d)}",
            lambda: f"{self.expression('any', d) if self.chance(20) else self.leaf(self.pick('str', 'list', 'any'))} is {self.pick('', 'not ')}"
            + self.pick("defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "boolean", "true", "false", "number", "integer", "float"),
            lambda: f"{self.name_or_path()} is {self.pick('', 'not ')}{self.pick('defined', 'undefined', 'none', 'string')}",
            lambda: f"{self.e('int', d)} is {self.pick('odd', 'even', 'divisibleby 3', 'divisibleby(2)')}",
            lambda: f"{self.e(self.r.choice(kinds), d)} is {self.pick('equalto', 'eq', 'ne', 'in', 'sameas') if self.chance(20) else 'equalto'}({self.e(self.r.choice(kinds), d)})",
            lambda: f"{self.e('str', d)}.{self.pick('startswith', 'endswith')}({self.pick(lambda: self.e('str', d), literal('a'))})",
            lambda: f"{self.e('str', d)} is {self.pick('lower', 'upper')}",
            lambda: f"{self.message()}.{self.pick('tool_calls', 'content', 'reasoning_content', 'x')} is {self.pick('defined', 'string', 'none')}",
            lambda: f"loop.{self.pick('first', 'last')}" if self.in_loop else self.e("bool", d),
            lambda: f"{self.r.choice(self.scope['namespace'])}.b" if self.scope["namespace"] else self.e("bool", d),
        )

    def name_or_path(self):
        return self.pick("missing", "s1", "d1.a", "d1.nokey", "messages[0].x", "messages[0]['content']", "tools", "nothing", "loop", "d1['a']")

    def make_list(self, d):
        x = lambda: self.e("list", d)
        return self.pick(
            lambda: "[" + ", ".join(self.expression("any", d) for _ in range(self.r.randint(0, 3))) + "]",
            lambda: f"{x()} + {x()}",
            lambda: self.sliced(x()),
            lambda: f"{self.e('str', d)}.split({self.pick('', literal(','), literal(' '))}{self.pick('', '')})",
            lambda: f"{self.e('str', d)}.split(',', 1)",
            lambda: f"{self.e('str', d)}.rsplit({literal(',')}, 1)" if self.chance(40) else f"{self.e('str', d)}.splitlines()",
            lambda: f"{x()}|{self.pick('list', 'reverse|list', 'unique|list')}",
            lambda: f"words|{self.pick('sort', 'sort(reverse=true)', 'sort(case_sensitive=true)', 'unique|list', 'reverse|list')}",
            lambda: f"[3, 1, {self.e('int', d)}]|sort",
            lambda: f"{self.e('dict', d)}|{self.pick('items|list', 'dictsort', 'list', 'list|sort')}",
            lambda: f"{self.e('dict', d)}.{self.pick('items', 'keys', 'values')}()|list",
            lambda: f"{x()}|map({literal(self.r.choice(['string', 'upper', 'tojson', 'length', 'int']))})|list",
            lambda: f"messages|map(attribute={literal(self.r.choice(['role', 'content']))})|list",
            lambda: f"messages|{self.pick('selectattr', 'rejectattr')}({literal(self.r.choice(['role', 'content', 'x']))}"
            + self.pick("", ", 'equalto', 'user'", ", '==', 'user'", ", 'defined'", ", 'in', ['user', 'tool']") + ")|list",
            lambda: f"{x()}|{self.pick('select', 'reject')}({self.pick('', literal('string'), literal('number'), literal('odd') if self.chance(20) else literal('none'))})|list",
            lambda: f"range({self.pick('4', '1, 4', '5, 0, -2', lambda: self.e('int', 0))})|list",
            lambda: f"{x()}|batch(2)|list" if self.chance(10) else x(),
        )

    def make_dict(self, d):
        return self.pick(
            lambda: "{" + ", ".join(f"{literal(self.r.choice(KEYS))}: {self.expression('any', d)}" for _ in range(self.r.randint(0, 3))) + "}",
            lambda: f"dict(a={self.expression('any', d)})",
            lambda: f"{self.e('dict', d)} if {self.expression('bool', d)} else {self.e('dict', d)}",
            self.message,
            "d1",
            "d2",
        )

    # --- statements ----------------------------------------------------------------------------

    def tag(self, text):
        left = self.pick("", "", "-", "+") if self.chance(50) else ""
        right = self.pick("", "", "-", "+") if self.chance(50) else ""
        return f"{{%{left} {text} {right}%}}"

    def body(self, depth):
        saved = {k: list(v) for k, v in self.scope.items()}
        text = "".join(self.statement(depth) for _ in range(self.r.randint(1, 4)))
        self.scope = saved
        return text

    def statement(self, depth):
        simple = [self.text, self.text, self.output, self.output, self.output, self.set_, self.comment]
        nested = [self.if_, self.if_, self.for_, self.for_, self.macro, self.set_block, self.filter_block,
                  self.namespace, self.call_block, self.generation, self.raw, self.break_]  # fmt: skip
        return self.r.choice(simple + (nested if depth > 0 else []))(depth)

    def text(self, _):
        return self.r.choice(TEXTS) + self.r.choice(TEXTS)

    def comment(self, _):
        return self.pick("{# c #}", "{#- {{ x }} -#}", "{# a\nb #}\n", "  {# c #}\n")

    def output(self, _):
        left, right = self.pick("", "", "-"), self.pick("", "", "-")
        return f"{{{{{left} {self.expression('any')} {right}}}}}"

    def set_(self, _):
        kind = self.r.choice(["str", "int", "float", "bool", "list", "dict"])
        if self.scope["namespace"] and self.chance(40):
            field, kind = self.r.choice([("s", "str"), ("n", "int"), ("b", "bool"), ("l", "list")])
            return self.tag(f"set {self.r.choice(self.scope['namespace'])}.{field} = {self.expression(kind)}")
        if self.chance(10):
            a, b = self.name("v"), self.name("v")
            text = self.tag(f"set {a}, {b} = {self.pick('1, 2', '[1, 2]', lambda: self.expression('str') + ', 5')}")
            return text
        name = self.r.choice(self.scope[kind]) if self.chance(25) and self.scope[kind] else self.name("v")
        text = self.tag(f"set {name} = {self.expression(kind)}")
        self.scope[kind].append(name)
        return text

    def if_(self, depth):
        text = self.tag(f"if {self.expression('bool')}") + self.body(depth - 1)
        if self.chance(30):
            text += self.tag(f"elif {self.expression('bool')}") + self.body(depth - 1)
        if self.chance(50):
            text += self.tag("else") + self.body(depth - 1)
        return text + self.tag("endif")

    def for_(self, depth):
        saved = {k: list(v) for k, v in self.scope.items()}
        name = self.name("i")
        kind = self.r.choice(["messages", "messages", "list", "range", "items", "str"])
        condition = f" if {self.e('bool', 2)}" if self.chance(15) else ""
        if kind == "messages":
            head = f"for {name} in {self.pick('messages', 'messages', 'messages[1:]', 'messages[::-1]', 'messages|reverse')}"
        elif kind == "list":
            head = f"for {name} in {self.e('list', 3)}"
        elif kind == "range":
            head = f"for {name} in range({self.r.randint(0, 4)})"
        elif kind == "str":
            head = f"for {name} in {self.e('str', 1)}"
        else:
            head = f"for {name}, {name}v in {self.e('dict', 1)}{self.pick('.items()', '|items', '|dictsort')}"
        if kind == "messages":
            self.scope["message"].append(name)
            if condition and self.chance(70):
                condition = f" if {name}.role {self.pick('==', '!=')} 'user'"
        elif kind in ("items", "str"):
            self.scope["str"].append(name)
        elif kind == "range":
            self.scope["int"].append(name)
        else:
            self.scope["any"].append(name)
        self.in_loop += 1
        text = self.tag(head + condition) + self.body(depth - 1)
        if self.chance(20):
            text += self.pick(
                "{{ loop.previtem }}", "{{ loop.nextitem is defined }}", "{{ loop.cycle('a', 'b') }}",
                "{{ loop.changed(loop.index // 2) }}" if self.chance(20) else "{{ loop.index }}",
                "{% if loop.previtem is defined %}p{% endif %}",
            )  # fmt: skip
        self.in_loop -= 1
        self.scope = saved
        if self.chance(10):
            text += self.tag("else") + self.body(depth - 1)
        return text + self.tag("endfor")

    def break_(self, _):
        if not self.in_loop:
            return self.text(0)
        return f"{{% if {self.expression('bool', 1)} %}}{{% {self.pick('break', 'continue')} %}}{{% endif %}}"

    def macro(self, depth):
        name, loops = self.name("m"), self.in_loop
        saved = {k: list(v) for k, v in self.scope.items()}
        self.in_loop = 0
        self.scope["str"].append("p")
        more = self.pick("", ", q='dq'", ", q=none, w=3")
        text = self.tag(f"macro {name}(p{more})") + self.body(depth - 1)
        if more:
            text += "{{ q }}"
        if self.chance(15):
            text += self.pick("{{ varargs|length }}", "{{ kwargs|length }}", "{{ caller is defined }}")
        text += self.tag("endmacro")
        self.in_loop, self.scope = loops, saved
        self.scope["macro"].append(name)
        return text + self.pick("", f"{{{{ {name}({self.expression('str', 1)}{self.pick('', ', q=2' if more else '')}) }}}}")

    def set_block(self, depth):
        name = self.name("v")
        text = self.tag(f"set {name}{self.pick('', '', ' | trim', ' | upper')}") + self.body(depth - 1) + self.tag("endset")
        self.scope["str"].append(name)
        return text

    def filter_block(self, depth):
        name = self.pick("trim", "upper", "replace('a', 'Q')", "indent(2)", "lower|trim")
        return self.tag("filter " + name) + self.body(depth - 1) + self.tag("endfilter")

    def namespace(self, _):
        name = self.name("ns")
        text = self.tag(f"set {name} = namespace(s={self.expression('str', 1)}, n=1, b={self.pick('true', 'false')}, l=[])")
        self.scope["namespace"].append(name)
        return text

    def call_block(self, depth):
        name = self.name("m")
        text = f"{{% macro {name}(p='c') %}}[{{{{ caller({self.pick('', '')}) }}}}]{{% endmacro %}}"
        loops, self.in_loop = self.in_loop, 0
        text += self.tag(f"call {name}()") + self.body(depth - 1) + self.tag("endcall")
        self.in_loop = loops
        return text

    def generation(self, depth):
        loops, self.in_loop = self.in_loop, 0
        text = self.tag("generation") + self.body(depth - 1) + self.tag("endgeneration")
        self.in_loop = loops
        return text

    def raw(self, _):
        return self.pick("{% raw %}{{ x }}{% endraw %}", "{%- raw %} {% if %}{% endraw -%}", "{{ '{{' }}")

    # --- what it is rendered with ----------------------------------------------------------------

    def value(self, depth=2):
        return self.pick(
            lambda: self.r.choice(STRINGS), lambda: self.r.choice(INTS), lambda: float(self.r.choice(FLOATS)),
            True, False, None,
            lambda: [self.value(depth - 1) for _ in range(self.r.randint(0, 3))] if depth else [],
            lambda: {self.r.choice(KEYS): self.value(depth - 1) for _ in range(self.r.randint(0, 3))} if depth else {},
        )  # fmt: skip

    def case(self):
        messages = [
            {"role": self.r.choice(["system", "user", "assistant", "tool"]), "content": self.r.choice(STRINGS)}
            for _ in range(self.r.randint(1, 4))
        ]
        for m in messages:
            if self.chance(20):
                m["reasoning_content"] = self.r.choice(STRINGS)
            if self.chance(15):
                m["tool_calls"] = [{"function": {"name": "f", "arguments": self.value()}}]
        variables = {
            "s1": self.r.choice(STRINGS), "s2": self.r.choice(STRINGS), "n1": self.r.choice(INTS), "n2": self.r.choice(INTS),
            "f1": float(self.r.choice(FLOATS)), "yes": True, "no": False, "nothing": None,
            "l1": [self.value() for _ in range(3)], "l2": [self.r.choice(INTS) for _ in range(3)],
            "words": [self.r.choice(STRINGS) for _ in range(4)],
            "d1": {k: self.value() for k in self.r.sample(KEYS, 3)}, "d2": {"a": 1, "b": {"c": "d"}},
        }  # fmt: skip
        template = "".join(self.statement(3) for _ in range(self.r.randint(1, 5)))
        dump = lambda x: json.dumps(x, ensure_ascii=False)
        return {"template": template, "messages": dump(messages), "variables": dump(variables), "answer": self.chance(50)}


def case(seed, now):
    made = Generator(seed).case()
    return {"name": f"generated {seed}", "now": now, **made}
