// SPDX-License-Identifier: MIT
/* stoker bench batch: several sequences that are decoded together. */
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { STEP_TOKENS = 512, MOST_COUNTS = 32, MOST_SEQUENCES = STEP_TOKENS, WARM_STEPS = 2 };

struct counts {
	uint32_t of[MOST_COUNTS], most;
	size_t count;
};

/* What is measured of so many sequences. */
struct run {
	uint32_t sequences;
	double rate, gap, prompt_seconds; /* tokens/s of all; the longest step */
};

struct bench_run {
	const struct batch_options *options;
	struct stoker_batch *batch;
	struct stoker_sequence *sequences[MOST_SEQUENCES];
	struct stoker_batch_part parts[MOST_SEQUENCES];
	uint32_t *tokens; /* of a prompt, or of a step */
	uint32_t vocabulary, next, step_tokens;
	struct stoker_error err;
};

/* "1,2,4": numbers of sequences. */
static int parse_counts(const char *text, struct counts *c)
{
	for (const char *at = text;; at++) {
		char *end;
		const unsigned long n = strtoul(at, &end, 10);

		if (*at < '0' || *at > '9' || (*end && *end != ',') || !n || n > MOST_SEQUENCES ||
		    c->count == MOST_COUNTS) {
			failf("--sequences: \"%s\" isn't a list like 1,2,4 of numbers up to %d",
			      text, MOST_SEQUENCES);
			return EXIT_USAGE;
		}
		c->of[c->count++] = (uint32_t)n;
		c->most = n > c->most ? (uint32_t)n : c->most;
		at = end;
		if (!*at)
			return EXIT_OK;
	}
}

/* Other tokens each time: caches of experts shall not have seen them. */
static void make_tokens(struct bench_run *r, size_t count)
{
	for (size_t i = 0; i < count; i++)
		r->tokens[i] = (uint32_t)(r->next++ * 2654435761u % r->vocabulary);
}

static int step(struct bench_run *r, size_t count)
{
	const int ret = interrupted() ? -1 : stoker_batch_eval(r->batch, r->parts, count, &r->err);

	if (!ret)
		return EXIT_OK;
	return interrupted() ? EXIT_INTERRUPTED : fail(&r->err);
}

/* @each tokens for sequences [first, end), in steps as full as they can be. */
static int read_prompts(struct bench_run *r, uint32_t first, uint32_t end, uint64_t each)
{
	uint64_t at = 0; /* of all sequences' tokens, one behind the other */
	const uint64_t all = (end - first) * each;

	while (at < all) {
		size_t count = 0;
		uint32_t rows = 0;

		make_tokens(r, r->step_tokens);
		for (uint64_t n; at < all && rows < r->step_tokens; at += n) {
			const uint64_t left = each - at % each, room = r->step_tokens - rows;

			n = left < room ? left : room;
			r->parts[count] = (struct stoker_batch_part){
				.sequence = r->sequences[first + at / each],
				.tokens = r->tokens + rows,
				.count = n,
				.logits = n == left ? STOKER_LOGITS_LAST : STOKER_LOGITS_NONE,
			};
			count++;
			rows += (uint32_t)n;
		}
		const int status = step(r, count);

		if (status)
			return status;
	}
	return EXIT_OK;
}

/* Prompts, of which the beginning is read once and then everybody's. */
static int begin_sequences(struct bench_run *r, uint32_t count)
{
	const uint64_t shared = r->options->shared;
	int status;

	if (stoker_sequence_create(r->batch, &r->sequences[0], &r->err))
		return fail(&r->err);
	status = shared ? read_prompts(r, 0, 1, shared) : EXIT_OK;
	for (uint32_t i = 1; i < count && !status; i++)
		if (shared ? stoker_sequence_copy(r->sequences[0], &r->sequences[i], &r->err)
			   : stoker_sequence_create(r->batch, &r->sequences[i], &r->err))
			status = fail(&r->err);
	return status ? status : read_prompts(r, 0, count, r->options->prompt);
}

/* @steps tokens of each, one a step. */
static int decode(struct bench_run *r, uint32_t count, uint64_t steps, struct run *run)
{
	const double began = now_seconds();
	double before = began;

	for (uint64_t s = 0; s < steps; s++) {
		make_tokens(r, count);
		for (uint32_t i = 0; i < count; i++)
			r->parts[i] = (struct stoker_batch_part){ .sequence = r->sequences[i],
								  .tokens = r->tokens + i,
								  .count = 1,
								  .logits = STOKER_LOGITS_LAST };
		const int status = step(r, count);
		const double now = now_seconds();

		if (status)
			return status;
		run->gap = now - before > run->gap ? now - before : run->gap;
		before = now;
	}
	run->rate = (double)(steps * count) / (before - began);
	return EXIT_OK;
}

static void end_sequences(struct bench_run *r)
{
	for (size_t i = 0; i < MOST_SEQUENCES; i++)
		stoker_sequence_free(&r->sequences[i]);
}

static int measure(struct bench_run *r, uint32_t count, struct run *run)
{
	const double began = now_seconds();
	int status;

	*run = (struct run){ .sequences = count };
	status = begin_sequences(r, count);
	run->prompt_seconds = now_seconds() - began;
	if (!status)
		status = decode(r, count, r->options->tokens, run);
	end_sequences(r);
	return status;
}

/* What devices find out or make when they meet a number of rows for the first time. */
static int warm_up(struct bench_run *r, uint32_t count)
{
	struct run unused = { .sequences = count };
	int status = EXIT_OK;

	for (uint32_t i = 0; i < count && !status; i++)
		if (stoker_sequence_create(r->batch, &r->sequences[i], &r->err))
			status = fail(&r->err);
	if (!status)
		status = decode(r, count, WARM_STEPS, &unused);
	end_sequences(r);
	return status;
}

static int by_rate(const void *a, const void *b)
{
	const double x = ((const struct run *)a)->rate, y = ((const struct run *)b)->rate;

	return x < y ? -1 : x > y;
}

/* The run that is in the middle, with the largest gap of all. */
static int repeat(struct bench_run *r, uint32_t count, struct run *run)
{
	const uint64_t times = r->options->repeat;
	struct run *runs = calloc(times, sizeof(*runs));
	int status = runs ? warm_up(r, count) : failf("out of memory");
	double gap = 0;

	for (uint64_t i = 0; i < times && !status; i++) {
		status = measure(r, count, &runs[i]);
		gap = runs[i].gap > gap ? runs[i].gap : gap;
	}
	if (!status) {
		qsort(runs, times, sizeof(*runs), by_rate);
		*run = runs[times / 2];
		run->gap = gap;
	}
	free(runs);
	return status;
}

static struct json_object *run_json(const struct run *run)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "sequences", json_object_new_int64(run->sequences));
	json_object_object_add(o, "tokens_per_second", json_object_new_double(run->rate));
	json_object_object_add(o, "tokens_per_second_each",
			       json_object_new_double(run->rate / run->sequences));
	json_object_object_add(o, "largest_gap_seconds", json_object_new_double(run->gap));
	json_object_object_add(o, "prompt_seconds", json_object_new_double(run->prompt_seconds));
	return o;
}

static int measure_all(struct bench_run *r, const struct counts *counts, struct json_object *list)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < counts->count && !status; i++) {
		struct run run = { .sequences = 0 };

		status = repeat(r, counts->of[i], &run);
		if (status)
			break;
		json_object_array_add(list, run_json(&run));
		if (r->options->json)
			continue;
		printf("%4u sequence%s %10.2f tokens/s, %8.2f each, largest gap %.1f ms, prompts "
		       "%.3f s\n",
		       run.sequences, run.sequences > 1 ? "s" : " ", run.rate,
		       run.rate / run.sequences, 1e3 * run.gap, run.prompt_seconds);
		fflush(stdout);
	}
	return status;
}

static int print_runs(const struct batch_options *o, struct stoker_device *device,
		      struct stoker_model *model, struct json_object *list)
{
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "device",
			       json_object_new_string(stoker_device_description(device)));
	json_object_object_add(root, "model", json_object_new_string(o->model));
	json_object_object_add(root, "prompt", json_object_new_int64((int64_t)o->prompt));
	json_object_object_add(root, "tokens", json_object_new_int64((int64_t)o->tokens));
	json_object_object_add(root, "shared_prefix", json_object_new_int64((int64_t)o->shared));
	json_object_object_add(root, "runs", json_object_get(list));
	add_paging(root, model);
	return print_json(stdout, root);
}

int bench_batch(const struct compute_options *compute, const struct batch_options *o)
{
	struct bench_run *r = calloc(1, sizeof(*r));
	struct stoker_session_params params = { .batch = STEP_TOKENS };
	struct json_object *list = json_object_new_array();
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_model_info info;
	struct counts counts = { .count = 0 };
	int status = r ? parse_counts(o->sequences, &counts) : failf("out of memory");

	if (status)
		goto out_free;
	params.context = (uint32_t)(o->shared + o->prompt + o->tokens);
	params.context = params.context < WARM_STEPS ? WARM_STEPS : params.context;
	params.sequences = counts.most;
	r->options = o;
	r->step_tokens = (uint64_t)params.context * counts.most < STEP_TOKENS
				 ? params.context * counts.most
				 : STEP_TOKENS;
	r->tokens = calloc(STEP_TOKENS, sizeof(*r->tokens));
	if (!r->tokens) {
		status = failf("out of memory");
		goto out_free;
	}
	status = open_device(compute, &device);
	if (!status)
		status = load_model(compute, device, o->model, &params, &model);
	if (!status && stoker_batch_create(model, &params, &r->batch, &r->err))
		status = fail(&r->err);
	if (!status) {
		stoker_model_info(model, &info);
		r->vocabulary = info.vocabulary;
		cancel_on_interrupt(NULL);
		if (!o->json)
			printf("%s\n%s, %.1f M parameters\n", stoker_device_description(device),
			       info.architecture, 1e-6 * (double)info.parameters);
		status = measure_all(r, &counts, list);
	}
	if (!status && o->json)
		status = print_runs(o, device, model, list);
	stoker_batch_free(&r->batch);
	stoker_model_free(&model);
	stoker_device_close(&device);
	free(r->tokens);
out_free:
	json_object_put(list);
	free(r);
	return status;
}
