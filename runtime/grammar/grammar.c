// SPDX-License-Identifier: MIT
/* Grammars: compiled once, shared by all who use them. */
#include "grammar/grammar.h"

#include "base/use.h"
#include "text/vocabulary.h"

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
	ret = syntax_parse(&s, vocabulary, gbnf, bytes, err);
	if (!ret)
		ret = automaton_create(&g->automaton, &s, err);
	syntax_free(&s);
	if (ret) {
		free(g);
		return ret;
	}
	g->vocabulary = vocabulary ? vocabulary_share(vocabulary) : NULL;
	*grammar = g;
	return 0;
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
	automaton_free(&g->automaton);
	stoker_vocabulary_free(&g->vocabulary);
	free(g);
}
