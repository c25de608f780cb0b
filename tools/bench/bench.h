/* SPDX-License-Identifier: MIT */
/* Parts of "stoker bench". */
#ifndef STOKER_TOOL_BENCH_H
#define STOKER_TOOL_BENCH_H

#include "bench/measure.h"
#include "grammar.h"
#include "tool.h"

/*
 * Products beside what the device can do at most: of every format in one shape, or of @format (not
 * NULL) in the shapes of real models; drawn as a roofline into @plot (not NULL).
 */
int bench_ops(const struct compute_options *compute, const char *format, const char *plot,
	      bool json);
/* A table of products with one row, 4, 8 and @prompt rows. */
struct formats_options {
	const char *formats; /* names with commas in between, NULL: all */
	const char *shapes;  /* likewise "ROWSxCOLUMNS" of matrices, NULL: a usual one */
	uint32_t prompt;     /* 0: none */
	double seconds;	     /* for each figure */
	bool cached, json;
};
int bench_formats(const struct compute_options *compute, const struct formats_options *options);
/* Decoding several sequences together. */
struct batch_options {
	const char *model;
	const char *sequences;		 /* how many, with commas in between */
	uint64_t prompt, tokens, shared; /* of each; a beginning that prompts have in common */
	uint64_t arrive; /* tokens of a prompt that arrives while they generate, 0: none */
	uint64_t repeat;
	double max_gap; /* seconds */
	struct kv_options kv;
	bool json;
};
int bench_batch(const struct compute_options *compute, const struct batch_options *options);
/* What the Vulkan driver compiles the shaders to. */
int bench_shaders(const struct compute_options *compute, bool json);
/* Masks of a grammar, or of some usual ones, over the model's vocabulary, or (NULL) one of 150,000
 * words. */
int bench_grammar(const char *model, const struct grammar_options *options, bool json);
/* A server's loads; options of its own. */
int bench_serve(int argc, char **argv);
int bench_limits(const struct compute_options *compute, bool json);

/* Parts of what the device does at most: it reads, and on the CPU it multiplies codes where a
 * format has them. */
double of_reading(const struct measure_limits *l, const struct measure_product *p);
double of_multiplying(const struct measure_limits *l, const struct measure_product *p);
/* A product and those parts. */
struct json_object *product_json(const struct measure_limits *l, const struct measure_product *p);
/* The device and its limits. */
void add_limits(struct json_object *root, const struct stoker_device *device,
		const struct measure_limits *l);
void print_limits(const struct stoker_device *device, const struct measure_limits *l);

#endif
