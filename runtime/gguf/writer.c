// SPDX-License-Identifier: MIT
/*
 * Writing GGUF version 3.  The head is built in memory; tensor data streams after it into
 * "PATH.XXXXXX.part", which takes its final name when everything is there.
 */
#include "gguf/gguf.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/new_file.h"

/* "GGUF", the version, how many tensors and keys there are. */
enum { HEAD_BYTES = 24, ALIGNMENT = 32, ALIGNMENT_MAX = 4096 };

struct bytes {
	uint8_t *data;
	size_t used, room;
};

struct stoker_gguf_writer {
	char *path, *part; /* NULL: nothing is written */
	int fd, failed;
	uint32_t alignment; /* of each tensor's data */
	struct bytes keys, rows;
	uint64_t key_count, tensor_count;
	uint64_t *sizes; /* of each tensor */
	uint64_t next_offset;
	bool head_written;
	uint64_t current, done; /* tensor being written, bytes of it written */
};

static void append(struct stoker_gguf_writer *w, struct bytes *b, const void *data, size_t n)
{
	if (w->failed)
		return;
	if (b->used + n > b->room) {
		const size_t room = 2 * (b->used + n) + 256;
		uint8_t *more = realloc(b->data, room);

		if (!more) {
			w->failed = -ENOMEM;
			return;
		}
		b->data = more;
		b->room = room;
	}
	if (n)
		memcpy(b->data + b->used, data, n);
	b->used += n;
}

static void append_u32(struct stoker_gguf_writer *w, struct bytes *b, uint32_t v)
{
	append(w, b, &v, sizeof(v));
}

static void append_u64(struct stoker_gguf_writer *w, struct bytes *b, uint64_t v)
{
	append(w, b, &v, sizeof(v));
}

static void append_string(struct stoker_gguf_writer *w, struct bytes *b, const char *s, size_t n)
{
	append_u64(w, b, n);
	append(w, b, s, n);
}

static void begin_key(struct stoker_gguf_writer *w, const char *key, enum stoker_gguf_type type)
{
	append_string(w, &w->keys, key, strlen(key));
	append_u32(w, &w->keys, type);
	w->key_count++;
}

static void begin_array(struct stoker_gguf_writer *w, const char *key, enum stoker_gguf_type type,
			uint64_t count)
{
	begin_key(w, key, STOKER_GGUF_ARRAY);
	append_u32(w, &w->keys, type);
	append_u64(w, &w->keys, count);
}

/* Whether an entry can be added; a caller's mistake is told by stoker_gguf_writer_finish(). */
static bool takes(struct stoker_gguf_writer *w, const char *key, bool value)
{
	if (w && (!key || !value) && !w->failed)
		w->failed = -EINVAL;
	return w && key && value;
}

int stoker_gguf_writer_open(const char *path, struct stoker_gguf_writer **out,
			    struct stoker_error *err)
{
	struct stoker_gguf_writer *w;
	int ret;

	if (out)
		*out = NULL;
	if (!path || !out)
		return stoker_fail(err, -EINVAL,
				   "writing a container needs its path and a place for it");
	w = calloc(1, sizeof(*w));
	if (!w)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	w->alignment = ALIGNMENT;
	ret = stoker_file_target(path, &w->path, err);
	if (!ret && asprintf(&w->part, "%s.XXXXXX.part", w->path) < 0) {
		w->part = NULL;
		ret = stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	}
	if (!ret) {
		w->fd = stoker_new_file(AT_FDCWD, w->part, 0666);
		if (w->fd < 0)
			ret = stoker_fail(err, w->fd, "%s: %s", w->part, stoker_strerror(-w->fd));
	}
	if (!ret) {
		*out = w;
		return 0;
	}
	free(w->path);
	free(w->part);
	free(w);
	return ret;
}

int stoker_gguf_writer_measure(struct stoker_gguf_writer **out)
{
	if (!out)
		return -EINVAL;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->alignment = ALIGNMENT;
	(*out)->fd = -1;
	return 0;
}

const char *stoker_gguf_writer_part(const struct stoker_gguf_writer *w)
{
	return w ? w->part : NULL;
}

void stoker_gguf_writer_put_alignment(struct stoker_gguf_writer *w, uint32_t bytes)
{
	if (!w)
		return;
	if (w->tensor_count || bytes < ALIGNMENT || bytes > ALIGNMENT_MAX || bytes & (bytes - 1)) {
		w->failed = -EINVAL;
		return;
	}
	w->alignment = bytes;
	stoker_gguf_writer_put_u32(w, "general.alignment", bytes);
}

void stoker_gguf_writer_put_u32(struct stoker_gguf_writer *w, const char *key, uint32_t value)
{
	if (!takes(w, key, true))
		return;
	begin_key(w, key, STOKER_GGUF_U32);
	append_u32(w, &w->keys, value);
}

void stoker_gguf_writer_put_f32(struct stoker_gguf_writer *w, const char *key, float value)
{
	if (!takes(w, key, true))
		return;
	begin_key(w, key, STOKER_GGUF_F32);
	append(w, &w->keys, &value, sizeof(value));
}

void stoker_gguf_writer_put_bool(struct stoker_gguf_writer *w, const char *key, int value)
{
	const uint8_t byte = value != 0;

	if (!takes(w, key, true))
		return;
	begin_key(w, key, STOKER_GGUF_BOOL);
	append(w, &w->keys, &byte, 1);
}

void stoker_gguf_writer_put_string(struct stoker_gguf_writer *w, const char *key, const char *value)
{
	if (!takes(w, key, value))
		return;
	begin_key(w, key, STOKER_GGUF_STRING);
	append_string(w, &w->keys, value, strlen(value));
}

void stoker_gguf_writer_put_strings(struct stoker_gguf_writer *w, const char *key,
				    const struct stoker_string *values, uint64_t count)
{
	if (!takes(w, key, values || !count))
		return;
	begin_array(w, key, STOKER_GGUF_STRING, count);
	for (uint64_t i = 0; i < count; i++)
		append_string(w, &w->keys, values[i].data, values[i].length);
}

void stoker_gguf_writer_put_i32s(struct stoker_gguf_writer *w, const char *key,
				 const int32_t *values, uint64_t count)
{
	if (!takes(w, key, values || !count))
		return;
	begin_array(w, key, STOKER_GGUF_I32, count);
	append(w, &w->keys, values, count * sizeof(*values));
}

void stoker_gguf_writer_put_f32s(struct stoker_gguf_writer *w, const char *key, const float *values,
				 uint64_t count)
{
	if (!takes(w, key, values || !count))
		return;
	begin_array(w, key, STOKER_GGUF_F32, count);
	append(w, &w->keys, values, count * sizeof(*values));
}

void stoker_gguf_writer_put_key(struct stoker_gguf_writer *w, const struct stoker_gguf *from,
				const struct stoker_gguf_key *key)
{
	const uint8_t *raw;
	size_t bytes;

	(void)from;
	if (!takes(w, key ? key->name : NULL, true))
		return;
	raw = stoker_gguf_raw(key, &bytes);
	begin_key(w, key->name, key->type);
	append(w, &w->keys, raw, bytes);
}

void stoker_gguf_writer_put_tensor(struct stoker_gguf_writer *w, const char *name,
				   const struct stoker_format *format, uint32_t dimensions,
				   const uint64_t *ne)
{
	uint64_t values = 1, *sizes;

	if (!takes(w, name, format && ne && dimensions >= 1 && dimensions <= 4))
		return;
	append_string(w, &w->rows, name, strlen(name));
	append_u32(w, &w->rows, dimensions);
	for (uint32_t i = 0; i < dimensions; i++) {
		append_u64(w, &w->rows, ne[i]);
		values *= ne[i];
	}
	append_u32(w, &w->rows, format->id);
	append_u64(w, &w->rows, w->next_offset);
	sizes = realloc(w->sizes, (w->tensor_count + 1) * sizeof(*sizes));
	if (!sizes) {
		w->failed = -ENOMEM;
		return;
	}
	w->sizes = sizes;
	sizes[w->tensor_count++] = stoker_row_bytes(format, values);
	w->next_offset = round_up(w->next_offset + stoker_row_bytes(format, values), w->alignment);
}

static int write_all(struct stoker_gguf_writer *w, const void *data, size_t n,
		     struct stoker_error *err)
{
	size_t done = 0;

	while (done < n && !w->failed) {
		const ssize_t wrote = write(w->fd, (const char *)data + done, n - done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			w->failed =
				stoker_fail(err, -errno, "%s: %s", w->part, stoker_strerror(errno));
		else
			done += (size_t)wrote;
	}
	return w->failed;
}

static int write_padding(struct stoker_gguf_writer *w, uint64_t after, struct stoker_error *err)
{
	static const uint8_t zeros[ALIGNMENT_MAX];

	return write_all(w, zeros, (size_t)(round_up(after, w->alignment) - after), err);
}

uint64_t stoker_gguf_writer_head(const struct stoker_gguf_writer *w)
{
	return w && !w->failed ? round_up(HEAD_BYTES + w->keys.used + w->rows.used, w->alignment)
			       : 0;
}

static int write_head(struct stoker_gguf_writer *w, struct stoker_error *err)
{
	struct bytes head = { 0 };

	append(w, &head, "GGUF", 4);
	append_u32(w, &head, 3);
	append_u64(w, &head, w->tensor_count);
	append_u64(w, &head, w->key_count);
	write_all(w, head.data, head.used, err);
	write_all(w, w->keys.data, w->keys.used, err);
	write_all(w, w->rows.data, w->rows.used, err);
	write_padding(w, HEAD_BYTES + w->keys.used + w->rows.used, err);
	free(head.data);
	w->head_written = true;
	return w->failed;
}

int stoker_gguf_writer_write(struct stoker_gguf_writer *w, const void *data, size_t bytes,
			     struct stoker_error *err)
{
	if (!w || !w->part || (!data && bytes))
		return stoker_fail(err, -EINVAL, "writing needs a writer and data");
	if (!w->head_written)
		write_head(w, err);
	if (w->failed)
		return stoker_fail(err, w->failed, "%s: %s", w->part, stoker_strerror(-w->failed));
	if (w->current >= w->tensor_count || bytes > w->sizes[w->current] - w->done)
		return stoker_fail(err, -EINVAL, "%s: more data than tensor %llu holds", w->part,
				   (unsigned long long)w->current);
	write_all(w, data, bytes, err);
	w->done += bytes;
	if (w->done == w->sizes[w->current]) {
		write_padding(w, w->done, err);
		w->current++;
		w->done = 0;
	}
	return w->failed;
}

int stoker_gguf_writer_finish(struct stoker_gguf_writer **writer, int keep,
			      struct stoker_error *err)
{
	struct stoker_gguf_writer *w = writer ? *writer : NULL;
	int ret = 0;

	if (!w)
		return 0;
	*writer = NULL;
	keep = keep && w->part;
	if (keep && !w->head_written)
		write_head(w, err);
	ret = w->failed;
	if (keep && ret == -ENOMEM)
		stoker_fail(err, ret, "%s: out of memory", w->path);
	if (keep && !ret && w->current != w->tensor_count)
		ret = stoker_fail(err, -EINVAL, "%s: %llu of %llu tensors written", w->path,
				  (unsigned long long)w->current,
				  (unsigned long long)w->tensor_count);
	if (w->part && close(w->fd) && !ret)
		ret = stoker_fail(err, -errno, "%s: %s", w->part, stoker_strerror(errno));
	if (keep && !ret && rename(w->part, w->path))
		ret = stoker_fail(err, -errno, "%s: %s", w->path, stoker_strerror(errno));
	if (w->part && (!keep || ret))
		unlink(w->part);
	free(w->keys.data);
	free(w->rows.data);
	free(w->sizes);
	free(w->path);
	free(w->part);
	free(w);
	return ret;
}
