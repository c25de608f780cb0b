// SPDX-License-Identifier: MIT
/* JSON Schema to GBNF: the call. */
#include "grammar/schema.h"

#include "stoker/grammar.h"

static char *translate(struct translation *t, const char *json, size_t bytes)
{
	struct schema s = { .t = t };
	struct schema_set set = { 0 };
	struct production *root = new_production(t, "root");

	s.root = json_parse(t, json, bytes);
	set_add(&s, &set, s.root);
	root->body = schema_value(&s, &set);
	schema_finish(&s);
	return write_grammar(t, root, "schema");
}

int stoker_grammar_from_schema(const char *json, size_t bytes, char **gbnf,
			       struct stoker_error *err)
{
	struct translation t = { .arena = { .limit = TRANSLATION_MEMORY }, .err = err };

	if (!json || !gbnf)
		return stoker_fail(err, -EINVAL, "no schema, or no place for a grammar");
	*gbnf = NULL;
	if (bytes > TRANSLATION_SOURCE)
		return stoker_fail(err, -E2BIG, "a schema of %zu bytes, the limit is %d", bytes,
				   TRANSLATION_SOURCE);
	if (!setjmp(t.out))
		*gbnf = translate(&t, json, bytes);
	arena_free(&t.arena);
	return t.code;
}
