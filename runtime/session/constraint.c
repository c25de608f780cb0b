// SPDX-License-Identifier: MIT
/* See constraint.h. */
#include "session/constraint.h"

#include <stdio.h>

#include "grammar/grammar.h"
#include "text/vocabulary.h"

enum { MAX_TOKEN_TEXT = 4096 };

static int check(const struct stoker_sampler_params *p, struct stoker_error *err)
{
	const struct stoker_vocabulary *v = p->grammar ? p->grammar->vocabulary : NULL;

	if (!p->grammar)
		return p->trigger_text_count || p->trigger_token_count
			       ? stoker_fail(err, -EINVAL, "triggers without a grammar")
			       : 0;
	if (!v)
		return stoker_fail(err, -EINVAL, "the grammar was compiled without a vocabulary");
	if (p->vocabulary &&
	    (p->vocabulary->count != v->count || p->vocabulary->fingerprint != v->fingerprint))
		return stoker_fail(err, -EINVAL,
				   "the grammar was compiled for another vocabulary: %u tokens, "
				   "the sampler's has %u",
				   v->count, p->vocabulary->count);
	if (p->trigger_text_count + p->trigger_token_count > MAX_TRIGGERS ||
	    (p->trigger_text_count && !p->trigger_texts) ||
	    (p->trigger_token_count && !p->trigger_tokens))
		return stoker_fail(err, -EINVAL, "%zu triggers of the grammar, the limit is %d",
				   p->trigger_text_count + p->trigger_token_count, MAX_TRIGGERS);
	return 0;
}

/* The grammar begins with what switches it on, or nothing could follow it. */
static int refuse(struct constraint *c, int ret, struct stoker_error *err, const char *name)
{
	stoker_matcher_reset(c->matcher);
	if (!ret)
		return 0;
	if (ret == -ENOMEM)
		return stoker_fail(err, -ENOMEM, "out of memory");
	return stoker_fail(err, -EINVAL, "no text of the grammar begins with the trigger \"%.80s\"",
			   name);
}

static int add_texts(struct constraint *c, const struct stoker_sampler_params *p,
		     struct stoker_error *err)
{
	for (size_t i = 0; i < p->trigger_text_count; i++) {
		const char *text = p->trigger_texts[i];
		const size_t length = text ? strlen(text) : 0;
		int ret;

		if (!length || length > MAX_TRIGGER)
			return stoker_fail(err, -EINVAL,
					   "trigger %zu of the grammar has %zu bytes, limits 1 "
					   "and %d",
					   i + 1, length, MAX_TRIGGER);
		if (pattern_of_bytes(&c->texts[c->text_count++], text, length))
			return stoker_fail(err, -ENOMEM, "out of memory");
		ret = refuse(c, stoker_matcher_accept_text(c->matcher, text, length, NULL), err,
			     text);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_tokens(struct constraint *c, const struct stoker_sampler_params *p,
		      struct stoker_error *err)
{
	c->tokens = calloc(p->trigger_token_count + 1, sizeof(*c->tokens));
	if (!c->tokens)
		return stoker_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->trigger_token_count; i++) {
		char name[24];
		int ret;

		snprintf(name, sizeof(name), "token %u", p->trigger_tokens[i]);
		c->tokens[c->token_count++] = p->trigger_tokens[i];
		ret = refuse(c, stoker_matcher_accept(c->matcher, p->trigger_tokens[i]), err, name);
		if (ret)
			return ret;
	}
	return 0;
}

int constraint_create(struct constraint *c, const struct stoker_sampler_params *p,
		      struct stoker_error *err)
{
	int ret = check(p, err);

	*c = (struct constraint){ 0 };
	if (ret || !p->grammar)
		return ret;
	c->vocabulary = p->grammar->vocabulary;
	c->lazy = p->trigger_text_count || p->trigger_token_count;
	c->words = (c->vocabulary->count + 31) / 32;
	c->bits = calloc(c->words, sizeof(*c->bits));
	if (!c->bits)
		return stoker_fail(err, -ENOMEM, "out of memory");
	ret = stoker_matcher_create(p->grammar, &c->matcher, err);
	if (!ret)
		ret = add_texts(c, p, err);
	if (!ret)
		ret = add_tokens(c, p, err);
	if (!ret)
		constraint_reset(c);
	return ret;
}

int constraint_clone(struct constraint *to, const struct constraint *from)
{
	*to = *from;
	to->text_count = 0;
	to->bits = to->tokens = NULL;
	to->matcher = NULL;
	if (!from->matcher)
		return 0;
	to->bits = calloc(to->words, sizeof(*to->bits));
	to->tokens = calloc(to->token_count + 1, sizeof(*to->tokens));
	if (!to->bits || !to->tokens)
		return -ENOMEM;
	memcpy(to->tokens, from->tokens, to->token_count * sizeof(*to->tokens));
	for (; to->text_count < from->text_count; to->text_count++)
		if (pattern_clone(&to->texts[to->text_count], &from->texts[to->text_count]))
			return -ENOMEM;
	return stoker_matcher_clone(from->matcher, &to->matcher, NULL);
}

void constraint_free(struct constraint *c)
{
	for (uint32_t i = 0; i < c->text_count; i++)
		pattern_free(&c->texts[i]);
	stoker_matcher_free(&c->matcher);
	free(c->tokens);
	free(c->bits);
}

void constraint_reset(struct constraint *c)
{
	stoker_matcher_reset(c->matcher);
	c->active = !c->lazy;
	c->begun = false;
	for (uint32_t i = 0; i < c->text_count; i++)
		c->texts[i].matched = 0;
}

/* --- triggers ----------------------------------------------------------------------------------
 */

static int accept_trigger(struct constraint *c, const struct pattern *p, const char *rest,
			  size_t bytes)
{
	char text[MAX_TRIGGER];
	int ret;

	for (uint32_t i = 0; i < p->length; i++)
		text[i] = (char)p->symbols[i];
	ret = stoker_matcher_accept_text(c->matcher, text, p->length, NULL);
	return ret ? ret : stoker_matcher_accept_text(c->matcher, rest, bytes, NULL);
}

/*
 * Feeds a token to the triggers; @matched is how far their texts have come.  Return: 0: it
 * completes none; 1: one, and what it has behind it is allowed, too; -EINVAL: that isn't.
 */
static int try_triggers(struct constraint *c, uint32_t token, uint32_t matched[MAX_TRIGGERS])
{
	char text[MAX_TOKEN_TEXT];
	size_t length;
	int ret;

	for (uint32_t i = 0; i < c->token_count; i++)
		if (c->tokens[i] == token) {
			ret = stoker_matcher_accept(c->matcher, token);
			return ret ? ret : 1;
		}
	length = MIN(stoker_vocabulary_text(c->vocabulary, token, 1, text, MAX_TOKEN_TEXT),
		     (size_t)MAX_TOKEN_TEXT);
	for (size_t b = 0; b < length; b++) {
		for (uint32_t i = 0; i < c->text_count; i++) {
			if (!pattern_step(&c->texts[i], &matched[i], (uint8_t)text[b]))
				continue;
			ret = accept_trigger(c, &c->texts[i], text + b + 1, length - b - 1);
			return ret ? ret : 1;
		}
	}
	return 0;
}

static void get_matched(const struct constraint *c, uint32_t matched[MAX_TRIGGERS])
{
	for (uint32_t i = 0; i < c->text_count; i++)
		matched[i] = c->texts[i].matched;
}

/* --- what sampler.c asks -----------------------------------------------------------------------
 */

int constraint_allows(struct constraint *c, uint32_t token)
{
	uint32_t matched[MAX_TRIGGERS];
	int ret;

	if (c->active)
		return stoker_matcher_allows(c->matcher, token);
	get_matched(c, matched);
	ret = try_triggers(c, token, matched);
	stoker_matcher_reset(c->matcher);
	return ret == -EINVAL || ret == -E2BIG ? 0 : ret < 0 ? ret : 1;
}

/* While no trigger has come, all but what would have one with something wrong behind it. */
static int mask_waiting(struct constraint *c)
{
	memset(c->bits, 0, c->words * sizeof(*c->bits));
	for (uint32_t t = 0; t < c->vocabulary->count; t++) {
		const int ret = constraint_allows(c, t);

		if (ret < 0)
			return ret;
		c->bits[t / 32] |= (uint32_t)ret << t % 32;
	}
	return 0;
}

int constraint_mask(struct constraint *c, struct candidates *candidates, uint32_t also)
{
	const int ret = c->active ? stoker_matcher_mask(c->matcher, c->bits, c->words)
				  : mask_waiting(c);

	if (ret)
		return ret;
	if (also < c->vocabulary->count)
		c->bits[also / 32] |= 1u << also % 32;
	candidates_mask(candidates, c->bits);
	return 0;
}

int constraint_accept(struct constraint *c, uint32_t token)
{
	uint32_t matched[MAX_TRIGGERS];
	int ret;

	if (c->active) {
		ret = stoker_matcher_accept(c->matcher, token);
		c->begun = c->begun || !ret;
		return ret == -EINVAL ? 0 : ret ? ret : 1;
	}
	get_matched(c, matched);
	ret = try_triggers(c, token, matched);
	if (ret != 1)
		stoker_matcher_reset(c->matcher);
	if (ret == -ENOMEM || ret == -E2BIG)
		return ret;
	for (uint32_t i = 0; i < c->text_count; i++)
		c->texts[i].matched = matched[i];
	c->active = c->begun = ret == 1;
	return c->active;
}
