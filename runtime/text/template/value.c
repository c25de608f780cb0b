// SPDX-License-Identifier: MIT
/* What any value can be asked: its type, truth, equality, order, hash, length. */
#include "text/template/text.h"

#include <math.h>
#include <sys/random.h>
#include <time.h>

const char *type_name(struct value v)
{
	static const char *const names[] = {
		[VALUE_ABSENT] = "nothing",   [VALUE_UNDEFINED] = "Undefined",
		[VALUE_NONE] = "NoneType",    [VALUE_BOOL] = "bool",
		[VALUE_INT] = "int",	      [VALUE_FLOAT] = "float",
		[VALUE_TEXT] = "str",	      [VALUE_SEQUENCE] = "list",
		[VALUE_DICT] = "dict",	      [VALUE_NAMESPACE] = "Namespace",
		[VALUE_BUILTIN] = "function", [VALUE_METHOD] = "method",
		[VALUE_MACRO] = "Macro",      [VALUE_LOOP] = "LoopContext",
		[VALUE_CYCLER] = "Cycler",    [VALUE_JOINER] = "Joiner",
	};
	static const char *const sequences[] = {
		[FLAVOUR_LIST] = "list",	  [FLAVOUR_TUPLE] = "tuple",
		[FLAVOUR_ITERATOR] = "generator", [FLAVOUR_KEYS] = "dict_keys",
		[FLAVOUR_VALUES] = "dict_values", [FLAVOUR_ITEMS] = "dict_items",
		[FLAVOUR_RANGE] = "range",	  [FLAVOUR_GROUP] = "tuple",
	};

	return v.kind == VALUE_SEQUENCE ? sequences[v.sequence->flavour] : names[v.kind];
}

void need_defined(struct job *j, struct value v)
{
	const struct value owner = { .kind = v.owner };

	if (v.kind != VALUE_UNDEFINED)
		return;
	if (!v.missing)
		job_fail(j, -EINVAL, "the value is undefined");
	if (v.owner)
		job_fail(j, -EINVAL, "'%s object' has no attribute '%.80s'",
			 v.owner == VALUE_SEQUENCE ? "list" : type_name(owner), v.missing);
	job_fail(j, -EINVAL, "'%.80s' is undefined", v.missing);
}

bool truth(struct value v)
{
	switch (v.kind) {
	case VALUE_ABSENT:
	case VALUE_UNDEFINED:
	case VALUE_NONE:
		return false;
	case VALUE_BOOL:
		return v.truth;
	case VALUE_INT:
		return v.integer != 0;
	case VALUE_FLOAT:
		return v.real != 0;
	case VALUE_TEXT:
		return v.text->bytes > 0;
	case VALUE_SEQUENCE:
		return v.sequence->flavour == FLAVOUR_ITERATOR || v.sequence->count > 0;
	case VALUE_DICT:
		return v.dict->count > 0;
	default:
		return true;
	}
}

static int64_t whole(struct value v)
{
	return v.kind == VALUE_BOOL ? v.truth : v.integer;
}

/* -1, 0, 1; 2 where one isn't a number */
static int compare_numbers(struct value a, struct value b)
{
	if (a.kind != VALUE_FLOAT && b.kind != VALUE_FLOAT)
		return whole(a) < whole(b) ? -1 : whole(a) > whole(b);
	/* a long double holds each of both exactly */
	const long double x = a.kind == VALUE_FLOAT ? a.real : (long double)whole(a);
	const long double y = b.kind == VALUE_FLOAT ? b.real : (long double)whole(b);

	if (isnan(x) || isnan(y))
		return 2;
	return x < y ? -1 : x > y;
}

static bool sequences_equal(struct job *j, const struct sequence *a, const struct sequence *b)
{
	const enum flavour f = a->flavour == FLAVOUR_GROUP ? FLAVOUR_TUPLE : a->flavour;
	const enum flavour g = b->flavour == FLAVOUR_GROUP ? FLAVOUR_TUPLE : b->flavour;

	if (a == b)
		return true;
	if (f != g || f == FLAVOUR_ITERATOR || f == FLAVOUR_VALUES || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		job_step(j, 1);
		if (!values_equal(j, sequence_at(a, i), sequence_at(b, i)))
			return false;
	}
	return true;
}

static bool dicts_equal(struct job *j, const struct dict *a, const struct dict *b)
{
	if (a == b)
		return true;
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct value *other = dict_get(j, b, a->entries[i].key);

		job_step(j, 1);
		if (!other || !values_equal(j, a->entries[i].value, *other))
			return false;
	}
	return true;
}

bool values_equal(struct job *j, struct value a, struct value b)
{
	bool equal;

	if (is_number(a) && is_number(b))
		return compare_numbers(a, b) == 0;
	if (a.kind != b.kind)
		return false;
	switch (a.kind) {
	case VALUE_TEXT:
		job_work(j, MIN(a.text->bytes, b.text->bytes));
		return texts_equal(a.text, b.text);
	case VALUE_SEQUENCE:
		job_enter(j);
		equal = sequences_equal(j, a.sequence, b.sequence);
		job_leave(j);
		return equal;
	case VALUE_DICT:
		job_enter(j);
		equal = dicts_equal(j, a.dict, b.dict);
		job_leave(j);
		return equal;
	case VALUE_ABSENT:
	case VALUE_NONE:
	case VALUE_UNDEFINED:
		return true;
	case VALUE_METHOD:
		return a.bound->method == b.bound->method &&
		       values_equal(j, a.bound->self, b.bound->self);
	default:
		return a.dict == b.dict;
	}
}

static int compare_texts(const struct text *a, const struct text *b)
{
	const int order = memcmp(a->data, b->data, MIN(a->bytes, b->bytes));

	if (order)
		return order < 0 ? -1 : 1;
	return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

static int compare_sequences(struct job *j, const struct sequence *a, const struct sequence *b,
			     const char *operator)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		const struct value x = sequence_at(a, i), y = sequence_at(b, i);

		job_step(j, 1);
		if (!values_equal(j, x, y))
			return values_compare(j, x, y, operator);
	}
	return a->count < b->count ? -1 : a->count > b->count;
}

int values_compare(struct job *j, struct value a, struct value b, const char *operator)
{
	int order;

	need_defined(j, a);
	need_defined(j, b);
	if (is_number(a) && is_number(b))
		return compare_numbers(a, b);
	if (a.kind == VALUE_TEXT && b.kind == VALUE_TEXT) {
		job_work(j, MIN(a.text->bytes, b.text->bytes));
		return compare_texts(a.text, b.text);
	}
	if ((is_tuple(a) && is_tuple(b)) ||
	    (is_flavour(a, FLAVOUR_LIST) && is_flavour(b, FLAVOUR_LIST))) {
		job_enter(j);
		order = compare_sequences(j, a.sequence, b.sequence, operator);
		job_leave(j);
		return order;
	}
	job_fail(j, -EINVAL, "'%s' not supported between instances of '%s' and '%s'", operator,
		 type_name(a), type_name(b));
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 31;
	h *= 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static uint64_t salt(struct job *j)
{
	struct timespec now;

	if (j->salt)
		return j->salt;
	if (getrandom(&j->salt, sizeof(j->salt), GRND_NONBLOCK) != sizeof(j->salt)) {
		clock_gettime(CLOCK_REALTIME, &now);
		j->salt = mix((uint64_t)now.tv_nsec ^ mix((uintptr_t)j));
	}
	j->salt |= 1;
	return j->salt;
}

uint64_t value_hash(struct job *j, struct value v)
{
	uint64_t h = salt(j);
	double d;

	switch (v.kind) {
	case VALUE_TEXT:
		for (size_t i = 0; i < v.text->bytes; i++)
			h = (h ^ (uint8_t)v.text->data[i]) * 0x100000001b3u;
		job_work(j, v.text->bytes);
		return mix(h);
	case VALUE_BOOL:
	case VALUE_INT:
	case VALUE_FLOAT: /* equal numbers of all kinds have the same */
		d = to_real(v) + 0.0;
		memcpy(&h, &d, sizeof(h));
		return mix(h ^ salt(j));
	case VALUE_SEQUENCE:
		if (is_flavour(v, FLAVOUR_RANGE)) /* its numbers say it all */
			return mix(v.sequence->count
					   ? mix(v.sequence->count) ^ (uint64_t)v.sequence->start
					   : 1);
		if (!is_tuple(v))
			break;
		job_enter(j);
		for (size_t i = 0; i < v.sequence->count; i++) {
			job_step(j, 1);
			h = mix(h ^ value_hash(j, v.sequence->items[i]));
		}
		job_leave(j);
		return h;
	case VALUE_DICT:
	case VALUE_ABSENT:
		break;
	case VALUE_NONE:
	case VALUE_UNDEFINED:
		return mix(v.kind);
	default:
		return mix((uintptr_t)v.dict);
	}
	job_fail(j, -EINVAL, "unhashable type: '%s'", type_name(v));
}

bool contains(struct job *j, struct value container, struct value item)
{
	struct iteration i;
	struct value other;

	if (container.kind == VALUE_TEXT) {
		if (item.kind != VALUE_TEXT)
			job_fail(j, -EINVAL,
				 "'in <string>' requires string as left operand, not %s",
				 type_name(item));
		return text_find(j, container.text, item.text, 0, container.text->bytes) !=
		       SIZE_MAX;
	}
	if (container.kind == VALUE_DICT)
		return dict_get(j, container.dict, item);
	if (container.kind != VALUE_SEQUENCE && container.kind != VALUE_UNDEFINED)
		job_fail(j, -EINVAL, "argument of type '%s' is not iterable", type_name(container));
	i = iterate(j, container);
	while (iterate_next(j, &i, &other))
		if (values_equal(j, other, item))
			return true;
	return false;
}

size_t value_length(struct job *j, struct value v)
{
	switch (v.kind) {
	case VALUE_TEXT:
		return v.text->characters;
	case VALUE_DICT:
		return v.dict->count;
	case VALUE_UNDEFINED:
		return 0;
	case VALUE_SEQUENCE:
		if (v.sequence->flavour != FLAVOUR_ITERATOR)
			return v.sequence->count;
		break;
	default:
		break;
	}
	job_fail(j, -EINVAL, "object of type '%s' has no len()", type_name(v));
}
