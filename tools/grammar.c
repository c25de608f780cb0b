// SPDX-License-Identifier: MIT
/* stoker grammar: whether a text follows a grammar; and the options of those who write such texts.
 */
#include "grammar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "terminal.h"

/* Messages begin with the file that they are about. */
static int blame(const char *path, const struct stoker_error *err)
{
	return failf("%s: %s", strcmp(path, "-") ? path : "standard input", err->message);
}

static char *convert(const struct grammar_options *o, int *status)
{
	struct stoker_error err;
	char *text, *gbnf = NULL;
	size_t bytes;

	if (o->regex) {
		if (stoker_grammar_from_regex(o->regex, strlen(o->regex), &gbnf, &err)) {
			failf("--regex: %s", err.message);
			*status = EXIT_USAGE;
		}
		return gbnf;
	}
	text = read_text(o->schema, &bytes);
	if (!text)
		*status = EXIT_FAILED;
	else if (stoker_grammar_from_schema(text, bytes, &gbnf, &err))
		*status = blame(o->schema, &err);
	free(text);
	return gbnf;
}

static char *read_grammar(const struct grammar_options *o, size_t *bytes, int *status)
{
	char *gbnf = NULL;

	*status = EXIT_OK;
	if (!!o->file + !!o->schema + !!o->regex > 1) {
		fputs("stoker: --grammar, --json-schema and --regex exclude each other\n", stderr);
		*status = EXIT_USAGE;
	} else if (o->schema || o->regex) {
		gbnf = convert(o, status);
		*bytes = gbnf ? strlen(gbnf) : 0;
	} else if (o->file) {
		gbnf = read_text(o->file, bytes);
		*status = gbnf ? EXIT_OK : EXIT_FAILED;
	}
	return gbnf;
}

static struct stoker_grammar *compile(const struct grammar_options *o,
				      const struct stoker_vocabulary *vocabulary, const char *gbnf,
				      size_t bytes, int *status)
{
	struct stoker_grammar *g = NULL;
	struct stoker_error err;

	if (gbnf && stoker_grammar_compile(vocabulary, gbnf, bytes, &g, &err))
		*status = blame(o->file ? o->file : o->schema ? o->schema : "--regex", &err);
	return g;
}

struct stoker_grammar *open_grammar(const struct grammar_options *o,
				    const struct stoker_vocabulary *vocabulary, int *status)
{
	size_t bytes;
	char *gbnf = read_grammar(o, &bytes, status);
	struct stoker_grammar *g = compile(o, vocabulary, gbnf, bytes, status);

	free(gbnf);
	return g;
}

/* What is wrong with a text, by line and column of where it is. */
static int complain(const char *path, const char *text, size_t at, const char *what)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		line += text[i] == '\n';
		column = text[i] == '\n' ? 1 : column + ((text[i] & 0xc0) != 0x80);
	}
	return failf("%s: line %zu, column %zu: %s", strcmp(path, "-") ? path : "standard input",
		     line, column, what);
}

static int check_text(const struct stoker_grammar *g, const char *path)
{
	struct stoker_matcher *m = NULL;
	struct stoker_error err;
	int status = EXIT_OK, ret;
	size_t bytes, matched;
	char *text = read_file(path, &bytes);

	if (!text)
		return EXIT_FAILED;
	if (stoker_matcher_create(g, &m, &err)) {
		free(text);
		return fail(&err);
	}
	ret = stoker_matcher_accept_text(m, text, bytes, &matched);
	if (ret == -EINVAL)
		status = complain(path, text, matched, "the grammar doesn't allow what is here");
	else if (ret)
		status = failf("%s: %s", path, strerror(-ret));
	else if (!stoker_matcher_may_end(m))
		status = complain(path, text, bytes, "the text ends before the grammar does");
	else
		puts("the text follows the grammar");
	stoker_matcher_free(&m);
	free(text);
	return status;
}

static int load_words(const char *model, const char *pre, struct stoker_vocabulary **v)
{
	struct stoker_gguf *gguf;
	struct stoker_error err;
	int status;

	if (!model)
		return EXIT_OK;
	if (stoker_gguf_open(model, &gguf, &err))
		return fail(&err);
	status = load_vocabulary(gguf, pre, v);
	stoker_gguf_close(&gguf);
	return status;
}

int verb_grammar(int argc, char **argv)
{
	struct grammar_options o = { 0 };
	const char *model = NULL, *pre = NULL, *text = NULL;
	bool print = false;
	const struct option options[] = {
		GRAMMAR_OPTIONS(&o),
		{ "text", 0, OPTION_STRING, &text, "FILE",
		  "whether this follows it; - for standard input" },
		{ "gbnf", 0, OPTION_FLAG, &print, NULL,
		  "print the grammar, of a schema or an expression what becomes of it" },
		{ "model", 'm', OPTION_STRING, &model, "FILE",
		  "whose tokens the grammar may name" },
		VOCABULARY_OPTION(&pre),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "grammar [OPTION]...",
		.description =
			"Checks a grammar, a JSON Schema or a regular expression as \"stoker "
			"run\" takes them, and whether a text is as they say.",
		.options = options,
	};
	struct stoker_vocabulary *v = NULL;
	struct stoker_grammar *g = NULL;
	char *gbnf = NULL;
	size_t bytes = 0;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!o.file && !o.schema && !o.regex) {
		fputs("stoker: --grammar, --json-schema or --regex is needed\n", stderr);
		return EXIT_USAGE;
	}
	status = model ? resolve_model(&model) : EXIT_OK;
	if (!status)
		status = load_words(model, pre, &v);
	if (!status)
		gbnf = read_grammar(&o, &bytes, &status);
	g = compile(&o, v, gbnf, bytes, &status);
	if (g && print) {
		show_text(stdout, gbnf, bytes);
		if (bytes && gbnf[bytes - 1] != '\n')
			putchar('\n');
	}
	if (g && text)
		status = check_text(g, text);
	if (!status && fflush(stdout))
		status = failf("can't write: %s", strerror(errno));
	free(gbnf);
	stoker_grammar_free(&g);
	stoker_vocabulary_free(&v);
	return status;
}
