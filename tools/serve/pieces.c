// SPDX-License-Identifier: MIT
/* From the tokens of an answer to pieces of text. */
#include "serve/pieces.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "serve/calls.h"
#include "serve/stops.h"
#include "serve/text.h"

/* What was told of a piece; texts are places in @said, SIZE_MAX: none. */
struct record {
	enum piece_kind kind;
	size_t text, bytes, name, id;
	size_t first, count; /* of the tokens */
	unsigned index;
};

struct pieces {
	const struct stoker_vocabulary *vocabulary;
	struct stoker_decoder *decoder;
	struct call_reader *reader;
	struct json_object *tools; /* for that one */
	struct stops *stops;	   /* NULL: there are none */
	char *end;		   /* of them, the one that isn't the client's */
	bool log_probabilities;

	struct text said;
	struct record *records;
	size_t told, count, room;
	struct token_info *tokens;
	size_t token_first, token_count, token_room; /* those from @token_first on await a text */

	bool thought, answered;
	uint32_t before; /* tokens before the answer */
};

/* Tokens go with the first piece that comes when they are known. */
static struct record *add_record(struct pieces *s, enum piece_kind kind)
{
	struct record *r;

	if (s->count == s->room) {
		const size_t room = 2 * s->room + 8;
		struct record *more = realloc(s->records, room * sizeof(*more));

		if (!more)
			return NULL;
		s->records = more;
		s->room = room;
	}
	r = &s->records[s->count++];
	*r = (struct record){ .kind = kind,
			      .name = SIZE_MAX,
			      .id = SIZE_MAX,
			      .first = s->token_first,
			      .count = s->token_count - s->token_first };
	s->token_first = s->token_count;
	return r;
}

static size_t say(struct pieces *s, const char *text, size_t bytes)
{
	const size_t at = s->said.bytes;

	text_add(&s->said, text, bytes);
	text_add(&s->said, "", 1);
	return at;
}

static int add_text(struct pieces *s, enum piece_kind kind, const char *text, size_t bytes)
{
	const size_t at = bytes ? say(s, text, bytes) : 0;
	struct record *r;

	if (!bytes)
		return 0;
	r = s->said.failed ? NULL : add_record(s, kind);
	if (!r)
		return -ENOMEM;
	r->text = at;
	r->bytes = bytes;
	return 0;
}

static int add_answer(struct pieces *s, const char *text, size_t bytes)
{
	const char *settled = text;
	int ret;

	s->answered = true;
	if (s->stops && !stops_text(s->stops, text, bytes, &settled, &bytes))
		return -ENOMEM;
	ret = add_text(s, PIECE_TEXT, settled, bytes);
	if (ret)
		return ret;
	return s->stops && stops_found(s->stops) ? 1 : 0;
}

static int take_part(void *context, enum part part, const char *text, size_t bytes)
{
	struct pieces *s = context;

	if (part == PART_ANSWER)
		return add_answer(s, text, bytes);
	s->thought = true;
	return add_text(s, PIECE_REASONING, text, bytes);
}

/* What may have become a stop string won't any more. */
static int release_held(struct pieces *s)
{
	const char *text;
	size_t bytes;

	if (!s->stops)
		return 0;
	stops_end(s->stops, &text, &bytes);
	return add_text(s, PIECE_TEXT, text, bytes);
}

static int take_call(void *context, unsigned index, const char *name, const char *id)
{
	struct pieces *s = context;
	size_t name_at, id_at;
	struct record *r;

	s->answered = true;
	if (release_held(s))
		return -ENOMEM;
	name_at = say(s, name, strlen(name));
	id_at = id ? say(s, id, strlen(id)) : SIZE_MAX;
	r = s->said.failed ? NULL : add_record(s, PIECE_CALL);
	if (!r)
		return -ENOMEM;
	r->index = index;
	r->text = r->name = name_at;
	r->id = id_at;
	return 0;
}

static int take_arguments(void *context, unsigned index, const char *json, size_t bytes)
{
	struct pieces *s = context;
	const int ret = add_text(s, PIECE_ARGUMENTS, json, bytes);

	if (!ret && bytes)
		s->records[s->count - 1].index = index;
	return ret;
}

static int take_text(struct pieces *s, const char *text, size_t bytes)
{
	return bytes ? call_reader_text(s->reader, text, bytes) : 0;
}

static int take_control(struct pieces *s, const char *name)
{
	const char *text;
	size_t bytes;
	int ret = stoker_decoder_flush(s->decoder, &text, &bytes);

	if (!ret)
		ret = take_text(s, text, bytes);
	return ret ? ret : call_reader_control(s->reader, name);
}

static int take_token(struct pieces *s, uint32_t token)
{
	char name[64];
	const size_t n = stoker_vocabulary_text(s->vocabulary, token, 1, name, sizeof(name) - 1);
	const bool control = !stoker_vocabulary_text(s->vocabulary, token, 0, NULL, 0);
	const char *text;
	size_t bytes;
	int ret;

	name[n < sizeof(name) ? n : 0] = 0;
	if (call_reader_knows(s->reader, name, control))
		return take_control(s, name);
	ret = stoker_decoder_push(s->decoder, token, &text, &bytes);
	return ret ? ret : take_text(s, text, bytes);
}

/* What has been told goes. */
static void forget(struct pieces *s)
{
	if (s->told < s->count)
		return;
	s->told = s->count = 0;
	text_clear(&s->said);
	s->token_count -= s->token_first;
	if (s->token_count)
		memmove(s->tokens, s->tokens + s->token_first, s->token_count * sizeof(*s->tokens));
	s->token_first = 0;
}

static bool keep_token(struct pieces *s, const struct token_info *token)
{
	if (s->token_count == s->token_room) {
		const size_t room = 2 * s->token_room + 8;
		struct token_info *more = realloc(s->tokens, room * sizeof(*more));

		if (!more)
			return false;
		s->tokens = more;
		s->token_room = room;
	}
	s->tokens[s->token_count++] = *token;
	return true;
}

int pieces_token(struct pieces *s, const struct token_info *token)
{
	int ret;

	forget(s);
	if (s->log_probabilities && !keep_token(s, token))
		return -ENOMEM;
	ret = take_token(s, token->token);
	s->before += !s->answered;
	return ret;
}

int pieces_end(struct pieces *s)
{
	const char *text;
	size_t bytes;
	int ret;

	forget(s);
	ret = stoker_decoder_flush(s->decoder, &text, &bytes);
	if (!ret)
		ret = take_text(s, text, bytes);
	if (!ret)
		ret = call_reader_end(s->reader);
	return ret ? ret : release_held(s);
}

bool pieces_next(struct pieces *s, struct piece *piece)
{
	const struct record *r = &s->records[s->told];

	if (s->told == s->count)
		return false;
	s->told++;
	*piece = (struct piece){ .kind = r->kind,
				 .text = s->said.data + r->text,
				 .bytes = r->bytes,
				 .index = r->index,
				 .name = r->name < SIZE_MAX ? s->said.data + r->name : NULL,
				 .id = r->id < SIZE_MAX ? s->said.data + r->id : NULL,
				 .tokens = s->tokens + r->first,
				 .token_count = r->count };
	return true;
}

const char *pieces_stop(const struct pieces *s)
{
	const char *found = s->stops ? stops_found(s->stops) : NULL;

	return found && !(s->end && !strcmp(found, s->end)) ? found : NULL;
}

bool pieces_has_calls(const struct pieces *s)
{
	return call_reader_count(s->reader) > 0;
}

uint32_t pieces_reasoning(const struct pieces *s)
{
	return s->thought ? s->before : 0;
}

static bool open_stops(struct pieces *s, const struct generation_params *p, const char *end)
{
	const char *texts[STOPS_MOST + 1];
	size_t count = 0;

	for (size_t i = 0; i < p->stop_count && i < STOPS_MOST; i++)
		texts[count++] = p->stop[i];
	if (end) {
		s->end = strdup(end);
		if (!s->end)
			return false;
		texts[count++] = end;
	}
	if (count)
		s->stops = stops_create(texts, count);
	return s->stops || !count;
}

static bool open_reader(struct pieces *s, const struct generation_params *p)
{
	static const struct call_sink sink = { take_part, take_call, take_arguments };
	const struct call_reader_params params = {
		.family = p->calls,
		.tools = p->tools,
		.opening = p->opening ? p->opening : "",
		.opening_bytes = p->opening_bytes,
		.split_reasoning = p->split_reasoning,
	};

	s->tools = json_object_get(p->tools);
	s->reader = call_reader_create(&params, &sink, s);
	return s->reader;
}

struct pieces *pieces_create(const struct generation_params *p,
			     const struct stoker_vocabulary *vocabulary, const char *end)
{
	struct pieces *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->vocabulary = vocabulary;
	s->log_probabilities = p->log_probabilities;
	if (!stoker_decoder_create(vocabulary, NULL, &s->decoder, NULL) && open_stops(s, p, end) &&
	    open_reader(s, p))
		return s;
	pieces_free(s);
	return NULL;
}

void pieces_free(struct pieces *s)
{
	if (!s)
		return;
	stoker_decoder_free(&s->decoder);
	call_reader_free(s->reader);
	json_object_put(s->tools);
	stops_free(s->stops);
	text_free(&s->said);
	free(s->records);
	free(s->tokens);
	free(s->end);
	free(s);
}
