// SPDX-License-Identifier: MIT
/*
 * An answer told apart while it comes: reasoning by its tags, calls of tools in what is left.  Of
 * models that write messages with headers (harmony) the header says what a message is, a call too.
 */
#include "serve/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/calls_parse.h"

enum { MAX_HEADER = 512 };

struct call_reader {
	struct call_sink sink;
	void *context;
	const struct call_family *family;
	struct splitter *splitter; /* NULL: reasoning stays in the text */
	struct call_parser parser;
	bool first; /* the prompt has begun a header: what comes first may be in it */
	bool in_header, in_call;
	char header[MAX_HEADER + 1];
	size_t header_bytes;
};

static int put(void *context, enum part part, const char *text, size_t bytes)
{
	struct call_reader *r = context;

	if (part == PART_REASONING || !r->family)
		return r->sink.text(r->context, part, text, bytes);
	return parser_text(&r->parser, text, bytes);
}

static bool ends_with(const char *text, size_t bytes, const char *end)
{
	const size_t n = strlen(end);

	return bytes >= n && !memcmp(text + bytes - n, end, n);
}

struct call_reader *call_reader_create(const struct call_reader_params *params,
				       const struct call_sink *sink, void *context)
{
	struct call_reader *r = calloc(1, sizeof(*r));
	const char *opening = params->opening ? params->opening : "";
	const size_t bytes = params->opening ? params->opening_bytes : 0;

	if (!r)
		return NULL;
	r->sink = *sink;
	r->context = context;
	r->family = params->family;
	if (r->family) {
		parser_init(&r->parser, r->family, params->tools, sink, context);
		r->first = r->family->harmony && ends_with(opening, bytes, "<|start|>assistant");
	}
	if (params->split_reasoning) {
		r->splitter = splitter_create(opening, bytes, put, r);
		if (!r->splitter) {
			call_reader_free(r);
			return NULL;
		}
	}
	return r;
}

static int plain_text(struct call_reader *r, const char *text, size_t bytes)
{
	return r->splitter ? splitter_text(r->splitter, text, bytes)
			   : put(r, PART_ANSWER, text, bytes);
}

/* --- headers of messages ------------------------------------------------------------------------
 */

static void add_header(struct call_reader *r, const char *text, size_t bytes)
{
	const size_t left = MAX_HEADER - r->header_bytes, n = bytes < left ? bytes : left;

	memcpy(r->header + r->header_bytes, text, n);
	r->header_bytes += n;
	r->header[r->header_bytes] = 0;
}

/* Without a header's mark in front: the rest of one names who it's to, and nothing else does. */
static bool may_be_header(const struct call_reader *r)
{
	static const char to[] = "to=";
	const char *text = r->header + strspn(r->header, " ");
	const size_t n = strlen(text);

	return r->header_bytes < MAX_HEADER && !strncmp(text, to, n < 3 ? n : 3);
}

static int first_text(struct call_reader *r, const char *text, size_t bytes)
{
	const size_t before = r->header_bytes, left = MAX_HEADER - before;
	const size_t n = bytes < left ? bytes : left;
	int ret;

	add_header(r, text, n);
	if (n == bytes && may_be_header(r))
		return 0;
	r->first = false;
	ret = plain_text(r, r->header, r->header_bytes);
	r->header_bytes = 0;
	return ret ? ret : plain_text(r, text + n, bytes - n);
}

static const char *called_tool(struct call_reader *r)
{
	static const char to[] = "to=functions.";
	char *name = strstr(r->header, to);

	if (!name)
		return NULL;
	name += sizeof(to) - 1;
	name[strcspn(name, " \n\t<")] = 0;
	return name;
}

static int end_call(struct call_reader *r)
{
	r->in_call = false;
	return parser_end(&r->parser);
}

/* Harmony's marks; *@taken: nobody else need see it. */
static int header_mark(struct call_reader *r, const char *name, bool *taken)
{
	const bool start = !strcmp(name, "<|start|>"), channel = !strcmp(name, "<|channel|>");
	const bool end = !strcmp(name, "<|end|>");
	int ret = 0;

	if (r->in_call &&
	    (start || channel || end || !strcmp(name, "<|call|>") || !strcmp(name, "<|return|>")))
		ret = end_call(r);
	if (r->first && r->header_bytes && !start) {
		r->in_header = true;
		if (!ret && r->splitter) /* it swallows headers as well */
			ret = splitter_control(r->splitter, "<|start|>");
	}
	r->first = false;
	if (start || end || (channel && !r->in_header)) {
		r->in_header = true;
		r->header_bytes = 0;
		r->header[0] = 0;
	} else if (r->in_header && !strcmp(name, "<|message|>")) {
		const char *tool = called_tool(r);

		r->in_header = false;
		if (!tool || ret)
			return ret;
		ret = parser_end(&r->parser);
		r->in_call = !ret && parser_named(&r->parser, tool);
		*taken = r->in_call;
	} else if (r->in_header) {
		add_header(r, " ", 1);
	}
	return ret;
}

/* --- text and control tokens --------------------------------------------------------------------
 */

int call_reader_text(struct call_reader *r, const char *text, size_t bytes)
{
	if (r->first)
		return first_text(r, text, bytes);
	if (r->in_call)
		return parser_text(&r->parser, text, bytes);
	if (r->in_header) {
		add_header(r, text, bytes);
		return r->splitter ? splitter_text(r->splitter, text, bytes) : 0;
	}
	return plain_text(r, text, bytes);
}

/* Whether a token is a mark of the family, or one of several that a mark is made of. */
static bool is_mark(const struct call_family *f, const char *name)
{
	const char *const marks[] = { f->begin[0],    f->begin[1],   f->begin[2], f->end[0],
				      f->end[1],      f->end[2],     f->open,	  f->close,
				      f->name_open,   f->name_close, f->id_open,  f->args_close,
				      f->key_open,    f->key_close,  f->key_tail, f->value_open,
				      f->value_close, f->quote };

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (marks[i] && strstr(marks[i], name))
			return true;
	return false;
}

bool call_reader_knows(const struct call_reader *r, const char *name, bool control)
{
	if (!*name)
		return false;
	if (control && r->family && (r->family->harmony || is_mark(r->family, name)))
		return true;
	return splitter_knows(name, control);
}

int call_reader_control(struct call_reader *r, const char *name)
{
	bool taken = false;
	int ret = 0;

	if (!*name)
		return 0;
	if (r->family && !r->family->harmony && is_mark(r->family, name))
		return plain_text(r, name, strlen(name));
	if (r->family && r->family->harmony)
		ret = header_mark(r, name, &taken);
	if (ret || taken)
		return ret;
	if (r->splitter)
		return splitter_control(r->splitter, name);
	return splitter_knows(name, true) ? plain_text(r, name, strlen(name)) : 0;
}

int call_reader_end(struct call_reader *r)
{
	int ret = 0;

	if (r->first && r->header_bytes)
		ret = plain_text(r, r->header, r->header_bytes);
	r->first = false;
	if (!ret && r->splitter)
		ret = splitter_end(r->splitter);
	if (!ret && r->family)
		ret = parser_end(&r->parser);
	return ret;
}

unsigned call_reader_count(const struct call_reader *r)
{
	return r->family ? r->parser.count : 0;
}

void call_reader_free(struct call_reader *r)
{
	if (!r)
		return;
	splitter_free(r->splitter);
	parser_free(&r->parser);
	free(r);
}
