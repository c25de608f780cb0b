// SPDX-License-Identifier: MIT
/* A budget for reasoning: counts tokens between two tags, and forces the end when it is used up. */
#include "session/sampling.h"

enum {
	MAX_TOKEN_TEXT = 4096,
	MAX_TAG = 256,
	/* a character has four bytes, of which each may be a token */
	MOST_PATIENCE = 3,
};

static int tag_create(struct pattern *p, const char *text, const uint32_t *ids, size_t count,
		      const char *name, struct stoker_error *err)
{
	const size_t length = count ? count : text ? strlen(text) : 0;

	if (!length || length > MAX_TAG)
		return stoker_fail(err, -EINVAL, "the %s of reasoning has %zu %s, limits 1 and %d",
				   name, length, count ? "tokens" : "bytes", MAX_TAG);
	if (count ? pattern_of_ids(p, ids, count) : pattern_of_bytes(p, text, length))
		return stoker_fail(err, -ENOMEM, "out of memory");
	return 0;
}

/*
 * A start tag that is a token comes as that token; spelled out in others it is text about it, as an
 * answer may have it.
 */
static int start_create(struct reasoning *r, const struct stoker_reasoning_params *q,
			struct stoker_error *err)
{
	AUTO_FREE uint32_t *ids = NULL;
	size_t count = 0;

	r->start_is_text = !q->start_count;
	if (r->start_is_text && q->start &&
	    !stoker_vocabulary_tokenize(r->vocabulary, q->start, strlen(q->start),
					STOKER_TOKENIZE_SPECIAL, &ids, &count, NULL) &&
	    count == 1) {
		r->start_is_text = false;
		return tag_create(&r->start, NULL, ids, 1, "start", err);
	}
	return tag_create(&r->start, q->start, q->start_ids, q->start_count, "start", err);
}

static int force_later(struct reasoning *r, const uint32_t *ids, size_t count,
		       struct stoker_error *err)
{
	uint32_t *more;

	for (size_t i = 0; i < count; i++)
		if (ids[i] >= stoker_vocabulary_size(r->vocabulary))
			return stoker_fail(
				err, -EINVAL,
				"token %u of the end of reasoning, the vocabulary has %u", ids[i],
				stoker_vocabulary_size(r->vocabulary));
	more = realloc(r->forced, (r->forced_count + count + 1) * sizeof(*more));
	if (!more)
		return stoker_fail(err, -ENOMEM, "out of memory");
	memcpy(more + r->forced_count, ids, count * sizeof(*ids));
	r->forced = more;
	r->forced_count += (uint32_t)count;
	return 0;
}

static int force_text(struct reasoning *r, const char *text, unsigned flags,
		      struct stoker_error *err)
{
	AUTO_FREE uint32_t *ids = NULL;
	size_t count;
	int ret = stoker_vocabulary_tokenize(r->vocabulary, text, strlen(text), flags, &ids, &count,
					     err);

	return ret ? ret : force_later(r, ids, count, err);
}

int reasoning_create(struct reasoning *r, const struct stoker_sampler_params *p,
		     struct stoker_error *err)
{
	const struct stoker_reasoning_params *q = p->reasoning;
	int ret;

	*r = (struct reasoning){ .used = q != NULL, .vocabulary = p->vocabulary };
	if (!q)
		return 0;
	if (!p->vocabulary)
		return stoker_fail(err, -EINVAL, "a reasoning budget needs the vocabulary");
	r->budget = q->budget;
	r->end_is_text = !q->end_count;
	ret = start_create(r, q, err);
	if (!ret)
		ret = tag_create(&r->end, q->end, q->end_ids, q->end_count, "end", err);
	if (!ret && q->message)
		ret = force_text(r, q->message, 0, err);
	if (!ret && q->end_count)
		ret = force_later(r, q->end_ids, q->end_count, err);
	else if (!ret)
		ret = force_text(r, q->end, STOKER_TOKENIZE_SPECIAL, err);
	if (!ret && !r->forced_count)
		ret = stoker_fail(err, -EINVAL, "the end of reasoning has no tokens");
	return ret;
}

int reasoning_clone(struct reasoning *to, const struct reasoning *from)
{
	*to = *from;
	to->start = to->end = (struct pattern){ 0 };
	to->forced = NULL;
	if (!from->used)
		return 0;
	to->forced = calloc(from->forced_count, sizeof(*to->forced));
	if (!to->forced || pattern_clone(&to->start, &from->start) ||
	    pattern_clone(&to->end, &from->end))
		return -ENOMEM;
	memcpy(to->forced, from->forced, from->forced_count * sizeof(*to->forced));
	return 0;
}

void reasoning_free(struct reasoning *r)
{
	pattern_free(&r->start);
	pattern_free(&r->end);
	free(r->forced);
}

void reasoning_reset(struct reasoning *r)
{
	r->state = STOKER_REASONING_IDLE;
	r->start.matched = r->end.matched = 0;
	r->forced_next = r->open = 0;
}

static size_t text_of(const struct reasoning *r, uint32_t token, char text[MAX_TOKEN_TEXT])
{
	return MIN(stoker_vocabulary_text(r->vocabulary, token, 1, text, MAX_TOKEN_TEXT),
		   (size_t)MAX_TOKEN_TEXT);
}

/* Whether a tag ends with or within this token. */
static bool saw(const struct reasoning *r, struct pattern *tag, bool is_text, uint32_t token)
{
	char text[MAX_TOKEN_TEXT];
	bool found = false;
	size_t length;

	if (!is_text) {
		found = pattern_step(tag, &tag->matched, token);
	} else {
		length = text_of(r, token, text);
		for (size_t i = 0; i < length && !found; i++)
			found = pattern_step(tag, &tag->matched, (uint8_t)text[i]);
	}
	if (found)
		tag->matched = 0;
	return found;
}

static void enter(struct reasoning *r)
{
	r->left = r->budget;
	r->end.matched = r->forced_next = r->open = 0;
	r->state = r->budget ? STOKER_REASONING_COUNTING : STOKER_REASONING_FORCING;
}

/* How many bytes of a character are still to come after this token. */
static uint32_t open_after(const struct reasoning *r, uint32_t token, uint32_t open)
{
	char text[MAX_TOKEN_TEXT];
	const size_t length = text_of(r, token, text);

	for (size_t i = 0; i < length; i++) {
		const uint8_t b = (uint8_t)text[i];

		if (open && (b & 0xc0) == 0x80)
			open--;
		else
			open = b >= 0xf8 ? 0 : b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : b >= 0xc0 ? 1 : 0;
	}
	return open;
}

static void count(struct reasoning *r, uint32_t token)
{
	if (saw(r, &r->end, r->end_is_text, token)) {
		r->state = STOKER_REASONING_DONE;
		r->start.matched = 0;
		return;
	}
	if (r->budget < 0)
		return;
	r->open = open_after(r, token, r->open);
	if (r->state == STOKER_REASONING_COUNTING) {
		if (--r->left > 0)
			return;
		r->patience = MOST_PATIENCE;
		r->state = STOKER_REASONING_FINISHING;
	} else {
		r->patience--;
	}
	if (!r->open || !r->patience)
		r->state = STOKER_REASONING_FORCING;
}

void reasoning_accept(struct reasoning *r, uint32_t token)
{
	if (!r->used)
		return;
	switch (r->state) {
	case STOKER_REASONING_IDLE:
	case STOKER_REASONING_DONE:
		if (saw(r, &r->start, r->start_is_text, token))
			enter(r);
		break;
	case STOKER_REASONING_COUNTING:
	case STOKER_REASONING_FINISHING:
		count(r, token);
		break;
	case STOKER_REASONING_FORCING:
		if (token == r->forced[r->forced_next])
			r->forced_next++;
		if (r->forced_next < r->forced_count)
			break;
		r->state = STOKER_REASONING_DONE;
		r->start.matched = 0;
		break;
	}
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

void reasoning_begin(struct reasoning *r, const uint32_t *tokens, size_t n)
{
	struct pattern *start = &r->start;
	char text[MAX_TOKEN_TEXT];
	bool opened = false;

	if (!r->used)
		return;
	reasoning_reset(r);
	for (size_t t = 0; t < n; t++) {
		const size_t length = text_of(r, tokens[t], text);
		const bool whole = !r->start_is_text &&
				   pattern_step(start, &start->matched, tokens[t]);

		for (size_t i = 0; i < length; i++)
			if (r->start_is_text &&
			    pattern_step(start, &start->matched, (uint8_t)text[i]))
				opened = true;
			else
				opened = opened && is_space(text[i]);
		opened = opened || whole;
	}
	start->matched = opened ? 0 : start->matched;
	if (opened)
		enter(r);
}

bool reasoning_forces(const struct reasoning *r, uint32_t *token)
{
	if (!r->used || r->state != STOKER_REASONING_FORCING)
		return false;
	*token = r->forced[r->forced_next];
	return true;
}

bool reasoning_goes_on(const struct reasoning *r)
{
	return r->used && r->state != STOKER_REASONING_IDLE && r->state != STOKER_REASONING_DONE;
}

uint32_t reasoning_opener(const struct reasoning *r)
{
	if (!r->used || r->state != STOKER_REASONING_IDLE || r->start_is_text ||
	    r->start.length != 1)
		return UINT32_MAX;
	return r->start.symbols[0];
}
