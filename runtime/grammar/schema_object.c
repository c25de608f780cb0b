// SPDX-License-Identifier: MIT
/*
 * Objects.  Named keys come in the schemas' order, those that aren't required may be left out, and
 * then come others if there may be any.  One production says what may follow key number i when c
 * have been written before it, so there are as many as keys, or times the number that is counted
 * to.
 */
#include "grammar/schema.h"

#include "grammar/span_set.h"

enum {
	INLINE_KEYS = 16, /* required ones that are written in a row */
};

struct object {
	const struct leaf *leaf;
	struct schema_name *names;  /* in their order */
	struct schema_name *sorted; /* by their texts */
	size_t count, required;
	uint32_t least, most;
	const struct json *least_from, *most_from;
	/* of patternProperties, in the leaf's order, and last the named keys; NULL: there are none
	 */
	struct recognizer *patterns;
	uint32_t pattern_count;
	const struct expression
		*other; /* a key that isn't named, and its value; NULL: none may be */
	size_t counted; /* so many keys, or more, aren't told apart */
};

static int by_text(const void *a, const void *b)
{
	const struct schema_name *x = a, *y = b;
	const int order = memcmp(x->text, y->text, MIN(x->bytes, y->bytes));

	if (order)
		return order;
	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int by_order(const void *a, const void *b)
{
	const struct schema_name *x = a, *y = b;

	return (x->order > y->order) - (x->order < y->order);
}

static const struct json *member(const struct leaf *leaf, size_t node, const char *keyword)
{
	return json_get(leaf->nodes[node], keyword);
}

static size_t count_names(const struct leaf *leaf)
{
	size_t count = 0;

	for (size_t i = 0; i < leaf->count; i++) {
		const struct json *properties = member(leaf, i, "properties");
		const struct json *required = member(leaf, i, "required");

		count += (properties ? properties->count : 0) + (required ? required->count : 0);
	}
	return count;
}

static void find_names(struct object *o)
{
	struct translation *t = o->leaf->s->t;
	const size_t room = count_names(o->leaf) + 1;
	struct schema_name *all = translation_alloc(t, room * sizeof(*all));
	uint32_t n = 0;

	for (int wanted = 0; wanted < 2; wanted++) {
		for (size_t i = 0; i < o->leaf->count; i++) {
			const struct json *list =
				member(o->leaf, i, wanted ? "required" : "properties");

			for (const struct json *e = list ? list->first : NULL; e; e = e->next, n++)
				all[n] = (struct schema_name){ wanted ? e->text : e->key,
							       wanted ? e->bytes : e->key_bytes, n,
							       wanted };
		}
	}
	qsort(all, n, sizeof(*all), by_text);
	for (uint32_t i = 0; i < n; i++) {
		struct schema_name *last = o->count ? &all[o->count - 1] : NULL;

		if (last && last->bytes == all[i].bytes &&
		    !memcmp(last->text, all[i].text, last->bytes))
			last->required |= all[i].required;
		else
			all[o->count++] = all[i];
	}
	o->sorted = all;
	o->names = translation_alloc(t, room * sizeof(*all));
	memcpy(o->names, all, o->count * sizeof(*all));
	qsort(o->names, o->count, sizeof(*all), by_order);
	for (size_t i = 0; i < o->count; i++)
		o->required += o->names[i].required;
}

static const struct json *patterns_of(const struct object *o, size_t node)
{
	const struct json *list = member(o->leaf, node, "patternProperties");

	return list ? list->first : NULL;
}

/*
 * What the leaf's schemas say of a key's value: those whose properties name it by @name (NULL: none
 * does), those with patterns that match, and what the others say about keys that they don't know.
 * Whether any of them says something.
 */
static bool add_schemas(const struct object *o, struct schema_set *set,
			const struct schema_name *name, uint64_t matching)
{
	struct schema *s = o->leaf->s;
	uint32_t bit = 0;

	translation_step(s->t, o->leaf->count);
	for (size_t i = 0; i < o->leaf->count; i++) {
		const struct json *properties = member(o->leaf, i, "properties"), *v = NULL;
		bool known;

		if (name)
			v = json_member(properties, name->text, name->bytes);
		known = v;
		if (v)
			set_add(s, set, v);
		for (const struct json *p = patterns_of(o, i); p; p = p->next, bit++) {
			if (!(matching >> bit & 1))
				continue;
			set_add(s, set, p);
			known = true;
		}
		v = member(o->leaf, i, "additionalProperties");
		if (v && !known)
			set_add(s, set, v);
	}
	return set->count;
}

static void find_patterns(struct object *o)
{
	struct schema *s = o->leaf->s;
	struct parts names = { 0 };
	const struct json *first = NULL;

	for (size_t i = 0; i < o->leaf->count; i++) {
		for (const struct json *p = patterns_of(o, i); p; p = p->next) {
			if (!o->patterns)
				o->patterns = new_recognizer(s->t);
			first = first ? first : p;
			recognizer_add(o->patterns, parse_pattern(s, "patternProperties", p, p->key,
								  p->key_bytes, REGEX_FOUND)
							    .expression);
			o->pattern_count++;
		}
	}
	if (!o->patterns)
		return;
	for (size_t i = 0; i < o->count; i++)
		add_part(s->t, &names,
			 expression_text(s->t, o->sorted[i].text, o->sorted[i].bytes));
	recognizer_add(o->patterns, expression_choice(s->t, &names));
	if (!recognizer_finish(o->patterns))
		translation_fail(s->t, -E2BIG, "the patterns and keys of %s are too many",
				 json_pointer(s->t, first->parent->parent));
}

/* Behind a key that isn't named: the quote, and the value that the patterns want. */
static const struct expression *behind_key(void *user, uint64_t matching)
{
	const struct object *o = user;
	struct schema *s = o->leaf->s;
	struct schema_set set = { 0 };
	struct parts parts = { 0 };

	if (matching >> o->pattern_count || !add_schemas(o, &set, NULL, matching))
		return NULL;
	add_text(s->t, &parts, "\"");
	add_part(s->t, &parts, builtin(s->t, BUILTIN_COLON));
	add_part(s->t, &parts, schema_value(s, &set));
	return expression_sequence(s->t, &parts);
}

/*
 * What keys may have that aren't named.  Where "properties" are named and nothing is said about
 * others there are none: the schema would allow them, but whoever wrote it hardly wants any.
 */
static void find_others(struct object *o)
{
	struct schema *s = o->leaf->s;
	struct schema_set set = { 0 };
	struct parts parts = { 0 };
	bool named = false, said = false;

	for (size_t i = 0; i < o->leaf->count; i++) {
		const struct json *others = member(o->leaf, i, "additionalProperties");

		named = named || member(o->leaf, i, "properties");
		said = said || others;
		if (others && others->kind == JSON_FALSE && !o->patterns)
			return;
	}
	if (o->patterns) {
		add_text(s->t, &parts, "\"");
		add_part(s->t, &parts, recognizer_texts(o->patterns, behind_key, o));
	} else if (!named || said) {
		add_schemas(o, &set, NULL, 0);
		add_part(s->t, &parts, other_keys(s, o->sorted, o->count));
		add_part(s->t, &parts, builtin(s->t, BUILTIN_COLON));
		add_part(s->t, &parts, schema_value(s, &set));
	} else {
		return;
	}
	o->other = expression_sequence(s->t, &parts);
}

/* A named key and its value. */
static void add_named(const struct object *o, struct parts *parts, const struct schema_name *name)
{
	struct schema *s = o->leaf->s;
	struct schema_set set = { 0 };

	add_schemas(o, &set, name,
		    o->patterns ? recognizer_match(o->patterns, name->text, name->bytes) : 0);
	add_text(s->t, parts, "\"");
	add_part(s->t, parts, json_text(s->t, name->text, name->bytes));
	add_text(s->t, parts, "\"");
	add_part(s->t, parts, builtin(s->t, BUILTIN_COLON));
	add_part(s->t, parts, schema_value(s, &set));
}

/* What may follow all named keys when @c have been written. */
static const struct expression *behind_named(const struct object *o, size_t c)
{
	struct translation *t = o->leaf->s->t;
	const uint32_t least = o->least > c ? o->least - (uint32_t)c : 0;
	const uint32_t most = o->most == WITHOUT_END ? WITHOUT_END : o->most - (uint32_t)c;
	struct parts more = { 0 }, all = { 0 };

	/* as these keys may be the same, more than one of them may be but one in the end */
	if (least > (o->other ? 1 : 0))
		return expression_never(t);
	if (!o->other || !most)
		return expression_empty(t);
	add_part(t, &more, builtin(t, BUILTIN_COMMA));
	add_part(t, &more, o->other);
	if (c)
		return expression_repeat(t, expression_sequence(t, &more), least, most);
	add_part(t, &all, o->other);
	add_part(t, &all,
		 expression_repeat(t, expression_sequence(t, &more), 0,
				   most == WITHOUT_END ? WITHOUT_END : most - 1));
	return least ? expression_sequence(t, &all)
		     : expression_optional(t, expression_sequence(t, &all));
}

/* From key number @i on, when @c have been written; @next is what follows for each number of them.
 */
static const struct expression *from_key(const struct object *o, size_t i, size_t c,
					 const struct expression *pair,
					 const struct expression *const *next)
{
	struct translation *t = o->leaf->s->t;
	struct parts with = { 0 }, choice = { 0 };
	const struct expression *all;
	struct production *p;

	if (c == o->most) {
		all = expression_never(t);
	} else {
		if (c)
			add_part(t, &with, builtin(t, BUILTIN_COMMA));
		add_part(t, &with, pair);
		add_part(t, &with, next[MIN(c + 1, o->counted)]);
		all = expression_sequence(t, &with);
	}
	if (o->names[i].required && (!i || i % INLINE_KEYS))
		return all;
	add_part(t, &choice, all);
	if (!o->names[i].required)
		add_part(t, &choice, next[c]);
	p = new_production(t, "keys");
	p->body = expression_choice(t, &choice);
	return expression_call(t, p);
}

static const struct expression *all_keys(const struct object *o)
{
	struct translation *t = o->leaf->s->t;
	const size_t room = o->counted + 1;
	const struct expression **next = translation_alloc(t, room * sizeof(struct expression *));
	const struct expression **now = translation_alloc(t, room * sizeof(struct expression *));
	size_t required = o->required;

	for (size_t c = 0; c < room; c++)
		next[c] = c <= o->count ? behind_named(o, c) : NULL;
	for (size_t i = o->count; i--;) {
		const struct expression **swapped = now, *pair;
		struct parts parts = { 0 };

		add_named(o, &parts, &o->names[i]);
		pair = expression_sequence(t, &parts);
		required -= o->names[i].required;
		translation_step(t, MIN(i, o->counted) + 1);
		for (size_t c = MIN(required, o->counted); c <= MIN(i, o->counted); c++)
			now[c] = from_key(o, i, c, pair, next);
		now = next;
		next = swapped;
	}
	return next[0];
}

const struct expression *leaf_object(const struct leaf *leaf)
{
	struct object o = { .leaf = leaf };
	struct translation *t = leaf->s->t;
	const char *reason = "%s is more than the %zu keys that may be there";
	struct parts all = { 0 };

	o.least_from = leaf_least(leaf, "minProperties", &o.least);
	o.most_from = leaf_most(leaf, "maxProperties", &o.most);
	find_names(&o);
	find_patterns(&o);
	find_others(&o);
	if (o.least > o.most)
		return contradiction(leaf->s, o.least_from, o.most_from);
	if (o.other && o.least > o.count + 1)
		refuse(leaf->s, o.least_from, "isn't supported for keys that aren't named");
	if (!o.other && o.least > o.count)
		translation_reason(t, reason, json_pointer(t, o.least_from), o.count);
	if (!o.other && o.most >= o.count)
		o.most = WITHOUT_END;
	if (o.required > o.most)
		translation_reason(t, "%s is less than the %zu required keys",
				   json_pointer(t, o.most_from), o.required);
	o.counted = MIN(o.most == WITHOUT_END ? MAX(o.least, 1u) : o.most, o.count);
	o.counted = MAX(o.counted, (size_t)1);
	add_text(t, &all, "{");
	add_part(t, &all, all_keys(&o));
	add_text(t, &all, "}");
	return expression_sequence(t, &all);
}
