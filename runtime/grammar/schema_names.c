// SPDX-License-Identifier: MIT
/* Keys of an object that aren't named in its schema: a trie of those that are, turned around. */
#include "grammar/schema.h"

#include "grammar/span_set.h"
#include "text/vocabulary.h"

struct other_keys {
	struct schema *s;
	const struct expression *rest; /* any characters and the quote behind them */
};

/* Any character but @taken, and whatever follows. */
static const struct expression *another(const struct other_keys *o, const struct span_set *taken)
{
	struct translation *t = o->s->t;
	static const struct span escaped[] = { { 0, 31 }, { '"', '"' }, { '\\', '\\' } };
	struct span_set plain = { 0 }, others;
	struct parts one = { 0 }, sequence = { 0 };
	bool escapes = false;

	for (size_t i = 0; i < ARRAY_SIZE(escaped); i++)
		escapes |= span_set_within(t, taken, escaped[i].low, escaped[i].high).count > 0;
	if (escapes) {
		others = span_set_others(t, taken);
		add_part(t, &one, json_character(t, &others));
	} else {
		span_set_add_all(t, &plain, taken->spans, taken->count);
		span_set_add_all(t, &plain, escaped, ARRAY_SIZE(escaped));
		span_set_tidy(&plain);
		others = span_set_others(t, &plain);
		add_part(t, &one, expression_class(t, others.spans, others.count));
		add_part(t, &one, builtin(t, BUILTIN_ESCAPED));
	}
	add_part(t, &sequence, expression_choice(t, &one));
	add_part(t, &sequence, o->rest);
	return expression_sequence(t, &sequence);
}

/* What may follow the first @depth bytes of these names, which they have in common. */
static const struct expression *after(const struct other_keys *o, const struct schema_name *names,
				      size_t count, size_t depth)
{
	struct translation *t = o->s->t;
	struct span_set taken = { 0 };
	struct parts choice = { 0 };
	const bool named = names[0].bytes == depth;

	translation_step(t, count);
	add_part(t, &choice, NULL);
	if (!named)
		add_text(t, &choice, "\"");
	for (size_t i = named, end; i < count; i = end) {
		struct parts one = { 0 };
		uint32_t c = 0;
		const size_t n = utf8_decode(names[i].text + depth, names[i].bytes - depth, &c);

		for (end = i + 1; end < count; end++)
			if (names[end].text[depth] != names[i].text[depth] ||
			    memcmp(names[end].text + depth, names[i].text + depth, n) != 0)
				break; /* the first byte says that there are as many */
		span_set_add(t, &taken, c, c);
		add_part(t, &one, json_text(t, names[i].text + depth, n));
		add_part(t, &one, after(o, names + i, end - i, depth + n));
		add_part(t, &choice, expression_sequence(t, &one));
	}
	span_set_tidy(&taken);
	choice.items[0] = another(o, &taken);
	return expression_choice(t, &choice);
}

const struct expression *other_keys(struct schema *s, const struct schema_name *names, size_t count)
{
	struct translation *t = s->t;
	struct other_keys o = { .s = s };
	struct production *rest, *all;
	struct parts parts = { 0 }, key = { 0 };

	if (!count)
		return builtin(t, BUILTIN_STRING);
	for (size_t i = 0; i < count; i++)
		if (names[i].bytes > MOST_NAME)
			translation_fail(t, -E2BIG,
					 "a key of %zu bytes beside keys that aren't named, the "
					 "limit is %d",
					 names[i].bytes, MOST_NAME);
	rest = new_production(t, "rest");
	add_part(t, &parts, expression_repeat(t, builtin(t, BUILTIN_PLAIN), 0, WITHOUT_END));
	add_text(t, &parts, "\"");
	rest->body = expression_sequence(t, &parts);
	o.rest = expression_call(t, rest);
	add_text(t, &key, "\"");
	add_part(t, &key, after(&o, names, count, 0));
	all = new_production(t, "key");
	all->body = expression_sequence(t, &key);
	return expression_call(t, all);
}
