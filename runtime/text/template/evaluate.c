// SPDX-License-Identifier: MIT
/* Expressions to values. */
#include "text/template/interpreter.h"

static struct value condition(struct job *j, struct scope *s, const struct node *n)
{
	if (truth(evaluate(j, s, n->a)))
		return evaluate(j, s, n->b);
	return n->c ? evaluate(j, s, n->c) : undefined(NULL);
}

static bool holds(struct job *j, enum comparison op, struct value a, struct value b)
{
	static const char *const spellings[] = { "==", "!=", "<", "<=", ">", ">=" };
	int order;

	if (op == COMPARE_EQ || op == COMPARE_NE)
		return values_equal(j, a, b) == (op == COMPARE_EQ);
	if (op == COMPARE_IN || op == COMPARE_NOT_IN)
		return contains(j, b, a) == (op == COMPARE_IN);
	order = values_compare(j, a, b, spellings[op]);
	if (order == 2)
		return false;
	return op == COMPARE_LT	  ? order < 0
	       : op == COMPARE_LE ? order <= 0
	       : op == COMPARE_GT ? order > 0
				  : order >= 0;
}

static struct value compare(struct job *j, struct scope *s, const struct node *n)
{
	struct value left = evaluate(j, s, n->a);

	for (const struct node *o = n->b; o; o = o->next) {
		const struct value right = evaluate(j, s, o->a);

		if (!holds(j, (enum comparison)o->op, left, right))
			return boolean(false);
		left = right;
	}
	return boolean(true);
}

static struct value make_sequence(struct job *j, struct scope *s, const struct node *n,
				  enum flavour flavour)
{
	struct sequence *q = new_sequence(j, flavour, 0);

	for (const struct node *e = n->a; e; e = e->next)
		sequence_add(j, q, evaluate(j, s, e));
	return sequence_value(q);
}

static struct value make_dict(struct job *j, struct scope *s, const struct node *n)
{
	struct dict *d = new_dict(j);

	for (const struct node *pair = n->a; pair; pair = pair->next) {
		const struct value key = evaluate(j, s, pair->a);

		dict_set(j, d, key, evaluate(j, s, pair->b));
	}
	return dict_value(d);
}

static struct value concat(struct job *j, struct scope *s, const struct node *n)
{
	const struct text *t = NULL;

	for (const struct node *part = n->a; part; part = part->next) {
		const struct text *more = to_text(j, evaluate(j, s, part));

		t = t ? text_concat(j, t, more) : more;
	}
	return text_value(t);
}

static struct value part_of(struct job *j, struct scope *s, const struct node *n)
{
	const struct value of = evaluate(j, s, n->a);
	struct value ends[3] = { NONE, NONE, NONE };

	if (n->b->kind != NODE_SLICE) {
		const struct value index = evaluate(j, s, n->b);

		j->line = n->line;
		return item(j, of, index);
	}
	const struct node *const nodes[3] = { n->b->a, n->b->b, n->b->c };

	for (int i = 0; i < 3; i++)
		if (nodes[i])
			ends[i] = evaluate(j, s, nodes[i]);
	j->line = n->line;
	return slice_value(j, of, ends[0], ends[1], ends[2]);
}

static struct value operation(struct job *j, struct scope *s, const struct node *n)
{
	const struct value a = evaluate(j, s, n->a), b = evaluate(j, s, n->b);

	j->line = n->line;
	return arithmetic(j, (enum operator)n->op, a, b);
}

static struct value positive(struct job *j, struct value v)
{
	need_defined(j, v);
	if (!is_number(v))
		job_fail(j, -EINVAL, "bad operand type for unary +: '%s'", type_name(v));
	return v.kind == VALUE_BOOL ? integer(v.truth) : v;
}

static struct value evaluate_inner(struct job *j, struct scope *s, const struct node *n)
{
	struct value v;

	switch (n->kind) {
	case NODE_ATTRIBUTE:
		v = evaluate(j, s, n->a);
		j->line = n->line;
		return attribute(j, v, n->text);
	case NODE_ITEM:
		return part_of(j, s, n);
	case NODE_CALL:
		return evaluate_call(j, s, n);
	case NODE_FILTER:
		return evaluate_filter(j, s, n);
	case NODE_TEST:
		return boolean(evaluate_test(j, s, n));
	case NODE_NOT:
		return boolean(!truth(evaluate(j, s, n->a)));
	case NODE_NEGATIVE:
		return negative(j, evaluate(j, s, n->a));
	case NODE_POSITIVE:
		return positive(j, evaluate(j, s, n->a));
	case NODE_AND:
		v = evaluate(j, s, n->a);
		return truth(v) ? evaluate(j, s, n->b) : v;
	case NODE_OR:
		v = evaluate(j, s, n->a);
		return truth(v) ? v : evaluate(j, s, n->b);
	case NODE_CONDITION:
		return condition(j, s, n);
	case NODE_COMPARE:
		return compare(j, s, n);
	case NODE_ARITHMETIC:
		return operation(j, s, n);
	case NODE_CONCAT:
		return concat(j, s, n);
	case NODE_LIST:
		return make_sequence(j, s, n, FLAVOUR_LIST);
	case NODE_TUPLE:
		return make_sequence(j, s, n, FLAVOUR_TUPLE);
	case NODE_DICT:
		return make_dict(j, s, n);
	default:
		job_fail(j, -EINVAL, "a slice stands where it can't");
	}
}

struct value evaluate(struct job *j, struct scope *s, const struct node *n)
{
	struct value v;

	j->line = n->line;
	job_step(j, 1);
	if (n->kind == NODE_CONSTANT)
		return n->constant;
	if (n->kind == NODE_NAME)
		return lookup(j, s, n);
	job_enter(j);
	v = evaluate_inner(j, s, n);
	job_leave(j);
	return v;
}
