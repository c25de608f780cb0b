// SPDX-License-Identifier: MIT
/*
 * stoker plan: how a model would run in several budgets.  It decodes some tokens with experts on
 * the drive, which gives their routing and the time to compute, times the drive with reads of an
 * expert's matrices, and puts the three together for each budget:
 *
 *	a token takes  sum over layers of max(compute of experts, reads of missing ones)  + the rest
 *
 * since a layer's experts that are there are computed while the others load.
 */
#include "progress.h"
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stoker/unstable/cache.h>
#include <stoker/unstable/trace.h>

#include "bench/measure.h"
#include "trace.h"

enum { DEPTHS = 3, BUDGETS_MAX = 16, BLOCK_MAX = 64 << 20, PLAN_LIMIT = 1 << 20 };

struct plan {
	const char *model;
	struct compute_options compute;
	struct string_list budgets;
	uint64_t tokens, context;
	bool json;

	struct stoker_gguf *gguf;
	struct stoker_device *device;
	struct stoker_model *loaded;
	struct stoker_session *session;
	struct stoker_model_info info;
	struct stoker_model_paging paging; /* before and after the calibration */
	struct trace trace;
	double compute_seconds; /* a token */
	double miss_seconds;	/* to send a read off and take it in, an expert */
	double expert_share;	/* of them */
	double rate[DEPTHS];	/* bytes/s with so many reads under way: */
	uint32_t depth[DEPTHS];
	double correction; /* of the rates, so that the calibration comes out */
};

struct outlook {
	uint64_t memory, slots;
	double hit_rate, bytes, seconds; /* of a token */
};

static void add_row(void *observer, struct stoker_session *session, uint32_t first, uint32_t rows)
{
	struct plan *p = observer;
	uint32_t ids[1024];

	(void)first;
	if (rows != 1 || p->info.experts_used > sizeof(ids) / sizeof(*ids))
		return;
	p->trace.tokens++;
	for (uint32_t layer = 0; layer < p->info.layers; layer++) {
		const uint32_t count = stoker_session_experts(session, layer, 0, ids);

		for (uint32_t k = 0; k < count; k++)
			trace_add(&p->trace, layer, ids[k]);
	}
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Half of the experts, so that there is something to read; or as few as there can be. */
static int load(struct plan *p, const struct stoker_session_params *params)
{
	struct compute_options compute = p->compute;
	uint64_t budget;
	struct stoker_error err;
	int ret, status = open_device(&p->compute, &p->device);

	if (status)
		return status;
	if (stoker_gguf_open(p->model, &p->gguf, &err))
		return fail(&err);
	if (!stoker_device_shares_memory(p->device))
		return failf("%s has memory of its own: what two tiers of it make isn't planned",
			     stoker_device_description(p->device));
	compute.prefetch = "off"; /* what it gains cannot be told beforehand */
	if (!compute.memory)
		budget = model_bytes(p->gguf, NULL) / 2;
	else if (memory_budget(&compute, &budget))
		return EXIT_USAGE;
	ret = load_within(&compute, budget, p->device, p->gguf, params, &p->loaded, &err);
	if (ret == -ENOMEM && !compute.memory)
		ret = load_within(&compute, STOKER_MEMORY_MIN, p->device, p->gguf, params,
				  &p->loaded, &err);
	if (ret)
		return ret == -ECANCELED ? EXIT_INTERRUPTED : fail(&err);
	stoker_model_info(p->loaded, &p->info);
	if (stoker_model_paging(p->loaded, &p->paging))
		return failf("%s: %s", p->model,
			     p->info.experts ? "all of it is in memory, there is nothing to plan"
					     : "has no experts that could stay on the drive");
	return EXIT_OK;
}

/* Decodes; the second half of the tokens counts. */
static int decode(struct plan *p, struct stoker_session *s, double *measured)
{
	const struct stoker_sampler_params sampling = { STOKER_SAMPLER_PARAMS_INIT,
							.temperature = 1, .seed = 1 };
	double *compute = calloc(p->tokens, sizeof(*compute));
	double whole = 0;
	struct stoker_sampler *sampler = NULL;
	/* of sampling, which says no more; others fill it in */
	struct stoker_error err = { "the model gives no finite logits" };
	uint32_t token = 1;
	uint64_t counted = 0, misses = 0;
	struct progress line;
	int ret;

	progress_begin(&line);
	if (!compute)
		return failf("out of memory");
	ret = stoker_sampler_create(&sampling, &sampler, &err);
	for (uint64_t i = 0; i < p->tokens && !ret; i++) {
		const struct stoker_model_paging before = p->paging;
		const double began = now_seconds();
		double seconds;

		ret = stoker_session_eval(s, &token, 1, STOKER_LOGITS_LAST, &err);
		seconds = now_seconds() - began;
		stoker_model_paging(p->loaded, &p->paging);
		if (!ret)
			ret = stoker_sampler_sample(sampler, stoker_session_logits(s, 0),
						    p->info.vocabulary, &token);
		if (i >= p->tokens / 2) {
			compute[counted++] = seconds -
					     (p->paging.stall_seconds - before.stall_seconds) -
					     (p->paging.store_seconds - before.store_seconds);
			whole += seconds;
			misses += p->paging.misses - before.misses;
			p->miss_seconds += p->paging.store_seconds - before.store_seconds;
		}
		progress_show(&line, "measuring: token %llu of %llu", (unsigned long long)i + 1,
			      (unsigned long long)p->tokens);
	}
	progress_end(&line);
	if (!ret) {
		qsort(compute, counted, sizeof(*compute), ascending);
		p->compute_seconds = compute[counted / 2];
		p->miss_seconds /= misses ? (double)misses : 1;
		*measured = whole / (double)counted;
	}
	stoker_sampler_free(&sampler);
	free(compute);
	return ret == -ECANCELED ? EXIT_INTERRUPTED : ret ? fail(&err) : EXIT_OK;
}

/* The drive, as a layer that lacks a few, half or all of its experts uses it. */
static int time_drive(struct plan *p)
{
	const uint64_t matrix = (p->info.expert_bytes / 3 + 4095) / 4096 * 4096;
	const char *file = NULL; /* of a split model the first one may hold next to nothing */
	struct stoker_error err;
	int status = EXIT_OK;

	model_bytes(p->gguf, &file);

	for (int i = 0; i < DEPTHS && !status; i++) {
		const uint32_t most = 3 * p->info.experts_used;
		const uint32_t depth = i == 0 ? 3 : i == 1 ? most / 2 : most;
		struct measure_reads r = {
			.store = p->compute.store,
			.block_bytes = matrix < BLOCK_MAX ? matrix : BLOCK_MAX,
			.depth = depth < 3    ? 3
				 : depth > 64 ? 64
					      : depth,
		};

		if (interrupted())
			status = EXIT_INTERRUPTED;
		else if (measure_reads(file, &r, &err))
			status = fail(&err);
		p->depth[i] = r.depth;
		p->rate[i] = r.bytes_per_second;
		if (!r.direct && isatty(2))
			fputs("the file system has no direct reads: its cache is measured\n",
			      stderr);
	}
	return interrupted() ? EXIT_INTERRUPTED : status;
}

/* A file in the user's cache folder, named after the model's path; free() it. */
static char *plan_path(const char *model)
{
	char *whole = realpath(model, NULL), name[32];
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	if (!whole)
		return NULL;
	for (const char *c = whole; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 1099511628211u;
	free(whole);
	snprintf(name, sizeof(name), "plan-%016llx.json", (unsigned long long)hash);
	return stoker_cache_path(name);
}

/* It's a convenience: no complaint when it can't be kept. */
static void keep_plan(const char *model, struct json_object *root)
{
	char *path = plan_path(model);
	size_t bytes;
	const char *text = json_object_to_json_string_length(root, JSON_C_TO_STRING_PLAIN, &bytes);

	if (text)
		stoker_cache_write(path, text, bytes, NULL);
	free(path);
}

static struct json_object *parse_text(const char *text, size_t bytes)
{
	struct json_tokener *t = text ? json_tokener_new() : NULL;
	struct json_object *root = t ? json_tokener_parse_ex(t, text, (int)bytes) : NULL;

	if (t)
		json_tokener_free(t);
	return root;
}

double planned_rate(const char *model, uint64_t memory)
{
	struct json_object *root, *list, *value;
	double below = 0, below_rate = 0;
	struct stat plan, file;
	char *path = plan_path(model), *text;
	size_t bytes;

	if (!path || stat(path, &plan) || stat(model, &file) || file.st_mtime > plan.st_mtime) {
		free(path);
		return 0;
	}
	text = stoker_cache_read(path, PLAN_LIMIT, &bytes);
	free(path);
	root = parse_text(text, bytes);
	free(text);
	if (!json_object_object_get_ex(root, "budgets", &list) ||
	    !json_object_is_type(list, json_type_array))
		goto out;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		double at, here;

		if (!json_object_object_get_ex(o, "memory_bytes", &value))
			break;
		at = json_object_get_double(value);
		if (!json_object_object_get_ex(o, "tokens_per_second", &value))
			break;
		here = json_object_get_double(value);
		if (at >= (double)memory) { /* times a token, not rates, are about linear */
			const double part = at > below ? ((double)memory - below) / (at - below)
						       : 1;

			if (at <= (double)memory) /* the smallest budget is in no stretch */
				below_rate = here;
			else
				below_rate = below_rate > 0 && here > 0
						     ? 1 / (1 / below_rate +
							    (1 / here - 1 / below_rate) * part)
						     : 0;
			break;
		}
		below = at;
		below_rate = here;
	}
out:
	json_object_put(root);
	return below_rate; /* more than everything is everything */
}

static double read_seconds(const struct plan *p, uint32_t experts)
{
	const double depth = 3.0 * experts;
	double rate = p->rate[DEPTHS - 1];

	if (!experts)
		return 0;
	for (int i = 0; i < DEPTHS; i++)
		if (depth <= p->depth[i]) {
			const double below = i ? p->depth[i - 1] : 0;
			const double low = i ? p->rate[i - 1] : p->rate[0];
			const double span = p->depth[i] - below;

			rate = span > 0 ? low + (p->rate[i] - low) * (depth - below) / span
					: p->rate[i];
			break;
		}
	return experts * (double)p->info.expert_bytes / (rate * p->correction);
}

/* The second half of the trace with @slots: the first one fills them. */
static int look_at(const struct plan *p, uint64_t slots, struct outlook *o)
{
	const struct trace *t = &p->trace;
	const uint64_t all = p->paging.experts, half = t->tokens / 2;
	const double layer_seconds =
		p->compute_seconds * p->expert_share / (double)(all / t->experts);
	bool *hit = calloc(t->count + 1, sizeof(*hit));
	size_t hits = 0, counted = 0;
	double seconds = 0;

	if (!hit || trace_simulate(t, TRACE_FREQUENCY, (uint32_t)slots, hit) < 0) {
		free(hit);
		return failf("out of memory");
	}
	for (size_t i = 0, end; i < t->count; i = end) {
		uint32_t missing = 0;

		for (end = i; end < t->count && t->token[end] == t->token[i] &&
			      t->access[end] / t->experts == t->access[i] / t->experts;
		     end++)
			missing += !hit[end] && slots < all;
		if (t->token[i] < half)
			continue;
		const double reading = read_seconds(p, missing);

		counted += end - i;
		hits += end - i - missing;
		seconds += reading > layer_seconds ? reading - layer_seconds : 0;
	}
	free(hit);
	o->slots = slots;
	o->hit_rate = (double)hits / (double)counted;
	o->bytes = (1 - o->hit_rate) * (double)counted / (double)(t->tokens - half) *
		   (double)p->info.expert_bytes;
	o->seconds = p->compute_seconds + (seconds + p->miss_seconds * (double)(counted - hits)) /
						  (double)(t->tokens - half);
	return EXIT_OK;
}

static uint64_t slots_in(const struct plan *p, uint64_t memory)
{
	const struct stoker_model_paging *g = &p->paging;
	const uint64_t others = g->dense + g->cache + g->buffers;
	const uint64_t each = g->slot_bytes / g->slots;
	const uint64_t slots = memory > others ? (memory - others) / each : 0;

	return slots < g->experts ? slots : g->experts;
}

static uint64_t least_memory(const struct plan *p)
{
	return p->paging.dense + p->paging.cache + p->paging.buffers + p->paging.least;
}

static uint64_t most_memory(const struct plan *p)
{
	const struct stoker_model_paging *g = &p->paging;

	return g->dense + g->cache + g->buffers + g->experts * (g->slot_bytes / g->slots);
}

/* The drive is never quite as fast as by itself: the calibration says by how much. */
static int correct(struct plan *p, double measured)
{
	double low = 0.25, high = 4;

	for (int i = 0; i < 12; i++) {
		struct outlook o;

		p->correction = (low + high) / 2;
		if (look_at(p, p->paging.slots, &o))
			return EXIT_FAILED;
		*(o.seconds > measured ? &low : &high) = p->correction;
	}
	/* computing hid all reads: they say nothing */
	if (p->correction > 3.9 || p->correction < 0.26)
		p->correction = 1;
	return EXIT_OK;
}

static int report(const struct plan *p, const struct outlook *o, int count)
{
	const struct stoker_model_paging *g = &p->paging;
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	char a[16], b[16], c[16], d[16];

	for (int i = 0; i < count; i++) {
		struct json_object *e = json_object_new_object();

		json_object_object_add(e, "memory_bytes",
				       json_object_new_int64((int64_t)o[i].memory));
		json_object_object_add(e, "slots", json_object_new_int64((int64_t)o[i].slots));
		json_object_object_add(e, "hit_rate", json_object_new_double(o[i].hit_rate));
		json_object_object_add(e, "bytes_a_token", json_object_new_double(o[i].bytes));
		json_object_object_add(e, "tokens_per_second",
				       json_object_new_double(1 / o[i].seconds));
		json_object_array_add(list, e);
	}
	json_object_object_add(root, "model", json_object_new_string(p->model));
	json_object_object_add(root, "device",
			       json_object_new_string(stoker_device_description(p->device)));
	json_object_object_add(root, "dense_bytes", json_object_new_int64((int64_t)g->dense));
	json_object_object_add(root, "cache_bytes", json_object_new_int64((int64_t)g->cache));
	json_object_object_add(root, "buffer_bytes", json_object_new_int64((int64_t)g->buffers));
	json_object_object_add(root, "expert_bytes",
			       json_object_new_int64((int64_t)p->info.expert_bytes));
	json_object_object_add(root, "compute_seconds", json_object_new_double(p->compute_seconds));
	json_object_object_add(root, "drive_bytes_per_second",
			       json_object_new_double(p->rate[DEPTHS - 1] * p->correction));
	json_object_object_add(root, "budgets", list);
	keep_plan(p->model, root);
	if (p->json)
		return print_json(stdout, root);
	json_object_put(root);
	printf("%s: %s, %llu experts of %s, %u of %u used in each of %u layers\n"
	       "always in memory: weights %s, cache for %u positions %s, buffers %s\n"
	       "%s: %.1f ms of computing a token; drive %.2f GB/s\n\n"
	       "memory            experts  there when needed   read a token  tokens/s\n",
	       p->model, p->info.architecture, (unsigned long long)g->experts,
	       human_size(p->info.expert_bytes, a), p->info.experts_used, p->info.experts,
	       p->info.layers, human_size(g->dense, b), stoker_session_context(p->session),
	       human_size(g->cache, c), human_size(g->buffers, d),
	       stoker_device_description(p->device), 1e3 * p->compute_seconds,
	       1e-9 * p->rate[DEPTHS - 1] * p->correction);
	for (int i = 0; i < count; i++)
		printf("%-10s %-4s %8llu %17.1f %% %14s %9.1f\n", human_size(o[i].memory, a),
		       o[i].memory == least_memory(p)  ? "min"
		       : o[i].memory == most_memory(p) ? "max"
						       : "",
		       (unsigned long long)o[i].slots, 100 * o[i].hit_rate,
		       human_size((uint64_t)o[i].bytes, b), 1 / o[i].seconds);
	return EXIT_OK;
}

static int by_memory(const void *a, const void *b)
{
	const struct outlook *x = a, *y = b;

	return x->memory < y->memory ? -1 : x->memory > y->memory;
}

static int foretell(struct plan *p)
{
	const uint64_t least = least_memory(p), most = most_memory(p);
	struct outlook o[BUDGETS_MAX];
	int count = 0, status = EXIT_OK;

	for (size_t i = 0; i < p->budgets.count && count < BUDGETS_MAX; i++) {
		o[count].memory = parse_size(p->budgets.items[i]);
		if (o[count].memory < least)
			return failf("%s: needs at least %llu bytes, %s is less", p->model,
				     (unsigned long long)least, p->budgets.items[i]);
		count++;
	}
	for (uint64_t part = 0; part <= 4 && !p->budgets.count; part++)
		o[count++].memory =
			least + (most - least) / 4 * part + (part == 4) * ((most - least) % 4);
	qsort(o, (size_t)count, sizeof(*o), by_memory);
	for (int i = 0; i < count && !status; i++)
		status = look_at(p, slots_in(p, o[i].memory), &o[i]);
	return status ? status : report(p, o, count);
}

static int measure(struct plan *p)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						.context = (uint32_t)p->context,
						.progress = add_row, .user = p };
	struct stoker_error err;
	double measured = 0;
	int status = load(p, &params);

	if (!status && stoker_session_create(p->loaded, &params, &p->session, &err))
		status = fail(&err);
	if (status)
		return status;
	if (p->tokens > stoker_session_context(p->session))
		return failf("%llu tokens to measure with don't fit into a context of %u",
			     (unsigned long long)p->tokens, stoker_session_context(p->session));
	p->trace.layers = p->info.layers;
	p->trace.experts = p->info.experts;
	p->trace.used = p->info.experts_used;
	p->expert_share = (double)p->info.expert_bytes * p->info.experts_used *
			  (double)(p->paging.experts / p->info.experts);
	p->expert_share /= p->expert_share + (double)p->paging.dense;
	if (interrupted())
		return EXIT_INTERRUPTED;
	cancel_on_interrupt(p->session);
	status = decode(p, p->session, &measured);
	if (!status && interrupted())
		status = EXIT_INTERRUPTED;
	cancel_on_interrupt(NULL);
	if (!status)
		status = time_drive(p);
	if (!status)
		status = correct(p, measured);
	return status ? status : foretell(p);
}

int verb_plan(int argc, char **argv)
{
	struct plan p = { .info = { STOKER_MODEL_INFO_INIT },
			  .paging = { STOKER_MODEL_PAGING_INIT },
			  .tokens = 96,
			  .correction = 1 };
	const struct option options[] = {
		MODEL_OPTION(&p.model),
		{ "budget", 'b', OPTION_LIST, &p.budgets, "SIZE",
		  "tell about this budget; may be repeated (five from min to max)" },
		{ "tokens", 'n', OPTION_UINT, &p.tokens, "N", "tokens to measure with (96)" },
		{ "context", 'c', OPTION_UINT, &p.context, "N",
		  "positions of the cache (the model's, at most 4096)" },
		{ "json", 0, OPTION_FLAG, &p.json, NULL, "print JSON" },
		COMPUTE_OPTIONS(&p.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "plan [OPTION]... FILE",
		.description = "Measures a mixture of experts and the drive for a few seconds "
			       "and tells how fast it would write text in several budgets of "
			       "memory.",
		.options = options,
		.model = &p.model,
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (p.tokens < 16 || p.tokens > 4096) {
		fputs("stoker: --tokens has to be 16 to 4096\n", stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < p.budgets.count; i++)
		if (!parse_size(p.budgets.items[i])) {
			failf("no size \"%s\"; " SIZES, p.budgets.items[i]);
			return EXIT_USAGE;
		}
	status = measure(&p);
	stoker_session_free(&p.session);
	stoker_model_free(&p.loaded);
	stoker_device_close(&p.device);
	stoker_gguf_close(&p.gguf);
	trace_free(&p.trace);
	return status;
}
