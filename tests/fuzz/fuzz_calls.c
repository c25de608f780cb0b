// SPDX-License-Identifier: MIT
/*
 * Hostile answers of a model, read for calls of tools in pieces: text without calls comes out as it
 * came in.  Behind a zero byte are tools, whose grammar has to be one.
 */
#include <errno.h>
#include <json-c/json.h>

#include "fuzz.h"
#include "serve/calls.h"
#include "serve/calls_families.h"
#include "serve/problem.h"

static const char usual[] =
	"[{\"name\": \"f\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": "
	"{\"type\": "
	"\"string\"}, \"b\": {\"type\": \"integer\"}, \"c\": {\"type\": \"object\"}, \"d\": {}}}}, "
	"{\"name\": \"g\"}]";

struct told {
	char *text;
	size_t bytes, room;
	unsigned calls;
};

static int take_text(void *context, enum part part, const char *text, size_t bytes)
{
	struct told *t = context;

	(void)part;
	if (!bytes || (!t->calls && t->bytes + bytes > t->room))
		abort();
	if (!t->calls)
		memcpy(t->text + t->bytes, text, bytes);
	t->bytes += bytes;
	return 0;
}

static int take_call(void *context, unsigned index, const char *name, const char *id)
{
	struct told *t = context;

	(void)id;
	if (index != t->calls++ || !*name)
		abort();
	return 0;
}

static int take_arguments(void *context, unsigned index, const char *json, size_t bytes)
{
	struct told *t = context;

	(void)json;
	if (index + 1 != t->calls || !bytes)
		abort();
	return 0;
}

static void read_calls(const struct call_family *f, struct json_object *tools, const char *text,
		       size_t bytes, size_t piece)
{
	static const struct call_sink sink = { take_text, take_call, take_arguments };
	const struct call_reader_params params = { .family = f, .tools = tools };
	struct told told = { .text = malloc(bytes + 1), .room = bytes };
	struct call_reader *r = call_reader_create(&params, &sink, &told);

	if (!r || !told.text)
		abort();
	for (size_t at = 0; at < bytes; at += piece)
		if (call_reader_text(r, text + at, bytes - at < piece ? bytes - at : piece))
			abort();
	if (call_reader_end(r))
		abort();
	if (!told.calls && !f->harmony && (told.bytes != bytes || memcmp(told.text, text, bytes)))
		abort();
	call_reader_free(r);
	free(told.text);
}

static void make_grammar(const struct call_family *f, struct json_object *tools)
{
	struct call_grammar g;
	struct problem p = { 0 };
	struct stoker_grammar *grammar;
	struct stoker_error err;
	int ret;

	if (!call_grammar(f, NULL, tools, CALL_REQUIRED, NULL, true, &g, &p)) {
		if (!p.status)
			abort();
		return;
	}
	ret = stoker_grammar_compile(NULL, g.gbnf, strlen(g.gbnf), &grammar, &err);
	if (ret && ret != -E2BIG)
		abort();
	if (!ret)
		stoker_grammar_free(&grammar);
	call_grammar_free(&g);
}

/* As the server does it: nothing but UTF-8. */
static struct json_object *parse(const char *json, size_t bytes)
{
	struct json_tokener *t = json_tokener_new();
	struct json_object *o;

	if (!t)
		abort();
	json_tokener_set_flags(t, JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, json, (int)bytes);
	json_tokener_free(t);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct call_family *f;
	const uint8_t *end;
	struct json_object *tools = NULL;
	size_t count = 0;

	if (size < 2)
		return 0;
	while (call_family_at(count))
		count++;
	f = call_family_at(data[0] % count);
	end = memchr(data + 2, 0, size - 2);
	if (end)
		tools = parse((const char *)end + 1, (size_t)(data + size - end - 1));
	if (tools)
		make_grammar(f, tools);
	else
		tools = json_tokener_parse(usual);
	read_calls(f, tools, (const char *)data + 2, end ? (size_t)(end - data - 2) : size - 2,
		   1 + data[1] % 32);
	json_object_put(tools);
	return 0;
}
