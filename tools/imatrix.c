// SPDX-License-Identifier: MIT
/* stoker imatrix: which columns of a model's matrices matter on a text, for "stoker quantize". */
#include "progress.h"
#include "quantize/importance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/unstable/observe.h>

struct options {
	struct compute_options compute;
	const char *model, *text, *out, *pre;
	uint64_t context, chunks;
	bool json;
};

/* Sums of squares of what a tensor's matrices were multiplied with. */
struct collected {
	const char *tensor; /* the container's own, so that pointers tell names apart */
	const char *name;
	double *sums; /* [matrices][columns] */
	uint64_t *tokens;
	uint32_t columns, matrices;
};

struct collector {
	struct collected *list; /* by pointer of name */
	size_t count;
	char (*names)[96]; /* of experts that are tensors of their own, as one */
	bool out_of_memory;
	uint32_t chunks;
};

static int by_pointer(const void *a, const void *b)
{
	const uintptr_t x = (uintptr_t)((const struct collected *)a)->tensor,
			y = (uintptr_t)((const struct collected *)b)->tensor;

	return x < y ? -1 : x > y;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct collected *)a)->name, ((const struct collected *)b)->name);
}

static void collect(void *context, const struct stoker_product *p)
{
	struct collector *c = context;
	const struct collected key = { .tensor = p->tensor };
	struct collected *e = bsearch(&key, c->list, c->count, sizeof(key), by_pointer);
	double *sums;

	if (!e)
		return;
	if (!e->sums) {
		e->columns = p->columns;
		e->matrices = p->matrices;
		e->sums = calloc((size_t)e->columns * e->matrices, sizeof(*e->sums));
		e->tokens = calloc(e->matrices, sizeof(*e->tokens));
	}
	if (!e->sums || !e->tokens) {
		c->out_of_memory = true;
		return;
	}
	sums = e->sums + (size_t)p->matrix * e->columns;
	for (uint32_t row = 0; row < p->rows; row++) {
		const float *x = p->x + row * p->stride;

		for (uint32_t i = 0; i < e->columns; i++)
			sums[i] += (double)x[i] * (double)x[i];
	}
	e->tokens[p->matrix] += p->rows;
}

/* All matrices of layers that quantize would write in another type. */
static int prepare(struct collector *c, const struct stoker_gguf *in)
{
	struct plan plan;
	int status = plan_begin(&plan, in);

	if (status)
		return status;
	c->list = calloc(plan.count + 1, sizeof(*c->list));
	c->names = calloc(plan.count + 1, sizeof(*c->names));
	for (size_t i = 0; i < plan.count && c->list && c->names; i++) {
		const struct planned *t = &plan.tensors[i];
		struct collected *e = &c->list[c->count];
		char kind[64];
		unsigned layer, expert;
		int end = 0;

		if (!t->quantized || t->layer == UINT32_MAX)
			continue;
		*e = (struct collected){ .tensor = t->tensor->name, .name = t->tensor->name };
		if (sscanf(e->name, "blk.%u.%63[a-z_].%u.weight%n", &layer, kind, &expert, &end) ==
			    3 &&
		    end && !e->name[end]) {
			snprintf(c->names[c->count], sizeof(*c->names), "blk.%u.%s_exps.weight",
				 layer, kind);
			e->name = c->names[c->count];
		}
		c->count++;
	}
	free(plan.tensors);
	if (!c->list || !c->names)
		return failf("out of memory");
	qsort(c->list, c->count, sizeof(*c->list), by_pointer);
	return EXIT_OK;
}

static void free_collector(struct collector *c)
{
	for (size_t i = 0; c->list && i < c->count; i++) {
		free(c->list[i].sums);
		free(c->list[i].tokens);
	}
	free(c->list);
	free(c->names);
}

/* Separate contexts, each of which begins as a text does where the file asks for it. */
static int read_text_in(const struct options *o, struct stoker_session *session,
			const struct stoker_vocabulary *v, uint32_t *tokens, size_t count,
			struct collector *c)
{
	const bool begins = count &&
			    stoker_vocabulary_special(v, STOKER_SPECIAL_BEGIN) == tokens[0];
	const size_t context = o->context, all = (count + context - 1) / context,
		     most = o->chunks && o->chunks < all ? o->chunks : all;
	struct stoker_error err;
	struct progress line;
	int status = EXIT_OK;

	progress_begin(&line);
	for (size_t at = 0; c->chunks < most && !status; at += context) {
		const size_t n = count - at < context ? count - at : context;

		/* the rest of a text is too little to say much, but where it's all */
		if (n < context && at)
			break;
		if (begins)
			tokens[at] = (uint32_t)stoker_vocabulary_special(v, STOKER_SPECIAL_BEGIN);
		stoker_session_truncate(session, 0, NULL);
		if (stoker_session_eval(session, tokens + at, n, STOKER_LOGITS_NONE, &err))
			status = interrupted() ? EXIT_INTERRUPTED : fail(&err);
		else if (c->out_of_memory)
			status = failf("out of memory");
		c->chunks++;
		progress_show(&line, "%zu of %zu chunks of %zu tokens", (size_t)c->chunks, most,
			      context);
	}
	progress_end(&line);
	return status;
}

static int write_entry(const struct collected *e, struct stoker_gguf_writer *out, bool rows,
		       struct stoker_error *err)
{
	const size_t values = (size_t)e->columns * e->matrices;
	const uint64_t shape[] = { e->columns, e->matrices }, counts[] = { 1, e->matrices };
	const uint32_t dimensions = e->matrices > 1 ? 2 : 1;
	const struct stoker_format *f32 = stoker_format_by_name("F32");
	char name[160];
	float *floats;
	int ret;

	if (rows) {
		snprintf(name, sizeof(name), "%s.in_sum2", e->name);
		stoker_gguf_writer_put_tensor(out, name, f32, dimensions, shape);
		snprintf(name, sizeof(name), "%s.counts", e->name);
		stoker_gguf_writer_put_tensor(out, name, f32, dimensions, counts);
		return 0;
	}
	floats = malloc((values + e->matrices) * sizeof(*floats));
	if (!floats) {
		snprintf(err->message, sizeof(err->message), "%s: out of memory", e->name);
		return -ENOMEM;
	}
	for (size_t i = 0; i < values; i++)
		floats[i] = (float)e->sums[i];
	for (uint32_t k = 0; k < e->matrices; k++)
		floats[values + k] = (float)e->tokens[k];
	ret = stoker_gguf_writer_write(out, floats, values * sizeof(*floats), err);
	if (!ret)
		ret = stoker_gguf_writer_write(out, floats + values, e->matrices * sizeof(*floats),
					       err);
	free(floats);
	return ret;
}

static int write_file(const struct options *o, struct collector *c)
{
	const struct stoker_string text = { o->text, strlen(o->text) };
	struct stoker_gguf_writer *out;
	struct stoker_error err;
	size_t seen = 0;
	int status = EXIT_OK;

	for (size_t i = 0; i < c->count; i++)
		if (c->list[i].sums)
			c->list[seen++] = c->list[i];
		else
			free(c->list[i].tokens);
	c->count = seen;
	if (!seen)
		return failf("%s: no matrix of its layers was used", o->model);
	qsort(c->list, c->count, sizeof(*c->list), by_name);
	if (stoker_gguf_writer_open(o->out, &out, &err))
		return fail(&err);
	remove_on_signal(stoker_gguf_writer_part(out));
	stoker_gguf_writer_put_string(out, "general.type", "imatrix");
	stoker_gguf_writer_put_strings(out, "imatrix.datasets", &text, 1);
	stoker_gguf_writer_put_u32(out, "imatrix.chunk_count", c->chunks);
	stoker_gguf_writer_put_u32(out, "imatrix.chunk_size", (uint32_t)o->context);
	for (size_t i = 0; i < c->count; i++)
		write_entry(&c->list[i], out, true, &err);
	for (size_t i = 0; i < c->count && !status; i++)
		if (write_entry(&c->list[i], out, false, &err))
			status = fail(&err);
	remove_on_signal(NULL);
	if (stoker_gguf_writer_finish(&out, status == EXIT_OK, &err) && !status)
		status = fail(&err);
	return status;
}

static uint32_t count_few(const struct collected *e)
{
	uint32_t few = 0;

	for (uint32_t k = 0; k < e->matrices; k++)
		few += e->tokens[k] < IMPORTANCE_TOKENS;
	return few;
}

static int report(const struct options *o, const struct collector *c, uint64_t tokens)
{
	enum { NAMED = 8 };
	struct json_object *root, *list;
	size_t tensors = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct collected *e = &c->list[i];

		if (e->matrices > 1 && count_few(e) && ++tensors <= NAMED)
			fprintf(stderr,
				"stoker: %s: %u of %u experts saw fewer than %d tokens, the "
				"others stand in for them\n",
				e->name, count_few(e), e->matrices, IMPORTANCE_TOKENS);
	}
	if (tensors > NAMED)
		fprintf(stderr, "stoker: and so in %zu more tensors: a longer text is better\n",
			tensors - NAMED);
	if (!o->json) {
		printf("%s: importance of %zu matrices on %llu tokens\n", file_name(o->out),
		       c->count, (unsigned long long)tokens);
		return EXIT_OK;
	}
	root = json_object_new_object();
	list = json_object_new_array();
	json_object_object_add(root, "path", json_object_new_string(o->out));
	json_object_object_add(root, "tokens", json_object_new_int64((int64_t)tokens));
	json_object_object_add(root, "chunks", json_object_new_int64(c->chunks));
	for (size_t i = 0; i < c->count; i++) {
		struct json_object *e = json_object_new_object();

		json_object_object_add(e, "name", json_object_new_string(c->list[i].name));
		json_object_object_add(e, "columns", json_object_new_int64(c->list[i].columns));
		json_object_object_add(e, "matrices", json_object_new_int64(c->list[i].matrices));
		json_object_object_add(e, "few_tokens",
				       json_object_new_int64(count_few(&c->list[i])));
		json_object_array_add(list, e);
	}
	json_object_object_add(root, "tensors", list);
	return print_json(stdout, root);
}

/* With everything open: reads the text, and writes what was seen. */
static int run(const struct options *o, struct stoker_device *device, struct stoker_model *model,
	       const struct stoker_vocabulary *v, const char *text, size_t bytes,
	       struct collector *c)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = (uint32_t)o->context };
	const struct stoker_observer observer = { .product = collect, .user = c };
	struct stoker_session *session = NULL;
	struct stoker_error err;
	uint32_t *tokens = NULL;
	size_t count = 0;
	int status = EXIT_OK;

	if (stoker_device_observe(device, &observer, &err) ||
	    stoker_session_create(model, &params, &session, &err) ||
	    stoker_vocabulary_tokenize(v, text, bytes, STOKER_TOKENIZE_ADD, &tokens, &count, &err))
		status = fail(&err);
	if (!status) {
		cancel_on_interrupt(session);
		status = read_text_in(o, session, v, tokens, count, c);
		cancel_on_interrupt(NULL);
	}
	stoker_device_observe(device, NULL, NULL);
	if (!status)
		status = write_file(o, c);
	if (!status)
		status = report(o, c,
				count < c->chunks * o->context ? count : c->chunks * o->context);
	stoker_session_free(&session);
	free(tokens);
	return status;
}

int verb_imatrix(int argc, char **argv)
{
	struct options o = { .context = 512, .out = "imatrix.gguf" };
	const struct option options[] = {
		MODEL_OPTION(&o.model),
		{ "file", 'f', OPTION_STRING, &o.text, "TEXT", "the text, - for standard input" },
		{ "output", 'o', OPTION_STRING, &o.out, "OUT", "the file to write (imatrix.gguf)" },
		{ "ctx", 'c', OPTION_UINT, &o.context, "N", "tokens in a chunk of text (512)" },
		{ "chunks", 0, OPTION_UINT, &o.chunks, "N", "so many at most, 0: all of the text" },
		VOCABULARY_OPTION(&o.pre),
		{ "json", 0, OPTION_FLAG, &o.json, NULL, "print JSON" },
		COMPUTE_OPTIONS(&o.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "imatrix FILE -f TEXT [-o OUT] [OPTION]...",
		.description =
			"Finds out which columns of a model's matrices matter on a text, for "
			"\"stoker quantize --imatrix\".",
		.options = options,
		.model = &o.model,
	};
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_vocabulary *v = NULL;
	struct stoker_gguf *in = NULL;
	struct collector c = { 0 };
	struct stoker_error err;
	char *text = NULL;
	size_t bytes;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!o.text || o.context < 2) {
		fputs("stoker: --file and a context of at least 2 are needed\n", stderr);
		return EXIT_USAGE;
	}
	if (stoker_gguf_open(o.model, &in, &err))
		return fail(&err);
	status = is_input(in, o.out) ? failf("%s: is the model", o.out) : prepare(&c, in);
	if (!status)
		status = load_vocabulary(in, o.pre, &v);
	if (!status) {
		text = read_text(o.text, &bytes);
		status = text ? open_device(&o.compute, &device) : EXIT_FAILED;
	}
	if (!status)
		status = load_open_model(&o.compute, device, in, &params, &model);
	if (!status)
		status = run(&o, device, model, v, text, bytes, &c);
	free_collector(&c);
	stoker_model_free(&model);
	stoker_device_close(&device);
	stoker_vocabulary_free(&v);
	stoker_gguf_close(&in);
	free(text);
	return status;
}
