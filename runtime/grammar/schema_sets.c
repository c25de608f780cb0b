// SPDX-License-Identifier: MIT
/* Sets of schemas to alternatives of keywords: $ref, allOf, anyOf, oneOf. */
#include "grammar/schema.h"

enum {
	MAX_CHAIN = 64,	  /* references and combinations that lead to each other */
	MAX_CHOICES = 64, /* alternatives that are chosen from at once */
};

struct schema_rule {
	struct production *production;
	struct schema_set set;
	bool is_leaf;
	struct schema_rule *next_hash, *next;
};

/* Lists that share their ends, so that every alternative has its own. */
struct pending {
	const struct json *node;
	const struct pending *origin; /* the schema that named it */
	struct pending *next;
};

struct choice {
	const struct json *list;
	const struct pending *origin;
	const struct choice *next;
};

struct own {
	const struct json *node;
	const struct own *next;
};

/* What is left to be looked at, to be chosen from, and what has been found. */
struct state {
	struct pending *pending;
	const struct choice *choices;
	const struct own *own;
	size_t owns;
	unsigned depth;
};

void set_add(struct schema *s, struct schema_set *set, const struct json *node)
{
	if (set->count == set->room) {
		const size_t room = 2 * set->room + 4;
		const struct json **more = translation_alloc(s->t, room * sizeof(*more));

		if (set->count)
			memcpy(more, set->nodes, set->count * sizeof(*more));
		set->nodes = more;
		set->room = room;
	}
	set->nodes[set->count++] = node;
}

/* Each once, in their order, without those that allow everything. */
static void tidy(struct schema *s, struct schema_set *set)
{
	size_t kept = 0;

	s->mark++;
	for (size_t i = 0; i < set->count; i++) {
		struct json *n = (struct json *)set->nodes[i];

		if (n->kind == JSON_TRUE || (n->kind == JSON_OBJECT && !n->count) ||
		    n->mark == s->mark)
			continue;
		n->mark = s->mark;
		set->nodes[kept++] = n;
	}
	set->count = kept;
}

static size_t hash(const struct schema_set *set, bool is_leaf)
{
	uint64_t h = is_leaf ? 0x9e3779b97f4a7c15u : 0;

	for (size_t i = 0; i < set->count; i++)
		h = (h ^ set->nodes[i]->id) * 0xff51afd7ed558ccdu + (h >> 29);
	return h ^ h >> 32;
}

static void grow_table(struct schema *s)
{
	const size_t size = s->table_size ? 4 * s->table_size : 256;
	struct schema_rule **table = translation_alloc(s->t, size * sizeof(struct schema_rule *));

	memset(table, 0, size * sizeof(struct schema_rule *));
	for (size_t i = 0; i < s->table_size; i++) {
		struct schema_rule *next;

		for (struct schema_rule *r = s->table[i]; r; r = next) {
			struct schema_rule **slot = &table[hash(&r->set, r->is_leaf) & (size - 1)];

			next = r->next_hash;
			r->next_hash = *slot;
			*slot = r;
		}
	}
	s->table = table;
	s->table_size = size;
}

static const struct expression *rule_of(struct schema *s, const struct schema_set *set,
					bool is_leaf)
{
	struct schema_rule **slot, *r;

	if (s->rules >= s->table_size / 2)
		grow_table(s);
	slot = &s->table[hash(set, is_leaf) & (s->table_size - 1)];
	for (r = *slot; r; r = r->next_hash) {
		translation_step(s->t, 1 + set->count / 8);
		if (r->is_leaf == is_leaf && r->set.count == set->count &&
		    !memcmp(r->set.nodes, set->nodes, set->count * sizeof(*set->nodes)))
			return expression_call(s->t, r->production);
	}
	r = translation_alloc(s->t, sizeof(*r));
	*r = (struct schema_rule){ .production = new_production(s->t, "value"),
				   .set = *set,
				   .is_leaf = is_leaf,
				   .next_hash = *slot };
	*slot = r;
	s->rules++;
	if (s->queue_end)
		s->queue_end->next = r;
	else
		s->queue = r;
	s->queue_end = r;
	return expression_call(s->t, r->production);
}

const struct expression *schema_value(struct schema *s, struct schema_set *set)
{
	translation_step(s->t, 1 + set->count);
	tidy(s, set);
	return set->count ? rule_of(s, set, false) : any_value(s);
}

static struct pending *put(struct schema *s, const struct json *node, const struct pending *origin,
			   struct pending *next)
{
	struct pending *p = translation_alloc(s->t, sizeof(*p));

	*p = (struct pending){ node, origin, next };
	return p;
}

/* The elements of @list in front of what is pending. */
static void put_all(struct schema *s, struct state *state, const struct json *list,
		    const struct pending *origin)
{
	struct pending **last = &state->pending, *rest = state->pending;

	for (const struct json *e = list ? list->first : NULL; e; e = e->next) {
		*last = put(s, e, origin, rest);
		last = &(*last)->next;
	}
}

/* A schema that leads to itself without a value between says nothing. */
static void check_chain(struct schema *s, const struct pending *p)
{
	unsigned length = 0;

	for (const struct pending *o = p->origin; o; o = o->origin) {
		if (o->node == p->node)
			translation_fail(
				s->t, -EINVAL,
				"the schema at %s refers to itself without a value between",
				json_pointer(s->t, p->node));
		if (++length > MAX_CHAIN)
			translation_fail(s->t, -E2BIG,
					 "more than %d references and combinations lead to %s",
					 MAX_CHAIN, json_pointer(s->t, p->node));
	}
	translation_step(s->t, 1 + length);
}

static void add_choice(struct schema *s, struct state *state, const struct json *list,
		       const struct pending *origin)
{
	struct choice *c;

	if (!list)
		return;
	c = translation_alloc(s->t, sizeof(*c));
	*c = (struct choice){ list, origin, state->choices };
	state->choices = c;
}

/* What the schema says by itself, and what it makes others say; false: it allows nothing. */
static bool take(struct schema *s, struct state *state, const struct pending *p)
{
	const struct json *n = p->node, *reference;

	check_chain(s, p);
	if (n->kind == JSON_TRUE)
		return true;
	if (n->kind == JSON_FALSE) {
		translation_reason(s->t, "%s is false", json_pointer(s->t, n));
		return false;
	}
	if (n->kind != JSON_OBJECT)
		translation_fail(s->t, -EINVAL,
				 "%s isn't a schema, which is an object, true or false",
				 json_pointer(s->t, n));
	check_keywords(s, n);
	if (has_own_keywords(n)) {
		struct own *own = translation_alloc(s->t, sizeof(*own));

		*own = (struct own){ n, state->own };
		state->own = own;
		state->owns++;
	}
	put_all(s, state, json_get(n, "allOf"), p);
	reference = json_get(n, "$ref");
	if (reference)
		state->pending = put(s, schema_target(s, reference), p, state->pending);
	add_choice(s, state, json_get(n, "oneOf"), p);
	add_choice(s, state, json_get(n, "anyOf"), p);
	return true;
}

static void expand(struct schema *s, struct parts *out, struct state state)
{
	const struct choice *c;
	struct schema_set set = { 0 };

	if (++state.depth > MAX_CHOICES)
		translation_fail(s->t, -E2BIG, "more than %d anyOf and oneOf hold for one value",
				 MAX_CHOICES);
	while (state.pending) {
		struct pending *p = state.pending;

		state.pending = p->next;
		if (!take(s, &state, p))
			return;
	}
	c = state.choices;
	if (c) {
		state.choices = c->next;
		for (const struct json *e = c->list->first; e; e = e->next) {
			state.pending = put(s, e, c->origin, NULL);
			expand(s, out, state);
		}
		return;
	}
	set.nodes = translation_alloc(s->t, (state.owns + 1) * sizeof(*set.nodes));
	set.count = set.room = state.owns;
	for (const struct own *o = state.own; o; o = o->next)
		set.nodes[--state.owns] = o->node;
	translation_step(s->t, 4 + set.count);
	tidy(s, &set);
	add_part(s->t, out, set.count ? rule_of(s, &set, true) : any_value(s));
}

static int by_production(const void *a, const void *b)
{
	const struct expression *x = *(const struct expression *const *)a;
	const struct expression *y = *(const struct expression *const *)b;

	return (x->called->number > y->called->number) - (x->called->number < y->called->number);
}

/* All alternatives, each once. */
static const struct expression *alternatives(struct schema *s, const struct schema_set *set)
{
	struct state state = { 0 };
	struct parts out = { 0 };
	size_t kept = 0;

	for (size_t i = set->count; i--;)
		state.pending = put(s, set->nodes[i], NULL, state.pending);
	expand(s, &out, state);
	if (out.count)
		qsort(out.items, out.count, sizeof(*out.items), by_production);
	for (size_t i = 0; i < out.count; i++)
		if (!kept || out.items[i]->called != out.items[kept - 1]->called)
			out.items[kept++] = out.items[i];
	out.count = kept;
	return expression_choice(s->t, &out);
}

void schema_finish(struct schema *s)
{
	for (struct schema_rule *r = s->queue; r; r = r->next) {
		const struct leaf leaf = { s, r->set.nodes, r->set.count };

		r->production->body = r->is_leaf ? leaf_value(&leaf) : alternatives(s, &r->set);
	}
}
