// SPDX-License-Identifier: MIT
/* What GET /metrics tells: counters and histograms of a server. */
#include "serve/metrics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "serve/models.h"

enum { BOUNDS_MOST = 16, ROUTES_MOST = 512 };

/* Seconds; the last bucket has no bound. */
static const double first_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60 };
static const double gap_bounds[] = { .001, .0025, .005, .01, .025, .05, .075,
				     .1,   .15,	  .25,	.5,  1,	   2.5 };
static const double request_bounds[] = { .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600 };

struct histogram {
	const char *name, *help;
	const double *bounds;
	size_t count;
};

enum { FIRST, GAP, REQUEST, HISTOGRAMS };
#define BOUNDS(of) (of), sizeof(of) / sizeof(*(of))
static const struct histogram histograms[HISTOGRAMS] = {
	[FIRST] = { "stoker_time_to_first_token_seconds", "From a request to its first token.",
		    BOUNDS(first_bounds) },
	[GAP] = { "stoker_inter_token_seconds", "Between two tokens of a request.",
		  BOUNDS(gap_bounds) },
	[REQUEST] = { "stoker_request_seconds", "From a request's head to the end of its reply.",
		      BOUNDS(request_bounds) },
};

struct counts {
	uint64_t buckets[BOUNDS_MOST + 1], count;
	double sum;
};

struct route_count {
	const char *route;
	unsigned status;
	uint64_t count;
};

/* What engines have done that are gone. */
struct totals {
	uint64_t steps, rows, sizes[STOKER_STEP_SIZES];
	uint64_t prompt, generated, reused, hits, misses, read;
	double stall;
};

struct metrics {
	pthread_mutex_t lock;
	struct counts counts[HISTOGRAMS];
	struct route_count routes[ROUTES_MOST];
	size_t route_count;
	struct totals gone;
	unsigned gone_count;
};

struct metrics *metrics_create(void)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (m)
		pthread_mutex_init(&m->lock, NULL);
	return m;
}

void metrics_free(struct metrics **m)
{
	if (!*m)
		return;
	pthread_mutex_destroy(&(*m)->lock);
	free(*m);
	*m = NULL;
}

/* With the lock. */
static void observe(struct metrics *m, unsigned which, double value)
{
	const struct histogram *h = &histograms[which];
	struct counts *c = &m->counts[which];
	size_t i = 0;

	while (i < h->count && value > h->bounds[i])
		i++;
	c->buckets[i]++;
	c->count++;
	c->sum += value;
}

void metrics_request(struct metrics *m, const char *route, unsigned status, double seconds)
{
	const char *name = route ? route : "other";
	size_t i = 0;

	pthread_mutex_lock(&m->lock);
	while (i < m->route_count &&
	       (m->routes[i].status != status || strcmp(m->routes[i].route, name) != 0))
		i++;
	if (i == m->route_count && i < ROUTES_MOST)
		m->routes[m->route_count++] =
			(struct route_count){ .route = name, .status = status };
	if (i < ROUTES_MOST)
		m->routes[i].count++;
	observe(m, REQUEST, seconds);
	pthread_mutex_unlock(&m->lock);
}

void metrics_token(struct metrics *m, double seconds, bool first)
{
	pthread_mutex_lock(&m->lock);
	observe(m, first ? FIRST : GAP, seconds);
	pthread_mutex_unlock(&m->lock);
}

static void add_totals(struct totals *t, struct stoker_engine *engine,
		       const struct stoker_model *model)
{
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };

	if (!stoker_engine_stats(engine, &stats)) {
		t->steps += stats.steps;
		t->rows += stats.step_rows;
		for (size_t i = 0; i < STOKER_STEP_SIZES; i++)
			t->sizes[i] += stats.step_sizes[i];
		t->prompt += stats.prompt_tokens;
		t->generated += stats.generated;
		t->reused += stats.reused;
	}
	if (!stoker_model_paging(model, &paging)) {
		t->hits += paging.hits;
		t->misses += paging.misses;
		t->read += paging.bytes_read;
		t->stall += paging.stall_seconds;
	}
}

void metrics_keep(struct metrics *m, struct stoker_engine *engine, const struct stoker_model *model)
{
	pthread_mutex_lock(&m->lock);
	add_totals(&m->gone, engine, model);
	m->gone_count++;
	pthread_mutex_unlock(&m->lock);
}

/* What is so now, of all models that are loaded. */
struct now {
	struct totals totals;
	uint64_t running, waiting, used, shared, kept, limit, weights;
};

static void add_model(void *context, const struct model_entry *entry)
{
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct now *now = context;

	if (!entry->served)
		return;
	add_totals(&now->totals, served_engine(entry->served), served_model(entry->served));
	stoker_engine_stats(served_engine(entry->served), &stats);
	stoker_model_info(served_model(entry->served), &info);
	now->running += stats.running;
	now->waiting += stats.waiting;
	now->used += stats.pages.used;
	now->shared += stats.pages.shared;
	now->kept += stats.pages.kept;
	now->limit += stats.pages.limit;
	now->weights += info.bytes;
}

static void head(struct text *out, const char *name, const char *type, const char *help)
{
	text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_number(struct text *out, const char *name, const char *type, const char *help,
			 uint64_t value)
{
	head(out, name, type, help);
	text_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void write_histogram(const struct metrics *m, unsigned which, struct text *out)
{
	const struct histogram *h = &histograms[which];
	const struct counts *c = &m->counts[which];
	uint64_t so_far = 0;

	head(out, h->name, "histogram", h->help);
	for (size_t i = 0; i < h->count; i++) {
		so_far += c->buckets[i];
		text_printf(out, "%s_bucket{le=\"%g\"} %llu\n", h->name, h->bounds[i],
			    (unsigned long long)so_far);
	}
	text_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", h->name,
		    (unsigned long long)c->count, h->name, c->sum, h->name,
		    (unsigned long long)c->count);
}

static void write_steps(const struct totals *t, struct text *out)
{
	enum { SHOWN = 11 }; /* up to 1024 rows */
	static const char name[] = "stoker_step_rows";
	uint64_t so_far = 0;

	head(out, name, "histogram", "Tokens that were computed together.");
	for (unsigned i = 0; i < SHOWN; i++) {
		so_far += t->sizes[i];
		text_printf(out, "%s_bucket{le=\"%u\"} %llu\n", name, 1u << i,
			    (unsigned long long)so_far);
	}
	text_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %llu\n%s_count %llu\n", name,
		    (unsigned long long)t->steps, name, (unsigned long long)t->rows, name,
		    (unsigned long long)t->steps);
}

static void write_requests(const struct metrics *m, struct text *out)
{
	static const char name[] = "stoker_requests_total";

	head(out, name, "counter", "Requests by route and status.");
	for (size_t i = 0; i < m->route_count; i++)
		text_printf(out, "%s{endpoint=\"%s\",code=\"%u\"} %llu\n", name, m->routes[i].route,
			    m->routes[i].status, (unsigned long long)m->routes[i].count);
}

static void write_totals(const struct totals *t, struct text *out)
{
	static const char stall[] = "stoker_store_stall_seconds_total";

	write_number(out, "stoker_prompt_tokens_total", "counter", "Tokens of prompts computed.",
		     t->prompt);
	write_number(out, "stoker_generated_tokens_total", "counter", "Tokens generated.",
		     t->generated);
	write_number(out, "stoker_prefix_hit_tokens_total", "counter",
		     "Tokens of prompts that were known already.", t->reused);
	write_number(out, "stoker_expert_hits_total", "counter",
		     "Experts needed that were in memory.", t->hits);
	write_number(out, "stoker_expert_misses_total", "counter",
		     "Experts needed that had to be read.", t->misses);
	write_number(out, "stoker_store_read_bytes_total", "counter", "Bytes of experts read.",
		     t->read);
	head(out, stall, "counter", "Time spent waiting for the drive.");
	text_printf(out, "%s %.9g\n", stall, t->stall);
}

static void write_memory(const struct now *now, struct text *out)
{
	static const char pages[] = "stoker_kv_bytes", memory[] = "stoker_memory_bytes";
	const struct {
		const char *state;
		uint64_t value;
	} states[] = { { "used", now->used },
		       { "shared", now->shared },
		       { "kept", now->kept },
		       { "limit", now->limit } };

	head(out, pages, "gauge", "Bytes of keys and values by what they are for.");
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		text_printf(out, "%s{state=\"%s\"} %llu\n", pages, states[i].state,
			    (unsigned long long)states[i].value);
	head(out, memory, "gauge", "Bytes of memory by what they are for.");
	text_printf(out, "%s{use=\"weights\"} %llu\n%s{use=\"cache\"} %llu\n", memory,
		    (unsigned long long)now->weights, memory,
		    (unsigned long long)(now->used + now->kept));
}

void metrics_write(struct metrics *m, struct models *models, struct text *out)
{
	struct now now;
	unsigned gone;

	pthread_mutex_lock(&m->lock);
	do { /* again if a model went meanwhile: it would be counted twice, or not at all */
		now = (struct now){ .totals = m->gone };
		gone = m->gone_count;
		pthread_mutex_unlock(&m->lock);
		models_each(models, add_model, &now);
		pthread_mutex_lock(&m->lock);
	} while (gone != m->gone_count);
	write_requests(m, out);
	for (unsigned i = 0; i < HISTOGRAMS; i++)
		write_histogram(m, i, out);
	pthread_mutex_unlock(&m->lock);
	write_number(out, "stoker_requests_running", "gauge", "Requests that are computed.",
		     now.running);
	write_number(out, "stoker_requests_waiting", "gauge", "Requests in the queue.",
		     now.waiting);
	write_steps(&now.totals, out);
	write_totals(&now.totals, out);
	write_memory(&now, out);
}
