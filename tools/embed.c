// SPDX-License-Identifier: MIT
/* stoker embed: a vector for each line of text. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pooling.h"

enum { TOGETHER = 32 };

struct text {
	const char *data;
	size_t bytes;
	uint32_t *tokens;
	size_t count;
};

struct embed {
	struct compute_options compute;
	const char *model, *text, *file, *pooling, *pre;
	bool plain, json; /* plain: not normalized */
	struct stoker_session_params params;
	struct stoker_model_info info;
	struct text *texts;
	size_t count, room;
	struct json_object *list;
};

static const char *const names[] = {
	[STOKER_POOLING_MEAN] = "mean", [STOKER_POOLING_LAST] = "last", [STOKER_POOLING_CLS] = "cls"
};

/* What --pooling says, or else the file; an exit status, after a complaint. */
static int choose_pooling(struct embed *e, const struct stoker_gguf *gguf)
{
	for (size_t i = 1; e->pooling && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(e->pooling, names[i]))
			e->params.pooling = (enum stoker_pooling)i;
	if (e->pooling && !e->params.pooling) {
		fprintf(stderr, "stoker: no pooling \"%s\": there are mean, last and cls\n",
			e->pooling);
		return EXIT_USAGE;
	}
	if (!e->pooling)
		e->params.pooling = file_pooling(gguf);
	return EXIT_OK;
}

static int add_text(struct embed *e, const char *data, size_t bytes)
{
	if (e->count == e->room) {
		const size_t room = e->room ? 2 * e->room : 64;
		struct text *more = realloc(e->texts, room * sizeof(*more));

		if (!more)
			return failf("out of memory");
		e->texts = more;
		e->room = room;
	}
	e->texts[e->count++] = (struct text){ .data = data, .bytes = bytes };
	return EXIT_OK;
}

/* Lines, of which the last one may lack its end. */
static int add_lines(struct embed *e, const char *data, size_t bytes)
{
	const char *end = data + bytes;
	int status = EXIT_OK;

	while (data < end && !status) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		const char *to = newline ? newline : end;

		status = add_text(e, data, (size_t)(to - data) - (to > data && to[-1] == '\r'));
		data = newline ? newline + 1 : end;
	}
	return status;
}

/* The longest one is what a context has to hold. */
static int tokenize(struct embed *e, const struct stoker_vocabulary *v)
{
	const unsigned flags = STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_ADD_END;
	struct stoker_error err;

	for (size_t i = 0; i < e->count; i++) {
		struct text *t = &e->texts[i];

		if (!t->bytes)
			return failf("text %zu is empty", i + 1);
		if (stoker_vocabulary_tokenize(v, t->data, t->bytes, flags, &t->tokens, &t->count,
					       &err))
			return fail(&err);
		if (t->count > UINT32_MAX)
			return failf("text %zu has %zu tokens", i + 1, t->count);
		if (t->count > e->params.context)
			e->params.context = (uint32_t)t->count;
	}
	return EXIT_OK;
}

/* Texts whose sequences go on together. */
struct group {
	struct stoker_batch *batch;
	struct stoker_sequence *sequences[TOGETHER];
	size_t first, count;
};

/* As many tokens of each as a step has room for; @count receives how many parts there are. */
static void fill_step(const struct embed *e, const struct group *g, struct stoker_batch_part *parts,
		      size_t *count)
{
	size_t left = stoker_batch_rows(g->batch);

	*count = 0;
	for (size_t i = 0; i < g->count && left; i++) {
		const struct text *t = &e->texts[g->first + i];
		const size_t at = stoker_sequence_position(g->sequences[i]);
		const size_t n = t->count - at < left ? t->count - at : left;

		if (!n)
			continue;
		parts[(*count)++] = (struct stoker_batch_part){ .sequence = g->sequences[i],
								.tokens = t->tokens + at,
								.count = n };
		left -= n;
	}
}

static int evaluate(const struct embed *e, struct group *g)
{
	struct stoker_batch_part parts[TOGETHER];
	struct stoker_error err;
	size_t count;
	int ret;

	for (size_t i = 0; i < TOGETHER && g->sequences[i]; i++)
		if (stoker_sequence_truncate(g->sequences[i], 0, &err))
			return fail(&err);
	for (fill_step(e, g, parts, &count); count; fill_step(e, g, parts, &count)) {
		ret = stoker_batch_eval(g->batch, parts, sizeof(*parts), count, &err);
		if (ret == -ENOSPC && g->count > 1) {
			/* in a small budget memory for one is certain */
			g->count = 1;
			return evaluate(e, g);
		}
		if (ret)
			return fail(&err);
	}
	return EXIT_OK;
}

static void print_row(struct embed *e, const struct text *t, const float *row)
{
	struct json_object *object, *values;
	char number[32];

	if (!e->json) {
		for (uint32_t i = 0; i < e->info.embedding; i++)
			printf("%s%.9g", i ? " " : "", (double)row[i]);
		putchar('\n');
		return;
	}
	object = json_object_new_object();
	values = json_object_new_array();
	for (uint32_t i = 0; i < e->info.embedding; i++) {
		snprintf(number, sizeof(number), "%.9g", (double)row[i]);
		json_object_array_add(values, json_object_new_double_s((double)row[i], number));
	}
	json_object_object_add(object, "tokens", json_object_new_int64((int64_t)t->count));
	json_object_object_add(object, "embedding", values);
	json_object_array_add(e->list, object);
}

static int embed_all(struct embed *e, struct group *g)
{
	float *row = malloc(e->info.embedding * sizeof(*row));
	struct stoker_error err;
	int status = row ? EXIT_OK : failf("out of memory");

	for (; g->first < e->count && !status; g->first += g->count) {
		const size_t left = e->count - g->first;

		g->count = left < e->params.sequences ? left : e->params.sequences;
		status = evaluate(e, g);
		for (size_t i = 0; i < g->count && !status; i++) {
			if (stoker_sequence_embedding(g->sequences[i], !e->plain, row, &err))
				status = fail(&err);
			else
				print_row(e, &e->texts[g->first + i], row);
		}
	}
	free(row);
	return status;
}

static int run(struct embed *e, struct stoker_model *model)
{
	struct group g = { .first = 0 };
	struct stoker_error err;
	int status = EXIT_OK;

	stoker_model_info(model, &e->info);
	if (e->params.context > e->info.context)
		return failf("a text of %u tokens, the model was trained for %u", e->params.context,
			     e->info.context);
	if (stoker_batch_create(model, &e->params, &g.batch, &err))
		return fail(&err);
	for (size_t i = 0; i < e->params.sequences && !status; i++)
		if (stoker_sequence_create(g.batch, &g.sequences[i], &err))
			status = fail(&err);
	if (!status)
		status = embed_all(e, &g);
	for (size_t i = 0; i < TOGETHER; i++)
		stoker_sequence_free(&g.sequences[i]);
	stoker_batch_free(&g.batch);
	return status;
}

static int print_list(struct embed *e, int status)
{
	struct json_object *root;

	if (!e->json || status) {
		json_object_put(e->list);
		return status;
	}
	root = json_object_new_object();
	json_object_object_add(root, "pooling", json_object_new_string(names[e->params.pooling]));
	json_object_object_add(root, "normalized", json_object_new_boolean(!e->plain));
	json_object_object_add(root, "embeddings", e->list);
	return print_json(stdout, root);
}

static int compute(struct embed *e, struct stoker_gguf *gguf)
{
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	int status;

	e->params.sequences = e->count < TOGETHER ? (uint32_t)e->count : TOGETHER;
	e->list = e->json ? json_object_new_array() : NULL;
	status = open_device(&e->compute, &device);
	if (!status)
		status = load_open_model(&e->compute, device, gguf, &e->params, &model);
	if (!status)
		status = run(e, model);
	stoker_model_free(&model);
	stoker_device_close(&device);
	return print_list(e, status);
}

/* From the file's vocabulary to what is printed. */
static int embed_texts(struct embed *e)
{
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf *gguf = NULL;
	struct stoker_error err;
	int status;

	if (stoker_gguf_open(e->model, &gguf, &err))
		return fail(&err);
	status = choose_pooling(e, gguf);
	if (!status)
		status = load_vocabulary(gguf, e->pre, &v);
	if (!status)
		status = tokenize(e, v);
	stoker_vocabulary_free(&v);
	if (!status)
		status = compute(e, gguf);
	stoker_gguf_close(&gguf);
	return status;
}

int verb_embed(int argc, char **argv)
{
	struct embed e = { .params = { STOKER_SESSION_PARAMS_INIT },
			   .info = { STOKER_MODEL_INFO_INIT } };
	const struct option options[] = {
		MODEL_OPTION(&e.model),
		{ "prompt", 'p', OPTION_STRING, &e.text, "TEXT", "one text, lines and all" },
		{ "file", 'f', OPTION_STRING, &e.file, "FILE",
		  "read lines from here instead of standard input" },
		{ "pooling", 0, OPTION_STRING, &e.pooling, "WHICH",
		  "mean of all tokens, last, or cls, the first (what the file says, or mean)" },
		{ "no-normalize", 0, OPTION_FLAG, &e.plain, NULL, "vectors of any length" },
		VOCABULARY_OPTION(&e.pre),
		{ "json", 0, OPTION_FLAG, &e.json, NULL, "vectors as JSON, with counts of tokens" },
		COMPUTE_OPTIONS(&e.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "embed FILE [OPTION]... < TEXT",
		.description = "Prints a vector of numbers for each line of text, a line each: "
			       "texts that mean alike have vectors that point alike.",
		.options = options,
		.model = &e.model,
	};
	char *data = NULL;
	size_t bytes = 0;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (e.text && e.file) {
		fprintf(stderr, "stoker: --prompt and --file don't go together\n");
		return EXIT_USAGE;
	}
	if (e.text) {
		status = add_text(&e, e.text, strlen(e.text));
	} else {
		data = read_text(e.file ? e.file : "-", &bytes);
		status = data ? add_lines(&e, data, bytes) : EXIT_FAILED;
	}
	if (!status)
		status = embed_texts(&e);
	for (size_t i = 0; i < e.count; i++)
		free(e.texts[i].tokens);
	free(e.texts);
	free(data);
	return status;
}
