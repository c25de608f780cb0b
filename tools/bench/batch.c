// SPDX-License-Identifier: MIT
/* stoker bench batch: several sequences that the engine decodes together. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { STEP_TOKENS = 512, MOST_COUNTS = 32, MOST_SEQUENCES = STEP_TOKENS, WARM_TOKENS = 3 };
enum { FEW_TOKENS = 16 };     /* of each: events come too late to tell their rate */
enum { BEFORE_ARRIVAL = 16 }; /* tokens of each that the step times are learned from */

struct counts {
	uint32_t of[MOST_COUNTS], most;
	size_t count;
};

/* What is measured of so many sequences. */
struct run {
	uint32_t sequences;
	double rate, gap, prompt_seconds; /* tokens/s of all; the longest between two of one */
	double arriving_seconds;	  /* until the first token of the prompt that arrives */
};

/* A request of a run. */
struct member {
	uint64_t id;
	uint64_t tokens;
	bool done;
};

struct bench_run {
	const struct batch_options *options;
	struct stoker_engine *engine;
	struct member members[MOST_SEQUENCES + 1]; /* the last one arrives later */
	uint32_t *tokens;			   /* a prompt */
	uint32_t vocabulary, next, seed;
	/* of a run: who has a first token, who is done; tokens while all of them generate */
	uint32_t sequences, started, done;
	uint64_t together, all;
	bool in_turns; /* somebody was done before all had begun */
	double began, first, all_started, last_together, gap;
	double rates;		   /* of each from its first to its last token, added up */
	struct stoker_pages pages; /* when all had begun */
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
static void make_tokens(struct bench_run *r, uint64_t first, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		r->tokens[first + i] = (uint32_t)(r->next++ * 2654435761u % r->vocabulary);
}

/* @count tokens of the prompt are made anew, behind those of the beginning that all share. */
static int submit(struct bench_run *r, uint32_t member, uint64_t shared, uint64_t count,
		  uint64_t max_tokens)
{
	/* cheap, and random: a model without sense soon repeats what is likeliest */
	const struct stoker_sampler_params sampling = { STOKER_SAMPLER_PARAMS_INIT,
							.temperature = 1, .top_k = 8,
							.seed = ++r->seed };
	const struct stoker_request request = { STOKER_REQUEST_INIT, .tokens = r->tokens,
						.count = shared + count,
						.max_tokens = (uint32_t)max_tokens,
						.sampling = &sampling };

	make_tokens(r, shared, count);
	r->members[member] = (struct member){ .id = 0 };
	return stoker_engine_submit(r->engine, &request, &r->members[member].id, &r->err)
		       ? fail(&r->err)
		       : EXIT_OK;
}

static void note_token(struct bench_run *r, struct member *m, uint32_t member)
{
	const double now = now_seconds();

	if (member >= r->sequences) {
		m->tokens++;
		return;
	}
	r->first = r->all++ ? r->first : now;
	if (r->started == r->sequences && !r->done) {
		r->together++;
		r->last_together = now;
	}
	if (!m->tokens++ && ++r->started == r->sequences) {
		struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };

		r->all_started = r->last_together = now;
		stoker_engine_stats(r->engine, &stats);
		r->pages = stats.pages;
	}
}

static int note_event(struct bench_run *r, const struct stoker_event *event)
{
	uint32_t member = 0;

	while (member <= r->sequences && r->members[member].id != event->id)
		member++;
	if (member > r->sequences)
		return EXIT_OK; /* of a run that has ended */
	if (event->type == STOKER_EVENT_TOKEN) {
		note_token(r, &r->members[member], member);
		return EXIT_OK;
	}
	r->members[member].done = true;
	if (member < r->sequences) {
		r->in_turns = r->in_turns || r->started < r->sequences;
		r->done++;
		r->gap = event->timings.largest_gap > r->gap ? event->timings.largest_gap : r->gap;
		if (event->timings.decode > 0)
			r->rates += (event->timings.generated - 1) / event->timings.decode;
	}
	return event->status && event->status != -ECANCELED ? fail(&event->error) : EXIT_OK;
}

/* Takes events until @ready says so. */
static int take_events(struct bench_run *r, bool (*ready)(const struct bench_run *r))
{
	struct pollfd p = { .fd = stoker_engine_fd(r->engine), .events = POLLIN };
	struct stoker_event event = { STOKER_EVENT_INIT };
	int status = EXIT_OK;

	while (!status && !ready(r)) {
		if (interrupted())
			return EXIT_INTERRUPTED;
		if (!stoker_engine_event(r->engine, &event))
			status = note_event(r, &event);
		else
			poll(&p, 1, 100);
	}
	return status;
}

static bool all_done(const struct bench_run *r)
{
	return r->done == r->sequences;
}

static bool all_generate(const struct bench_run *r)
{
	for (uint32_t i = 0; i < r->sequences; i++)
		if (r->members[i].tokens < BEFORE_ARRIVAL)
			return false;
	return true;
}

static bool has_arrived(const struct bench_run *r)
{
	return r->members[r->sequences].tokens > 0;
}

/* While all generate a long prompt arrives; they end when it has been read. */
static int arrive(struct bench_run *r, struct run *run)
{
	const double began = now_seconds();
	int status = submit(r, r->sequences, 0, r->options->arrive, 1);

	if (!status)
		status = take_events(r, has_arrived);
	run->arriving_seconds = now_seconds() - began;
	for (uint32_t i = 0; i < r->sequences; i++)
		stoker_engine_cancel(r->engine, r->members[i].id);
	return status;
}

/*
 * Tokens/s of all while all generate; where they don't at the same time, or too few tokens for that
 * to be told by when events were taken: of all tokens, or of what each says.
 */
static double rate(const struct bench_run *r)
{
	if (r->together >= (uint64_t)FEW_TOKENS * r->sequences && r->last_together > r->all_started)
		return (double)r->together / (r->last_together - r->all_started);
	return r->in_turns ? (double)(r->all - r->sequences) / (now_seconds() - r->first)
			   : r->rates;
}

static int measure(struct bench_run *r, uint32_t count, uint64_t tokens, struct run *run)
{
	const struct batch_options *o = r->options;
	const uint64_t own = o->shared + o->prompt ? o->prompt : 1;
	int status = EXIT_OK;

	*run = (struct run){ .sequences = count };
	r->sequences = count;
	r->started = r->done = 0;
	r->together = r->all = 0;
	r->in_turns = false;
	r->gap = r->rates = 0;
	r->members[count].id = 0;
	r->began = now_seconds();
	make_tokens(r, 0, o->shared);
	for (uint32_t i = 0; i < count && !status; i++)
		status = submit(r, i, o->shared, own, o->arrive ? 0 : tokens + 1);
	if (!status && o->arrive)
		status = take_events(r, all_generate);
	if (!status && o->arrive)
		status = arrive(r, run);
	if (!status)
		status = take_events(r, all_done);
	run->rate = rate(r);
	run->gap = r->gap;
	run->prompt_seconds = r->all_started - r->began;
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
	struct run warm;
	double gap = 0;
	/* devices find out or make something when they meet a number of rows for the first time */
	int status = runs ? measure(r, count, WARM_TOKENS, &warm) : failf("out of memory");

	for (uint64_t i = 0; i < times && !status; i++) {
		status = measure(r, count, r->options->tokens, &runs[i]);
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

static struct json_object *run_json(const struct run *run, bool arriving)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "sequences", json_object_new_int64(run->sequences));
	json_object_object_add(o, "tokens_per_second", json_object_new_double(run->rate));
	json_object_object_add(o, "tokens_per_second_each",
			       json_object_new_double(run->rate / run->sequences));
	json_object_object_add(o, "largest_gap_seconds", json_object_new_double(run->gap));
	json_object_object_add(o, "prompt_seconds", json_object_new_double(run->prompt_seconds));
	if (arriving)
		json_object_object_add(o, "arriving_seconds",
				       json_object_new_double(run->arriving_seconds));
	return o;
}

static int measure_all(struct bench_run *r, const struct counts *counts, struct json_object *list)
{
	const bool arriving = r->options->arrive;
	int status = EXIT_OK;

	for (size_t i = 0; i < counts->count && !status; i++) {
		struct run run = { .sequences = 0 };

		status = repeat(r, counts->of[i], &run);
		if (status)
			break;
		json_object_array_add(list, run_json(&run, arriving));
		if (r->options->json)
			continue;
		printf("%4u sequence%s %10.2f tokens/s, %8.2f each, largest gap %.1f ms, prompts "
		       "%.3f s",
		       run.sequences, run.sequences > 1 ? "s" : " ", run.rate,
		       run.rate / run.sequences, 1e3 * run.gap, run.prompt_seconds);
		if (arriving)
			printf(", the one that arrives %.3f s", run.arriving_seconds);
		putchar('\n');
		fflush(stdout);
	}
	return status;
}

static struct json_object *pages_json(const struct stoker_pages *p)
{
	const struct {
		const char *name;
		uint64_t bytes;
	} parts[] = { { "used_bytes", p->used },
		      { "shared_bytes", p->shared },
		      { "kept_bytes", p->kept },
		      { "limit_bytes", p->limit } };
	struct json_object *o = json_object_new_object();

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		json_object_object_add(o, parts[i].name,
				       json_object_new_int64((int64_t)parts[i].bytes));
	return o;
}

static void print_pages(const struct stoker_pages *p)
{
	char used[16], shared[16], kept[16], limit[16];

	printf("keys and values  %s, %s of it shared, and %s kept for others, of %s\n",
	       human_size(p->used, used), human_size(p->shared, shared), human_size(p->kept, kept),
	       human_size(p->limit, limit));
}

static int print_runs(const struct bench_run *r, struct stoker_device *device,
		      struct stoker_model *model, struct json_object *list)
{
	const struct batch_options *o = r->options;
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "device",
			       json_object_new_string(stoker_device_description(device)));
	json_object_object_add(root, "model", json_object_new_string(o->model));
	json_object_object_add(root, "prompt", json_object_new_int64((int64_t)o->prompt));
	json_object_object_add(root, "tokens", json_object_new_int64((int64_t)o->tokens));
	json_object_object_add(root, "shared_prefix", json_object_new_int64((int64_t)o->shared));
	if (o->arrive)
		json_object_object_add(root, "arriving", json_object_new_int64((int64_t)o->arrive));
	json_object_object_add(root, "runs", json_object_get(list));
	json_object_object_add(root, "pages", pages_json(&r->pages));
	add_paging(root, model);
	return print_json(stdout, root);
}

/* Room for what is asked for; those that generate while a prompt arrives go on that long. */
static uint64_t context(const struct batch_options *o)
{
	const uint64_t own = o->shared + (o->prompt ? o->prompt : 1) + o->tokens + 1;

	return o->arrive ? own + o->arrive + 2 * BEFORE_ARRIVAL : own;
}

int bench_batch(const struct compute_options *compute, const struct batch_options *o)
{
	struct bench_run *r = calloc(1, sizeof(*r));
	struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						 .context = (uint32_t)context(o) };
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT, .session = &session,
						     .max_gap = o->max_gap };
	struct json_object *list = json_object_new_array();
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct counts counts = { .count = 0 };
	int status = r ? parse_counts(o->sequences, &counts) : failf("out of memory");

	if (!status && context(o) > UINT32_MAX) {
		failf("too many tokens");
		status = EXIT_USAGE;
	}
	if (!status)
		status = parse_kv(&o->kv, &session);
	if (status)
		goto out_free;
	session.sequences = counts.most + (o->arrive > 0);
	r->options = o;
	r->tokens = calloc(session.context, sizeof(*r->tokens));
	if (!r->tokens) {
		status = failf("out of memory");
		goto out_free;
	}
	status = open_device(compute, &device);
	if (!status)
		status = load_model(compute, device, o->model, &session, &model);
	if (!status && stoker_engine_create(model, &params, &r->engine, &r->err))
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
		status = print_runs(r, device, model, list);
	else if (!status)
		print_pages(&r->pages);
	stoker_engine_free(&r->engine);
	stoker_model_free(&model);
	stoker_device_close(&device);
	free(r->tokens);
out_free:
	json_object_put(list);
	free(r);
	return status;
}
