// SPDX-License-Identifier: MIT
/* Methods of lists, tuples, mappings and cyclers, and the look-up of methods. */
#include "text/template/builtins.h"

#define METHOD(name)                                                                      \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)

METHOD(list_append)
{
	(void)all;
	sequence_add(j, self.sequence, a[0]);
	return NONE;
}

METHOD(list_extend)
{
	const struct sequence *more = to_sequence(j, a[0], FLAVOUR_LIST);

	(void)all;
	for (size_t i = 0; i < more->count; i++)
		sequence_add(j, self.sequence, more->items[i]);
	return NONE;
}

METHOD(list_insert)
{
	struct sequence *s = self.sequence;
	int64_t at = to_integer(j, a[0], "an index");

	(void)all;
	if (at < 0)
		at = MAX(at + (int64_t)s->count, 0);
	at = MIN(at, (int64_t)s->count);
	sequence_add(j, s, a[1]);
	job_step(j, s->count / 8);
	memmove(s->items + at + 1, s->items + at, (s->count - 1 - (size_t)at) * sizeof(*s->items));
	s->items[at] = a[1];
	return NONE;
}

static void remove_at(struct job *j, struct sequence *s, size_t at)
{
	job_step(j, (s->count - at) / 8);
	memmove(s->items + at, s->items + at + 1, (s->count - at - 1) * sizeof(*s->items));
	s->count--;
}

METHOD(list_pop)
{
	struct sequence *s = self.sequence;
	int64_t at = integer_or(j, a[0], -1, "an index");
	struct value v;

	(void)all;
	if (!s->count)
		job_fail(j, -EINVAL, "pop from empty list");
	if (at < 0)
		at += (int64_t)s->count;
	if (at < 0 || at >= (int64_t)s->count)
		job_fail(j, -EINVAL, "pop index out of range");
	v = s->items[at];
	remove_at(j, s, (size_t)at);
	return v;
}

static int64_t place_of(struct job *j, const struct sequence *s, struct value v)
{
	for (size_t i = 0; i < s->count; i++) {
		job_step(j, 1);
		if (values_equal(j, sequence_at(s, i), v))
			return (int64_t)i;
	}
	return -1;
}

METHOD(list_remove)
{
	const int64_t at = place_of(j, self.sequence, a[0]);

	(void)all;
	if (at < 0)
		job_fail(j, -EINVAL, "list.remove(x): x not in list");
	remove_at(j, self.sequence, (size_t)at);
	return NONE;
}

METHOD(list_index)
{
	const int64_t at = place_of(j, self.sequence, a[0]);

	(void)all;
	if (at < 0)
		job_fail(j, -EINVAL, "the value is not in the list");
	return integer(at);
}

METHOD(list_count)
{
	int64_t n = 0;

	(void)all;
	for (size_t i = 0; i < self.sequence->count; i++) {
		job_step(j, 1);
		n += values_equal(j, sequence_at(self.sequence, i), a[0]);
	}
	return integer(n);
}

METHOD(list_reverse)
{
	struct sequence *s = self.sequence;

	(void)a, (void)all;
	job_step(j, s->count / 4);
	for (size_t i = 0; i < s->count / 2; i++) {
		const struct value v = s->items[i];

		s->items[i] = s->items[s->count - 1 - i];
		s->items[s->count - 1 - i] = v;
	}
	return NONE;
}

METHOD(list_sort)
{
	struct sequence *s = self.sequence, *keys = to_sequence(j, self, FLAVOUR_LIST);

	(void)all;
	sort_values(j, s->items, keys->items, s->count, flag_or(a[0], false));
	return NONE;
}

METHOD(list_copy)
{
	(void)a, (void)all;
	return sequence_value(to_sequence(j, self, FLAVOUR_LIST));
}

METHOD(list_clear)
{
	(void)j, (void)a, (void)all;
	self.sequence->count = 0;
	return NONE;
}

METHOD(dict_get_method)
{
	const struct value *v = dict_get(j, self.dict, a[0]);

	(void)all;
	return v ? *v : is_given(a[1]) ? a[1] : NONE;
}

METHOD(dict_items)
{
	(void)a, (void)all;
	return dict_view(j, self.dict, FLAVOUR_ITEMS);
}

METHOD(dict_keys)
{
	(void)a, (void)all;
	return dict_view(j, self.dict, FLAVOUR_KEYS);
}

METHOD(dict_values)
{
	(void)a, (void)all;
	return dict_view(j, self.dict, FLAVOUR_VALUES);
}

METHOD(dict_pop)
{
	const struct value *found = dict_get(j, self.dict, a[0]);
	struct value v;

	(void)all;
	if (!found && !is_given(a[1]))
		job_fail(j, -EINVAL, "pop(): the key isn't in the mapping");
	if (!found)
		return a[1];
	v = *found;
	dict_remove(j, self.dict, found);
	return v;
}

METHOD(dict_popitem)
{
	struct sequence *pair = new_sequence(j, FLAVOUR_TUPLE, 2);
	struct entry *last;

	(void)a, (void)all;
	if (!self.dict->count)
		job_fail(j, -EINVAL, "popitem(): dictionary is empty");
	last = &self.dict->entries[self.dict->count - 1];
	sequence_add(j, pair, last->key);
	sequence_add(j, pair, last->value);
	dict_remove(j, self.dict, &last->value);
	return sequence_value(pair);
}

METHOD(dict_setdefault)
{
	const struct value *found = dict_get(j, self.dict, a[0]);
	const struct value v = found ? *found : is_given(a[1]) ? a[1] : NONE;

	(void)all;
	if (!found)
		dict_set(j, self.dict, a[0], v);
	return v;
}

METHOD(dict_copy)
{
	struct dict *d = new_dict(j);

	(void)a, (void)all;
	for (size_t i = 0; i < self.dict->count; i++) {
		job_step(j, 1);
		dict_set(j, d, self.dict->entries[i].key, self.dict->entries[i].value);
	}
	return dict_value(d);
}

METHOD(dict_clear)
{
	(void)j, (void)a, (void)all;
	*self.dict = (struct dict){ 0 };
	return NONE;
}

/* From a mapping or from pairs, then from keywords. */
static void update(struct job *j, struct dict *d, const struct arguments *all)
{
	struct iteration i;
	struct value v;

	if (all->count > 1)
		job_fail(j, -EINVAL, "update takes at most one argument");
	if (all->count && all->values[0].kind == VALUE_DICT) {
		const struct dict *from = all->values[0].dict;

		for (size_t e = 0; e < from->count; e++) {
			job_step(j, 1);
			dict_set(j, d, from->entries[e].key, from->entries[e].value);
		}
	} else if (all->count) {
		i = iterate(j, all->values[0]);
		while (iterate_next(j, &i, &v)) {
			const struct sequence *pair = to_sequence(j, v, FLAVOUR_TUPLE);

			if (pair->count != 2)
				job_fail(j, -EINVAL,
					 "a mapping is made of pairs, not of %zu values",
					 pair->count);
			dict_set(j, d, pair->items[0], pair->items[1]);
		}
	}
	for (size_t k = 0; k < all->keyword_count; k++)
		dict_set(j, d, text_value(all->keywords[k].name), all->keywords[k].value);
}

METHOD(dict_update)
{
	(void)a;
	update(j, self.dict, all);
	return NONE;
}

METHOD(cycler_next)
{
	struct cycler *c = self.cycler;
	const struct value v = c->items[c->next];

	(void)j, (void)a, (void)all;
	c->next = (c->next + 1) % c->count;
	return v;
}

METHOD(cycler_reset)
{
	(void)j, (void)a, (void)all;
	self.cycler->next = 0;
	return NONE;
}

METHOD(function_dict)
{
	struct dict *d = new_dict(j);

	(void)self, (void)a;
	update(j, d, all);
	return dict_value(d);
}

METHOD(function_namespace)
{
	struct value v = function_dict(j, self, a, all);

	v.kind = VALUE_NAMESPACE;
	return v;
}

const struct builtin function_of_dict = { "dict", NULL, 0, function_dict };
const struct builtin function_of_namespace = { "namespace", NULL, 0, function_namespace };

static const struct builtin list_table[] = {
	{ "append", "object", 1, list_append },
	{ "extend", "iterable", 1, list_extend },
	{ "insert", "index object", 2, list_insert },
	{ "pop", "index", 0, list_pop },
	{ "remove", "value", 1, list_remove },
	{ "reverse", "", 0, list_reverse },
	{ "sort", "reverse", 0, list_sort },
	{ "copy", "", 0, list_copy },
	{ "clear", "", 0, list_clear },
	/* of tuples and ranges, too */
	{ "index", "value", 1, list_index },
	{ "count", "value", 1, list_count },
};

static const struct builtin dict_table[] = {
	{ "get", "key default", 1, dict_get_method },
	{ "items", "", 0, dict_items },
	{ "keys", "", 0, dict_keys },
	{ "values", "", 0, dict_values },
	{ "pop", "key default", 1, dict_pop },
	{ "popitem", "", 0, dict_popitem },
	{ "setdefault", "key default", 1, dict_setdefault },
	{ "update", NULL, 0, dict_update },
	{ "copy", "", 0, dict_copy },
	{ "clear", "", 0, dict_clear },
};

static const struct builtin cycler_table[] = {
	{ "next", "", 0, cycler_next },
	{ "reset", "", 0, cycler_reset },
};

const struct builtin *find_method(struct value of, const char *name, size_t bytes)
{
	const struct builtins lists = { list_table, ARRAY_SIZE(list_table) };
	const struct builtins tuples = { list_table + ARRAY_SIZE(list_table) - 2, 2 };
	const struct builtins dicts = { dict_table, ARRAY_SIZE(dict_table) };
	const struct builtins cyclers = { cycler_table, ARRAY_SIZE(cycler_table) };

	switch (of.kind) {
	case VALUE_TEXT:
		return find_builtin_in(&text_methods, name, bytes);
	case VALUE_DICT:
		return find_builtin_in(&dicts, name, bytes);
	case VALUE_CYCLER:
		return find_builtin_in(&cyclers, name, bytes);
	case VALUE_SEQUENCE:
		if (of.sequence->flavour == FLAVOUR_LIST)
			return find_builtin_in(&lists, name, bytes);
		if (is_tuple(of) || of.sequence->flavour == FLAVOUR_RANGE)
			return find_builtin_in(&tuples, name, bytes);
		return NULL;
	default:
		return NULL;
	}
}
