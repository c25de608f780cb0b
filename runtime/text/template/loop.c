// SPDX-License-Identifier: MIT
/* Loops, and what "loop" knows of them. */
#include "text/template/interpreter.h"

void assign_target(struct job *j, struct scope *s, const struct node *target, struct value v)
{
	struct iteration i;
	struct value element;
	size_t wanted = 0, got = 0;

	if (target->kind == NODE_NAME) {
		assign(j, s, target->symbol, v);
		return;
	}
	if (target->kind == NODE_ATTRIBUTE) {
		const struct value of = lookup(j, s, target->a);

		if (of.kind != VALUE_NAMESPACE)
			job_fail(j, -EINVAL, "cannot assign attribute on non-namespace object");
		dict_set(j, of.dict, text_value(target->text), v);
		return;
	}
	for (const struct node *t = target->a; t; t = t->next)
		wanted++;
	need_defined(j, v);
	i = iterate(j, v);
	for (const struct node *t = target->a; t; t = t->next, got++) {
		if (!iterate_next(j, &i, &element))
			job_fail(j, -EINVAL, "not enough values to unpack (expected %zu, got %zu)",
				 wanted, got);
		assign_target(j, s, t, element);
	}
	if (iterate_next(j, &i, &element))
		job_fail(j, -EINVAL, "too many values to unpack (expected %zu)", wanted);
}

/* The next element that passes the loop's test. */
static bool advance(struct job *j, struct loop *l, struct value *v)
{
	while (iterate_next(j, &l->iteration, v)) {
		if (!l->node->c || l->passed)
			return true;
		assign_target(j, l->test_scope, l->node->a, *v);
		if (truth(evaluate(j, l->test_scope, l->node->c)))
			return true;
	}
	return false;
}

static bool next(struct job *j, struct loop *l)
{
	struct value v = l->after;

	if (is_given(v))
		l->after = ABSENT;
	else if (!advance(j, l, &v))
		return false;
	l->index0++;
	l->previous = l->current;
	l->current = v;
	return true;
}

static struct value peek(struct job *j, struct loop *l)
{
	struct value v;

	if (!is_given(l->after) && advance(j, l, &v))
		l->after = v;
	return l->after;
}

static int64_t loop_length(struct job *j, struct loop *l)
{
	struct sequence *rest;
	struct value v;

	if (l->length >= 0)
		return l->length;
	if (!l->node->c && !is_flavour(l->source, FLAVOUR_ITERATOR)) {
		l->length = (int64_t)value_length(j, l->source);
		return l->length;
	}
	rest = new_sequence(j, FLAVOUR_ITERATOR, 0);
	while (advance(j, l, &v))
		sequence_add(j, rest, v);
	l->length = (int64_t)rest->count + l->index0 + 1 + is_given(l->after);
	l->source = sequence_value(rest);
	l->iteration = iterate(j, l->source);
	l->passed = true;
	return l->length;
}

static struct value loop_cycle(struct job *j, struct value self, const struct value *a,
			       const struct arguments *all)
{
	(void)a;
	if (!all->count)
		job_fail(j, -EINVAL, "no items for cycling given");
	return all->values[(uint64_t)self.loop->index0 % all->count];
}

static struct value loop_changed(struct job *j, struct value self, const struct value *a,
				 const struct arguments *all)
{
	struct sequence *now = new_sequence(j, FLAVOUR_TUPLE, 0);
	struct loop *l = self.loop;

	(void)a;
	for (size_t i = 0; i < all->count; i++)
		sequence_add(j, now, all->values[i]);
	if (is_given(l->changed) && values_equal(j, l->changed, sequence_value(now)))
		return boolean(false);
	l->changed = sequence_value(now);
	return boolean(true);
}

struct value loop_attribute(struct job *j, struct loop *l, const struct text *name)
{
	static const struct builtin methods[] = { { "cycle", NULL, 0, loop_cycle },
						  { "changed", NULL, 0, loop_changed } };
	struct bound *bound;
	struct value v;

	if (text_is(name, "index"))
		return integer(l->index0 + 1);
	if (text_is(name, "index0"))
		return integer(l->index0);
	if (text_is(name, "first"))
		return boolean(l->index0 == 0);
	if (text_is(name, "last"))
		return boolean(!is_given(peek(j, l)));
	if (text_is(name, "length"))
		return integer(loop_length(j, l));
	if (text_is(name, "revindex"))
		return integer(loop_length(j, l) - l->index0);
	if (text_is(name, "revindex0"))
		return integer(loop_length(j, l) - l->index0 - 1);
	if (text_is(name, "depth"))
		return integer(l->depth0 + 1);
	if (text_is(name, "depth0"))
		return integer(l->depth0);
	if (text_is(name, "previtem"))
		return l->index0 > 0 ? l->previous : undefined("loop.previtem");
	if (text_is(name, "nextitem")) {
		v = peek(j, l);
		return is_given(v) ? v : undefined("loop.nextitem");
	}
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (text_is(name, methods[i].name)) {
			bound = job_alloc(j, sizeof(*bound));
			*bound = (struct bound){ .self = { .kind = VALUE_LOOP, .loop = l },
						 .method = &methods[i] };
			return (struct value){ .kind = VALUE_METHOD, .bound = bound };
		}
	return ABSENT;
}

static enum flow run_loop(struct job *j, struct scope *around, const struct node *n,
			  struct value source, unsigned depth0)
{
	struct loop *l = job_alloc(j, sizeof(*l));
	struct scope *s = NULL;
	enum flow flow = FLOW_NEXT;
	bool other = true;

	*l = (struct loop){ .node = n,
			    .scope = around,
			    .source = source,
			    .iteration = iterate(j, source),
			    .test_scope = n->c ? new_scope(j, around, NULL) : NULL,
			    .index0 = -1,
			    .length = -1,
			    .depth0 = depth0 };
	while (flow != FLOW_BREAK && next(j, l)) {
		if (!s || s->kept) {
			s = new_scope(j, around, n->missing);
		} else {
			s->count = n->missing ? n->missing[0] : 0;
			job_step(j, s->count / 32);
			for (uint32_t i = 0; i < s->count; i++)
				s->slots[i].value = ABSENT;
		}
		assign_target(j, s, n->a, l->current);
		assign(j, s, j->tree->loop, (struct value){ .kind = VALUE_LOOP, .loop = l });
		flow = run_list(j, s, n->body);
		/* as Jinja2 has it: "else" is for loops of which no turn came to its end */
		other = other && flow != FLOW_NEXT;
	}
	if (other && n->other)
		return run_list(j, new_scope(j, around, NULL), n->other);
	return FLOW_NEXT;
}

enum flow run_for(struct job *j, struct scope *s, const struct node *n)
{
	const struct value source = evaluate(j, s, n->b);

	j->line = n->line;
	return run_loop(j, s, n, source, 0);
}

struct value loop_call(struct job *j, struct loop *l, const struct arguments *all)
{
	struct output *outer = j->output, o = { 0 };

	if (!l->node->flag)
		job_fail(j, -EINVAL,
			 "the loop must have the 'recursive' marker to be called recursively");
	if (all->count != 1 || all->keyword_count)
		job_fail(j, -EINVAL, "loop() takes one argument");
	if (++j->calls > MAX_CALLS)
		job_fail(j, -E2BIG, "loops and macros call each other deeper than %d levels",
			 MAX_CALLS);
	j->output = &o;
	run_loop(j, l->scope, l->node, all->values[0], l->depth0 + 1);
	j->output = outer;
	j->calls--;
	return text_value(output_text(j, &o));
}
