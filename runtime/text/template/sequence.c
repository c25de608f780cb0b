// SPDX-License-Identifier: MIT
/* Lists, tuples, ranges and iterators: elements, slices, sorting. */
#include "text/template/text.h"

struct sequence *new_sequence(struct job *j, enum flavour flavour, size_t room)
{
	struct sequence *s = job_alloc(j, sizeof(*s));

	*s = (struct sequence){ .flavour = flavour, .room = room };
	s->items = room ? job_alloc(j, room * sizeof(*s->items)) : NULL;
	return s;
}

struct value sequence_value(struct sequence *s)
{
	return (struct value){ .kind = VALUE_SEQUENCE, .sequence = s };
}

void sequence_add(struct job *j, struct sequence *s, struct value v)
{
	if (s->count == s->room) {
		const size_t room = 2 * s->room + 4;

		s->items = job_grow(j, s->items, s->count * sizeof(*s->items),
				    room * sizeof(*s->items));
		s->room = room;
	}
	s->items[s->count++] = v;
}

struct value sequence_at(const struct sequence *s, size_t i)
{
	return s->flavour == FLAVOUR_RANGE ? integer(s->start + (int64_t)i * s->step) : s->items[i];
}

struct iteration iterate(struct job *j, struct value v)
{
	if (v.kind != VALUE_TEXT && v.kind != VALUE_SEQUENCE && v.kind != VALUE_DICT &&
	    v.kind != VALUE_UNDEFINED)
		job_fail(j, -EINVAL, "'%s' object is not iterable", type_name(v));
	return (struct iteration){ .of = v,
				   .dict_count = v.kind == VALUE_DICT ? v.dict->count : 0 };
}

bool iterate_next(struct job *j, struct iteration *i, struct value *item)
{
	struct sequence *s = i->of.sequence;
	const struct text *t = i->of.text;

	switch (i->of.kind) {
	case VALUE_TEXT:
		if (i->at >= t->bytes)
			return false;
		*item = text_character(j, t, i->at);
		i->at += item->text->bytes;
		break;
	case VALUE_DICT:
		if (i->of.dict->count != i->dict_count)
			job_fail(j, -EINVAL, "dictionary changed size during iteration");
		if (i->at >= i->of.dict->count)
			return false;
		*item = i->of.dict->entries[i->at++].key;
		break;
	case VALUE_SEQUENCE:
		if (s->flavour == FLAVOUR_ITERATOR) {
			if (s->next >= s->count)
				return false;
			*item = s->items[s->next++];
			break;
		}
		if (i->at >= s->count)
			return false;
		*item = sequence_at(s, i->at++);
		break;
	default:
		return false;
	}
	job_step(j, 1);
	return true;
}

struct sequence *to_sequence(struct job *j, struct value v, enum flavour flavour)
{
	struct sequence *s = new_sequence(j, flavour, 0);
	struct iteration i = iterate(j, v);
	struct value item;

	while (iterate_next(j, &i, &item))
		sequence_add(j, s, item);
	return s;
}

struct sorting {
	struct job *j;
	struct value *items, *keys, *other_items, *other_keys;
	bool reverse;
};

/* Merges [begin, middle) and [middle, end); equals stay in their order, reversed or not. */
static void merge(const struct sorting *s, size_t begin, size_t middle, size_t end)
{
	size_t a = begin, b = middle;

	for (size_t i = begin; i < end; i++) {
		bool second = a == middle;

		if (a < middle && b < end) {
			const int order =
				s->reverse ? values_compare(s->j, s->keys[a], s->keys[b], "<")
					   : values_compare(s->j, s->keys[b], s->keys[a], "<");

			job_step(s->j, 1);
			second = order == -1;
		}
		const size_t from = second ? b++ : a++;

		s->other_items[i] = s->items[from];
		s->other_keys[i] = s->keys[from];
	}
	memcpy(s->items + begin, s->other_items + begin, (end - begin) * sizeof(*s->items));
	memcpy(s->keys + begin, s->other_keys + begin, (end - begin) * sizeof(*s->keys));
}

void sort_values(struct job *j, struct value *items, struct value *keys, size_t count, bool reverse)
{
	const size_t bytes = count * sizeof(*items);
	const struct sorting s = { .j = j,
				   .items = items,
				   .keys = keys,
				   .other_items = job_alloc(j, bytes),
				   .other_keys = job_alloc(j, bytes),
				   .reverse = reverse };

	for (size_t n = 1; n < count; n *= 2)
		for (size_t begin = 0; begin + n < count; begin += 2 * n)
			merge(&s, begin, begin + n, MIN(begin + 2 * n, count));
}

/* Python's rules for the ends of a slice: [*start, *stop) in steps, from behind when negative. */
static void slice_bounds(struct job *j, int64_t length, int64_t step, struct value from,
			 struct value to, int64_t *start, int64_t *stop)
{
	const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
	const struct value ends[2] = { from, to };
	int64_t out[2] = { step < 0 ? high : low, step < 0 ? low : high };

	for (int i = 0; i < 2; i++) {
		if (ends[i].kind == VALUE_NONE || ends[i].kind == VALUE_ABSENT)
			continue;
		out[i] = to_integer(j, ends[i], "a slice index");
		if (out[i] < 0)
			out[i] = MAX(out[i] + length, low);
		else
			out[i] = MIN(out[i], high);
	}
	*start = out[0];
	*stop = out[1];
}

static struct value slice_text(struct job *j, const struct text *t, int64_t start, int64_t step,
			       size_t count)
{
	struct output o = { 0 };

	if (step == 1) {
		const size_t begin = byte_of(t, (size_t)start);

		if (t->bytes == t->characters)
			return text_value(text_part(j, t, begin, begin + count));
		const size_t end = byte_of(t, (size_t)start + count);

		job_work(j, end);
		return text_value(text_part(j, t, begin, end));
	}
	size_t *places = job_alloc(j, (t->characters + 1) * sizeof(*places));

	for (size_t at = 0, n = 0; at < t->bytes; at++)
		if (((uint8_t)t->data[at] & 0xc0) != 0x80)
			places[n++] = at;
	places[t->characters] = t->bytes;
	job_work(j, 4 * t->bytes);
	for (size_t i = 0; i < count; i++, start += step)
		put_part(j, &o, t, places[start], places[start + 1]);
	return text_value(safe_like(j, output_text(j, &o), t));
}

struct value slice_value(struct job *j, struct value v, struct value from, struct value to,
			 struct value by)
{
	const int64_t step = by.kind == VALUE_NONE || by.kind == VALUE_ABSENT
				     ? 1
				     : to_integer(j, by, "a slice's step");
	int64_t start, stop;
	size_t count = 0;

	if (v.kind != VALUE_TEXT &&
	    (v.kind != VALUE_SEQUENCE ||
	     (v.sequence->flavour >= FLAVOUR_ITERATOR && v.sequence->flavour <= FLAVOUR_ITEMS))) {
		need_defined(j, v);
		job_fail(j, -EINVAL, "a slice of '%s' can't be taken", type_name(v));
	}
	if (!step)
		job_fail(j, -EINVAL, "slice step cannot be zero");
	slice_bounds(j, (int64_t)value_length(j, v), step, from, to, &start, &stop);
	if (step > 0 && start < stop)
		count = ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
	else if (step < 0 && start > stop)
		count = ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
	if (!count && v.kind == VALUE_TEXT)
		return constant_value(j, "");
	if (v.kind == VALUE_TEXT)
		return slice_text(j, v.text, start, count == 1 ? 1 : step, count);
	if (is_flavour(v, FLAVOUR_RANGE)) {
		struct sequence *r = new_sequence(j, FLAVOUR_RANGE, 0);

		r->count = count;
		r->start = count ? sequence_at(v.sequence, (size_t)start).integer : 0;
		r->step = count > 1 ? step * v.sequence->step : 1;
		return sequence_value(r);
	}
	struct sequence *s = new_sequence(j, is_tuple(v) ? FLAVOUR_TUPLE : FLAVOUR_LIST, count);

	job_work(j, 16 * count);
	for (size_t i = 0; i < count; i++)
		s->items[s->count++] =
			v.sequence->items[(uint64_t)start + (uint64_t)i * (uint64_t)step];
	return sequence_value(s);
}
