// SPDX-License-Identifier: MIT
/* Parsing what operators stand between: literals, names, attributes, calls, filters, tests. */
#include "text/template/tree.h"

struct node *new_node(struct parser *p, enum node_kind kind)
{
	struct node *n = job_alloc(p->j, sizeof(*n));

	*n = (struct node){ .kind = kind, .line = p->token->line, .height = 1 };
	return n;
}

/* Counts a list's elements as children. */
void set_height(struct parser *p, struct node *n)
{
	const struct node *const children[] = { n->a, n->b, n->c, n->body, n->other };
	unsigned height = 0;

	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		for (const struct node *c = children[i]; c; c = c->next)
			height = MAX(height, (unsigned)c->height);
	if (height >= MAX_HEIGHT)
		job_fail(p->j, -E2BIG, "the expression nests deeper than %d levels", MAX_HEIGHT);
	n->height = (uint16_t)(height + 1);
}

void nest(struct parser *p)
{
	p->j->line = p->token->line;
	if (++p->nesting > MAX_NESTING)
		job_fail(p->j, -E2BIG, "it nests deeper than %d levels", MAX_NESTING);
}

bool is_operator(const struct parser *p, const char *spelling)
{
	return p->token->kind == TOKEN_OPERATOR && !strcmp(p->token->data, spelling);
}

bool is_name(const struct parser *p, const char *name)
{
	return p->token->kind == TOKEN_NAME && p->token->bytes == strlen(name) &&
	       !memcmp(p->token->data, name, p->token->bytes);
}

bool skip_operator(struct parser *p, const char *spelling)
{
	const bool hit = is_operator(p, spelling);

	p->token += hit;
	return hit;
}

bool skip_name(struct parser *p, const char *name)
{
	const bool hit = is_name(p, name);

	p->token += hit;
	return hit;
}

void unexpected(struct parser *p, const char *wanted)
{
	const struct template_token *t = p->token;

	p->j->line = t->line;
	if (t->kind == TOKEN_END)
		job_fail(p->j, -EINVAL, "the template ends where %s is expected", wanted);
	if (t->kind == TOKEN_BLOCK_END || t->kind == TOKEN_VARIABLE_END)
		job_fail(p->j, -EINVAL, "the tag ends where %s is expected", wanted);
	job_fail(p->j, -EINVAL, "%s is expected, not '%.*s'", wanted, (int)MIN(t->bytes, 40u),
		 t->data);
}

void expect_operator(struct parser *p, const char *spelling)
{
	char wanted[8] = "'";

	if (skip_operator(p, spelling))
		return;
	strcat(strcat(wanted, spelling), "'");
	unexpected(p, wanted);
}

uint32_t symbol_of(struct parser *p, const char *name, size_t bytes)
{
	const struct text *t = new_text(p->j, name, bytes, false);
	const struct value key = text_value(t), *found = dict_get(p->j, p->symbols, key);

	if (found)
		return (uint32_t)found->integer;
	dict_set(p->j, p->symbols, key, integer((int64_t)p->symbols->count));
	return (uint32_t)p->symbols->count - 1;
}

/* The C string of a name token, for messages and look-ups by name. */
static const char *name_string(struct parser *p)
{
	char *name;

	if (p->token->kind != TOKEN_NAME)
		unexpected(p, "a name");
	name = job_alloc(p->j, p->token->bytes + 1);
	memcpy(name, p->token->data, p->token->bytes);
	name[p->token->bytes] = 0;
	p->token++;
	return name;
}

static struct node *parse_list_of(struct parser *p, enum node_kind kind, const char *end)
{
	struct node *n = new_node(p, kind), **tail = &n->a;

	p->token++;
	while (!is_operator(p, end)) {
		if (n->a) {
			expect_operator(p, ",");
			if (is_operator(p, end))
				break;
		}
		if (kind == NODE_DICT) {
			*tail = new_node(p, NODE_PAIR);
			(*tail)->a = parse_expression(p);
			expect_operator(p, ":");
			(*tail)->b = parse_expression(p);
			set_height(p, *tail);
		} else {
			*tail = parse_expression(p);
		}
		tail = &(*tail)->next;
	}
	p->token++;
	set_height(p, n);
	return n;
}

static struct node *parse_name(struct parser *p)
{
	static const struct {
		const char *name;
		struct value value;
	} constants[] = {
		{ "true", { .kind = VALUE_BOOL, .truth = true } },
		{ "True", { .kind = VALUE_BOOL, .truth = true } },
		{ "false", { .kind = VALUE_BOOL } },
		{ "False", { .kind = VALUE_BOOL } },
		{ "none", { .kind = VALUE_NONE } },
		{ "None", { .kind = VALUE_NONE } },
	};
	struct node *n = new_node(p, NODE_NAME);

	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (skip_name(p, constants[i].name)) {
			n->kind = NODE_CONSTANT;
			n->constant = constants[i].value;
			return n;
		}
	n->symbol = symbol_of(p, p->token->data, p->token->bytes);
	n->name = name_string(p);
	if (p->macro) {
		p->macro->takes_caller |= n->symbol == p->tree->caller;
		p->macro->takes_varargs |= n->symbol == p->tree->varargs;
		p->macro->takes_kwargs |= n->symbol == p->tree->kwargs;
	}
	return n;
}

/* A text and those that follow it; nothing is appended to it later, as runs share it. */
static struct value joined_texts(struct parser *p, const struct text *first)
{
	struct output o = { 0 };

	put_text(p->j, &o, first);
	for (; p->token->kind == TOKEN_TEXT; p->token++)
		put_text(p->j, &o, p->token->value.text);
	return text_value(output_text(p->j, &o));
}

struct node *parse_primary(struct parser *p)
{
	struct node *n;

	switch (p->token->kind) {
	case TOKEN_NAME:
		return parse_name(p);
	case TOKEN_TEXT:
		n = new_node(p, NODE_CONSTANT);
		n->constant = (p->token++)->value;
		if (p->token->kind == TOKEN_TEXT)
			n->constant = joined_texts(p, n->constant.text);
		return n;
	case TOKEN_INT:
	case TOKEN_FLOAT:
		n = new_node(p, NODE_CONSTANT);
		n->constant = (p->token++)->value;
		return n;
	default:
		break;
	}
	if (skip_operator(p, "(")) {
		n = parse_tuple(p, true, true, NULL);
		expect_operator(p, ")");
	} else if (is_operator(p, "[")) {
		n = parse_list_of(p, NODE_LIST, "]");
	} else if (is_operator(p, "{")) {
		n = parse_list_of(p, NODE_DICT, "}");
	} else {
		unexpected(p, "an expression");
	}
	return n;
}

struct node *parse_tuple(struct parser *p, bool condition, bool parentheses, const char *end)
{
	struct node *n = new_node(p, NODE_TUPLE), **tail = &n->a;
	bool tuple = false;

	for (;;) {
		if (n->a)
			expect_operator(p, ",");
		if (p->token->kind == TOKEN_VARIABLE_END || p->token->kind == TOKEN_BLOCK_END ||
		    is_operator(p, ")") || (end && is_name(p, end)))
			break;
		*tail = condition ? parse_expression(p) : parse_without_condition(p);
		tail = &(*tail)->next;
		if (!is_operator(p, ","))
			break;
		tuple = true;
	}
	if (!tuple && n->a)
		return n->a;
	if (!tuple && !parentheses)
		unexpected(p, "an expression");
	set_height(p, n);
	return n;
}

/* What stands between brackets: an index or a slice. */
static struct node *parse_index(struct parser *p)
{
	struct node *n = new_node(p, NODE_SLICE);

	if (!is_operator(p, ":")) {
		n->a = parse_expression(p);
		if (!is_operator(p, ":"))
			return n->a;
	}
	p->token++;
	if (!is_operator(p, ":") && !is_operator(p, "]") && !is_operator(p, ","))
		n->b = parse_expression(p);
	if (skip_operator(p, ":") && !is_operator(p, "]") && !is_operator(p, ","))
		n->c = parse_expression(p);
	set_height(p, n);
	return n;
}

static struct node *parse_subscript(struct parser *p, struct node *of)
{
	struct node *n = new_node(p, NODE_ITEM), *tuple, **tail;

	n->a = of;
	if (skip_operator(p, ".")) {
		if (p->token->kind == TOKEN_INT) {
			n->b = new_node(p, NODE_CONSTANT);
			n->b->constant = (p->token++)->value;
		} else {
			n->kind = NODE_ATTRIBUTE;
			n->text = new_text(p->j, p->token->data, p->token->bytes, false);
			n->name = name_string(p);
		}
		set_height(p, n);
		return n;
	}
	p->token++;
	tuple = new_node(p, NODE_TUPLE);
	for (tail = &tuple->a; !is_operator(p, "]"); tail = &(*tail)->next) {
		if (tuple->a)
			expect_operator(p, ",");
		*tail = parse_index(p);
	}
	p->token++;
	set_height(p, tuple);
	n->b = tuple->a && !tuple->a->next ? tuple->a : tuple;
	set_height(p, n);
	return n;
}

static _Noreturn void bad_call(struct parser *p)
{
	p->j->line = p->token->line;
	job_fail(p->j, -EINVAL, "the arguments of the call are in no valid order");
}

static void parse_arguments(struct parser *p, struct node *n)
{
	struct node **tail = &n->b, **keywords = &n->body;

	expect_operator(p, "(");
	for (bool first = true; !is_operator(p, ")"); first = false) {
		if (!first) {
			expect_operator(p, ",");
			if (is_operator(p, ")"))
				break;
		}
		if (is_operator(p, "*") || is_operator(p, "**")) {
			struct node **into = is_operator(p, "*") ? &n->c : &n->other;

			if (*into || n->other)
				bad_call(p);
			p->token++;
			*into = parse_expression(p);
		} else if (p->token->kind == TOKEN_NAME && p->token[1].kind == TOKEN_OPERATOR &&
			   !strcmp(p->token[1].data, "=")) {
			if (n->other)
				bad_call(p);
			*keywords = new_node(p, NODE_KEYWORD);
			(*keywords)->text = new_text(p->j, p->token->data, p->token->bytes, false);
			p->token += 2;
			(*keywords)->a = parse_expression(p);
			set_height(p, *keywords);
			keywords = &(*keywords)->next;
		} else {
			if (n->c || n->other || n->body)
				bad_call(p);
			*tail = parse_expression(p);
			tail = &(*tail)->next;
		}
	}
	p->token++;
	set_height(p, n);
}

static struct node *parse_call(struct parser *p, struct node *callee)
{
	struct node *n = new_node(p, NODE_CALL);

	n->a = callee;
	parse_arguments(p, n);
	return n;
}

/* Filters and tests may have names with dots, of which none is known. */
static void find_builtin(struct parser *p, struct node *n)
{
	struct template_token *first = p->token;
	const bool filter = n->kind == NODE_FILTER;

	n->name = name_string(p);
	n->builtin = filter ? find_filter(first->data, first->bytes)
			    : find_test(first->data, first->bytes);
	while (skip_operator(p, ".")) {
		name_string(p);
		n->builtin = NULL;
	}
	if (!n->builtin && !p->soft && !p->unknown)
		p->unknown = n;
}

struct node *parse_filters(struct parser *p, struct node *input, bool begun)
{
	while (begun || skip_operator(p, "|")) {
		struct node *n = new_node(p, NODE_FILTER);

		begun = false;
		n->a = input;
		find_builtin(p, n);
		if (is_operator(p, "("))
			parse_arguments(p, n);
		set_height(p, n);
		input = n;
	}
	return input;
}

static struct node *parse_postfix(struct parser *p, struct node *n)
{
	for (;;) {
		if (is_operator(p, ".") || is_operator(p, "["))
			n = parse_subscript(p, n);
		else if (is_operator(p, "("))
			n = parse_call(p, n);
		else
			return n;
	}
}

static struct node *parse_test(struct parser *p, struct node *of)
{
	struct node *n = new_node(p, NODE_TEST), *not = NULL;

	p->token++;
	if (is_name(p, "not")) {
		not = new_node(p, NODE_NOT);
		p->token++;
	}
	n->a = of;
	find_builtin(p, n);
	if (is_operator(p, "(")) {
		parse_arguments(p, n);
	} else if (p->token->kind >= TOKEN_NAME && p->token->kind <= TOKEN_FLOAT
			   ? !is_name(p, "else") && !is_name(p, "or") && !is_name(p, "and")
			   : is_operator(p, "[") || is_operator(p, "{")) {
		if (is_name(p, "is"))
			unexpected(p, "the end of the test, as tests can't be chained,");
		n->b = parse_postfix(p, parse_primary(p));
	}
	set_height(p, n);
	if (!not )
		return n;
	not ->a = n;
	set_height(p, not );
	return not ;
}

struct node *parse_unary(struct parser *p, bool filters)
{
	struct node *n;

	if (is_operator(p, "-") || is_operator(p, "+")) {
		nest(p);
		n = new_node(p, is_operator(p, "-") ? NODE_NEGATIVE : NODE_POSITIVE);
		p->token++;
		n->a = parse_unary(p, false);
		set_height(p, n);
		p->nesting--;
	} else {
		n = parse_primary(p);
	}
	n = parse_postfix(p, n);
	while (filters) {
		if (is_operator(p, "|"))
			n = parse_filters(p, n, false);
		else if (is_name(p, "is"))
			n = parse_test(p, n);
		else if (is_operator(p, "("))
			n = parse_call(p, n);
		else
			break;
	}
	return n;
}
