// SPDX-License-Identifier: MIT
/* Grammars: compiled once, shared by all who use them. */
#include "grammar/grammar.h"

#include "base/use.h"
#include "text/vocabulary.h"

static int use_vocabulary(struct stoker_grammar *g, const struct stoker_vocabulary *v,
			  struct stoker_error *err)
{
	const struct tries *tries;

	g->vocabulary = vocabulary_share(v);
	tries = vocabulary_tries(v);
	for (uint32_t t = 0; t < v->count; t++)
		g->end_count += v->tokens[t].end;
	g->ends = calloc(g->end_count + 1, sizeof(*g->ends));
	if (!tries || !g->ends || lazy_create(&g->lazy, &g->automaton, tries))
		return stoker_fail(err, -ENOMEM, "out of memory");
	g->end_count = 0;
	for (uint32_t t = 0; t < v->count; t++)
		if (v->tokens[t].end)
			g->ends[g->end_count++] = t;
	return 0;
}

int stoker_grammar_compile(const struct stoker_vocabulary *vocabulary, const char *gbnf,
			   size_t bytes, struct stoker_grammar **grammar, struct stoker_error *err)
{
	struct stoker_grammar *g;
	struct syntax s;
	int ret;

	if (grammar)
		*grammar = NULL;
	if (!grammar || (!gbnf && bytes))
		return stoker_fail(err, -EINVAL, "a grammar needs its text and a place for it");
	g = calloc(1, sizeof(*g));
	if (!g)
		return stoker_fail(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&g->lock, NULL);
	ret = syntax_parse(&s, vocabulary, gbnf, bytes, err);
	if (!ret)
		ret = automaton_create(&g->automaton, &s, err);
	syntax_free(&s);
	if (!ret && vocabulary)
		ret = use_vocabulary(g, vocabulary, err);
	if (ret)
		stoker_grammar_free(&g);
	*grammar = g;
	return ret;
}

struct stoker_grammar *grammar_share(const struct stoker_grammar *g)
{
	/* who owns it isn't part of what is constant about it */
	struct stoker_grammar *shared = (struct stoker_grammar *)g;

	atomic_fetch_add(&shared->others, 1);
	return shared;
}

void stoker_grammar_free(struct stoker_grammar **grammar)
{
	struct stoker_grammar *g = grammar ? *grammar : NULL;

	if (!g)
		return;
	*grammar = NULL;
	if (!is_last_owner(&g->others))
		return;
	lazy_free(&g->lazy);
	automaton_free(&g->automaton);
	free(g->ends);
	pthread_mutex_destroy(&g->lock);
	stoker_vocabulary_free(&g->vocabulary);
	free(g);
}
