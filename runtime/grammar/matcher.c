// SPDX-License-Identifier: MIT
/* A text along a grammar. */
#include "grammar/grammar.h"
#include "text/vocabulary.h"

enum {
	MAX_FRAMES = 1 << 18,
	TIDY_FRAMES = 1024, /* not worth tidying */
};

/* Where all texts begin. */
static int find_start(struct stoker_matcher *m)
{
	const struct automaton *a = &m->grammar->automaton;
	int ret;

	advance_begin(&m->advance);
	ret = advance_add(&m->advance, (struct place){ a->starts[a->root], BOTTOM });
	if (!ret)
		ret = advance_settle(&m->advance);
	/* so that stoker_matcher_reset() has room */
	if (!ret)
		ret = places_copy(&m->start, &m->advance.next);
	if (!ret)
		ret = places_copy(&m->now, &m->advance.next);
	return ret ? ret : places_copy(&m->then, &m->advance.next);
}

int stoker_matcher_create(const struct stoker_grammar *grammar, struct stoker_matcher **matcher,
			  struct stoker_error *err)
{
	struct stoker_matcher *m;

	if (matcher)
		*matcher = NULL;
	if (!grammar || !matcher)
		return stoker_fail(err, -EINVAL, "a matcher needs a grammar and a place for it");
	m = calloc(1, sizeof(*m));
	if (!m)
		return stoker_fail(err, -ENOMEM, "out of memory");
	m->grammar = grammar_share(grammar);
	m->tidy_at = TIDY_FRAMES;
	m->advance = (struct advance){ .a = &grammar->automaton, .stacks = &m->stacks };
	if (stacks_create(&m->stacks, MAX_FRAMES) || find_start(m)) {
		stoker_matcher_free(&m);
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	*matcher = m;
	return 0;
}

void stoker_matcher_free(struct stoker_matcher **matcher)
{
	struct stoker_matcher *m = matcher ? *matcher : NULL;

	if (!m)
		return;
	*matcher = NULL;
	stacks_free(&m->stacks);
	advance_free(&m->advance);
	free(m->start.list);
	free(m->now.list);
	free(m->then.list);
	stoker_grammar_free(&m->grammar);
	free(m);
}

int stoker_matcher_clone(const struct stoker_matcher *from, struct stoker_matcher **matcher,
			 struct stoker_error *err)
{
	struct stoker_matcher *m;
	int ret;

	if (matcher)
		*matcher = NULL;
	if (!from || !matcher)
		return stoker_fail(err, -EINVAL, "cloning needs a matcher and a place for it");
	ret = stoker_matcher_create(from->grammar, &m, err);
	if (ret)
		return ret;
	stacks_free(&m->stacks);
	m->tidy_at = from->tidy_at;
	if (stacks_clone(&m->stacks, &from->stacks) || places_copy(&m->now, &from->now)) {
		stoker_matcher_free(&m);
		return stoker_fail(err, -ENOMEM, "out of memory");
	}
	*matcher = m;
	return 0;
}

void stoker_matcher_reset(struct stoker_matcher *m)
{
	if (!m)
		return;
	stacks_rewind(&m->stacks, 1);
	places_copy(&m->now, &m->start);
	m->tidy_at = TIDY_FRAMES;
}

/* @then becomes where these bytes lead from @now, -EINVAL when that is nowhere. */
static int try_bytes(struct stoker_matcher *m, const char *text, size_t bytes, size_t *matched)
{
	int ret = places_copy(&m->then, &m->now);

	for (*matched = 0; *matched < bytes && !ret; ++*matched) {
		ret = advance_open(&m->advance, &m->then);
		if (!ret)
			ret = advance_byte(&m->advance, (uint8_t)text[*matched]);
		if (!ret && !m->advance.next.count && !m->advance.next.ends)
			ret = -EINVAL;
		if (ret)
			break;
		ret = places_copy(&m->then, &m->advance.next);
	}
	return ret;
}

/* To where a token led by its name comes where it leads by its text. */
static int join(struct stoker_matcher *m)
{
	struct advance *w = &m->advance;
	struct places *named = &w->all;
	const bool ends = w->next.ends || m->then.ends;
	int ret = places_copy(named, &w->next);

	advance_begin(w);
	for (size_t i = 0; i < named->count && !ret; i++)
		ret = advance_add(w, named->list[i]);
	for (size_t i = 0; i < m->then.count && !ret; i++)
		ret = advance_add(w, m->then.list[i]);
	if (!ret)
		ret = advance_settle(w);
	w->next.ends = ends;
	return ret;
}

/* The same for a token that a terminal names; what @then has already stays. */
static int try_named(struct stoker_matcher *m, uint32_t token, bool ends_text, bool add)
{
	const struct automaton *a = &m->grammar->automaton;
	int ret;

	if (!a->states[a->state_count].tokens)
		return add ? 0 : -EINVAL;
	ret = advance_open(&m->advance, &m->now);
	if (!ret)
		ret = advance_token(&m->advance, token, ends_text);
	if (ret)
		return ret;
	if (!m->advance.next.count && !m->advance.next.ends)
		return add ? 0 : -EINVAL;
	if (add)
		ret = join(m);
	return ret ? ret : places_copy(&m->then, &m->advance.next);
}

static int try_token(struct stoker_matcher *m, uint32_t token)
{
	const struct stoker_vocabulary *v = m->grammar->vocabulary;
	char text[MAX_TRIE_TEXT];
	size_t bytes, matched;
	bool ends_text;
	int ret;

	if (!v || token >= v->count)
		return -EINVAL;
	ends_text = v->tokens[token].end;
	bytes = ends_text ? 0 : token_bytes(v, token, text);
	ret = bytes ? try_bytes(m, text, bytes, &matched) : -EINVAL;
	if (!ret || ret == -EINVAL)
		ret = try_named(m, token, ends_text, !ret);
	if (ret == -EINVAL && ends_text && m->now.ends)
		ret = places_copy(&m->then, &m->now);
	return ret;
}

/* Takes what was tried, or forgets it. */
static int settle(struct stoker_matcher *m, uint32_t nodes, int ret)
{
	const struct places now = m->now;

	if (ret) {
		stacks_rewind(&m->stacks, nodes);
		return ret;
	}
	m->now = m->then;
	m->then = now;
	/* without memory for tidying up it stays untidy */
	if (m->stacks.frame_count > m->tidy_at && !stacks_keep(&m->stacks, &m->now))
		m->tidy_at = 2 * m->stacks.frame_count + TIDY_FRAMES;
	return 0;
}

int stoker_matcher_accept(struct stoker_matcher *m, uint32_t token)
{
	const uint32_t nodes = m ? m->stacks.node_count : 0;

	return m ? settle(m, nodes, try_token(m, token)) : -EINVAL;
}

int stoker_matcher_accept_text(struct stoker_matcher *m, const char *text, size_t bytes,
			       size_t *matched)
{
	size_t count = 0;
	int ret;

	if (matched)
		*matched = 0;
	if (!m || (!text && bytes))
		return -EINVAL;
	ret = settle(m, m->stacks.node_count, try_bytes(m, text, bytes, &count));
	if (matched)
		*matched = count;
	return ret;
}

int stoker_matcher_allows(struct stoker_matcher *m, uint32_t token)
{
	uint32_t nodes;
	int ret;

	if (!m || token >= stoker_vocabulary_size(m->grammar->vocabulary))
		return -EINVAL;
	nodes = m->stacks.node_count;
	ret = try_token(m, token);
	stacks_rewind(&m->stacks, nodes);
	return ret == -EINVAL || ret == -E2BIG ? 0 : ret ? ret : 1;
}

static bool has_any(const uint32_t *bits, size_t words)
{
	for (size_t w = 0; w < words; w++)
		if (bits[w])
			return true;
	return false;
}

/* No token is allowed: -E2BIG if the text goes on, but in too many ways. */
static int why_none(struct stoker_matcher *m)
{
	const struct automaton *a = &m->grammar->automaton;
	const uint32_t nodes = m->stacks.node_count;
	int ret = advance_open(&m->advance, &m->now);

	for (uint32_t c = 0; c < a->class_count && !ret; c++)
		ret = advance_byte(&m->advance, a->sample[c]);
	stacks_rewind(&m->stacks, nodes);
	return ret;
}

int stoker_matcher_mask(struct stoker_matcher *m, uint32_t *bits, size_t words)
{
	struct stoker_grammar *g;
	uint32_t nodes;
	int ret;

	if (!m || !bits || !m->grammar->vocabulary || words < m->grammar->lazy.tries->words)
		return -EINVAL;
	g = m->grammar;
	memset(bits, 0, words * sizeof(*bits));
	nodes = m->stacks.node_count;
	ret = mask_named(m, bits);
	stacks_rewind(&m->stacks, nodes);
	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < 2 && !ret; i++) {
		ret = mask_texts(m, bits);
		if (ret != -EAGAIN)
			break;
		ret = lazy_clear(&g->lazy);
		if (!ret && i)
			ret = mask_texts_slowly(m, bits);
	}
	pthread_mutex_unlock(&g->lock);
	for (uint32_t i = 0; i < g->end_count && m->now.ends; i++)
		bits[g->ends[i] / 32] |= 1u << g->ends[i] % 32;
	return ret || has_any(bits, words) ? ret : why_none(m);
}

int stoker_matcher_may_end(const struct stoker_matcher *m)
{
	return m && m->now.ends;
}
