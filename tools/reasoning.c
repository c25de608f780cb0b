// SPDX-License-Identifier: MIT
/*
 * What a model thinks, told apart from what it answers, while the text comes.
 *
 * Two ways are in use.  Most models begin with a pair of tags around their reasoning; tags that
 * come later, when the answer has begun, are text like any other.  Others write several messages,
 * each with a header that names its channel (harmony), all marked by control tokens.
 */
#include "reasoning.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SPACE = 256 }; /* white space kept back until it is known what follows */

/* @header follows the tag that opens and belongs to it.  @answer: these stand around an answer, but
 * only behind reasoning. */
struct pair {
	const char *open, *close, *header;
	bool answer;
};

static const struct pair pairs[] = {
	{ "<think>", "</think>" },
	{ "<thinking>", "</thinking>" },
	{ "<thought>", "</thought>" },
	{ "<reasoning>", "</reasoning>" },
	{ "<seed:think>", "</seed:think>" },
	{ "<longcat_think>", "</longcat_think>" },
	{ "<mm:think>", "</mm:think>" },
	{ "<think:opensource>", "</think:opensource>" },
	{ "[THINK]", "[/THINK]" },
	{ "<|START_THINKING|>", "<|END_THINKING|>" },
	{ "<|begin_of_thought|>", "<|end_of_thought|>" },
	{ "<|inner_prefix|>", "<|inner_suffix|>" },
	{ "<|think|>", "<|end|>" },
	{ "<|channel>", "<channel|>", "thought" },
	{ "<unused94>", "<unused95>", "thought" },
	{ "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]" },
	{ "\xe2\x97\x81think\xe2\x96\xb7", "\xe2\x97\x81/think\xe2\x96\xb7" },
	{ "<answer>", "</answer>", .answer = true },
	{ "<response>", "</response>", .answer = true },
};

enum { PAIRS = sizeof(pairs) / sizeof(*pairs) };

enum state {
	BEGIN,	/* of the answer, or of reasoning: nothing but white space so far */
	INSIDE, /* of a pair of tags */
	ANSWER, /* to the end */
	HEADER, /* of a message: who speaks, to whom, on what channel */
	BODY,	/* of a message */
};

struct splitter {
	part_function put;
	void *context;
	enum state state;
	const struct pair *pair;
	bool thought;	/* reasoning has ended */
	bool trim;	/* white space that comes next is not part of the text */
	bool header;	/* of the pair, may come next */
	enum part body; /* which part a message's body is */
	bool channel_named;
	char channel[64];
	size_t channel_length;
	char *held; /* what isn't settled yet */
	size_t length, room;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t leading_space(const char *text, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && is_space(text[n]))
		n++;
	return n;
}

static size_t without_trailing_space(const char *text, size_t bytes)
{
	while (bytes && is_space(text[bytes - 1]))
		bytes--;
	return bytes;
}

static void drop(struct splitter *s, size_t bytes)
{
	s->length -= bytes;
	if (s->length)
		memmove(s->held, s->held + bytes, s->length);
}

/* Hands on the first @bytes of what is held. */
static int settle(struct splitter *s, enum part part, size_t bytes)
{
	const int ret = bytes ? s->put(s->context, part, s->held, bytes) : 0;

	drop(s, bytes);
	return ret;
}

static void begin_pair(struct splitter *s, const struct pair *pair)
{
	s->state = INSIDE;
	s->pair = pair;
	s->trim = true;
	s->header = pair->header != NULL;
}

static void end_pair(struct splitter *s)
{
	s->state = BEGIN;
	s->thought = true;
	s->trim = true;
}

/* One step at the beginning; false when more text is needed. */
static bool step_begin(struct splitter *s, bool final, int *ret)
{
	const size_t space = leading_space(s->held, s->length), rest = s->length - space;
	bool open = rest == 0 && space <= MAX_SPACE;

	for (size_t i = 0; i < PAIRS; i++) {
		const size_t n = strlen(pairs[i].open);

		if (pairs[i].answer && !s->thought)
			continue;
		if (rest >= n && !memcmp(s->held + space, pairs[i].open, n)) {
			drop(s, space + n);
			begin_pair(s, &pairs[i]);
			return true;
		}
		open = open || (rest && rest < n && !memcmp(s->held + space, pairs[i].open, rest));
	}
	if (open && !final)
		return false;
	if (s->trim)
		drop(s, space);
	if (rest || !s->trim)
		s->state = ANSWER;
	*ret = settle(s, PART_ANSWER, s->length);
	return false;
}

/* How many bytes are settled: neither a part of the closing tag nor white space before it. */
static size_t settled_inside(const struct splitter *s)
{
	const size_t most = strlen(s->pair->close) - 1;
	size_t keep = s->length < most ? s->length : most, rest;

	while (keep && memcmp(s->held + s->length - keep, s->pair->close, keep) != 0)
		keep--;
	rest = s->length - keep;
	const size_t settled = without_trailing_space(s->held, rest);

	return rest - settled > MAX_SPACE ? rest : settled;
}

/* The pair's own header, on a line by itself; false when more text is needed. */
static bool skip_header(struct splitter *s, bool final)
{
	const size_t n = strlen(s->pair->header), got = s->length < n ? s->length : n;
	const bool same = !memcmp(s->held, s->pair->header, got);

	if (same && got < n && !final)
		return false;
	if (same && got == n)
		drop(s, n);
	s->header = false;
	return true;
}

static bool step_inside(struct splitter *s, bool final, int *ret)
{
	const enum part part = s->pair->answer ? PART_ANSWER : PART_REASONING;
	const size_t n = strlen(s->pair->close);
	const char *end;

	if (s->header && !skip_header(s, final))
		return false;
	if (s->trim)
		drop(s, leading_space(s->held, s->length));
	if (!s->length)
		return false;
	s->trim = false;
	end = memmem(s->held, s->length, s->pair->close, n);
	if (!end) {
		*ret = settle(s, part,
			      final ? without_trailing_space(s->held, s->length)
				    : settled_inside(s));
		return false;
	}
	const size_t before = (size_t)(end - s->held);
	const size_t text = without_trailing_space(s->held, before);

	*ret = settle(s, part, text);
	drop(s, before - text + n);
	end_pair(s);
	return !*ret;
}

/* The channel's name is looked at as a whole, once the message begins. */
static void take_header(struct splitter *s)
{
	const size_t left = s->channel_named ? sizeof(s->channel) - 1 - s->channel_length : 0;
	const size_t n = s->length < left ? s->length : left;

	memcpy(s->channel + s->channel_length, s->held, n);
	s->channel_length += n;
	drop(s, s->length);
}

static int advance(struct splitter *s, bool final)
{
	bool more = true;
	int ret = 0;

	while (more && s->length && !ret) {
		more = false;
		if (s->state == BEGIN)
			more = step_begin(s, final, &ret);
		else if (s->state == INSIDE)
			more = step_inside(s, final, &ret);
		else if (s->state == HEADER)
			take_header(s);
		else
			ret = settle(s, s->state == BODY ? s->body : PART_ANSWER, s->length);
	}
	return ret;
}

int splitter_text(struct splitter *s, const char *text, size_t bytes)
{
	if (s->length + bytes > s->room) {
		const size_t room = 2 * (s->length + bytes) + 256;
		char *more = realloc(s->held, room);

		if (!more)
			return -ENOMEM;
		s->held = more;
		s->room = room;
	}
	if (bytes)
		memcpy(s->held + s->length, text, bytes);
	s->length += bytes;
	return advance(s, false);
}

int splitter_end(struct splitter *s)
{
	return advance(s, true);
}

/* "final" and no channel are the answer; "analysis", "commentary" and what else there is aren't. */
static enum part part_of_channel(struct splitter *s)
{
	const char *name = s->channel;

	s->channel[s->channel_length] = 0;
	name += strspn(name, " \n\t");
	return !*name || !strncmp(name, "final", 5) ? PART_ANSWER : PART_REASONING;
}

/* Harmony: <|start|>ROLE<|channel|>NAME<|message|>TEXT<|end|>; others say <|begin|>, <|content|>.
 */
static void take_message_mark(struct splitter *s, const char *name)
{
	const bool ends = s->state == BODY && !strcmp(name, "<|end|>");

	if (ends || !strcmp(name, "<|start|>") || !strcmp(name, "<|begin|>") ||
	    !strcmp(name, "<|channel|>")) {
		s->state = HEADER;
		s->channel_length = 0;
		s->channel_named = !strcmp(name, "<|channel|>");
	} else if (!strcmp(name, "<|message|>") || !strcmp(name, "<|content|>")) {
		s->body = part_of_channel(s);
		s->state = BODY;
	}
}

bool splitter_knows(const char *name, bool control)
{
	static const char *const marks[] = { "<|start|>",   "<|begin|>",   "<|channel|>",
					     "<|message|>", "<|content|>", "<|end|>" };

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		if (!strcmp(name, marks[i]))
			return true;
	for (size_t i = 0; control && i < PAIRS; i++)
		if (!strcmp(name, pairs[i].open) || !strcmp(name, pairs[i].close))
			return true;
	return false;
}

int splitter_control(struct splitter *s, const char *name)
{
	int ret = 0;

	if (s->state == INSIDE && !strcmp(name, s->pair->close)) {
		ret = advance(s, true);
		drop(s, s->length);
		end_pair(s);
		return ret;
	}
	for (size_t i = 0; s->state != INSIDE && i < PAIRS; i++)
		if (!strcmp(name, pairs[i].open)) {
			ret = advance(s, true);
			drop(s, s->length);
			begin_pair(s, &pairs[i]);
			return ret;
		}
	if (s->state == INSIDE)
		return 0;
	ret = advance(s, s->state != BEGIN);
	take_message_mark(s, name);
	return ret;
}

/* The pair of tags that a prompt has begun, or NULL. */
static const struct pair *pair_begun(const char *opening, size_t bytes)
{
	const size_t end = without_trailing_space(opening, bytes);
	const struct pair *begun = NULL;

	for (size_t i = 0; i < PAIRS; i++) {
		const size_t n = strlen(pairs[i].open);

		if (end >= n && !memcmp(opening + end - n, pairs[i].open, n))
			begun = &pairs[i];
	}
	return begun;
}

struct splitter *splitter_create(const char *opening, size_t bytes, part_function put,
				 void *context)
{
	struct splitter *s = calloc(1, sizeof(*s));
	const struct pair *pair;

	if (!s)
		return NULL;
	s->put = put;
	s->context = context;
	pair = pair_begun(opening, bytes);
	if (pair)
		begin_pair(s, pair);
	return s;
}

bool reasoning_begun(const char *opening, size_t bytes, const char **open, const char **close)
{
	const struct pair *pair = pair_begun(opening, bytes);

	if (!pair || pair->answer)
		return false;
	*open = pair->open;
	*close = pair->close;
	return true;
}

void splitter_free(struct splitter *s)
{
	if (s)
		free(s->held);
	free(s);
}

static bool is_token(const struct stoker_vocabulary *vocabulary, const char *text)
{
	uint32_t *tokens;
	size_t count;

	if (stoker_vocabulary_tokenize(vocabulary, text, strlen(text), STOKER_TOKENIZE_SPECIAL,
				       &tokens, &count, NULL))
		return false;
	free(tokens);
	return count == 1;
}

void reasoning_tags(const struct stoker_vocabulary *vocabulary, const char **open,
		    const char **close)
{
	*open = pairs[0].open;
	*close = pairs[0].close;
	if (is_token(vocabulary, "<|channel|>") && is_token(vocabulary, "<|message|>")) {
		*open = "<|channel|>analysis<|message|>";
		*close = "<|end|>";
		return;
	}
	for (size_t i = 0; i < PAIRS; i++) {
		if (!is_token(vocabulary, pairs[i].open) || !is_token(vocabulary, pairs[i].close))
			continue;
		*open = pairs[i].open;
		*close = pairs[i].close;
		return;
	}
}
