/* SPDX-License-Identifier: MIT */
/*
 * What the parts of "stoker quantize" share: the model that is read, what was asked for, and a plan
 * that says for each tensor which format it gets.
 */
#ifndef STOKER_TOOL_QUANTIZE_H
#define STOKER_TOOL_QUANTIZE_H

#include "tool.h"

/* recipe.c: what a type is called, the format of most matrices, GGUF's general.file_type. */
struct recipe {
	const char *name, *base;
	uint32_t file_type;
};

/* By its name, in any case; NULL: there is none. */
const struct recipe *recipe_find(const char *name);
/* The recipe at @index, NULL after the last. */
const struct recipe *recipe_at(size_t index);

/* What a matrix is in a model: rules are about kinds. */
enum tensor_kind {
	KIND_OTHER = 1 << 0,
	KIND_EMBEDDING = 1 << 1,
	KIND_OUTPUT = 1 << 2, /* makes the logits; of tied weights the embedding */
	KIND_QUERY = 1 << 3,
	KIND_KEY = 1 << 4,
	KIND_VALUE = 1 << 5, /* and what holds values among others */
	KIND_ATTENTION_OUTPUT = 1 << 6,
	KIND_GATE = 1 << 7,
	KIND_UP = 1 << 8,
	KIND_DOWN = 1 << 9,
};

/* A tensor of the input and what becomes of it. */
struct planned {
	const struct stoker_gguf_tensor *tensor;
	const struct stoker_format *to;
	enum tensor_kind kind;
	bool quantized; /* a matrix that feeds a product; others stay as they are */
	bool forced;	/* by --tensor or --keep */
	/* numbers of its kind before it and in all, and its layer; in order of layers and names */
	unsigned at, of, layer;
	const float *importance; /* [matrices][columns], NULL: there is none */
};

/* A format that a rule wants and rows don't fit, and what is written in its place. */
struct fallback {
	const struct stoker_format *wanted, *used;
	size_t tensors;
};

struct plan {
	const struct stoker_gguf *in;
	const struct recipe *recipe; /* NULL: by size */
	uint32_t file_type;	     /* GGUF's general.file_type */
	struct planned *tensors;     /* in the file's order */
	size_t count;
	unsigned layers, experts, heads_per_kv;
	bool has_importance;
	double divergence; /* expected, as budget.c measures it; negative: not measured */
	struct fallback fallbacks[16];
	size_t fallback_count;
};

/* tensors.c: what tensors are; the caller frees plan->tensors.  An exit status, after a complaint.
 */
int plan_begin(struct plan *p, const struct stoker_gguf *in);
uint64_t planned_bytes(const struct planned *t, const struct stoker_format *format);
/* Of all tensors as planned. */
uint64_t plan_bytes(const struct plan *p);

/* recipe.c: every tensor's format by the recipe; @pure: its base for all. */
void plan_by_recipe(struct plan *p, const struct recipe *recipe, bool pure);
/* @format, or the next one whose blocks divide the tensor's rows. */
const struct stoker_format *fitting_format(const struct planned *t,
					   const struct stoker_format *format);
/* Formats that rows don't fit are replaced, and counted for print_fallbacks(). */
void plan_fit(struct plan *p);
void print_fallbacks(const struct plan *p);

/* choices.c: --tensor REGEX=TYPE and --keep REGEX.  An exit status, after a complaint. */
int plan_force(struct plan *p, const struct string_list *types, const struct string_list *keep);

/* convert.c: writes the data of all tensors in their order.  An exit status, after a complaint. */
int plan_write(const struct plan *p, struct stoker_gguf_writer *out, unsigned threads);

/* report.c: a line a tensor and their sum, or as JSON; a line about what was written. */
int plan_print(const struct plan *p, bool json);
int plan_report(const struct plan *p, const char *path, bool json);

enum { QUANTIZE_MAX_THREADS = 64 };

#endif
