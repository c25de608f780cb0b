// SPDX-License-Identifier: MIT
/* Texts and the marks that go with them: building, cutting, joining, searching. */
#include "text/template/text.h"

#include "text/vocabulary.h"

static size_t count_characters(const char *data, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n += ((uint8_t)data[i] & 0xc0) != 0x80;
	return n;
}

static void reserve(struct job *j, struct output *o, size_t bytes)
{
	if (bytes > MAX_OUTPUT - o->bytes)
		job_fail(j, -E2BIG, "a text grows beyond %d MiB", MAX_OUTPUT >> 20);
	if (o->bytes + bytes + 1 > o->room) {
		const size_t room = MAX(2 * o->room, o->bytes + bytes + 256);

		o->data = job_grow(j, o->data, o->bytes, room);
		o->room = room;
	}
}

static void mark(struct job *j, struct output *o, size_t begin, size_t end)
{
	if (begin == end)
		return;
	if (o->mark_count && o->marks[o->mark_count - 1].end >= begin) {
		o->marks[o->mark_count - 1].end = end;
		return;
	}
	if (o->mark_count == o->mark_room) {
		const size_t room = 2 * o->mark_room + 4;

		o->marks = job_grow(j, o->marks, o->mark_count * sizeof(*o->marks),
				    room * sizeof(*o->marks));
		o->mark_room = room;
	}
	o->marks[o->mark_count++] = (struct stoker_span){ begin, end };
}

void mark_from(struct job *j, struct output *o, size_t begin)
{
	while (o->mark_count && o->marks[o->mark_count - 1].begin >= begin)
		o->mark_count--;
	mark(j, o, begin, o->bytes);
}

void put(struct job *j, struct output *o, const char *data, size_t bytes)
{
	if (!bytes)
		return;
	reserve(j, o, bytes);
	memcpy(o->data + o->bytes, data, bytes);
	o->bytes += bytes;
}

void put_string(struct job *j, struct output *o, const char *data)
{
	put(j, o, data, strlen(data));
}

/* The first mark that ends behind byte @at. */
static size_t mark_behind(const struct text *t, size_t at)
{
	size_t low = 0, high = t->mark_count;

	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (t->marks[middle].end > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void put_part(struct job *j, struct output *o, const struct text *t, size_t begin, size_t end)
{
	const size_t base = o->bytes - begin; /* may wrap, as sums with it do again */

	put(j, o, t->data + begin, end - begin);
	if (!t->mark_count || begin == end)
		return;
	for (size_t i = mark_behind(t, begin); i < t->mark_count && t->marks[i].begin < end; i++)
		mark(j, o, base + MAX(t->marks[i].begin, begin), base + MIN(t->marks[i].end, end));
}

void put_text(struct job *j, struct output *o, const struct text *t)
{
	put_part(j, o, t, 0, t->bytes);
}

void put_like(struct job *j, struct output *o, const char *data, size_t bytes,
	      const struct text *like, size_t at)
{
	const size_t begin = o->bytes;

	put(j, o, data, bytes);
	if (like->mark_count) {
		const size_t i = mark_behind(like, at);

		if (i < like->mark_count && like->marks[i].begin <= at)
			mark(j, o, begin, o->bytes);
	}
}

static struct text *make_text(struct job *j, const char *data, size_t bytes, size_t characters)
{
	struct text *t = job_alloc(j, sizeof(*t));

	*t = (struct text){ .data = data, .bytes = bytes, .characters = characters };
	return t;
}

const struct text *output_text(struct job *j, struct output *o)
{
	struct text *t =
		make_text(j, o->data ? o->data : "", o->bytes, count_characters(o->data, o->bytes));

	t->marks = o->marks;
	t->mark_count = o->mark_count;
	return t;
}

const struct text *new_text(struct job *j, const char *data, size_t bytes, bool marked)
{
	struct output o = { 0 };
	uint32_t c;

	reserve(j, &o, bytes);
	for (size_t i = 0, good = 0; i < bytes || good < bytes;) {
		const size_t n = i < bytes ? utf8_decode(data + i, bytes - i, &c) : 0;

		if (n) {
			i += n;
			if (i < bytes)
				continue;
		}
		put(j, &o, data + good, i - good);
		if (!n && i < bytes) {
			put_string(j, &o, "\xef\xbf\xbd");
			i++;
		}
		good = i;
	}
	if (marked)
		mark_from(j, &o, 0);
	return output_text(j, &o);
}

const struct text *constant(struct job *j, const char *string)
{
	const size_t bytes = strlen(string);

	return make_text(j, string, bytes, count_characters(string, bytes));
}

struct value constant_value(struct job *j, const char *string)
{
	return text_value(constant(j, string));
}

const struct text *text_part(struct job *j, const struct text *t, size_t begin, size_t end)
{
	struct stoker_span *marks;
	struct text *part;
	size_t first, n = 0;

	if (begin >= end)
		return constant(j, "");
	if (begin == 0 && end == t->bytes)
		return t;
	part = make_text(j, t->data + begin, end - begin, 0);
	part->characters = part->bytes;
	if (t->characters != t->bytes) {
		job_work(j, part->bytes);
		part->characters = count_characters(part->data, part->bytes);
	}
	part->safe = t->safe;
	first = mark_behind(t, begin);
	while (first + n < t->mark_count && t->marks[first + n].begin < end)
		n++;
	if (!n)
		return part;
	job_work(j, n * sizeof(*marks));
	marks = job_alloc(j, n * sizeof(*marks));
	for (size_t i = 0; i < n; i++)
		marks[i] = (struct stoker_span){ MAX(t->marks[first + i].begin, begin) - begin,
						 MIN(t->marks[first + i].end, end) - begin };
	part->marks = marks;
	part->mark_count = n;
	return part;
}

static void join_marks(struct job *j, struct text *t, const struct text *a, const struct text *b)
{
	enum { FEW = 8 }; /* so many are copied, so that one can take in its neighbour */
	const size_t total = a->mark_count + b->mark_count;
	struct stoker_span *marks = (struct stoker_span *)a->marks;
	size_t n = a->mark_count;

	t->marks = a->marks;
	t->mark_count = n;
	t->mark_room = a->mark_room;
	t->marks_used = a->marks_used;
	if (!b->mark_count)
		return;
	if (n <= FEW || !a->marks_used || *a->marks_used != n || total > a->mark_room) {
		t->mark_room = 2 * total;
		marks = job_grow(j, a->marks, n * sizeof(*marks), t->mark_room * sizeof(*marks));
		job_work(j, n * sizeof(*marks));
		t->marks_used = job_alloc(j, sizeof(*t->marks_used));
	}
	for (size_t i = 0; i < b->mark_count; i++) {
		const struct stoker_span s = { b->marks[i].begin + a->bytes,
					       b->marks[i].end + a->bytes };

		if (n && n <= FEW && marks[n - 1].end == s.begin)
			marks[n - 1].end = s.end;
		else
			marks[n++] = s;
	}
	t->marks = marks;
	t->mark_count = n;
	*t->marks_used = n;
}

/*
 * Templates that collect their output in a variable add to it again and again: where nothing was
 * written behind @a yet, @b is, and both share the memory.
 */
const struct text *text_concat(struct job *j, const struct text *a, const struct text *b)
{
	struct text *t;
	char *data;

	if (!a->bytes || !b->bytes)
		return a->bytes ? a : b;
	if (a->bytes + b->bytes > MAX_OUTPUT)
		job_fail(j, -E2BIG, "a text grows beyond %d MiB", MAX_OUTPUT >> 20);
	t = make_text(j, a->data, a->bytes + b->bytes, a->characters + b->characters);
	join_marks(j, t, a, b);
	if (a->used && *a->used == a->bytes && a->room - a->bytes >= b->bytes) {
		t->room = a->room;
		t->used = a->used;
		memcpy((char *)a->data + a->bytes, b->data, b->bytes);
		*t->used = t->bytes;
		return t;
	}
	t->room = t->bytes < 128 ? t->bytes : 2 * t->bytes;
	data = job_alloc(j, t->room);
	memcpy(data, a->data, a->bytes);
	memcpy(data + a->bytes, b->data, b->bytes);
	t->data = data;
	if (t->room > t->bytes) {
		t->used = job_alloc(j, sizeof(*t->used));
		*t->used = t->bytes;
	}
	return t;
}

const struct text *text_repeat(struct job *j, const struct text *t, int64_t times)
{
	struct output o = { 0 };
	uint64_t bytes;

	if (times <= 0 || !t->bytes)
		return constant(j, "");
	if (!stoker_mul(t->bytes, (uint64_t)times, &bytes) || bytes > MAX_OUTPUT)
		job_fail(j, -E2BIG, "a text grows beyond %d MiB", MAX_OUTPUT >> 20);
	reserve(j, &o, bytes);
	job_work(j, bytes);
	if (t->mark_count) {
		job_step(j, (uint64_t)times / 16);
		for (int64_t i = 0; i < times; i++)
			put_text(j, &o, t);
		return output_text(j, &o);
	}
	put_text(j, &o, t);
	while (o.bytes < bytes)
		put(j, &o, o.data, MIN(o.bytes, bytes - o.bytes));
	return output_text(j, &o);
}

bool text_is(const struct text *t, const char *string)
{
	return t->bytes == strlen(string) && !memcmp(t->data, string, t->bytes);
}

bool texts_equal(const struct text *a, const struct text *b)
{
	return a->bytes == b->bytes && !memcmp(a->data, b->data, a->bytes);
}

bool is_marked(const struct text *t)
{
	return t->mark_count > 0;
}

size_t byte_of(const struct text *t, size_t index)
{
	size_t at = 0;

	if (index >= t->characters)
		return t->bytes;
	if (t->bytes == t->characters)
		return index;
	while (index--) {
		at++;
		while (at < t->bytes && ((uint8_t)t->data[at] & 0xc0) == 0x80)
			at++;
	}
	return at;
}

size_t characters_before(struct job *j, const struct text *t, size_t at)
{
	if (t->bytes != t->characters)
		job_work(j, at);
	return t->bytes == t->characters ? at : count_characters(t->data, at);
}

size_t character_at(const struct text *t, size_t at, uint32_t *c)
{
	const size_t n = utf8_decode(t->data + at, t->bytes - at, c);

	if (n)
		return n;
	*c = 0xfffd;
	return 1;
}

struct value text_character(struct job *j, const struct text *t, size_t begin)
{
	uint32_t c;

	return text_value(text_part(j, t, begin, begin + character_at(t, begin, &c)));
}

const char *text_search(struct job *j, const char *in, size_t bytes, const char *part,
			size_t part_bytes)
{
	/* up to 4 ns a byte where a text repeats itself as a part of three bytes and more does */
	const size_t each = part_bytes > 2 ? SLOW / 2 : 1;
	const char *hit = memmem(in, bytes, part, part_bytes);

	job_work(j, 16 + 4 * part_bytes + each * (hit ? (size_t)(hit - in) : bytes));
	return hit;
}

size_t text_find(struct job *j, const struct text *t, const struct text *part, size_t begin,
		 size_t end)
{
	const char *hit;

	if (begin > end || part->bytes > end - begin)
		return SIZE_MAX;
	if (!part->bytes)
		return begin;
	hit = text_search(j, t->data + begin, end - begin, part->data, part->bytes);
	return hit ? (size_t)(hit - t->data) : SIZE_MAX;
}

size_t text_find_last(struct job *j, const struct text *t, const struct text *part, size_t begin,
		      size_t end)
{
	size_t last = SIZE_MAX;

	if (begin > end || part->bytes > end - begin)
		return SIZE_MAX;
	if (!part->bytes)
		return end;
	/* from behind, as far as the first byte matches; hostile ones are paid for as work */
	for (size_t at = end - part->bytes + 1; at-- > begin;) {
		if (t->data[at] != part->data[0])
			continue;
		job_work(j, 16 + part->bytes);
		if (!memcmp(t->data + at, part->data, part->bytes)) {
			last = at;
			break;
		}
	}
	job_work(j, end - (last == SIZE_MAX ? begin : last));
	return last;
}

bool is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Work that is paid for as soon as it is some, not only at its end; returns what is left. */
static size_t paid(struct job *j, size_t work)
{
	if (work < 16 * WORK_PER_STEP)
		return work;
	job_work(j, work);
	return 0;
}

static bool is_among(uint32_t c, const struct text *chars)
{
	uint32_t other;

	if (!chars)
		return is_space(c);
	for (size_t i = 0; i < chars->bytes;) {
		i += character_at(chars, i, &other);
		if (c == other)
			return true;
	}
	return false;
}

const struct text *text_strip(struct job *j, const struct text *t, const struct text *chars,
			      bool left, bool right)
{
	const size_t each = chars ? 6 * chars->bytes + 6 : 6;
	size_t begin = 0, end = t->bytes, work = 0;
	uint32_t c;

	for (; left && begin < end; work = paid(j, work + each)) {
		const size_t n = character_at(t, begin, &c);

		if (!is_among(c, chars))
			break;
		begin += n;
	}
	for (; right && end > begin; work = paid(j, work + each)) {
		size_t at = end - 1;

		while (at > begin && ((uint8_t)t->data[at] & 0xc0) == 0x80)
			at--;
		character_at(t, at, &c);
		if (!is_among(c, chars))
			break;
		end = at;
	}
	job_work(j, 8 + work + each);
	return text_part(j, t, begin, end);
}

const struct text *text_replace(struct job *j, const struct text *t, const struct text *old,
				const struct text *by, int64_t most)
{
	struct output o = { 0 };
	size_t at = 0, work = 0;
	uint32_t c;

	if (!old->bytes) {
		for (; most != 0 && at <= t->bytes; most -= most > 0) {
			const size_t n = at < t->bytes ? character_at(t, at, &c) : 1;

			put_text(j, &o, by);
			if (at < t->bytes)
				put_part(j, &o, t, at, at + n);
			at += n;
			work = paid(j, work + 16 + 16 * by->mark_count);
		}
		job_work(j, o.bytes);
		if (at < t->bytes)
			put_part(j, &o, t, at, t->bytes);
		return output_text(j, &o);
	}
	for (; most != 0; most -= most > 0) {
		const size_t hit = text_find(j, t, old, at, t->bytes);

		if (hit == SIZE_MAX)
			break;
		put_part(j, &o, t, at, hit);
		put_text(j, &o, by);
		at = hit + old->bytes;
		work = paid(j, work + 16 + 16 * by->mark_count);
	}
	if (!at)
		return t;
	put_part(j, &o, t, at, t->bytes);
	job_work(j, o.bytes);
	return output_text(j, &o);
}

const struct text *safe_like(struct job *j, const struct text *t, const struct text *like)
{
	struct text *safe;

	if (t->safe == like->safe)
		return t;
	safe = job_alloc(j, sizeof(*safe));
	*safe = *t;
	safe->safe = like->safe;
	return safe;
}

size_t line_end(const struct text *t, size_t at)
{
	uint32_t c;
	const size_t n = character_at(t, at, &c);

	if (c == '\r')
		return at + 1 < t->bytes && t->data[at + 1] == '\n' ? 2 : 1;
	if ((c >= 10 && c <= 12) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
	    c == 0x2029)
		return n;
	return 0;
}

const struct text *escaped(struct job *j, const struct text *t)
{
	static const char *const names[][2] = { { "&", "&amp;" },
						{ "<", "&lt;" },
						{ ">", "&gt;" },
						{ "'", "&#39;" },
						{ "\"", "&#34;" } };
	struct output o = { 0 };
	struct text *result;
	size_t done = 0;

	if (t->safe)
		return t;
	for (size_t i = 0; i < t->bytes; i++)
		for (size_t n = 0; n < ARRAY_SIZE(names); n++)
			if (t->data[i] == names[n][0][0]) {
				put_part(j, &o, t, done, i);
				put_like(j, &o, names[n][1], strlen(names[n][1]), t, i);
				done = i + 1;
			}
	job_work(j, SLOW * t->bytes);
	put_part(j, &o, t, done, t->bytes);
	result = (struct text *)output_text(j, &o);
	result->safe = true;
	return result;
}
