// SPDX-License-Identifier: MIT
/* Dictionaries that keep the order in which keys came. */
#include "text/template/text.h"

enum { SMALL = 8 }; /* up to here keys are looked through */

struct dict *new_dict(struct job *j)
{
	struct dict *d = job_alloc(j, sizeof(*d));

	*d = (struct dict){ 0 };
	return d;
}

struct value dict_value(struct dict *d)
{
	return (struct value){ .kind = VALUE_DICT, .dict = d };
}

static void rebuild(struct job *j, struct dict *d)
{
	size_t places = 4 * SMALL;

	d->index = NULL;
	if (d->count <= SMALL)
		return;
	while (places < 3 * d->room)
		places *= 2;
	d->index = job_alloc(j, places * sizeof(*d->index));
	memset(d->index, 0, places * sizeof(*d->index));
	d->mask = places - 1;
	for (size_t i = 0; i < d->count; i++) {
		size_t at = d->entries[i].hash & d->mask;

		while (d->index[at])
			at = (at + 1) & d->mask;
		d->index[at] = (uint32_t)i + 1;
	}
}

static struct entry *find(struct job *j, const struct dict *d, struct value key, uint64_t hash)
{
	size_t places = 0;

	if (!d->index) {
		for (size_t i = 0; i < d->count; i++)
			if (d->entries[i].hash == hash && values_equal(j, d->entries[i].key, key))
				return &d->entries[i];
		return NULL;
	}
	for (size_t at = hash & d->mask; d->index[at]; at = (at + 1) & d->mask) {
		struct entry *e = &d->entries[d->index[at] - 1];

		if (++places % 16 == 0)
			job_step(j, 1);
		if (e->hash == hash && values_equal(j, e->key, key))
			return e;
	}
	return NULL;
}

struct value *dict_get(struct job *j, const struct dict *d, struct value key)
{
	struct entry *e = find(j, d, key, value_hash(j, key));

	return e ? &e->value : NULL;
}

void dict_set(struct job *j, struct dict *d, struct value key, struct value value)
{
	const uint64_t hash = value_hash(j, key);
	struct entry *e = find(j, d, key, hash);

	if (e) {
		e->value = value;
		return;
	}
	if (d->count == d->room) {
		const size_t room = 2 * d->room + 4;

		d->entries = job_grow(j, d->entries, d->count * sizeof(*d->entries),
				      room * sizeof(*d->entries));
		d->room = room;
		d->index = NULL;
	}
	d->entries[d->count++] = (struct entry){ .key = key, .value = value, .hash = hash };
	if (!d->index) {
		rebuild(j, d);
	} else {
		size_t at = hash & d->mask;

		while (d->index[at])
			at = (at + 1) & d->mask;
		d->index[at] = (uint32_t)d->count;
	}
}

void dict_remove(struct job *j, struct dict *d, const struct value *value)
{
	struct entry *e = (struct entry *)((char *)value - offsetof(struct entry, value));
	const size_t i = (size_t)(e - d->entries);

	job_step(j, d->count / 4 + 1);
	memmove(e, e + 1, (d->count - i - 1) * sizeof(*e));
	d->count--;
	rebuild(j, d);
}

struct value dict_view(struct job *j, struct dict *d, enum flavour flavour)
{
	struct sequence *s = new_sequence(j, flavour, d->count);

	job_step(j, d->count / 8);
	for (size_t i = 0; i < d->count; i++) {
		const struct entry *e = &d->entries[i];

		if (flavour == FLAVOUR_ITEMS) {
			struct sequence *pair = new_sequence(j, FLAVOUR_TUPLE, 2);

			pair->items[0] = e->key;
			pair->items[1] = e->value;
			pair->count = 2;
			s->items[s->count++] = sequence_value(pair);
		} else {
			s->items[s->count++] = flavour == FLAVOUR_KEYS ? e->key : e->value;
		}
	}
	return sequence_value(s);
}
