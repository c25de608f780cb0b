// SPDX-License-Identifier: MIT
/* GBNF to a tree.  Every limit of the source is checked here. */
#include "grammar/syntax.h"

#include <stdarg.h>
#include <stdio.h>

#include "text/vocabulary.h"

struct parser {
	struct syntax *s;
	const struct stoker_vocabulary *vocabulary; /* NULL: tokens can't be named */
	struct stoker_error *err;
	size_t at;
	uint32_t nesting;
	bool new_line; /* stands before the place */
	int failed;    /* the first failure: nothing is read behind it */
};

static int fail(struct parser *p, size_t at, int code, const char *what)
{
	if (!p->failed)
		p->failed = syntax_fail(p->s, at, p->err, code, "%s", what);
	return NO_NODE;
}

static int no_memory(struct parser *p)
{
	if (!p->failed)
		p->failed = stoker_fail(p->err, -ENOMEM, "out of memory");
	return NO_NODE;
}

/* Room for one more of @size bytes. */
static bool grow(struct parser *p, void **items, size_t count, size_t *room, size_t size)
{
	void *more;

	if (count < *room)
		return true;
	more = realloc(*items, (2 * *room + 64) * size);
	if (!more) {
		no_memory(p);
		return false;
	}
	*items = more;
	*room = 2 * *room + 64;
	return true;
}

static int new_node(struct parser *p, enum node_kind kind, size_t at)
{
	struct syntax *s = p->s;

	if (!grow(p, (void **)&s->nodes, s->node_count, &s->node_room, sizeof(*s->nodes)))
		return NO_NODE;
	s->nodes[s->node_count] = (struct node){
		.kind = (uint8_t)kind, .child = NO_NODE, .next = NO_NODE, .at = (uint32_t)at
	};
	return (int)s->node_count++;
}

static void add_range(struct parser *p, uint32_t low, uint32_t high)
{
	struct syntax *s = p->s;

	if (grow(p, (void **)&s->ranges, s->range_count, &s->range_room, sizeof(*s->ranges)))
		s->ranges[s->range_count++] = (struct code_range){ low, high };
}

/* The byte @ahead of the place; 0 behind the end, and once something has failed. */
static char peek(const struct parser *p, size_t ahead)
{
	return !p->failed && p->at + ahead < p->s->bytes ? p->s->source[p->at + ahead] : 0;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_space(struct parser *p, bool lines)
{
	for (p->new_line = false;; p->at++) {
		if (peek(p, 0) == '#')
			while (peek(p, 0) && peek(p, 0) != '\n' && peek(p, 0) != '\r')
				p->at++;
		if (peek(p, 0) != ' ' && peek(p, 0) != '\t' &&
		    !(lines && (peek(p, 0) == '\n' || peek(p, 0) == '\r')))
			return;
		p->new_line = p->new_line || (peek(p, 0) != ' ' && peek(p, 0) != '\t');
	}
}

static uint32_t parse_hex(struct parser *p, unsigned digits)
{
	const size_t at = p->at - 2;
	uint32_t value = 0;

	for (unsigned i = 0; i < digits; i++, p->at++) {
		const char c = peek(p, 0), low = c | 0x20;

		if (!is_digit(c) && !(low >= 'a' && low <= 'f')) {
			fail(p, at, -EINVAL,
			     "an escape of two (\\x), four (\\u) or eight (\\U) "
			     "hexadecimal digits has fewer");
			return 0;
		}
		value = value << 4 | (uint32_t)(is_digit(c) ? c - '0' : low - 'a' + 10);
	}
	if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		fail(p, at, -EINVAL, "an escape that is no character of Unicode");
	return value;
}

static uint32_t parse_escape(struct parser *p)
{
	const char c = peek(p, 1);

	p->at += 2;
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case '\\':
	case '"':
	case '[':
	case ']':
	case '-':
	case '^':
		return (uint32_t)c;
	case 'x':
		return parse_hex(p, 2);
	case 'u':
		return parse_hex(p, 4);
	case 'U':
		return parse_hex(p, 8);
	}
	fail(p, p->at - 2, -EINVAL,
	     "an unknown escape; there are \\n \\t \\r \\\\ \\\" \\[ \\] "
	     "\\- \\^ \\xHH \\uHHHH \\UHHHHHHHH");
	return 0;
}

/* One of a literal or a class; @what is that for messages. */
static uint32_t parse_character(struct parser *p, size_t from, const char *what)
{
	uint32_t c = 0;
	size_t length;

	if (p->failed)
		return 0;
	if (p->at >= p->s->bytes) {
		p->failed = syntax_fail(p->s, from, p->err, -EINVAL,
					"the %s that begins here isn't closed", what);
		return 0;
	}
	if (peek(p, 0) == '\\')
		return parse_escape(p);
	length = utf8_decode(p->s->source + p->at, p->s->bytes - p->at, &c);
	if (!length)
		fail(p, p->at, -EINVAL, "a byte that isn't UTF-8");
	p->at += length;
	return c;
}

static int parse_literal(struct parser *p)
{
	const size_t from = p->at++, first = p->s->range_count;
	const int n = new_node(p, NODE_LITERAL, from);

	while (!p->failed && peek(p, 0) != '"') {
		const uint32_t c = parse_character(p, from, "text");

		add_range(p, c, c);
	}
	p->at++;
	if (p->failed)
		return NO_NODE;
	p->s->nodes[n].first = (uint32_t)first;
	p->s->nodes[n].last = (uint32_t)(p->s->range_count - first);
	return n;
}

static int parse_class(struct parser *p)
{
	const size_t from = p->at++, first = p->s->range_count;
	const int n = new_node(p, NODE_CLASS, from);
	const bool negated = peek(p, 0) == '^';

	p->at += negated;
	while (!p->failed && peek(p, 0) != ']') {
		const size_t at = p->at;
		const uint32_t low = parse_character(p, from, "class");
		uint32_t high = low;

		if (peek(p, 0) == '-' && peek(p, 1) != ']') {
			p->at++;
			high = parse_character(p, from, "class");
		}
		if (!p->failed && high < low)
			fail(p, at, -EINVAL, "a range of characters that ends before it begins");
		add_range(p, low, high);
	}
	p->at++;
	if (p->failed)
		return NO_NODE;
	p->s->nodes[n].negated = negated;
	p->s->nodes[n].first = (uint32_t)first;
	p->s->nodes[n].last = (uint32_t)(p->s->range_count - first);
	return n;
}

/* Any character: none that is left out. */
static int parse_any(struct parser *p)
{
	const int n = new_node(p, NODE_CLASS, p->at++);

	if (n != NO_NODE)
		p->s->nodes[n].negated = true;
	return n;
}

/* A count that may be too large for its type is at least larger than any limit. */
static uint32_t parse_number(struct parser *p)
{
	uint64_t value = 0;

	for (; is_digit(peek(p, 0)); p->at++)
		value = MIN(value * 10 + (uint64_t)(peek(p, 0) - '0'), (uint64_t)FOR_EVER - 1);
	return (uint32_t)value;
}

static uint32_t numbered_token(struct parser *p, size_t from)
{
	uint32_t id;

	p->at++;
	id = parse_number(p);
	if (peek(p, 0) != ']' || peek(p, 1) != '>' || !is_digit(peek(p, (size_t)-1)))
		fail(p, from, -EINVAL, "a token's number is written <[NUMBER]>");
	else if (id >= stoker_vocabulary_size(p->vocabulary))
		p->failed = syntax_fail(p->s, from, p->err, -EINVAL,
					"token %u, the vocabulary has %u", id,
					stoker_vocabulary_size(p->vocabulary));
	p->at += 2;
	return id;
}

/* The token that has this spelling, or that it is encoded as. */
static uint32_t spelled_token(struct parser *p, size_t from)
{
	const char *name = p->s->source + from;
	AUTO_FREE uint32_t *ids = NULL;
	size_t length, count = 0;
	uint32_t id;

	while (peek(p, 0) && peek(p, 0) != '>' && peek(p, 0) != '\n')
		p->at++;
	if (peek(p, 0) != '>') {
		fail(p, from, -EINVAL, "the token that begins here has no \">\" in its line");
		return 0;
	}
	length = ++p->at - from;
	id = find_token(p->vocabulary, name, length);
	if (id != NO_TOKEN)
		return id;
	if (!stoker_vocabulary_tokenize(p->vocabulary, name, length, STOKER_TOKENIZE_SPECIAL, &ids,
					&count, NULL) &&
	    count == 1)
		return ids[0];
	p->failed = syntax_fail(p->s, from, p->err, -EINVAL, "%.*s isn't a token of the vocabulary",
				(int)MIN(length, (size_t)80), name);
	return 0;
}

static int parse_token(struct parser *p)
{
	const int n = new_node(p, NODE_TOKEN, p->at);
	const bool negated = peek(p, 0) == '!';
	size_t from;
	uint32_t id;

	p->at += negated;
	from = p->at;
	if (peek(p, 0) != '<')
		return fail(p, from, -EINVAL, "a token is expected behind \"!\"");
	if (!p->vocabulary)
		return fail(p, from, -EINVAL, "a token, which needs a model's vocabulary");
	p->at++;
	id = peek(p, 0) == '[' ? numbered_token(p, from) : spelled_token(p, from);
	if (p->failed)
		return NO_NODE;
	p->s->nodes[n].negated = negated;
	p->s->nodes[n].first = id;
	return n;
}

/* The rule is looked up when all are known; until then @first and @last are its name. */
static int parse_reference(struct parser *p)
{
	const size_t from = p->at;
	const int n = new_node(p, NODE_RULE, from);

	while (is_name(peek(p, 0)))
		p->at++;
	if (n != NO_NODE)
		p->s->nodes[n].last = (uint32_t)(p->at - from);
	return n;
}

static int parse_choice(struct parser *p, bool nested, uint32_t *weight);

static int parse_group(struct parser *p, uint32_t *weight)
{
	const size_t from = p->at++;
	int n;

	if (++p->nesting > MAX_NESTING) {
		p->failed = syntax_fail(p->s, from, p->err, -E2BIG,
					"groups are nested deeper than %d", MAX_NESTING);
		return NO_NODE;
	}
	n = parse_choice(p, true, weight);
	p->nesting--;
	if (!p->failed && peek(p, 0) != ')')
		fail(p, from, -EINVAL, "the group that begins here isn't closed");
	p->at++;
	return n;
}

static void parse_counts(struct parser *p, bool nested, uint32_t *first, uint32_t *last)
{
	const size_t from = p->at++;
	bool least, most;

	skip_space(p, nested);
	least = most = is_digit(peek(p, 0));
	*first = *last = parse_number(p);
	skip_space(p, nested);
	if (peek(p, 0) == ',') {
		p->at++;
		skip_space(p, nested);
		most = is_digit(peek(p, 0));
		*last = most ? parse_number(p) : FOR_EVER;
		skip_space(p, nested);
	}
	if (!(least || most) || peek(p, 0) != '}')
		fail(p, from, -EINVAL, "a repetition is written {m}, {m,}, {m,n} or {,n}");
	p->at++;
}

/* What stands behind @child, if it is repeated; @weight are the repetitions nested in it. */
static int parse_repeat(struct parser *p, int child, bool nested, uint32_t *weight)
{
	const size_t from = p->at;
	const char sign = peek(p, 0);
	uint32_t first = sign == '+', last = sign == '?' ? 1 : FOR_EVER, times;
	int n;

	if (sign == '{')
		parse_counts(p, nested, &first, &last);
	else
		p->at++;
	if (p->failed)
		return NO_NODE;
	if (last < first)
		return fail(p, from, -EINVAL, "a repetition whose most is below its least");
	times = last == FOR_EVER ? first : last;
	if (times > MAX_REPETITIONS || times * *weight > MAX_REPETITIONS) {
		p->failed = syntax_fail(p->s, from, p->err, -E2BIG,
					"%u repetitions of %u, the limit is %d in all", times,
					*weight, MAX_REPETITIONS);
		return NO_NODE;
	}
	*weight *= MAX(times, 1u);
	n = new_node(p, NODE_REPEAT, from);
	if (n == NO_NODE)
		return NO_NODE;
	p->s->nodes[n].child = child;
	p->s->nodes[n].first = first;
	p->s->nodes[n].last = last;
	return n;
}

/* An item with all that repeats it; NO_NODE where none begins. */
static int parse_item(struct parser *p, bool nested, uint32_t *weight)
{
	const char c = peek(p, 0);
	int n;

	*weight = 1;
	if (c == '"')
		n = parse_literal(p);
	else if (c == '[')
		n = parse_class(p);
	else if (c == '.')
		n = parse_any(p);
	else if (c == '<' || c == '!')
		n = parse_token(p);
	else if (c == '(')
		n = parse_group(p, weight);
	else if (is_name(c))
		n = parse_reference(p);
	else if (c && strchr("*+?{", c))
		return fail(p, p->at, -EINVAL, "a repetition of nothing");
	else
		return NO_NODE;
	for (unsigned i = 0; !p->failed; i++) {
		skip_space(p, nested);
		if (!peek(p, 0) || !strchr("*+?{", peek(p, 0)))
			break;
		if (i == MAX_SUFFIXES)
			return fail(p, p->at, -E2BIG, "too many repetitions of one thing");
		n = parse_repeat(p, n, nested, weight);
	}
	return p->failed ? NO_NODE : n;
}

/* A rule's name and "::=" stand here: on a new line, they end the rule before. */
static bool at_rule(const struct parser *p)
{
	size_t n = 0;

	while (is_name(peek(p, n)))
		n++;
	while (n && (peek(p, n) == ' ' || peek(p, n) == '\t'))
		n++;
	return n && peek(p, n) == ':' && peek(p, n + 1) == ':' && peek(p, n + 2) == '=';
}

static int parse_sequence(struct parser *p, bool nested, uint32_t *weight)
{
	const int sequence = new_node(p, NODE_SEQUENCE, p->at);
	int last = NO_NODE;

	while (!p->failed && !(p->new_line && at_rule(p))) {
		uint32_t one;
		const int n = parse_item(p, nested, &one);

		if (n == NO_NODE)
			break;
		*weight = MAX(*weight, one);
		if (last == NO_NODE)
			p->s->nodes[sequence].child = n;
		else
			p->s->nodes[last].next = n;
		last = n;
	}
	return p->failed ? NO_NODE : sequence;
}

static int parse_choice(struct parser *p, bool nested, uint32_t *weight)
{
	const int choice = new_node(p, NODE_CHOICE, p->at);
	int last = NO_NODE;

	*weight = 1;
	do {
		int n;

		p->at += last != NO_NODE;
		if (nested || last != NO_NODE)
			skip_space(p, true);
		n = parse_sequence(p, nested, weight);
		if (n == NO_NODE)
			return NO_NODE;
		if (last == NO_NODE)
			p->s->nodes[choice].child = n;
		else
			p->s->nodes[last].next = n;
		last = n;
	} while (peek(p, 0) == '|');
	return p->failed ? NO_NODE : choice;
}

static void parse_rule(struct parser *p)
{
	struct syntax *s = p->s;
	const size_t from = p->at;
	struct stoker_string name = { s->source + from, 0 };
	uint32_t weight;
	int body;

	for (; is_name(peek(p, 0)); p->at++)
		name.length++;
	skip_space(p, false);
	if (!name.length || peek(p, 0) != ':' || peek(p, 1) != ':' || peek(p, 2) != '=') {
		fail(p, p->at, -EINVAL,
		     name.length ? "\"::=\" is expected behind a rule's name"
				 : "a rule's name is expected");
		return;
	}
	p->at += 3;
	skip_space(p, true);
	body = parse_choice(p, false, &weight);
	if (!p->failed && !(p->new_line && at_rule(p)) && peek(p, 0) != '\n' &&
	    peek(p, 0) != '\r' && p->at < s->bytes)
		fail(p, p->at, -EINVAL, "something that can't stand in a rule");
	if (s->rule_count == MAX_RULES)
		fail(p, from, -E2BIG, "too many rules, the limit is 100000");
	if (!p->failed &&
	    grow(p, (void **)&s->rules, s->rule_count, &s->rule_room, sizeof(*s->rules)))
		s->rules[s->rule_count++] =
			(struct rule){ .name = name, .body = body, .at = (uint32_t)from };
}

static int resolve(struct parser *p)
{
	struct syntax *s = p->s;
	struct string_map names = { 0 };
	int ret = 0;

	if (string_map_create(&names, s->rule_count))
		ret = stoker_fail(p->err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < s->rule_count && !ret; i++) {
		const struct stoker_string name = s->rules[i].name;

		if (string_map_get(&names, name.data, name.length) != NO_TOKEN)
			ret = syntax_fail(s, s->rules[i].at, p->err, -EINVAL,
					  "rule \"%.*s\" is there already",
					  (int)MIN(name.length, (size_t)80), name.data);
		else
			string_map_put(&names, name, i);
	}
	for (size_t i = 0; i < s->node_count && !ret; i++) {
		struct node *n = &s->nodes[i];

		if (n->kind != NODE_RULE)
			continue;
		n->first = string_map_get(&names, s->source + n->at, n->last);
		if (n->first == NO_TOKEN)
			ret = syntax_fail(s, n->at, p->err, -EINVAL, "there is no rule \"%.*s\"",
					  (int)MIN(n->last, 80u), s->source + n->at);
	}
	if (!ret) {
		s->root = string_map_get(&names, "root", 4);
		if (s->root == NO_TOKEN)
			ret = stoker_fail(p->err, -EINVAL, "the grammar has no rule \"root\"");
	}
	string_map_free(&names);
	return ret;
}

int syntax_parse(struct syntax *s, const struct stoker_vocabulary *v, const char *gbnf,
		 size_t bytes, struct stoker_error *err)
{
	struct parser p = { .s = s, .vocabulary = v, .err = err };

	*s = (struct syntax){ .source = gbnf, .bytes = bytes };
	if (bytes > MAX_SOURCE)
		return stoker_fail(err, -E2BIG, "the grammar has %zu bytes, the limit is %d", bytes,
				   MAX_SOURCE);
	skip_space(&p, true);
	while (!p.failed && p.at < bytes) {
		parse_rule(&p);
		skip_space(&p, true);
	}
	return p.failed ? p.failed : resolve(&p);
}

void syntax_free(struct syntax *s)
{
	free(s->nodes);
	free(s->ranges);
	free(s->rules);
	*s = (struct syntax){ 0 };
}

int syntax_fail(const struct syntax *s, size_t at, struct stoker_error *err, int code,
		const char *what, ...)
{
	size_t line = 1, column = 1;
	char message[256];
	va_list args;

	for (size_t i = 0; i < at && i < s->bytes; i++) {
		if (s->source[i] == '\n') {
			line++;
			column = 1;
		} else {
			column += (s->source[i] & 0xc0) != 0x80;
		}
	}
	va_start(args, what);
	vsnprintf(message, sizeof(message), what, args);
	va_end(args);
	return stoker_fail(err, code, "line %zu, column %zu: %s", line, column, message);
}
