// SPDX-License-Identifier: MIT
/* Parsing the head of a GGUF file, metadata and tensor table, and all checking of it, once. */
#include "gguf/container.h"

#include <stdio.h>
#include <unistd.h>

enum {
	MAX_KEYS = 65536,
	MAX_TENSORS = 1 << 20,
	MAX_DIMENSIONS = 4,
	MAX_NAME = 65535, /* GGUF's own limit for keys */
	MAX_DEPTH = 4,	  /* arrays of arrays */
	READ_AHEAD = 1 << 20,
	MAX_HEAD = 1 << 30,
	FOREIGN_LOOK = 512,
	LEAST_KEY = 8 + 1 + 4 + 1, /* bytes of the smallest entry: name, type, value */
	LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8,
};

const uint8_t gguf_scalar_bytes[] = {
	[STOKER_GGUF_U8] = 1,	 [STOKER_GGUF_I8] = 1,	 [STOKER_GGUF_U16] = 2,
	[STOKER_GGUF_I16] = 2,	 [STOKER_GGUF_U32] = 4,	 [STOKER_GGUF_I32] = 4,
	[STOKER_GGUF_F32] = 4,	 [STOKER_GGUF_BOOL] = 1, [STOKER_GGUF_U64] = 8,
	[STOKER_GGUF_I64] = 8,	 [STOKER_GGUF_F64] = 8,	 [STOKER_GGUF_STRING] = 0,
	[STOKER_GGUF_ARRAY] = 0,
};

/* Where the parser is in one file; the first failure sticks. */
struct parser {
	struct stoker_gguf *gguf;
	struct file *file;
	uint64_t at;
	struct stoker_error *err;
	int failed;
};

/* Makes bytes [at, at + n) of the head available. */
static const uint8_t *take(struct parser *p, uint64_t n, const char *what)
{
	struct file *f = p->file;

	if (p->failed)
		return NULL;
	if (n > f->bytes || p->at > f->bytes - n) {
		p->failed = stoker_fail(p->err, -EINVAL,
					"%s: %s at byte %llu needs %llu bytes, the file has %llu: "
					"an unfinished download?",
					f->path, what, (unsigned long long)p->at,
					(unsigned long long)n, (unsigned long long)f->bytes);
		return NULL;
	}
	if (p->at + n > MAX_HEAD) {
		p->failed = stoker_fail(p->err, -EINVAL, "%s: metadata reaches beyond byte %d",
					f->path, MAX_HEAD);
		return NULL;
	}
	if (p->at + n > f->head_bytes) {
		const size_t want =
			(size_t)MIN(f->bytes, round_up(p->at + n, READ_AHEAD) + f->head_bytes);
		uint8_t *head = realloc(f->head, want);

		if (!head) {
			p->failed = stoker_fail(p->err, -ENOMEM,
						"%s: no memory for %zu bytes of metadata", f->path,
						want);
			return NULL;
		}
		f->head = head;
		while (f->head_bytes < want) {
			const ssize_t got = pread(f->fd, f->head + f->head_bytes,
						  want - f->head_bytes, (off_t)f->head_bytes);

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				p->failed = stoker_fail(
					p->err, got ? -errno : -EIO, "%s: %s", f->path,
					got ? stoker_strerror(errno) : "file became shorter");
				return NULL;
			}
			f->head_bytes += (size_t)got;
		}
	}
	p->at += n;
	return f->head ? f->head + p->at - n : NULL; /* of an empty file */
}

static uint64_t take_uint(struct parser *p, unsigned bytes, const char *what)
{
	const uint8_t *src = take(p, bytes, what);
	uint64_t value = 0;

	for (unsigned i = 0; src && i < bytes; i++)
		value |= (uint64_t)src[i] << (8 * i);
	return value;
}

/* A NUL-terminated copy of the name at the parser's position. */
static const char *take_name(struct parser *p, const char *what)
{
	struct stoker_gguf *g = p->gguf;
	const uint64_t length = take_uint(p, 8, what);
	const uint8_t *src;
	char *name;

	if (!p->failed && (length == 0 || length > MAX_NAME)) {
		p->failed = stoker_fail(p->err, -EINVAL,
					"%s: %s at byte %llu is %llu bytes long, limit %d",
					p->file->path, what, (unsigned long long)p->at,
					(unsigned long long)length, MAX_NAME);
	}
	src = take(p, length, what);
	if (!src)
		return NULL;
	for (uint64_t i = 0; i < length; i++)
		if (src[i] < ' ' || src[i] == 127) {
			p->failed = stoker_fail(
				p->err, -EINVAL,
				"%s: %s at byte %llu holds the control character 0x%02x",
				p->file->path, what, (unsigned long long)(p->at - length), src[i]);
			return NULL;
		}
	name = strndup((const char *)src, length);
	if (!name) {
		p->failed = stoker_fail(p->err, -ENOMEM, "%s: out of memory", p->file->path);
		return NULL;
	}
	g->names[g->name_count++] = name;
	return name;
}

static void skip_value(struct parser *p, uint64_t type, const char *key, unsigned depth)
{
	if (p->failed)
		return;
	if (type == STOKER_GGUF_STRING) {
		take(p, take_uint(p, 8, key), key);
	} else if (type == STOKER_GGUF_ARRAY) {
		const uint64_t element = take_uint(p, 4, key), count = take_uint(p, 8, key);
		const uint64_t least = element == STOKER_GGUF_STRING  ? 8
				       : element == STOKER_GGUF_ARRAY ? 12
				       : element < ARRAY_SIZE(gguf_scalar_bytes)
					       ? gguf_scalar_bytes[element]
					       : 1;
		uint64_t bytes;

		if (p->failed)
			return;
		if (depth >= MAX_DEPTH) {
			p->failed = stoker_fail(p->err, -EINVAL,
						"%s: key %s: arrays nest deeper than %d",
						p->file->path, key, MAX_DEPTH);
		} else if (!stoker_mul(least, count, &bytes) || bytes > p->file->bytes - p->at) {
			p->failed = stoker_fail(p->err, -EINVAL,
						"%s: key %s: %llu array elements don't fit in the "
						"file's %llu bytes",
						p->file->path, key, (unsigned long long)count,
						(unsigned long long)p->file->bytes);
		} else if (element < ARRAY_SIZE(gguf_scalar_bytes) && gguf_scalar_bytes[element]) {
			take(p, bytes, key);
		} else {
			for (uint64_t i = 0; i < count && !p->failed; i++)
				skip_value(p, element, key, depth + 1);
		}
	} else if (type < ARRAY_SIZE(gguf_scalar_bytes)) {
		take(p, gguf_scalar_bytes[type], key);
	} else {
		p->failed = stoker_fail(p->err, -EINVAL, "%s: key %s: unknown value type %llu",
					p->file->path, key, (unsigned long long)type);
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names are few enough to sort a copy of the pointers. */
static int check_unique(struct parser *p, const char *what, size_t count,
			const char *(*name)(const struct stoker_gguf *, size_t))
{
	const char **sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted) {
		p->failed = stoker_fail(p->err, -ENOMEM, "%s: out of memory", p->file->path);
		return p->failed;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = name(p->gguf, i);
	qsort(sorted, count, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < count && !p->failed; i++)
		if (!strcmp(sorted[i - 1], sorted[i]))
			p->failed = stoker_fail(p->err, -EINVAL, "%s: %s %s appears twice",
						p->file->path, what, sorted[i]);
	free(sorted);
	return p->failed;
}

static const char *key_name(const struct stoker_gguf *g, size_t i)
{
	return g->keys[i].public.name;
}

static const char *tensor_name(const struct stoker_gguf *g, size_t i)
{
	return g->tensors[i].name;
}

static void parse_key(struct parser *p, struct key *key)
{
	key->public.name = take_name(p, "metadata key");
	const uint64_t type = take_uint(p, 4, "value type");

	key->value_at = p->at;
	skip_value(p, type, key->public.name ? key->public.name : "?", 0);
	if (p->failed)
		return;
	key->public.type = key->public.element_type = (enum stoker_gguf_type)type;
	key->public.count = 1;
	key->value_bytes = (size_t)(p->at - key->value_at);
}

static void parse_tensor(struct parser *p, struct stoker_gguf_tensor *t)
{
	uint64_t values = 1;
	const char *path = p->file->path;
	char known[128];

	t->name = take_name(p, "tensor name");
	t->dimensions = (uint32_t)take_uint(p, 4, "tensor dimensions");
	if (p->failed)
		return;
	if (t->dimensions < 1 || t->dimensions > MAX_DIMENSIONS) {
		p->failed = stoker_fail(p->err, -EINVAL,
					"%s: tensor %s has %u dimensions, limit %d", path, t->name,
					t->dimensions, MAX_DIMENSIONS);
		return;
	}
	for (unsigned i = 0; i < MAX_DIMENSIONS; i++) {
		t->ne[i] = i < t->dimensions ? take_uint(p, 8, t->name) : 1;
		if (!p->failed && (t->ne[i] == 0 || t->ne[i] > INT32_MAX ||
				   !stoker_mul(values, t->ne[i], &values)))
			p->failed = stoker_fail(
				p->err, -EINVAL,
				"%s: tensor %s: dimension %u is %llu, limits 1 and %d", path,
				t->name, i, (unsigned long long)t->ne[i], INT32_MAX);
	}
	const uint32_t id = (uint32_t)take_uint(p, 4, t->name);

	t->offset = take_uint(p, 8, t->name);
	t->file = (uint32_t)(p->file - p->gguf->files);
	if (p->failed)
		return;
	t->format = stoker_format_by_id(id);
	if (!t->format)
		p->failed = stoker_fail(p->err, -ENOTSUP, "%s: tensor %s has unsupported type %u%s",
					path, t->name, id, gguf_describe_type(id, known));
	else if (t->ne[0] % t->format->block_values)
		p->failed = stoker_fail(
			p->err, -EINVAL,
			"%s: tensor %s: rows of %llu values don't divide into %s blocks of %u",
			path, t->name, (unsigned long long)t->ne[0], t->format->name,
			t->format->block_values);
	else if (values / t->format->block_values > UINT64_MAX / t->format->block_bytes)
		p->failed = stoker_fail(p->err, -EINVAL, "%s: tensor %s: size overflows", path,
					t->name);
	else
		t->bytes = stoker_row_bytes(t->format, values);
}

/*
 * What a tensor that doesn't fit in @room bytes is, if the blocks of a fork fill them exactly: a
 * file that was cut short is none of a fork's.
 */
static const char *fork_of(const struct stoker_gguf_tensor *t, uint64_t room, uint32_t alignment,
			   char text[160])
{
	const struct stoker_format *f = t->format;
	const uint64_t values = t->bytes / f->block_bytes * f->block_values;
	const uint64_t fork = f->fork_values ? values / f->fork_values * f->fork_bytes : 0;

	text[0] = 0;
	if (f->fork_values && t->ne[0] % f->fork_values == 0 &&
	    (room == fork || room == round_up(fork, alignment)))
		snprintf(
			text, 160,
			"; blocks of %u values in %u bytes would fit: another program's type under "
			"the number of %s, which isn't supported",
			f->fork_values, f->fork_bytes, f->name);
	return text;
}

/* Bytes of the file that its head tells of, 0: more than can be; offsets are relative from @first
 * on.
 */
static uint64_t whole_bytes(const struct parser *p, size_t first)
{
	uint64_t whole = 0, end;

	for (size_t i = first; i < p->gguf->tensor_count; i++) {
		const struct stoker_gguf_tensor *t = &p->gguf->tensors[i];

		if (!stoker_add(p->file->data, t->offset, &end) || !stoker_add(end, t->bytes, &end))
			return 0;
		whole = MAX(whole, end);
	}
	return whole;
}

static void refuse_end(struct parser *p, size_t index)
{
	const struct file *f = p->file;
	const struct stoker_gguf_tensor *t = &p->gguf->tensors[index];
	const uint64_t whole = whole_bytes(p, index);
	uint64_t at = UINT64_MAX;
	char fork[160], early[96] = "";

	if (stoker_add(f->data, t->offset, &at))
		fork_of(t, f->bytes - MIN(f->bytes, at), p->gguf->alignment, fork);
	else
		fork[0] = 0;
	if (!fork[0] && whole)
		snprintf(early, sizeof(early),
			 "ends early, %llu of %llu bytes: an unfinished download? ",
			 (unsigned long long)f->bytes, (unsigned long long)whole);
	p->failed = stoker_fail(p->err, -EINVAL,
				"%s: %stensor %s: %llu bytes of %s at %llu end beyond the file's "
				"%llu bytes%s",
				f->path, early, t->name, (unsigned long long)t->bytes,
				t->format->name, (unsigned long long)at,
				(unsigned long long)f->bytes, fork);
}

/* Offsets become absolute; every tensor has to end inside its file. */
static void place_tensors(struct parser *p, size_t first)
{
	struct file *f = p->file;

	for (size_t i = first; i < p->gguf->tensor_count && !p->failed; i++) {
		struct stoker_gguf_tensor *t = &p->gguf->tensors[i];
		uint64_t at, end;

		if (t->offset % p->gguf->alignment) {
			p->failed = stoker_fail(p->err, -EINVAL,
						"%s: tensor %s: offset %llu isn't aligned to %u",
						f->path, t->name, (unsigned long long)t->offset,
						p->gguf->alignment);
		} else if (!stoker_add(f->data, t->offset, &at) ||
			   !stoker_add(at, t->bytes, &end) || end > f->bytes) {
			refuse_end(p, i);
		} else {
			t->offset = at;
			f->end = MAX(f->end, end);
		}
	}
}

static int by_offset(const void *a, const void *b)
{
	const struct stoker_gguf_tensor *x = *(const struct stoker_gguf_tensor *const *)a;
	const struct stoker_gguf_tensor *y = *(const struct stoker_gguf_tensor *const *)b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* No byte belongs to two tensors of a file: a device may change one tensor's in memory. */
static void check_apart(struct parser *p, size_t first)
{
	const size_t count = p->gguf->tensor_count - first;
	const struct stoker_gguf_tensor **sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted) {
		p->failed = stoker_fail(p->err, -ENOMEM, "%s: out of memory", p->file->path);
		return;
	}
	for (size_t i = 0; i < count; i++)
		sorted[i] = &p->gguf->tensors[first + i];
	qsort(sorted, count, sizeof(*sorted), by_offset);
	for (size_t i = 1; i < count && !p->failed; i++) {
		const struct stoker_gguf_tensor *t = sorted[i - 1], *next = sorted[i];
		const uint64_t room = next->offset - t->offset;
		char fork[160];

		if (room < t->bytes)
			p->failed = stoker_fail(
				p->err, -EINVAL,
				"%s: tensor %s at %llu begins inside of tensor %s, %llu bytes of "
				"%s at %llu%s",
				p->file->path, next->name, (unsigned long long)next->offset,
				t->name, (unsigned long long)t->bytes, t->format->name,
				(unsigned long long)t->offset,
				fork_of(t, room, p->gguf->alignment, fork));
	}
	free(sorted);
}

static void *grow(struct parser *p, void *old, size_t have, uint64_t more, size_t size)
{
	void *array = realloc(old, (have + more + 1) * size);

	if (!array) {
		p->failed = stoker_fail(p->err, -ENOMEM, "%s: out of memory", p->file->path);
		return old;
	}
	memset((char *)array + have * size, 0, (more + 1) * size);
	return array;
}

/* Of the head only keys are read again: what was read ahead beyond them is given back. */
static void keep_keys(struct file *file, uint64_t bytes)
{
	uint8_t *head = realloc(file->head, bytes);

	if (!head)
		return;
	file->head = head;
	file->head_bytes = bytes;
}

/* Keys refer to the head by offset until it has stopped growing. */
static void settle_keys(struct parser *p, size_t first)
{
	for (size_t i = first; i < p->gguf->key_count; i++) {
		struct key *key = &p->gguf->keys[i];

		key->value = p->file->head + key->value_at;
		if (key->public.type == STOKER_GGUF_ARRAY) {
			key->public.element_type = (enum stoker_gguf_type)load_u32(key->value);
			memcpy(&key->public.count, key->value + 4, 8);
		}
	}
}

static int check_magic(struct parser *p)
{
	const uint64_t bytes = MIN(p->file->bytes, (uint64_t)FOREIGN_LOOK);
	const uint8_t *head = bytes ? take(p, bytes, "beginning") : NULL;
	char what[160];

	if (p->failed)
		return p->failed;
	p->at = 4;
	if (bytes >= 4 && !memcmp(head, "GGUF", 4))
		return 0;
	gguf_describe_foreign(head, bytes, p->file->bytes, what);
	p->failed = stoker_fail(p->err, -EINVAL, "%s: %s", p->file->path, what);
	return p->failed;
}

static int refuse_version(const struct parser *p, uint32_t version)
{
	const char *path = p->file->path;

	if (version == 1)
		return stoker_fail(p->err, -ENOTSUP,
				   "%s: GGUF version 1, of August 2023: fetch a newer file", path);
	if (version && !(version & 0xffff))
		return stoker_fail(p->err, -ENOTSUP,
				   "%s: GGUF version %u in big-endian order, which isn't "
				   "supported: fetch the little-endian file",
				   path, __builtin_bswap32(version));
	return stoker_fail(p->err, -ENOTSUP,
			   "%s: GGUF version %u, supported are 2 and 3 (little-endian)", path,
			   version);
}

int gguf_parse_file(struct stoker_gguf *g, struct file *file, struct stoker_error *err)
{
	struct parser p = { .gguf = g, .file = file, .err = err };
	const size_t first_key = g->key_count, first_tensor = g->tensor_count;

	if (check_magic(&p))
		return p.failed;
	const uint32_t version = (uint32_t)take_uint(&p, 4, "version");
	const uint64_t tensors = take_uint(&p, 8, "tensor count"),
		       keys = take_uint(&p, 8, "key count");

	if (p.failed)
		return p.failed;
	if (version != 2 && version != 3)
		return refuse_version(&p, version);
	if (keys > MAX_KEYS - first_key || tensors > MAX_TENSORS - first_tensor)
		return stoker_fail(err, -EINVAL,
				   "%s: %llu keys and %llu tensors%s, limits %d and %d in all",
				   file->path, (unsigned long long)keys,
				   (unsigned long long)tensors,
				   first_key ? " beside those of the parts before" : "", MAX_KEYS,
				   MAX_TENSORS);
	if (keys * LEAST_KEY + tensors * LEAST_TENSOR > file->bytes)
		return stoker_fail(err, -EINVAL,
				   "%s: %llu keys and %llu tensors don't fit in %llu bytes",
				   file->path, (unsigned long long)keys,
				   (unsigned long long)tensors, (unsigned long long)file->bytes);
	g->version = version;
	g->keys = grow(&p, g->keys, g->key_count, keys, sizeof(*g->keys));
	g->tensors = grow(&p, g->tensors, g->tensor_count, tensors, sizeof(*g->tensors));
	g->names = grow(&p, g->names, g->name_count, keys + tensors, sizeof(*g->names));
	for (uint64_t i = 0; i < keys && !p.failed; i++)
		parse_key(&p, &g->keys[g->key_count++]);
	const uint64_t keys_end = p.at;

	for (uint64_t i = 0; i < tensors && !p.failed; i++)
		parse_tensor(&p, &g->tensors[g->tensor_count++]);
	if (p.failed)
		return p.failed;
	keep_keys(file, keys_end);
	settle_keys(&p, first_key);

	const struct stoker_gguf_key *key = stoker_gguf_find(g, "general.alignment");
	uint64_t alignment = 32;

	if (key && (stoker_gguf_u64(g, key, 0, &alignment) || alignment == 0 || alignment % 8 ||
		    alignment > 1 << 30))
		return stoker_fail(
			err, -EINVAL,
			"%s: general.alignment is %llu, it has to be a multiple of 8 up to %d",
			file->path, (unsigned long long)alignment, 1 << 30);
	g->alignment = (uint32_t)alignment;
	file->data = round_up(p.at, alignment);
	place_tensors(&p, first_tensor);
	if (!p.failed)
		check_apart(&p, first_tensor);
	if (!p.failed)
		check_unique(&p, "tensor", g->tensor_count, tensor_name);
	if (!p.failed && first_key == 0)
		check_unique(&p, "key", g->key_count, key_name);
	return p.failed;
}
