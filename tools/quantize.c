// SPDX-License-Identifier: MIT
/* stoker quantize: a model in another tensor format.  How it's done is in quantize/. */
#include "quantize/budget.h"
#include "quantize/importance.h"

#include <stdlib.h>
#include <string.h>

struct quantize {
	const char *model, *out, *type, *imatrix, *size;
	struct string_list types, keep;
	uint64_t threads, bytes; /* that the file may take, 0: by type */
	bool pure, dry_run, json;
};

/* The help, which lists all that can be asked for. */
static char *describe(void)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	fputs("Writes a model in another format.  TYPE is one of", f);
	for (size_t i = 0; recipe_at(i); i++)
		if (stoker_format_can_encode(stoker_format_by_name(recipe_at(i)->base)))
			fprintf(f, " %s", recipe_at(i)->name);
	fputs(".\nMatrices that matter more get more bits, as in llama.cpp's files of these "
	      "names.",
	      f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* All but the tensors' data; their formats don't change how long it is. */
static void put_head(const struct quantize *q, const struct importance *importance,
		     const struct plan *p, struct stoker_gguf_writer *out)
{
	copy_keys(p->in, out, true);
	stoker_gguf_writer_put_u32(out, "general.quantization_version", 2);
	stoker_gguf_writer_put_u32(out, "general.file_type", p->file_type);
	if (q->imatrix)
		importance_put_keys(importance, q->imatrix, out);
	for (size_t i = 0; i < p->count; i++) {
		const struct stoker_gguf_tensor *t = p->tensors[i].tensor;

		stoker_gguf_writer_put_tensor(out, t->name, p->tensors[i].to, t->dimensions, t->ne);
	}
}

static int choose_by_size(const struct quantize *q, const struct importance *importance,
			  struct plan *p)
{
	struct stoker_gguf_writer *out;
	uint64_t head = 0;

	if (!stoker_gguf_writer_measure(&out)) {
		put_head(q, importance, p, out);
		head = stoker_gguf_writer_head(out);
		stoker_gguf_writer_finish(&out, 0, NULL);
	}
	return head ? plan_by_size(p, q->bytes, head, (unsigned)q->threads)
		    : failf("out of memory");
}

static int make_plan(const struct quantize *q, const struct stoker_gguf *in,
		     struct importance *importance, struct plan *p)
{
	int status = plan_begin(p, in);

	if (!status)
		status = plan_force(p, &q->types, &q->keep);
	if (!status && q->imatrix)
		status = importance_read(q->imatrix, importance);
	if (!status && q->imatrix)
		status = importance_apply(importance, q->imatrix, p);
	if (!status && q->bytes)
		status = choose_by_size(q, importance, p);
	else if (!status)
		plan_by_recipe(p, recipe_find(q->type), q->pure);
	if (status)
		return status;
	plan_fit(p);
	print_fallbacks(p);
	return EXIT_OK;
}

static int write_model(const struct quantize *q, const struct importance *importance,
		       const struct plan *p)
{
	struct stoker_gguf_writer *out;
	struct stoker_error err;
	int status;

	if (is_input(p->in, q->out))
		return failf("%s: is the input", q->out);
	if (stoker_gguf_writer_open(q->out, &out, &err))
		return fail(&err);
	remove_on_signal(stoker_gguf_writer_part(out));
	put_head(q, importance, p, out);
	status = plan_write(p, out, (unsigned)q->threads);
	remove_on_signal(NULL);
	if (stoker_gguf_writer_finish(&out, status == EXIT_OK, &err) && !status)
		status = fail(&err);
	return status ? status : plan_report(p, q->out, q->json);
}

/* Whether TYPE can be written. */
static int check_type(const char *type)
{
	const struct recipe *r = recipe_find(type);

	if (r && stoker_format_can_encode(stoker_format_by_name(r->base)))
		return EXIT_OK;
	fprintf(stderr, "stoker: no type \"%s\"; \"stoker quantize --help\" lists them\n", type);
	return EXIT_USAGE;
}

/* OUT and TYPE, without OUT in a dry run and without TYPE where there is a size. */
static int take_operands(struct quantize *q, int operands, char **argv)
{
	const int types = q->size ? 0 : 1, needed = types + (q->dry_run ? 0 : 1);

	if (operands < needed || operands > types + 1) {
		fprintf(stderr, "stoker: %s needed\n",
			q->size ? "OUT, and no TYPE where there is a --size, is"
				: "OUT and TYPE are");
		return EXIT_USAGE;
	}
	if (operands > types)
		q->out = argv[1];
	if (!q->threads)
		q->threads = stoker_device_threads();
	if (q->threads > QUANTIZE_MAX_THREADS)
		q->threads = QUANTIZE_MAX_THREADS;
	if (!q->size) {
		q->type = argv[operands];
		return check_type(q->type);
	}
	q->bytes = parse_size(q->size);
	if (q->bytes && !q->pure)
		return EXIT_OK;
	fprintf(stderr, "stoker: --size %s: %s\n", q->size,
		q->bytes ? "there is no type to be --pure" : SIZES);
	return EXIT_USAGE;
}

int verb_quantize(int argc, char **argv)
{
	struct quantize q = { 0 };
	const struct option options[] = {
		MODEL_OPTION(&q.model),
		{ "imatrix", 0, OPTION_STRING, &q.imatrix, "FILE",
		  "columns matter as \"stoker imatrix\" found out" },
		{ "tensor", 0, OPTION_LIST, &q.types, "REGEX=TYPE",
		  "matrices with such names get this type" },
		{ "keep", 0, OPTION_LIST, &q.keep, "REGEX",
		  "matrices with such names stay as they are" },
		{ "size", 0, OPTION_STRING, &q.size, "SIZE",
		  "instead of TYPE: what diverges least in a file of this size" },
		{ "pure", 0, OPTION_FLAG, &q.pure, NULL, "all other matrices get the same type" },
		{ "dry-run", 0, OPTION_FLAG, &q.dry_run, NULL,
		  "show types and sizes, and write nothing" },
		{ "json", 0, OPTION_FLAG, &q.json, NULL, "print JSON" },
		{ "threads", 't', OPTION_UINT, &q.threads, "N", "threads, 0: one for each core" },
		{ 0 },
	};
	char *help = describe();
	const struct usage usage = {
		.synopsis = "quantize [OPTION]... IN OUT TYPE|--size SIZE",
		.description = help ? help : "",
		.options = options,
		.operands_max = 2,
		.model = &q.model,
	};
	struct stoker_gguf *in = NULL;
	struct stoker_error err;
	struct importance importance = { 0 };
	struct plan plan = { 0 };
	int status;
	const int operands = parse_options(&usage, argc, argv, &status);

	free(help);
	if (operands < 0)
		return status;
	status = take_operands(&q, operands, argv);
	if (status)
		return status;
	cancel_on_interrupt(NULL);
	if (stoker_gguf_open(q.model, &in, &err))
		return fail(&err);
	warn_of_holes(in);
	status = make_plan(&q, in, &importance, &plan);
	if (!status)
		status = q.dry_run ? plan_print(&plan, q.json)
				   : write_model(&q, &importance, &plan);
	free(plan.tensors);
	importance_free(&importance);
	stoker_gguf_close(&in);
	return status;
}
