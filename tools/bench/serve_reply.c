// SPDX-License-Identifier: MIT
/* Replies of a server that is measured. */
#include "bench/serve_reply.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

enum { HEAD, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, BODY, REST, WHOLE };
enum { LONGEST_LINE = 4 << 20 };

static bool add(struct reply_bytes *b, const char *data, size_t bytes)
{
	if (bytes >= b->room - b->bytes) {
		const size_t room = 2 * b->room + bytes + 256;
		char *grown = room <= LONGEST_LINE ? realloc(b->data, room) : NULL;

		if (!grown)
			return false;
		b->data = grown;
		b->room = room;
	}
	if (bytes)
		memcpy(b->data + b->bytes, data, bytes);
	b->bytes += bytes;
	b->data[b->bytes] = 0;
	return true;
}

void reply_begin(struct reply *r)
{
	const struct reply clean = { .gaps = r->gaps,
				     .keep_text = r->keep_text,
				     .text = { r->text.data, 0, r->text.room },
				     .line = { r->line.data, 0, r->line.room } };

	*r = clean;
}

void reply_free(struct reply *r)
{
	free(r->text.data);
	free(r->line.data);
	*r = (struct reply){ .status = 0 };
}

static const char *string_of(struct json_object *o, const char *name)
{
	struct json_object *value = NULL;

	return json_object_is_type(o, json_type_object) &&
			       json_object_object_get_ex(o, name, &value) &&
			       json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : NULL;
}

static uint64_t number_of(struct json_object *o, const char *name)
{
	struct json_object *value = NULL;
	const int64_t n = json_object_is_type(o, json_type_object) &&
					  json_object_object_get_ex(o, name, &value)
				  ? json_object_get_int64(value)
				  : 0;

	return n > 0 ? (uint64_t)n : 0;
}

static void read_usage(struct reply *r, struct json_object *usage)
{
	struct json_object *details = NULL;

	if (!json_object_is_type(usage, json_type_object))
		return;
	r->prompt = number_of(usage, "prompt_tokens");
	r->generated = number_of(usage, "completion_tokens");
	if (json_object_object_get_ex(usage, "prompt_tokens_details", &details))
		r->cached = number_of(details, "cached_tokens");
}

static bool read_text(struct reply *r, struct json_object *choices)
{
	struct json_object *choice = json_object_is_type(choices, json_type_array)
					     ? json_object_array_get_idx(choices, 0)
					     : NULL;
	struct json_object *delta = NULL;
	const char *text = string_of(choice, "text");

	if (!text && json_object_is_type(choice, json_type_object) &&
	    (json_object_object_get_ex(choice, "delta", &delta) ||
	     json_object_object_get_ex(choice, "message", &delta)))
		text = string_of(delta, "content");
	return !text || add(&r->text, text, strlen(text));
}

/* What comes rarely, or is wanted word for word. */
static bool read_object(struct reply *r, const char *data)
{
	struct json_object *root = json_tokener_parse(data), *value = NULL;
	bool ok = true;

	if (!json_object_is_type(root, json_type_object)) {
		json_object_put(root);
		return true;
	}
	if (json_object_object_get_ex(root, "error", &value)) {
		const char *message = string_of(value, "message");

		snprintf(r->error, sizeof(r->error), "%s",
			 message ? message : json_object_get_string(value));
	}
	if (json_object_object_get_ex(root, "usage", &value))
		read_usage(r, value);
	if (r->keep_text && json_object_object_get_ex(root, "choices", &value))
		ok = read_text(r, value);
	json_object_put(root);
	return ok;
}

/* Whether @name, with its quotes, is there with a value that begins with @begin and is no "". */
static bool has(const char *data, const char *name, char begin)
{
	for (const char *at = data; (at = strstr(at, name));) {
		at += strlen(name);
		at += strspn(at, " ");
		if (*at++ != ':')
			continue;
		at += strspn(at, " ");
		if (*at == begin && (begin != '"' || at[1] != '"'))
			return true;
	}
	return false;
}

static void note_piece(struct reply *r, double now)
{
	if (!r->pieces++)
		r->first = now;
	else if (r->gaps)
		samples_add(r->gaps, now - r->last);
	r->last = now;
}

/* One event's data: a piece of text, how it ended, usage, or what went wrong. */
static bool read_data(struct reply *r, const char *data, double now)
{
	if (!strcmp(data, "[DONE]")) {
		r->finished = true;
		return true;
	}
	if (has(data, "\"text\"", '"') || has(data, "\"content\"", '"') ||
	    has(data, "\"reasoning_content\"", '"') || has(data, "\"arguments\"", '"'))
		note_piece(r, now);
	if (has(data, "\"finish_reason\"", '"'))
		r->finished = true;
	return (!r->keep_text && !has(data, "\"usage\"", '{') && !strstr(data, "\"error\"")) ||
	       read_object(r, data);
}

/* A line of the body, without its end. */
static bool read_line(struct reply *r, double now)
{
	char *line = r->line.data;
	bool ok = true;

	if (!r->line.bytes)
		return true;
	if (line[r->line.bytes - 1] == '\r')
		line[r->line.bytes - 1] = 0;
	if (!strncmp(line, "data:", 5)) {
		line += 5;
		ok = read_data(r, line + strspn(line, " "), now);
	} else if (*line != ':' && strncmp(line, "event:", 6) != 0 &&
		   (r->keep_text || r->status != 200)) {
		ok = add(&r->text, line, strlen(line));
	}
	r->line.bytes = 0;
	return ok;
}

static int take_body(struct reply *r, const char *data, size_t bytes, double now)
{
	while (bytes) {
		const char *end = memchr(data, '\n', bytes);
		const size_t n = end ? (size_t)(end - data) : bytes;

		if (!add(&r->line, data, n) || (end && !read_line(r, now)))
			return -ENOMEM;
		data += n + (end ? 1 : 0);
		bytes -= n + (end ? 1 : 0);
	}
	return 0;
}

static int finish(struct reply *r, double now)
{
	r->whole = true;
	r->state = WHOLE;
	if (!read_line(r, now))
		return -ENOMEM;
	if (r->status != 200 && r->text.bytes && !read_object(r, r->text.data))
		return -ENOMEM;
	if (r->status != 200 && !*r->error)
		snprintf(r->error, sizeof(r->error), "status %u", r->status);
	return 0;
}

static const char *field(const char *line, const char *name)
{
	const size_t n = strlen(name);

	return !strncasecmp(line, name, n) && line[n] == ':'
		       ? line + n + 1 + strspn(line + n + 1, " \t")
		       : NULL;
}

/* "HTTP/1.1 200 OK", then fields. */
static int read_head(struct reply *r, double now)
{
	const char *value;

	if (!r->status) {
		if (strncmp(r->head, "HTTP/1.", 7) != 0 || r->head_bytes < 12)
			return -EPROTO;
		r->status = (unsigned)strtoul(r->head + 8, NULL, 10);
		r->keeps = r->head[7] != '0';
		return r->status >= 100 && r->status < 600 ? 0 : -EPROTO;
	}
	if ((value = field(r->head, "content-length"))) {
		r->left = strtoull(value, NULL, 10);
		r->sized = true;
	} else if ((value = field(r->head, "transfer-encoding"))) {
		r->chunked = !strncasecmp(value, "chunked", 7);
	} else if ((value = field(r->head, "connection"))) {
		r->keeps = strncasecmp(value, "close", 5) != 0;
	} else if (!r->head_bytes) {
		if (r->status < 200)
			r->status = 0; /* 100 Continue: the real one follows */
		else if (r->chunked)
			r->state = CHUNK_SIZE;
		else if (!r->sized && r->status != 204)
			r->state = REST;
		else if (r->left)
			r->state = BODY;
		else
			return finish(r, now);
	}
	return 0;
}

/* A line of what is around the body. */
static int read_frame(struct reply *r, double now)
{
	char *end;

	switch (r->state) {
	case HEAD:
		return read_head(r, now);
	case CHUNK_SIZE:
		errno = 0;
		r->left = strtoull(r->head, &end, 16);
		if (errno || end == r->head || !isxdigit((unsigned char)*r->head))
			return -EPROTO;
		r->state = r->left ? CHUNK : TRAILER;
		return 0;
	case CHUNK_END:
		r->state = CHUNK_SIZE;
		return r->head_bytes ? -EPROTO : 0;
	default:
		return r->head_bytes ? 0 : finish(r, now);
	}
}

static long take_frame(struct reply *r, const char *data, size_t bytes, double now)
{
	const char *end = memchr(data, '\n', bytes);
	const size_t n = end ? (size_t)(end - data) : bytes;
	const size_t room = sizeof(r->head) - 1 - r->head_bytes;
	int ret = 0;

	/* of a longer line the rest is nothing that is looked for */
	memcpy(r->head + r->head_bytes, data, n < room ? n : room);
	r->head_bytes += n < room ? n : room;
	if (end) {
		if (r->head_bytes && r->head[r->head_bytes - 1] == '\r')
			r->head_bytes--;
		r->head[r->head_bytes] = 0;
		ret = read_frame(r, now);
		r->head_bytes = 0;
	}
	return ret ? ret : (long)n + (end ? 1 : 0);
}

long reply_take(struct reply *r, const char *data, size_t bytes, double now)
{
	size_t taken = 0;

	while (taken < bytes && r->state != WHOLE) {
		const bool sized = r->state == CHUNK || r->state == BODY;
		size_t n = bytes - taken;
		int ret;

		if (!sized && r->state != REST) {
			const long frame = take_frame(r, data + taken, n, now);

			if (frame < 0)
				return frame;
			taken += (size_t)frame;
			continue;
		}
		n = sized && r->left < n ? (size_t)r->left : n;
		ret = take_body(r, data + taken, n, now);
		taken += n;
		if (sized)
			r->left -= n;
		if (!ret && sized && !r->left && r->state == BODY)
			ret = finish(r, now);
		else if (sized && !r->left)
			r->state = CHUNK_END;
		if (ret)
			return ret;
	}
	return (long)taken;
}

bool reply_closed(struct reply *r, double now)
{
	r->keeps = false;
	if (r->state == REST)
		finish(r, now);
	return r->whole;
}
