// SPDX-License-Identifier: MIT
/* A text read for calls of tools, in pieces, and what came of it. */
#include "calls_feed.h"

#include "unit.h"

const char two_tools[] =
	"[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"description\": "
	"\"W\","
	" \"parameters\": {\"type\": \"object\", \"properties\": {"
	"\"city\": {\"type\": \"string\", \"description\": \"c\"},"
	"\"days\": {\"type\": \"integer\", \"description\": \"d\"},"
	"\"deep\": {\"type\": \"object\", \"description\": \"e\"},"
	"\"ok\": {\"type\": \"boolean\", \"description\": \"o\"}}, \"required\": [\"city\"]}}},"
	"{\"type\": \"function\", \"function\": {\"name\": \"now\", \"description\": \"N\","
	" \"parameters\": {\"type\": \"object\", \"properties\": {}}}}]";

static int take_text(void *context, enum part part, const char *text, size_t bytes)
{
	struct fed *fed = context;
	char *to = part == PART_ANSWER ? fed->text : fed->reasoning;
	const size_t n = strlen(to);

	CU_ASSERT_FATAL(bytes > 0 && n + bytes < FED_ROOM);
	memcpy(to + n, text, bytes);
	to[n + bytes] = 0;
	return 0;
}

static int take_call(void *context, unsigned index, const char *name, const char *id)
{
	struct fed *fed = context;

	CU_ASSERT_EQUAL_FATAL(index, fed->count);
	fed->count++;
	if (index >= FED_CALLS) /* of a hostile text */
		return 0;
	snprintf(fed->names[index], sizeof(fed->names[index]), "%s", name);
	snprintf(fed->ids[index], sizeof(fed->ids[index]), "%s", id ? id : "");
	fed->arguments[index] = calloc(1, 1);
	return 0;
}

static int take_arguments(void *context, unsigned index, const char *json, size_t bytes)
{
	struct fed *fed = context;

	CU_ASSERT_FATAL(bytes > 0 && index + 1 == fed->count);
	fed->pieces++;
	if (index >= FED_CALLS)
		return 0;
	const size_t n = strlen(fed->arguments[index]);
	char *more = realloc(fed->arguments[index], n + bytes + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(more);
	fed->arguments[index] = more;
	memcpy(more + n, json, bytes);
	more[n + bytes] = 0;
	return 0;
}

static void feed_stream(struct call_reader *r, const char *stream, size_t bytes, size_t piece)
{
	const char *end = stream + bytes;

	while (stream < end) {
		const char *mark = memchr(stream, 1, (size_t)(end - stream));
		const size_t left = (size_t)((mark ? mark : end) - stream);
		const size_t wanted = piece ? piece : 1 + random_u32() % 9;
		const size_t n = MIN(left, wanted);

		if (n) {
			CU_ASSERT_EQUAL(call_reader_text(r, stream, n), 0);
			stream += n;
			continue;
		}
		char name[64] = "";
		const size_t length = strcspn(stream, "\2") - 1;

		memcpy(name, stream + 1, length);
		if (call_reader_knows(r, name, true))
			CU_ASSERT_EQUAL(call_reader_control(r, name), 0);
		stream += length + 2;
	}
	CU_ASSERT_EQUAL(call_reader_end(r), 0);
}

void feed(const struct call_family *f, const char *tools, const char *opening, const char *stream,
	  size_t bytes, size_t piece, struct fed *out)
{
	const struct call_sink sink = { take_text, take_call, take_arguments };
	struct json_object *list = json_tokener_parse(tools);
	const struct call_reader_params params = { .family = f,
						   .tools = list,
						   .opening = opening,
						   .opening_bytes = strlen(opening),
						   .split_reasoning = true };
	struct call_reader *r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	fed_free(out);
	out->text[0] = out->reasoning[0] = 0;
	out->count = out->pieces = 0;
	r = call_reader_create(&params, &sink, out);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	feed_stream(r, stream, bytes, piece);
	CU_ASSERT_EQUAL(call_reader_count(r), out->count);
	call_reader_free(r);
	json_object_put(list);
}

void fed_free(struct fed *fed)
{
	for (unsigned i = 0; i < FED_CALLS; i++) {
		free(fed->arguments[i]);
		fed->arguments[i] = NULL;
	}
}

void fed_show(const struct fed *fed, char *out, size_t room)
{
	size_t n = (size_t)snprintf(out, room, "%s", fed->text);

	for (unsigned i = 0; i < fed->count && n < room; i++)
		n += (size_t)snprintf(out + n, room - n, "[%s|%s|%s]", fed->names[i], fed->ids[i],
				      fed->arguments[i]);
}

const struct call_family *family_called(const char *name)
{
	const struct call_family *f;

	for (size_t i = 0; (f = call_family_at(i)); i++)
		if (!strcmp(call_family_name(f), name))
			return f;
	printf("\n    no family %s", name);
	CU_FAIL_FATAL("no such family");
	return NULL;
}
