// SPDX-License-Identifier: MIT
/* Parsing operators, from the tightest to the loosest. */
#include "text/template/tree.h"

static struct node *binary(struct parser *p, enum node_kind kind, uint8_t op, struct node *a,
			   struct node *b)
{
	struct node *n = new_node(p, kind);

	n->op = op;
	n->line = a->line;
	n->a = a;
	n->b = b;
	set_height(p, n);
	return n;
}

static struct node *parse_power(struct parser *p)
{
	struct node *n = parse_unary(p, true);

	while (skip_operator(p, "**"))
		n = binary(p, NODE_ARITHMETIC, OPERATOR_POW, n, parse_unary(p, true));
	return n;
}

static struct node *parse_product(struct parser *p)
{
	static const struct {
		const char *spelling;
		uint8_t op;
	} operators[] = { { "*", OPERATOR_MUL },
			  { "/", OPERATOR_DIV },
			  { "//", OPERATOR_FLOORDIV },
			  { "%", OPERATOR_MOD } };
	struct node *n = parse_power(p);

	for (size_t i = 0; i < ARRAY_SIZE(operators);) {
		if (skip_operator(p, operators[i].spelling)) {
			n = binary(p, NODE_ARITHMETIC, operators[i].op, n, parse_power(p));
			i = 0;
		} else {
			i++;
		}
	}
	return n;
}

static struct node *parse_concat(struct parser *p)
{
	struct node *first = parse_product(p), *n, **tail;

	if (!is_operator(p, "~"))
		return first;
	n = new_node(p, NODE_CONCAT);
	n->a = first;
	for (tail = &first->next; skip_operator(p, "~"); tail = &(*tail)->next)
		*tail = parse_product(p);
	set_height(p, n);
	return n;
}

static struct node *parse_sum(struct parser *p)
{
	struct node *n = parse_concat(p);

	for (;;) {
		if (skip_operator(p, "+"))
			n = binary(p, NODE_ARITHMETIC, OPERATOR_ADD, n, parse_concat(p));
		else if (skip_operator(p, "-"))
			n = binary(p, NODE_ARITHMETIC, OPERATOR_SUB, n, parse_concat(p));
		else
			return n;
	}
}

static int comparison(struct parser *p)
{
	static const char *const spellings[] = { "==", "!=", "<", "<=", ">", ">=" };

	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++)
		if (skip_operator(p, spellings[i]))
			return (int)i;
	if (skip_name(p, "in"))
		return COMPARE_IN;
	if (is_name(p, "not") && p->token[1].kind == TOKEN_NAME && p->token[1].bytes == 2 &&
	    !memcmp(p->token[1].data, "in", 2)) {
		p->token += 2;
		return COMPARE_NOT_IN;
	}
	return -1;
}

static struct node *parse_compare(struct parser *p)
{
	struct node *first = parse_sum(p), *n = NULL, **tail = NULL;
	int op;

	while ((op = comparison(p)) >= 0) {
		if (!n) {
			n = new_node(p, NODE_COMPARE);
			n->a = first;
			tail = &n->b;
		}
		*tail = new_node(p, NODE_OPERAND);
		(*tail)->op = (uint8_t)op;
		(*tail)->a = parse_sum(p);
		set_height(p, *tail);
		tail = &(*tail)->next;
	}
	if (!n)
		return first;
	set_height(p, n);
	return n;
}

static struct node *parse_not(struct parser *p)
{
	struct node *n;

	if (!is_name(p, "not"))
		return parse_compare(p);
	nest(p);
	n = new_node(p, NODE_NOT);
	p->token++;
	n->a = parse_not(p);
	set_height(p, n);
	p->nesting--;
	return n;
}

static struct node *parse_and(struct parser *p)
{
	struct node *n = parse_not(p);

	while (skip_name(p, "and"))
		n = binary(p, NODE_AND, 0, n, parse_not(p));
	return n;
}

struct node *parse_without_condition(struct parser *p)
{
	struct node *n;

	nest(p);
	n = parse_and(p);
	while (skip_name(p, "or"))
		n = binary(p, NODE_OR, 0, n, parse_and(p));
	p->nesting--;
	return n;
}

struct node *parse_expression(struct parser *p)
{
	const bool soft = p->soft;
	struct template_token *begin = p->token;
	const struct node *unknown = p->unknown;
	struct node *n, *value;

	value = parse_without_condition(p);
	nest(p);
	while (skip_name(p, "if")) {
		p->unknown = unknown; /* what came before turns out to be a branch */
		p->soft = true;
		n = new_node(p, NODE_CONDITION);
		n->line = begin->line;
		n->b = value;
		n->a = parse_without_condition(p);
		n->c = skip_name(p, "else") ? parse_expression(p) : NULL;
		set_height(p, n);
		value = n;
		p->soft = soft;
	}
	p->nesting--;
	return value;
}
