// SPDX-License-Identifier: MIT
/* Calls: arguments, macros, filters, tests and functions. */
#include "text/template/interpreter.h"

enum { MAX_PARAMETERS = 8 };

static void add_keyword(struct job *j, struct arguments *all, size_t *room, const struct text *name,
			struct value v)
{
	for (size_t i = 0; i < all->keyword_count; i++)
		if (texts_equal(all->keywords[i].name, name))
			job_fail(j, -EINVAL, "the argument '%.*s' is given twice",
				 (int)MIN(name->bytes, 60u), name->data);
	job_step(j, 1 + all->keyword_count / 8);
	job_work(j, all->keyword_count * name->bytes);
	if (all->keyword_count == *room) {
		const size_t more = 2 * *room + 4;

		all->keywords = job_grow(j, all->keywords,
					 all->keyword_count * sizeof(*all->keywords),
					 more * sizeof(*all->keywords));
		*room = more;
	}
	all->keywords[all->keyword_count++] = (struct keyword){ name, v };
}

static void evaluate_arguments(struct job *j, struct scope *s, const struct node *n,
			       struct arguments *all)
{
	struct sequence values = { 0 };
	struct iteration i;
	struct value v;
	size_t room = 0;

	*all = (struct arguments){ 0 };
	for (const struct node *a = n->b; a; a = a->next)
		sequence_add(j, &values, evaluate(j, s, a));
	if (n->c) {
		i = iterate(j, evaluate(j, s, n->c));
		while (iterate_next(j, &i, &v))
			sequence_add(j, &values, v);
	}
	for (const struct node *k = n->body; k; k = k->next)
		add_keyword(j, all, &room, k->text, evaluate(j, s, k->a));
	if (n->other) {
		v = evaluate(j, s, n->other);
		if (v.kind != VALUE_DICT)
			job_fail(j, -EINVAL, "argument after ** must be a mapping, not %s",
				 type_name(v));
		for (size_t e = 0; e < v.dict->count; e++) {
			if (v.dict->entries[e].key.kind != VALUE_TEXT)
				job_fail(j, -EINVAL, "keywords must be strings");
			add_keyword(j, all, &room, v.dict->entries[e].key.text,
				    v.dict->entries[e].value);
		}
	}
	all->values = values.items;
	all->count = values.count;
	j->line = n->line;
}

/* The place of the parameter @name among "a b c", or -1. */
static int parameter(const char *parameters, const struct text *name)
{
	for (int i = 0; *parameters; i++) {
		const size_t n = strcspn(parameters, " ");

		if (n == name->bytes && !memcmp(parameters, name->data, n))
			return i;
		parameters += n + (parameters[n] == ' ');
	}
	return -1;
}

static size_t parameter_count(const char *parameters)
{
	size_t n = *parameters != 0;

	for (; *parameters; parameters++)
		n += *parameters == ' ';
	return n;
}

struct value call_builtin(struct job *j, const struct builtin *b, struct value self,
			  const struct arguments *all)
{
	struct value a[MAX_PARAMETERS] = { 0 };

	if (!b->parameters)
		return b->call(j, self, a, all);
	if (all->count > parameter_count(b->parameters))
		job_fail(j, -EINVAL, "%s takes at most %zu arguments, not %zu", b->name,
			 parameter_count(b->parameters), all->count);
	for (size_t i = 0; i < all->count; i++)
		a[i] = all->values[i];
	for (size_t i = 0; i < all->keyword_count; i++) {
		const struct text *name = all->keywords[i].name;
		const int place = parameter(b->parameters, name);

		if (place < 0)
			job_fail(j, -EINVAL, "%s has no argument '%.*s'", b->name,
				 (int)MIN(name->bytes, 60u), name->data);
		if (is_given(a[place]))
			job_fail(j, -EINVAL, "%s got two values for its argument '%.*s'", b->name,
				 (int)MIN(name->bytes, 60u), name->data);
		a[place] = all->keywords[i].value;
	}
	for (unsigned i = 0; i < b->required; i++)
		if (!is_given(a[i]))
			job_fail(j, -EINVAL, "%s needs %u argument%s", b->name, b->required,
				 b->required == 1 ? "" : "s");
	return b->call(j, self, a, all);
}

struct value make_macro(struct job *j, struct scope *s, const struct node *n)
{
	struct macro *m = job_alloc(j, sizeof(*m));

	*m = (struct macro){ .node = n, .scope = s };
	for (struct scope *k = s; k && !k->kept; k = k->parent)
		k->kept = true;
	return (struct value){ .kind = VALUE_MACRO, .macro = m };
}

static const char *macro_name(const struct macro *m, size_t *bytes)
{
	*bytes = m->node->text ? MIN(m->node->text->bytes, 60u) : strlen("caller");
	return m->node->text ? m->node->text->data : "caller";
}

/* Keywords that no parameter took; @used tells which were. */
static void rest_of_keywords(struct job *j, const struct macro *m, struct scope *s,
			     const struct arguments *all, bool *used)
{
	struct dict *rest = new_dict(j);
	bool explicit_caller = false;
	struct value caller = ABSENT;
	size_t bytes;
	const char *name = macro_name(m, &bytes);

	for (const struct node *p = m->node->a; p; p = p->next)
		explicit_caller = explicit_caller || p->symbol == j->tree->caller;
	for (size_t i = 0; i < all->keyword_count; i++) {
		const struct keyword *k = &all->keywords[i];

		if (used[i])
			continue;
		if (m->node->takes_caller && !explicit_caller && text_is(k->name, "caller"))
			caller = k->value;
		else if (m->node->takes_kwargs)
			dict_set(j, rest, text_value(k->name), k->value);
		else
			job_fail(j, -EINVAL, "macro '%.*s' takes no keyword argument '%.*s'",
				 (int)bytes, name, (int)MIN(k->name->bytes, 60u), k->name->data);
	}
	if (m->node->takes_caller && !explicit_caller)
		assign(j, s, j->tree->caller, is_given(caller) ? caller : undefined("caller"));
	if (m->node->takes_kwargs)
		assign(j, s, j->tree->kwargs, dict_value(rest));
}

static void bind_arguments(struct job *j, const struct macro *m, struct scope *s,
			   const struct arguments *all)
{
	bool *used = job_alloc(j, all->keyword_count + 1);
	struct sequence *varargs;
	size_t at = 0, bytes;
	const char *name = macro_name(m, &bytes);

	memset(used, 0, all->keyword_count + 1);
	for (const struct node *p = m->node->a; p; p = p->next, at++) {
		struct value v = at < all->count ? all->values[at] : ABSENT;

		job_step(j, 1 + all->keyword_count / 8);
		job_work(j, all->keyword_count * j->tree->symbols[p->symbol]->bytes);
		for (size_t i = 0; at >= all->count && i < all->keyword_count; i++)
			if (!used[i] &&
			    texts_equal(all->keywords[i].name, j->tree->symbols[p->symbol])) {
				v = all->keywords[i].value;
				used[i] = true;
			}
		if (!is_given(v) && p->a)
			v = evaluate(j, s, p->a);
		assign(j, s, p->symbol, v);
	}
	rest_of_keywords(j, m, s, all, used);
	if (m->node->takes_varargs) {
		varargs = new_sequence(j, FLAVOUR_TUPLE, 0);
		for (; at < all->count; at++)
			sequence_add(j, varargs, all->values[at]);
		assign(j, s, j->tree->varargs, sequence_value(varargs));
	} else if (all->count > at) {
		job_fail(j, -EINVAL, "macro '%.*s' takes not more than %zu argument(s)", (int)bytes,
			 name, at);
	}
}

static struct value call_macro(struct job *j, const struct macro *m, const struct arguments *all)
{
	struct scope *s = new_scope(j, m->scope, m->node->missing);
	const uint32_t line = j->line;
	const struct text *t;
	enum flow flow;

	if (++j->calls > MAX_CALLS)
		job_fail(j, -E2BIG, "loops and macros call each other deeper than %d levels",
			 MAX_CALLS);
	bind_arguments(j, m, s, all);
	t = run_captured(j, s, m->node->body, &flow);
	j->calls--;
	j->line = line;
	return text_value(t);
}

struct value call_value(struct job *j, struct value callee, const struct arguments *all)
{
	struct cycler *c = callee.cycler;

	switch (callee.kind) {
	case VALUE_BUILTIN:
		return call_builtin(j, callee.builtin, ABSENT, all);
	case VALUE_METHOD:
		return call_builtin(j, callee.bound->method, callee.bound->self, all);
	case VALUE_MACRO:
		return call_macro(j, callee.macro, all);
	case VALUE_LOOP:
		return loop_call(j, callee.loop, all);
	case VALUE_JOINER:
		if (c->next++)
			return text_value(c->separator);
		return constant_value(j, "");
	default:
		need_defined(j, callee);
		job_fail(j, -EINVAL, "'%s' object is not callable", type_name(callee));
	}
}

struct value evaluate_call(struct job *j, struct scope *s, const struct node *n)
{
	const struct value callee = evaluate(j, s, n->a);
	struct arguments all;

	evaluate_arguments(j, s, n, &all);
	return call_value(j, callee, &all);
}

enum flow run_call_block(struct job *j, struct scope *s, const struct node *n)
{
	const struct value callee = evaluate(j, s, n->a->a);
	struct arguments all;
	size_t room;

	evaluate_arguments(j, s, n->a, &all);
	room = all.keyword_count;
	all.keywords = job_grow(j, all.keywords, room * sizeof(*all.keywords),
				(room + 1) * sizeof(*all.keywords));
	room++;
	add_keyword(j, &all, &room, constant(j, "caller"), make_macro(j, s, n->b));
	print_value(j, j->output, call_value(j, callee, &all));
	return FLOW_NEXT;
}

struct value evaluate_filter(struct job *j, struct scope *s, const struct node *n)
{
	const struct value input = n->a ? evaluate(j, s, n->a) : *j->block_input;
	struct arguments all;

	evaluate_arguments(j, s, n, &all);
	if (!n->builtin)
		job_fail(j, -EINVAL, "there is no filter '%.60s'", n->name);
	return call_builtin(j, n->builtin, input, &all);
}

struct value evaluate_filters(struct job *j, struct scope *s, const struct node *filters,
			      const struct text *t)
{
	const struct value *outer = j->block_input, input = text_value(t);
	struct value v;

	j->block_input = &input;
	v = evaluate(j, s, filters);
	j->block_input = outer;
	return v;
}

bool evaluate_test(struct job *j, struct scope *s, const struct node *n)
{
	const struct value input = evaluate(j, s, n->a);
	struct arguments all;

	evaluate_arguments(j, s, n, &all);
	if (!n->builtin)
		job_fail(j, -EINVAL, "there is no test '%.60s'", n->name);
	return truth(call_builtin(j, n->builtin, input, &all));
}
