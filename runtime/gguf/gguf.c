// SPDX-License-Identifier: MIT
/*
 * Reading GGUF.  Each file's head (metadata and tensor table) is read into one buffer; keys and
 * tensors point into it.  All checking of the container happens here, once.
 */
#include "gguf/gguf.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MAX_FILES = 1024,
	MAX_KEYS = 65536,
	MAX_TENSORS = 1 << 20,
	MAX_DIMENSIONS = 4,
	MAX_NAME = 65535, /* GGUF's own limit for keys */
	MAX_DEPTH = 4,	  /* arrays of arrays */
	READ_AHEAD = 1 << 20,
	MAX_HEAD = 1 << 30,
	LEAST_KEY = 8 + 1 + 4 + 1, /* bytes of the smallest entry: name, type, value */
	LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8,
};

struct file {
	char *path;
	int fd;
	uint64_t bytes;
	uint8_t *head; /* the first head_bytes of the file */
	size_t head_bytes;
	uint64_t data; /* where tensor data begins */
};

struct key {
	struct stoker_gguf_key public;
	const uint8_t *value; /* in its file's head, after the type (and element type and count) */
	size_t value_bytes;
	uint64_t name_at, value_at; /* offsets, while the head may still move */
};

struct stoker_gguf {
	uint32_t version, alignment;
	struct file *files;
	uint32_t file_count;
	struct key *keys;
	size_t key_count;
	struct stoker_gguf_tensor *tensors;
	size_t tensor_count;
	const struct key **sorted_keys; /* by name; where names repeat, the first file's first */
	const struct stoker_gguf_tensor **sorted_tensors;
	char **names; /* of keys and tensors, NUL-terminated copies */
	size_t name_count;
};

/* Where the parser is in one file; the first failure sticks. */
struct parser {
	struct stoker_gguf *gguf;
	struct file *file;
	uint64_t at;
	struct stoker_error *err;
	int failed;
};

static const uint8_t scalar_bytes[] = {
	[STOKER_GGUF_U8] = 1,	 [STOKER_GGUF_I8] = 1,	 [STOKER_GGUF_U16] = 2,
	[STOKER_GGUF_I16] = 2,	 [STOKER_GGUF_U32] = 4,	 [STOKER_GGUF_I32] = 4,
	[STOKER_GGUF_F32] = 4,	 [STOKER_GGUF_BOOL] = 1, [STOKER_GGUF_U64] = 8,
	[STOKER_GGUF_I64] = 8,	 [STOKER_GGUF_F64] = 8,	 [STOKER_GGUF_STRING] = 0,
	[STOKER_GGUF_ARRAY] = 0,
};

/* Makes bytes [at, at + n) of the head available. */
static const uint8_t *take(struct parser *p, uint64_t n, const char *what)
{
	struct file *f = p->file;

	if (p->failed)
		return NULL;
	if (n > f->bytes || p->at > f->bytes - n) {
		p->failed = stoker_fail(p->err, -EINVAL,
					"%s: %s at byte %llu needs %llu bytes, the file has %llu",
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
				p->failed =
					stoker_fail(p->err, got ? -errno : -EIO, "%s: %s", f->path,
						    got ? strerror(errno) : "file became shorter");
				return NULL;
			}
			f->head_bytes += (size_t)got;
		}
	}
	p->at += n;
	return f->head + p->at - n;
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
		const uint64_t least = element == STOKER_GGUF_STRING	    ? 8
				       : element == STOKER_GGUF_ARRAY	    ? 12
				       : element < ARRAY_SIZE(scalar_bytes) ? scalar_bytes[element]
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
		} else if (element < ARRAY_SIZE(scalar_bytes) && scalar_bytes[element]) {
			take(p, bytes, key);
		} else {
			for (uint64_t i = 0; i < count && !p->failed; i++)
				skip_value(p, element, key, depth + 1);
		}
	} else if (type < ARRAY_SIZE(scalar_bytes)) {
		take(p, scalar_bytes[type], key);
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
		p->failed = stoker_fail(p->err, -ENOTSUP, "%s: tensor %s has unsupported type %u",
					path, t->name, id);
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

/* Offsets become absolute; every tensor has to end inside its file. */
static void place_tensors(struct parser *p, size_t first)
{
	struct file *f = p->file;

	for (size_t i = first; i < p->gguf->tensor_count && !p->failed; i++) {
		struct stoker_gguf_tensor *t = &p->gguf->tensors[i];
		uint64_t end;

		if (t->offset % p->gguf->alignment)
			p->failed = stoker_fail(p->err, -EINVAL,
						"%s: tensor %s: offset %llu isn't aligned to %u",
						f->path, t->name, (unsigned long long)t->offset,
						p->gguf->alignment);
		else if (!stoker_add(f->data, t->offset, &t->offset) ||
			 !stoker_add(t->offset, t->bytes, &end) || end > f->bytes)
			p->failed = stoker_fail(p->err, -EINVAL,
						"%s: tensor %s: %llu bytes at %llu end beyond the "
						"file's %llu bytes",
						f->path, t->name, (unsigned long long)t->bytes,
						(unsigned long long)t->offset,
						(unsigned long long)f->bytes);
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
	for (size_t i = 1; i < count && !p->failed; i++)
		if (sorted[i]->offset < sorted[i - 1]->offset + sorted[i - 1]->bytes)
			p->failed = stoker_fail(
				p->err, -EINVAL,
				"%s: tensor %s at %llu begins inside of tensor %s, %llu bytes at "
				"%llu",
				p->file->path, sorted[i]->name,
				(unsigned long long)sorted[i]->offset, sorted[i - 1]->name,
				(unsigned long long)sorted[i - 1]->bytes,
				(unsigned long long)sorted[i - 1]->offset);
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

static int parse_file(struct stoker_gguf *g, struct file *file, struct stoker_error *err)
{
	struct parser p = { .gguf = g, .file = file, .err = err };
	const size_t first_key = g->key_count, first_tensor = g->tensor_count;
	const uint8_t *magic = take(&p, 4, "magic");

	if (magic && memcmp(magic, "GGUF", 4))
		return stoker_fail(err, -EINVAL, "%s: not a GGUF file", file->path);
	const uint32_t version = (uint32_t)take_uint(&p, 4, "version");
	const uint64_t tensors = take_uint(&p, 8, "tensor count"),
		       keys = take_uint(&p, 8, "key count");

	if (p.failed)
		return p.failed;
	if (version != 2 && version != 3)
		return stoker_fail(err, -ENOTSUP,
				   "%s: GGUF version %u%s, supported are 2 and 3 (little-endian)",
				   file->path, version,
				   version == 0x03000000 ? " (big-endian)" : "");
	if (keys > MAX_KEYS || tensors > MAX_TENSORS)
		return stoker_fail(err, -EINVAL, "%s: %llu keys and %llu tensors, limits %d and %d",
				   file->path, (unsigned long long)keys,
				   (unsigned long long)tensors, MAX_KEYS, MAX_TENSORS);
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
	for (uint64_t i = 0; i < tensors && !p.failed; i++)
		parse_tensor(&p, &g->tensors[g->tensor_count++]);
	if (p.failed)
		return p.failed;
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

static int open_file(struct file *file, const char *path, struct stoker_error *err)
{
	struct stat st;

	file->fd = -1;
	file->path = strdup(path);
	if (!file->path)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
	if (file->fd < 0 || fstat(file->fd, &st))
		return stoker_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return stoker_fail(err, -EINVAL, "%s: not a regular file", path);
	file->bytes = (uint64_t)st.st_size;
	return 0;
}

/* The path of file @index of @count, or NULL when @first isn't named like a first file. */
static char *split_path(const char *first, uint32_t index, uint32_t count)
{
	const size_t length = strlen(first);
	char expected[32], *path = NULL;

	snprintf(expected, sizeof(expected), "-00001-of-%05u.gguf", count);
	const size_t suffix = strlen(expected);

	if (length < suffix || strcmp(first + length - suffix, expected) ||
	    asprintf(&path, "%.*s-%05u-of-%05u.gguf", (int)(length - suffix), first, index + 1,
		     count) < 0)
		return NULL;
	return path;
}

static int open_splits(struct stoker_gguf *g, uint32_t count, struct stoker_error *err)
{
	struct file *files = realloc(g->files, count * sizeof(*files));

	if (!files)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", g->files[0].path);
	memset(files + 1, 0, (count - 1) * sizeof(*files));
	g->files = files;
	for (uint32_t i = 1; i < count; i++) {
		AUTO_FREE char *path = split_path(files[0].path, i, count);
		int ret;

		if (!path)
			return stoker_fail(
				err, -EINVAL,
				"%s: first of %u files but not named ...-00001-of-%05u.gguf",
				files[0].path, count, count);
		g->file_count = i + 1;
		files[i].fd = -1;
		ret = open_file(&files[i], path, err);
		if (!ret)
			ret = parse_file(g, &files[i], err);
		if (ret)
			return ret;
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct key *x = *(const struct key *const *)a, *y = *(const struct key *const *)b;
	const int order = strcmp(x->public.name, y->public.name);

	return order ? order : x < y ? -1 : x > y;
}

static int by_tensor(const void *a, const void *b)
{
	const struct stoker_gguf_tensor *x = *(const struct stoker_gguf_tensor *const *)a;
	const struct stoker_gguf_tensor *y = *(const struct stoker_gguf_tensor *const *)b;

	return strcmp(x->name, y->name);
}

static int sort_names(struct stoker_gguf *g, struct stoker_error *err)
{
	g->sorted_keys = calloc(g->key_count + 1, sizeof(*g->sorted_keys));
	g->sorted_tensors = calloc(g->tensor_count + 1, sizeof(*g->sorted_tensors));
	if (!g->sorted_keys || !g->sorted_tensors)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", g->files[0].path);
	for (size_t i = 0; i < g->key_count; i++)
		g->sorted_keys[i] = &g->keys[i];
	for (size_t i = 0; i < g->tensor_count; i++)
		g->sorted_tensors[i] = &g->tensors[i];
	qsort(g->sorted_keys, g->key_count, sizeof(*g->sorted_keys), by_key);
	qsort(g->sorted_tensors, g->tensor_count, sizeof(*g->sorted_tensors), by_tensor);
	return 0;
}

int stoker_gguf_open(const char *path, struct stoker_gguf **out, struct stoker_error *err)
{
	struct stoker_gguf *g = calloc(1, sizeof(*g));
	uint64_t split = 0, number = 0;
	int ret = -ENOMEM;

	*out = NULL;
	if (g)
		g->files = calloc(1, sizeof(*g->files));
	if (!g || !g->files) {
		free(g);
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	}
	g->file_count = 1;
	ret = open_file(g->files, path, err);
	if (!ret)
		ret = parse_file(g, g->files, err);
	if (ret)
		goto err_close;
	const struct stoker_gguf_key *key = stoker_gguf_find(g, "split.count");

	if (key && stoker_gguf_u64(g, key, 0, &split))
		split = UINT64_MAX;
	if (split > MAX_FILES) {
		ret = stoker_fail(err, -EINVAL, "%s: split.count is %llu, limit %d", path,
				  (unsigned long long)split, MAX_FILES);
		goto err_close;
	}
	key = stoker_gguf_find(g, "split.no");
	if (key)
		stoker_gguf_u64(g, key, 0, &number);
	if (split > 1 && number != 0) {
		ret = stoker_fail(err, -EINVAL,
				  "%s: this is file %llu of a split model, open the first one",
				  path, (unsigned long long)number + 1);
		goto err_close;
	}
	if (split > 1)
		ret = open_splits(g, (uint32_t)split, err);
	if (!ret)
		ret = sort_names(g, err);
	if (ret)
		goto err_close;
	*out = g;
	return 0;
err_close:
	stoker_gguf_close(&g);
	return ret;
}

void stoker_gguf_close(struct stoker_gguf **gguf)
{
	struct stoker_gguf *g = *gguf;

	if (!g)
		return;
	*gguf = NULL;
	for (uint32_t i = 0; i < g->file_count; i++) {
		if (g->files[i].fd >= 0)
			close(g->files[i].fd);
		free(g->files[i].path);
		free(g->files[i].head);
	}
	for (size_t i = 0; i < g->name_count; i++)
		free(g->names[i]);
	free(g->names);
	free(g->sorted_keys);
	free(g->sorted_tensors);
	free(g->keys);
	free(g->tensors);
	free(g->files);
	free(g);
}

uint32_t stoker_gguf_version(const struct stoker_gguf *gguf)
{
	return gguf->version;
}

uint32_t stoker_gguf_file_count(const struct stoker_gguf *gguf)
{
	return gguf->file_count;
}

const char *stoker_gguf_file(const struct stoker_gguf *gguf, uint32_t index, int *fd,
			     uint64_t *bytes)
{
	if (fd)
		*fd = gguf->files[index].fd;
	if (bytes)
		*bytes = gguf->files[index].bytes;
	return gguf->files[index].path;
}

uint64_t stoker_gguf_data(const struct stoker_gguf *gguf, uint32_t file)
{
	return gguf->files[file].data;
}

size_t stoker_gguf_key_count(const struct stoker_gguf *gguf)
{
	return gguf->key_count;
}

const struct stoker_gguf_key *stoker_gguf_key(const struct stoker_gguf *gguf, size_t index)
{
	return &gguf->keys[index].public;
}

/* While the file is still being parsed there is no sorted list. */
static const struct stoker_gguf_key *find_unsorted(const struct stoker_gguf *gguf, const char *name)
{
	for (size_t i = 0; i < gguf->key_count; i++)
		if (!strcmp(gguf->keys[i].public.name, name))
			return &gguf->keys[i].public;
	return NULL;
}

const struct stoker_gguf_key *stoker_gguf_find(const struct stoker_gguf *gguf, const char *name)
{
	size_t low = 0, high = gguf->key_count;

	if (!gguf->sorted_keys)
		return find_unsorted(gguf, name);
	while (low < high) { /* the first of equals */
		const size_t middle = low + (high - low) / 2;

		if (strcmp(gguf->sorted_keys[middle]->public.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == gguf->key_count || strcmp(gguf->sorted_keys[low]->public.name, name))
		return NULL;
	return &gguf->sorted_keys[low]->public;
}

/* The bytes of element @index; scalars only. */
static const uint8_t *element(const struct stoker_gguf_key *public, uint64_t index)
{
	const struct key *key = (const struct key *)public;
	const bool array = public->type == STOKER_GGUF_ARRAY;

	return key->value + (array ? 12 + index * scalar_bytes[public->element_type] : 0);
}

int stoker_gguf_i64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		    uint64_t index, int64_t *value)
{
	uint64_t bits = 0;

	(void)gguf;
	if (key->element_type > STOKER_GGUF_F64 || !scalar_bytes[key->element_type] ||
	    key->element_type == STOKER_GGUF_F32 || key->element_type == STOKER_GGUF_F64)
		return -EINVAL;
	if (index >= key->count)
		return -ERANGE;
	memcpy(&bits, element(key, index), scalar_bytes[key->element_type]);
	switch (key->element_type) {
	case STOKER_GGUF_I8:
		*value = (int8_t)bits;
		break;
	case STOKER_GGUF_I16:
		*value = (int16_t)bits;
		break;
	case STOKER_GGUF_I32:
		*value = (int32_t)bits;
		break;
	default:
		*value = (int64_t)bits;
	}
	return key->element_type == STOKER_GGUF_U64 && *value < 0 ? -EINVAL : 0;
}

int stoker_gguf_u64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		    uint64_t index, uint64_t *value)
{
	int64_t number;
	const int ret = stoker_gguf_i64(gguf, key, index, &number);

	if (ret)
		return ret;
	*value = (uint64_t)number;
	return number < 0 ? -EINVAL : 0;
}

int stoker_gguf_f64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		    uint64_t index, double *value)
{
	int64_t number;
	float single;
	int ret;

	if (key->element_type != STOKER_GGUF_F32 && key->element_type != STOKER_GGUF_F64) {
		ret = stoker_gguf_i64(gguf, key, index, &number);
		if (!ret)
			*value = (double)number;
		return ret;
	}
	if (index >= key->count)
		return -ERANGE;
	if (key->element_type == STOKER_GGUF_F64) {
		memcpy(value, element(key, index), sizeof(*value));
	} else {
		memcpy(&single, element(key, index), sizeof(single));
		*value = (double)single;
	}
	return 0;
}

static struct stoker_string string_at(const uint8_t *at)
{
	uint64_t length;

	memcpy(&length, at, sizeof(length));
	return (struct stoker_string){ .data = (const char *)at + 8, .length = (size_t)length };
}

int stoker_gguf_string(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
		       struct stoker_string *value)
{
	(void)gguf;
	if (key->type != STOKER_GGUF_STRING)
		return -EINVAL;
	*value = string_at(((const struct key *)key)->value);
	return 0;
}

int stoker_gguf_strings(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
			struct stoker_string *strings)
{
	const uint8_t *at = ((const struct key *)key)->value + 12;

	(void)gguf;
	if (key->type != STOKER_GGUF_ARRAY || key->element_type != STOKER_GGUF_STRING)
		return -EINVAL;
	for (uint64_t i = 0; i < key->count; i++) {
		strings[i] = string_at(at);
		at += 8 + strings[i].length;
	}
	return 0;
}

const uint8_t *stoker_gguf_raw(const struct stoker_gguf_key *key, size_t *bytes)
{
	*bytes = ((const struct key *)key)->value_bytes;
	return ((const struct key *)key)->value;
}

size_t stoker_gguf_tensor_count(const struct stoker_gguf *gguf)
{
	return gguf->tensor_count;
}

const struct stoker_gguf_tensor *stoker_gguf_tensor(const struct stoker_gguf *gguf, size_t index)
{
	return &gguf->tensors[index];
}

const struct stoker_gguf_tensor *stoker_gguf_find_tensor(const struct stoker_gguf *gguf,
							 const char *name)
{
	const struct stoker_gguf_tensor wanted = { .name = name }, *key = &wanted;
	const struct stoker_gguf_tensor **found = bsearch(&key, gguf->sorted_tensors,
							  gguf->tensor_count,
							  sizeof(*gguf->sorted_tensors), by_tensor);

	return found ? *found : NULL;
}

int stoker_gguf_read(const struct stoker_gguf *gguf, const struct stoker_gguf_tensor *tensor,
		     uint64_t offset, void *dst, size_t bytes, struct stoker_error *err)
{
	const struct file *file = &gguf->files[tensor->file];
	size_t done = 0;

	if (bytes > tensor->bytes || offset > tensor->bytes - bytes)
		return stoker_fail(err, -ERANGE, "%s: tensor %s: %zu bytes at %llu, it has %llu",
				   file->path, tensor->name, bytes, (unsigned long long)offset,
				   (unsigned long long)tensor->bytes);
	while (done < bytes) {
		const ssize_t got = pread(file->fd, (char *)dst + done, bytes - done,
					  (off_t)(tensor->offset + offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return stoker_fail(err, got ? -errno : -EIO, "%s: tensor %s: %s",
					   file->path, tensor->name,
					   got ? strerror(errno) : "file became shorter");
		done += (size_t)got;
	}
	return 0;
}
