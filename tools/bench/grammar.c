// SPDX-License-Identifier: MIT
/* stoker bench grammar: what it takes to say which tokens a grammar allows. */
#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "grammar.h"

enum { MADE_TOKENS = 150000, STEPS = 1000, ROUNDS = 4, LONGEST_TEXT = 64 };

static const struct {
	const char *name, *gbnf;
} usual[] = {
	{ "JSON",
	  "root ::= object\n"
	  "value ::= object | array | string | number | \"true\" | \"false\" | \"null\"\n"
	  "object ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\" ws\n"
	  "pair ::= string \":\" ws value ws\n"
	  "array ::= \"[\" ws (value ws (\",\" ws value ws)*)? \"]\"\n"
	  "string ::= \"\\\"\" char* \"\\\"\"\n"
	  "char ::= [^\"\\\\\\x7f\\x00-\\x1f] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" [0-9a-fA-F]{4})\n"
	  "number ::= \"-\"? (\"0\" | [1-9] [0-9]*) (\".\" [0-9]+)? ([eE] [-+]? [0-9]+)?\n"
	  "ws ::= \" \"? | \"\\n\" [ \\t]{0,20}\n" },
	{ "counted strings",
	  "root ::= \"{\\\"name\\\": \\\"\" char{1,100} \"\\\", \\\"text\\\": \\\"\" "
	  "char{0,2000} \"\\\"}\"\nchar ::= [^\"\\\\\\x7f\\x00-\\x1f]\n" },
	{ "nested calls", "root ::= expr \";\"\nexpr ::= term ([-+*/] ws term)*\n"
			  "term ::= name | [0-9]+ ws | \"(\" ws expr \")\" ws | "
			  "name \"(\" (expr (\",\" ws expr)*)? \")\" ws\n"
			  "name ::= [a-z] [a-z0-9_]* ws\nws ::= [ \\t\\n]*\n" },
	{ "words", "root ::= word (\" \" word)* \".\"\nword ::= [a-zA-Z]+ | [0-9]+\n" },
};

/* Words of syllables, as models have them: most of letters, with a blank in front, capitals,
 * digits. */
static size_t make_token(uint32_t n, char out[LONGEST_TEXT])
{
	static const char *const parts[] = { "a",   "in", "er", "on", "th",   "st", "re", "al",
					     "ing", "o",  "ti", "s",  "ness", "c",  "de", "un" };
	static const char *const odd[] = { "\",", "\":", "{\"", "}\n", "\\n", "();", "  ", "\n\n",
					   "->",  "==",	 "ä",	"字",  "é",   "\"}", "],", "//" };
	size_t length = 0;
	uint32_t seed = n * 2654435761u;
	const uint32_t kind = n % 16;

	if (kind > 4)
		out[length++] = ' ';
	if (kind == 0)
		length = (size_t)sprintf(out, "%s", odd[seed >> 8 & 15]);
	for (uint32_t left = n / 16 + 1; left; left /= 16)
		length += (size_t)sprintf(out + length, "%s", parts[(left + kind) & 15]);
	if (kind == 1 || kind == 5)
		out[length - 1] = (char)(out[length - 1] & ~0x20);
	if (kind == 2)
		length += (size_t)sprintf(out + length, "%u", n % 1000);
	if (kind == 3)
		length += (size_t)sprintf(out + length, "%s", odd[seed >> 12 & 15]);
	return length;
}

/* A vocabulary without a model. */
static int make_vocabulary(struct stoker_vocabulary **v)
{
	char path[] = "/tmp/stoker-bench-XXXXXX";
	const int fd = mkstemp(path);
	char(*texts)[LONGEST_TEXT] = calloc(MADE_TOKENS, sizeof(*texts));
	struct stoker_string *tokens = calloc(MADE_TOKENS, sizeof(*tokens));
	int32_t *types = calloc(MADE_TOKENS, sizeof(*types));
	float *scores = calloc(MADE_TOKENS, sizeof(*scores));
	struct stoker_gguf_writer *w = NULL;
	struct stoker_error err = { "out of memory" };
	int status = EXIT_OK;

	for (uint32_t i = 0; texts && tokens && types && i < MADE_TOKENS; i++) {
		const size_t length = i == 0	? (size_t)sprintf(texts[i], "</s>")
				      : i < 257 ? (size_t)sprintf(texts[i], "<0x%02X>", i - 1)
						: make_token(i, texts[i]);

		tokens[i] = (struct stoker_string){ texts[i], length };
		types[i] = i == 0 ? 3 : i < 257 ? 6 : 1;
	}
	if (fd < 0 || !texts || !tokens || !types || !scores ||
	    stoker_gguf_writer_open(path, &w, &err)) {
		status = fail(&err);
	} else {
		stoker_gguf_writer_put_string(w, "tokenizer.ggml.model", "llama");
		stoker_gguf_writer_put_strings(w, "tokenizer.ggml.tokens", tokens, MADE_TOKENS);
		stoker_gguf_writer_put_f32s(w, "tokenizer.ggml.scores", scores, MADE_TOKENS);
		stoker_gguf_writer_put_i32s(w, "tokenizer.ggml.token_type", types, MADE_TOKENS);
		stoker_gguf_writer_put_u32(w, "tokenizer.ggml.eos_token_id", 0);
		if (stoker_gguf_writer_finish(&w, 1, &err) || stoker_vocabulary_load(path, v, &err))
			status = fail(&err);
	}
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	free(texts);
	free(tokens);
	free(types);
	free(scores);
	return status;
}

/* What masks of one text take, in seconds. */
struct walk {
	double times[STEPS], accept;
	size_t count;
};

/* Of this thread: what others do on the CPU meanwhile doesn't count. */
static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double part_of(const struct walk *w, size_t hundredths)
{
	return w->count ? w->times[(w->count - 1) * hundredths / 100] : 0;
}

/* One of the tokens that are allowed, any as likely as the next; false: none but the end. */
static bool choose(const uint32_t *bits, const struct stoker_vocabulary *v, uint32_t *seed,
		   uint32_t *token)
{
	const uint32_t count = stoker_vocabulary_size(v);
	uint32_t at;

	*seed = *seed * 1664525 + 1013904223;
	at = *seed % count;
	for (uint32_t i = 0; i < count; i++) {
		*token = (at + i) % count;
		if (bits[*token / 32] >> *token % 32 & 1 && !stoker_vocabulary_is_end(v, *token))
			return true;
	}
	return false;
}

static int walk(const struct stoker_grammar *g, const struct stoker_vocabulary *v, uint32_t seed,
		struct walk *w)
{
	const size_t words = (stoker_vocabulary_size(v) + 31) / 32;
	uint32_t *bits = calloc(words, sizeof(*bits)), token;
	struct stoker_matcher *m = NULL;
	int ret = bits ? stoker_matcher_create(g, &m, NULL) : -ENOMEM;

	for (w->count = 0; w->count < STEPS && !ret;) {
		const double start = cpu_seconds();
		double end;

		ret = stoker_matcher_mask(m, bits, words);
		end = cpu_seconds();
		w->times[w->count++] = end - start;
		if (ret)
			break;
		if (!choose(bits, v, &seed, &token)) {
			stoker_matcher_reset(m);
			continue;
		}
		ret = stoker_matcher_accept(m, token);
		w->accept += cpu_seconds() - end;
	}
	qsort(w->times, w->count, sizeof(*w->times), ascending);
	stoker_matcher_free(&m);
	free(bits);
	return ret ? failf("can't follow the grammar: %s", strerror(-ret)) : EXIT_OK;
}

static struct json_object *walk_json(const struct walk *w)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "masks", json_object_new_int64((int64_t)w->count));
	json_object_object_add(o, "median_seconds", json_object_new_double(part_of(w, 50)));
	json_object_object_add(o, "p99_seconds", json_object_new_double(part_of(w, 99)));
	json_object_object_add(o, "max_seconds", json_object_new_double(part_of(w, 100)));
	return o;
}

static int measure(const char *name, const struct stoker_grammar *g, double compiled,
		   const struct stoker_vocabulary *v, struct json_object *list)
{
	struct walk *w = calloc(2, sizeof(*w));
	struct json_object *o;
	int status = w ? walk(g, v, 1, &w[0]) : failf("out of memory");

	for (uint32_t i = 1; i < ROUNDS && !status; i++)
		status = walk(g, v, i + 1, &w[1]);
	if (!status && list) {
		o = json_object_new_object();
		json_object_object_add(o, "grammar", json_object_new_string(name));
		json_object_object_add(o, "compile_seconds", json_object_new_double(compiled));
		json_object_object_add(o, "first", walk_json(&w[0]));
		json_object_object_add(o, "later", walk_json(&w[1]));
		json_object_array_add(list, o);
	} else if (!status) {
		printf("%-16s compiled in %.2f ms; masks of a first text: median %.1f us, 99 %% "
		       "within %.1f, longest %.1f; later: %.1f, %.1f, %.1f\n",
		       name, 1e3 * compiled, 1e6 * part_of(&w[0], 50), 1e6 * part_of(&w[0], 99),
		       1e6 * part_of(&w[0], 100), 1e6 * part_of(&w[1], 50),
		       1e6 * part_of(&w[1], 99), 1e6 * part_of(&w[1], 100));
	}
	free(w);
	return status;
}

static int open_vocabulary(const char *model, struct stoker_vocabulary **v)
{
	struct stoker_error err;

	if (!model)
		return make_vocabulary(v);
	return stoker_vocabulary_load(model, v, &err) ? fail(&err) : EXIT_OK;
}

int bench_grammar(const char *model, const struct grammar_options *options, bool json)
{
	const bool own = options->file || options->schema || options->regex;
	struct json_object *list = json ? json_object_new_array() : NULL, *root;
	struct stoker_vocabulary *v = NULL;
	struct stoker_grammar *g = NULL;
	struct stoker_error err;
	int status = open_vocabulary(model, &v);
	double start = cpu_seconds(), sorted = 0;

	/* the first one sorts the vocabulary */
	if (!status && stoker_grammar_compile(v, "root ::= .", 10, &g, &err))
		status = fail(&err);
	stoker_grammar_free(&g);
	sorted = cpu_seconds() - start;
	if (!status && !json)
		printf("%u tokens, sorted in %.1f ms\n", stoker_vocabulary_size(v), 1e3 * sorted);
	for (size_t i = 0; i < (own ? 1 : sizeof(usual) / sizeof(*usual)) && !status; i++) {
		start = cpu_seconds();
		if (own)
			g = open_grammar(options, v, &status);
		else if (stoker_grammar_compile(v, usual[i].gbnf, strlen(usual[i].gbnf), &g, &err))
			status = fail(&err);
		if (!status)
			status = measure(own ? "grammar" : usual[i].name, g, cpu_seconds() - start,
					 v, list);
		stoker_grammar_free(&g);
	}
	if (!status && json) {
		root = json_object_new_object();
		json_object_object_add(root, "tokens",
				       json_object_new_int64(stoker_vocabulary_size(v)));
		json_object_object_add(root, "sort_seconds", json_object_new_double(sorted));
		json_object_object_add(root, "grammars", json_object_get(list));
		status = print_json(stdout, root);
	}
	json_object_put(list);
	stoker_vocabulary_free(&v);
	return status;
}
