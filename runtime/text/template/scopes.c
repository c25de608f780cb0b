// SPDX-License-Identifier: MIT
/*
 * Names that have no value where their scope begins.  Jinja decides when it compiles what a name
 * means in a scope: one that is set there, in any case and before it is read, is the scope's own
 * from its beginning on, even for loops and macros inside that come before it is set.
 */
#include "text/template/tree.h"

/* What is known of a symbol in a scope; entries of scopes that are done with have another mark. */
struct knowledge {
	uint64_t mark;
	bool missing;
};

struct frame {
	struct job *j;
	struct tree *tree;
	const struct frame *parent;
	struct knowledge *names; /* by symbol */
	uint64_t mark;
	struct sequence *missing;
	unsigned branches; /* inside each other */
	struct frames *all;
};

/* A table for each level of nesting, used again and again. */
struct frames {
	struct knowledge *names[MAX_NESTING + 2];
	uint64_t marks;
};

static void visit_list(struct frame *f, const struct node *list);
static void enter_list(const struct frame *f, struct node *list, unsigned level);

static bool is_known(const struct frame *f, uint32_t symbol)
{
	for (; f; f = f->parent)
		if (f->names[symbol].mark == f->mark)
			return true;
	return false;
}

static void know(struct frame *f, uint32_t symbol, bool missing)
{
	f->names[symbol] = (struct knowledge){ .mark = f->mark, .missing = missing };
	if (missing)
		sequence_add(f->j, f->missing, integer(symbol));
}

static void load(struct frame *f, uint32_t symbol)
{
	if (!is_known(f, symbol))
		know(f, symbol, false);
}

static void store(struct frame *f, const struct node *target, bool parameter)
{
	if (target->kind == NODE_ATTRIBUTE) {
		load(f, target->a->symbol);
	} else if (target->kind == NODE_TUPLE) {
		for (const struct node *t = target->a; t; t = t->next)
			store(f, t, parameter);
	} else if (f->names[target->symbol].mark != f->mark) {
		know(f, target->symbol,
		     !parameter && !f->branches && !is_known(f->parent, target->symbol));
	}
}

static void visit_expression(struct frame *f, const struct node *n)
{
	if (!n)
		return;
	if (n->kind == NODE_NAME) {
		load(f, n->symbol);
		return;
	}
	const struct node *const children[] = { n->a, n->b, n->c, n->body, n->other };

	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		for (const struct node *c = children[i]; c; c = c->next)
			visit_expression(f, c);
}

static void visit_if(struct frame *f, const struct node *n)
{
	visit_expression(f, n->a);
	f->branches++;
	visit_list(f, n->body);
	for (const struct node *e = n->b; e; e = e->next) {
		visit_expression(f, e->a);
		visit_list(f, e->body);
	}
	visit_list(f, n->other);
	f->branches--;
}

/* What a scope's own statements do with names; bodies that are scopes themselves come later. */
static void visit(struct frame *f, const struct node *n)
{
	const struct node macro = { .kind = NODE_NAME, .symbol = n->symbol };

	switch (n->kind) {
	case NODE_OUTPUT:
		visit_expression(f, n->a);
		break;
	case NODE_FOR:
		visit_expression(f, n->b);
		break;
	case NODE_IF:
		visit_if(f, n);
		break;
	case NODE_SET:
		visit_expression(f, n->b);
		store(f, n->a, false);
		break;
	case NODE_SET_BLOCK:
		store(f, n->a, false);
		break;
	case NODE_WITH:
		for (const struct node *v = n->b; v; v = v->next)
			visit_expression(f, v);
		break;
	case NODE_MACRO:
		store(f, &macro, false);
		break;
	case NODE_CALL_BLOCK:
		visit_expression(f, n->a);
		break;
	case NODE_FILTER_BLOCK:
		visit_expression(f, n->b);
		break;
	default:
		break;
	}
}

static void visit_list(struct frame *f, const struct node *list)
{
	for (const struct node *n = list; n; n = n->next)
		visit(f, n);
}

static uint32_t *missing_of(const struct frame *f)
{
	const size_t count = f->missing->count;
	uint32_t *list = count ? job_alloc(f->j, (count + 1) * sizeof(*list)) : NULL;

	for (size_t i = 0; i < count; i++)
		list[1 + i] = (uint32_t)f->missing->items[i].integer;
	if (list)
		list[0] = (uint32_t)count;
	return list;
}

static struct frame new_frame(const struct frame *from, const struct frame *parent, unsigned level)
{
	struct frames *all = from->all;
	const size_t bytes = from->tree->symbol_count * sizeof(struct knowledge);

	if (!all->names[level]) {
		all->names[level] = job_alloc(from->j, bytes);
		memset(all->names[level], 0, bytes);
	}
	return (struct frame){ .j = from->j,
			       .tree = from->tree,
			       .parent = parent,
			       .names = all->names[level],
			       .mark = ++all->marks,
			       .missing = new_sequence(from->j, FLAVOUR_LIST, 0),
			       .all = all };
}

/* A statement whose body is a scope. */
static void enter(const struct frame *f, struct node *n, unsigned level)
{
	struct node *const scope = n->kind == NODE_CALL_BLOCK ? n->b : n;
	struct frame inner = new_frame(f, n->kind == NODE_SCOPE && n->flag ? NULL : f, level);

	if (n->kind == NODE_FOR)
		store(&inner, n->a, true);
	for (const struct node *t = n->kind == NODE_WITH ? n->a : NULL; t; t = t->next)
		store(&inner, t, true);
	if (scope->kind == NODE_MACRO) {
		for (const struct node *p = scope->a; p; p = p->next)
			store(&inner, p, true);
		for (const struct node *p = scope->a; p; p = p->next)
			visit_expression(&inner, p->a);
	}
	visit_list(&inner, scope->body);
	scope->missing = missing_of(&inner);
	enter_list(&inner, scope->body, level + 1);
	if (n->kind == NODE_FOR && n->other) {
		inner = new_frame(f, f, level);
		visit_list(&inner, n->other);
		enter_list(&inner, n->other, level + 1);
	}
}

static void enter_list(const struct frame *f, struct node *list, unsigned level)
{
	for (struct node *n = list; n; n = n->next) {
		switch (n->kind) {
		case NODE_FOR:
		case NODE_SET_BLOCK:
		case NODE_WITH:
		case NODE_MACRO:
		case NODE_CALL_BLOCK:
		case NODE_FILTER_BLOCK:
		case NODE_SCOPE:
			enter(f, n, level);
			break;
		case NODE_IF:
			enter_list(f, n->body, level);
			for (struct node *e = n->b; e; e = e->next)
				enter_list(f, e->body, level);
			enter_list(f, n->other, level);
			break;
		default:
			break;
		}
	}
}

void find_missing(struct job *j, struct tree *tree)
{
	struct frames *all = job_alloc(j, sizeof(*all));
	const struct frame from = { .j = j, .tree = tree, .all = all };

	*all = (struct frames){ 0 };
	struct frame root = new_frame(&from, NULL, 0);

	visit_list(&root, tree->body);
	tree->missing = missing_of(&root);
	enter_list(&root, tree->body, 1);
}
