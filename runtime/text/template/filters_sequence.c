// SPDX-License-Identifier: MIT
/* Filters over lists and mappings. */
#include "text/template/builtins.h"

#define FILTER(name)                                                                      \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)

struct value without_case(struct job *j, struct value v)
{
	return v.kind == VALUE_TEXT ? text_value(text_lower(j, v.text)) : v;
}

static struct value sort_key(struct job *j, struct value v, struct value path, bool case_sensitive)
{
	v = attribute_path(j, v, path);
	return case_sensitive ? v : without_case(j, v);
}

/* "a,b.c" is several keys. */
static struct value sort_keys(struct job *j, struct value v, struct value path, bool case_sensitive)
{
	struct sequence *keys = new_sequence(j, FLAVOUR_LIST, 0);

	if (path.kind != VALUE_TEXT) {
		sequence_add(j, keys, sort_key(j, v, path, case_sensitive));
		return sequence_value(keys);
	}
	for (size_t at = 0; at <= path.text->bytes;) {
		const char *comma = memchr(path.text->data + at, ',', path.text->bytes - at);
		const size_t end = comma ? (size_t)(comma - path.text->data) : path.text->bytes;

		sequence_add(j, keys,
			     sort_key(j, v, text_value(text_part(j, path.text, at, end)),
				      case_sensitive));
		at = end + 1;
	}
	return sequence_value(keys);
}

FILTER(filter_sort)
{
	struct sequence *s = to_sequence(j, self, FLAVOUR_LIST);
	struct value *keys = job_alloc(j, s->count * sizeof(*keys));

	(void)all;
	for (size_t i = 0; i < s->count; i++)
		keys[i] = sort_keys(j, s->items[i], a[2], flag_or(a[1], false));
	sort_values(j, s->items, keys, s->count, flag_or(a[0], false));
	return sequence_value(s);
}

FILTER(filter_dictsort)
{
	const bool by_value = is_given(a[1]) && text_is(need_text(j, a[1], "by"), "value");
	struct value *keys;
	struct sequence *s;

	(void)all;
	if (self.kind != VALUE_DICT)
		job_fail(j, -EINVAL, "dictsort takes a mapping, not '%s'", type_name(self));
	if (is_given(a[1]) && !by_value && !text_is(a[1].text, "key"))
		job_fail(j, -EINVAL, "You can only sort by either \"key\" or \"value\"");
	s = dict_view(j, self.dict, FLAVOUR_ITEMS).sequence;
	s->flavour = FLAVOUR_LIST;
	keys = job_alloc(j, s->count * sizeof(*keys));
	for (size_t i = 0; i < s->count; i++)
		keys[i] = sort_key(j, s->items[i].sequence->items[by_value], ABSENT,
				   flag_or(a[0], false));
	sort_values(j, s->items, keys, s->count, flag_or(a[2], false));
	return sequence_value(s);
}

FILTER(filter_unique)
{
	struct sequence *s = new_sequence(j, FLAVOUR_ITERATOR, 0);
	struct iteration i = iterate(j, self);
	struct dict *seen = new_dict(j);
	struct value v;

	(void)all;
	while (iterate_next(j, &i, &v)) {
		const struct value key = sort_key(j, v, a[1], flag_or(a[0], false));

		if (dict_get(j, seen, key))
			continue;
		dict_set(j, seen, key, NONE);
		sequence_add(j, s, v);
	}
	return sequence_value(s);
}

static struct value extreme(struct job *j, struct value self, const struct value *a, int sign)
{
	struct iteration i = iterate(j, self);
	struct value v, best = ABSENT, best_key = ABSENT;

	while (iterate_next(j, &i, &v)) {
		const struct value key = sort_key(j, v, a[1], flag_or(a[0], false));

		if (is_given(best) && (sign < 0 ? values_compare(j, key, best_key, "<") != -1
						: values_compare(j, key, best_key, ">") != 1))
			continue;
		best = v;
		best_key = key;
	}
	return is_given(best) ? best : undefined(NULL);
}

FILTER(filter_min)
{
	(void)all;
	return extreme(j, self, a, -1);
}

FILTER(filter_max)
{
	(void)all;
	return extreme(j, self, a, 1);
}

FILTER(filter_first)
{
	struct iteration i = iterate(j, self);
	struct value v;

	(void)a, (void)all;
	return iterate_next(j, &i, &v) ? v : undefined(NULL);
}

FILTER(filter_last)
{
	struct sequence *s;

	(void)a, (void)all;
	if (is_flavour(self, FLAVOUR_ITERATOR))
		job_fail(j, -EINVAL, "'generator' object is not reversible");
	s = to_sequence(j, self, FLAVOUR_LIST);
	return s->count ? s->items[s->count - 1] : undefined(NULL);
}

FILTER(filter_list)
{
	(void)a, (void)all;
	return sequence_value(to_sequence(j, self, FLAVOUR_LIST));
}

FILTER(filter_reverse)
{
	const struct value none = NONE;
	struct sequence *s, *r;

	(void)a, (void)all;
	if (self.kind == VALUE_TEXT)
		return slice_value(j, self, none, none, integer(-1));
	s = to_sequence(j, self, FLAVOUR_LIST);
	r = new_sequence(j, FLAVOUR_ITERATOR, s->count);
	for (size_t i = s->count; i--;)
		r->items[r->count++] = s->items[i];
	return sequence_value(r);
}

FILTER(filter_items)
{
	(void)a, (void)all;
	if (self.kind == VALUE_UNDEFINED)
		return sequence_value(new_sequence(j, FLAVOUR_ITERATOR, 0));
	if (self.kind != VALUE_DICT)
		job_fail(j, -EINVAL, "Can only get item pairs from a mapping.");
	self = dict_view(j, self.dict, FLAVOUR_ITEMS);
	self.sequence->flavour = FLAVOUR_ITERATOR;
	return self;
}

FILTER(filter_join)
{
	const struct text *between = is_given(a[0]) ? to_text(j, a[0]) : constant(j, "");
	struct iteration i = iterate(j, self);
	struct output o = { 0 };
	struct value v;

	(void)all;
	for (bool first = true; iterate_next(j, &i, &v); first = false) {
		if (!first)
			put_text(j, &o, between);
		if (is_given(a[1]))
			v = attribute_path(j, v, a[1]);
		print_value(j, &o, v);
	}
	return text_value(output_text(j, &o));
}

FILTER(filter_sum)
{
	struct iteration i = iterate(j, self);
	struct value v, sum = is_given(a[1]) ? a[1] : integer(0);

	(void)all;
	if (sum.kind == VALUE_TEXT)
		job_fail(j, -EINVAL, "sum() can't sum strings [use ''.join(seq) instead]");
	while (iterate_next(j, &i, &v))
		sum = arithmetic(j, OPERATOR_ADD, sum, attribute_path(j, v, a[0]));
	return sum;
}

FILTER(filter_batch)
{
	const int64_t count = to_integer(j, a[0], "linecount");
	struct sequence *s = new_sequence(j, FLAVOUR_ITERATOR, 0), *batch = NULL;
	struct iteration i = iterate(j, self);
	struct value v;

	(void)all;
	while (iterate_next(j, &i, &v)) {
		if (!batch || (int64_t)batch->count == count) {
			batch = new_sequence(j, FLAVOUR_LIST, 0);
			sequence_add(j, s, sequence_value(batch));
		}
		sequence_add(j, batch, v);
	}
	if (batch && is_given(a[1]) && a[1].kind != VALUE_NONE)
		while ((int64_t)batch->count < count) {
			job_step(j, 1);
			sequence_add(j, batch, a[1]);
		}
	return sequence_value(s);
}

FILTER(filter_slice)
{
	const int64_t slices = to_integer(j, a[0], "slices");
	struct sequence *all_items = to_sequence(j, self, FLAVOUR_LIST), *s;
	size_t at = 0;

	(void)all;
	if (!slices)
		job_fail(j, -EINVAL, "division by zero");
	s = new_sequence(j, FLAVOUR_ITERATOR, 0);
	for (int64_t n = 0; n < slices; n++) {
		const size_t extra = (size_t)((int64_t)all_items->count % slices);
		size_t count = all_items->count / (size_t)slices + ((size_t)n < extra);
		struct sequence *part = new_sequence(j, FLAVOUR_LIST, 0);

		job_step(j, 1);
		while (count--)
			sequence_add(j, part, all_items->items[at++]);
		if (is_given(a[1]) && a[1].kind != VALUE_NONE && (size_t)n >= extra)
			sequence_add(j, part, a[1]);
		sequence_add(j, s, sequence_value(part));
	}
	return sequence_value(s);
}

static struct value path_or(struct job *j, struct value v, struct value path, struct value fallback)
{
	v = attribute_path(j, v, path);
	return v.kind == VALUE_UNDEFINED && is_given(fallback) && fallback.kind != VALUE_NONE
		       ? fallback
		       : v;
}

FILTER(filter_groupby)
{
	struct sequence *s = to_sequence(j, self, FLAVOUR_LIST);
	struct sequence *groups = new_sequence(j, FLAVOUR_LIST, 0), *group = NULL;
	struct value *keys = job_alloc(j, s->count * sizeof(*keys));
	const bool case_sensitive = flag_or(a[2], false);

	(void)all;
	for (size_t i = 0; i < s->count; i++) {
		keys[i] = path_or(j, s->items[i], a[0], a[1]);
		if (!case_sensitive)
			keys[i] = without_case(j, keys[i]);
	}
	sort_values(j, s->items, keys, s->count, false);
	for (size_t i = 0; i < s->count; i++) {
		if (!group || !values_equal(j, keys[i - 1], keys[i])) {
			struct sequence *pair = new_sequence(j, FLAVOUR_GROUP, 2);

			group = new_sequence(j, FLAVOUR_LIST, 0);
			sequence_add(j, pair, path_or(j, s->items[i], a[0], a[1]));
			sequence_add(j, pair, sequence_value(group));
			sequence_add(j, groups, sequence_value(pair));
		}
		sequence_add(j, group, s->items[i]);
	}
	return sequence_value(groups);
}

/* The filter or test that is named by the argument @at, with what follows as its arguments. */
static const struct builtin *named(struct job *j, const struct arguments *all, size_t at,
				   bool filter, struct arguments *rest)
{
	const struct text *name = need_text(j, all->values[at], "the name of a filter or test");
	const struct builtin *b = filter ? find_filter(name->data, name->bytes)
					 : find_test(name->data, name->bytes);

	if (!b)
		job_fail(j, -EINVAL, "there is no %s '%.*s'", filter ? "filter" : "test",
			 (int)MIN(name->bytes, 60u), name->data);
	*rest = *all;
	rest->values += at + 1;
	rest->count -= at + 1;
	return b;
}

FILTER(filter_map)
{
	struct sequence *s = new_sequence(j, FLAVOUR_ITERATOR, 0);
	struct value v, path = ABSENT, fallback = ABSENT;
	const struct builtin *filter = NULL;
	struct arguments rest;
	struct iteration i;

	(void)a;
	if (!truth(self))
		return sequence_value(s);
	for (size_t k = 0; !all->count && k < all->keyword_count; k++) {
		if (text_is(all->keywords[k].name, "attribute"))
			path = all->keywords[k].value;
		else if (text_is(all->keywords[k].name, "default"))
			fallback = all->keywords[k].value;
		else
			job_fail(j, -EINVAL, "map has no argument '%.*s'",
				 (int)MIN(all->keywords[k].name->bytes, 60u),
				 all->keywords[k].name->data);
	}
	if (all->count)
		filter = named(j, all, 0, true, &rest);
	else if (!is_given(path))
		job_fail(j, -EINVAL, "map requires a filter argument");
	i = iterate(j, self);
	while (iterate_next(j, &i, &v))
		sequence_add(j, s,
			     filter ? call_builtin(j, filter, v, &rest)
				    : path_or(j, v, path, fallback));
	return sequence_value(s);
}

static struct value choose(struct job *j, struct value self, const struct arguments *all,
			   bool by_attribute, bool wanted)
{
	struct sequence *s = new_sequence(j, FLAVOUR_ITERATOR, 0);
	const struct builtin *test = NULL;
	struct arguments rest;
	struct iteration i;
	struct value v;

	if (!truth(self))
		return sequence_value(s);
	if (by_attribute && !all->count)
		job_fail(j, -EINVAL, "Missing parameter for attribute name");
	if (all->count > by_attribute)
		test = named(j, all, by_attribute, false, &rest);
	i = iterate(j, self);
	while (iterate_next(j, &i, &v)) {
		const struct value of = by_attribute ? attribute_path(j, v, all->values[0]) : v;

		if (truth(test ? call_builtin(j, test, of, &rest) : of) == wanted)
			sequence_add(j, s, v);
	}
	return sequence_value(s);
}

FILTER(filter_select)
{
	(void)a;
	return choose(j, self, all, false, true);
}

FILTER(filter_reject)
{
	(void)a;
	return choose(j, self, all, false, false);
}

FILTER(filter_selectattr)
{
	(void)a;
	return choose(j, self, all, true, true);
}

FILTER(filter_rejectattr)
{
	(void)a;
	return choose(j, self, all, true, false);
}

static const struct builtin filters[] = {
	{ "batch", "linecount fill_with", 1, filter_batch },
	{ "dictsort", "case_sensitive by reverse", 0, filter_dictsort },
	{ "first", "", 0, filter_first },
	{ "groupby", "attribute default case_sensitive", 1, filter_groupby },
	{ "items", "", 0, filter_items },
	{ "join", "d attribute", 0, filter_join },
	{ "last", "", 0, filter_last },
	{ "list", "", 0, filter_list },
	{ "map", NULL, 0, filter_map },
	{ "max", "case_sensitive attribute", 0, filter_max },
	{ "min", "case_sensitive attribute", 0, filter_min },
	{ "reject", NULL, 0, filter_reject },
	{ "rejectattr", NULL, 0, filter_rejectattr },
	{ "reverse", "", 0, filter_reverse },
	{ "select", NULL, 0, filter_select },
	{ "selectattr", NULL, 0, filter_selectattr },
	{ "slice", "slices fill_with", 1, filter_slice },
	{ "sort", "reverse case_sensitive attribute", 0, filter_sort },
	{ "sum", "attribute start", 0, filter_sum },
	{ "unique", "case_sensitive attribute", 0, filter_unique },
};

const struct builtins sequence_filters = { filters, ARRAY_SIZE(filters) };
