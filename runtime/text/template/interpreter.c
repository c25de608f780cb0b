// SPDX-License-Identifier: MIT
/* Statements and the scopes that names live in. */
#include "text/template/interpreter.h"

struct scope *new_scope(struct job *j, struct scope *parent, const uint32_t *missing)
{
	struct scope *s = job_alloc(j, sizeof(*s));

	*s = (struct scope){ .parent = parent };
	for (uint32_t i = 0; missing && i < missing[0]; i++)
		assign(j, s, missing[1 + i], ABSENT);
	return s;
}

void assign(struct job *j, struct scope *s, uint32_t symbol, struct value v)
{
	if (!s) {
		j->globals[symbol] = v;
		return;
	}
	for (uint32_t i = 0; i < s->count; i++)
		if (s->slots[i].symbol == symbol) {
			s->slots[i].value = v;
			job_step(j, i / 32);
			return;
		}
	job_step(j, s->count / 16);
	if (s->count == s->room) {
		const uint32_t room = 2 * s->room + 4;

		s->slots = job_grow(j, s->slots, s->count * sizeof(*s->slots),
				    room * sizeof(*s->slots));
		s->room = room;
	}
	s->slots[s->count++] = (struct slot){ symbol, v };
}

struct value lookup(struct job *j, const struct scope *s, const struct node *name)
{
	struct value v = ABSENT;

	for (; s; s = s->parent) {
		for (uint32_t i = 0; i < s->count; i++)
			if (s->slots[i].symbol == name->symbol) {
				v = s->slots[i].value;
				job_step(j, i / 32);
				return is_given(v) ? v : undefined(name->name);
			}
		job_step(j, s->count / 32);
	}
	v = j->globals[name->symbol];
	return is_given(v) ? v : undefined(name->name);
}

const struct text *run_captured(struct job *j, struct scope *s, const struct node *list,
				enum flow *flow)
{
	struct output *outer = j->output, o = { 0 };

	j->output = &o;
	*flow = run_list(j, s, list);
	j->output = outer;
	return output_text(j, &o);
}

static enum flow run_if(struct job *j, struct scope *s, const struct node *n)
{
	if (truth(evaluate(j, s, n->a)))
		return run_list(j, s, n->body);
	for (const struct node *e = n->b; e; e = e->next)
		if (truth(evaluate(j, s, e->a)))
			return run_list(j, s, e->body);
	return run_list(j, s, n->other);
}

static enum flow run_with(struct job *j, struct scope *s, const struct node *n)
{
	struct scope *inner = new_scope(j, s, n->missing);
	const struct node *v = n->b;

	/* values see what is around the block */
	for (const struct node *t = n->a; t; t = t->next, v = v->next)
		assign_target(j, inner, t, evaluate(j, s, v));
	return run_list(j, inner, n->body);
}

static enum flow run_set_block(struct job *j, struct scope *s, const struct node *n)
{
	enum flow flow;
	struct value v = text_value(run_captured(j, new_scope(j, s, n->missing), n->body, &flow));

	/* the loop is left or goes on: what was written in the block is nobody's */
	if (flow != FLOW_NEXT)
		return flow;
	if (n->b)
		v = evaluate_filters(j, s, n->b, v.text);
	assign_target(j, s, n->a, v);
	return flow;
}

static enum flow run_filter_block(struct job *j, struct scope *s, const struct node *n)
{
	enum flow flow;
	const struct text *t = run_captured(j, new_scope(j, s, n->missing), n->body, &flow);

	if (flow == FLOW_NEXT)
		print_value(j, j->output, evaluate_filters(j, s, n->b, t));
	return flow;
}

static enum flow run_statement(struct job *j, struct scope *s, const struct node *n)
{
	switch (n->kind) {
	case NODE_DATA:
		put_text(j, j->output, n->text);
		return FLOW_NEXT;
	case NODE_OUTPUT:
		print_value(j, j->output, evaluate(j, s, n->a));
		return FLOW_NEXT;
	case NODE_FOR:
		return run_for(j, s, n);
	case NODE_IF:
		return run_if(j, s, n);
	case NODE_SET:
		assign_target(j, s, n->a, evaluate(j, s, n->b));
		return FLOW_NEXT;
	case NODE_SET_BLOCK:
		return run_set_block(j, s, n);
	case NODE_WITH:
		return run_with(j, s, n);
	case NODE_MACRO:
		assign(j, s, n->symbol, make_macro(j, s, n));
		return FLOW_NEXT;
	case NODE_CALL_BLOCK:
		return run_call_block(j, s, n);
	case NODE_FILTER_BLOCK:
		return run_filter_block(j, s, n);
	case NODE_SCOPE:
		return run_list(j, new_scope(j, n->flag ? NULL : s, n->missing), n->body);
	case NODE_BREAK:
		return FLOW_BREAK;
	case NODE_CONTINUE:
		return FLOW_CONTINUE;
	default:
		job_fail(j, -EINVAL, "a statement that isn't known");
	}
}

enum flow run_list(struct job *j, struct scope *s, const struct node *list)
{
	enum flow flow = FLOW_NEXT;

	job_enter(j);
	for (const struct node *n = list; n && flow == FLOW_NEXT; n = n->next) {
		j->line = n->line;
		job_step(j, 1);
		flow = run_statement(j, s, n);
	}
	job_leave(j);
	return flow;
}
