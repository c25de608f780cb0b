// SPDX-License-Identifier: MIT
/* Requests to a model's engine from many threads: what comes of them, and of those that hang up. */
#include "unit.h"

#include <pthread.h>
#include <time.h>

#include "serve/generation.h"
#include "serve/metrics.h"
#include "serve/models_options.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

static struct models_options options = MODELS_DEFAULTS;
static struct metrics *metrics;
static struct models *models;
static struct served *served;

static void open_models(void)
{
	struct problem p = { 0 };

	options.paths = (struct string_list){ .items = { DEMO }, .count = 1 };
	options.context = 512;
	options.sequences = 4;
	options.queue = 4;
	metrics = metrics_create();
	CU_ASSERT_FATAL(metrics && !models_open(&options, metrics, &models));
	while (!models_take_of(models, NULL, &served, &p))
		CU_ASSERT_FATAL(p.status == 503 && !nanosleep(&(struct timespec){ 0, 1000000 }, 0));
}

static void close_models(void)
{
	models_release(&served);
	models_close(&models);
	metrics_free(&metrics);
}

static struct generation *start(const char *prompt, uint32_t max_tokens, const char *stop,
				bool ignore_end, struct problem *p)
{
	const struct stoker_sampler_params greedy = { STOKER_SAMPLER_PARAMS_INIT };
	struct generation_params params = { .model = served,
					    .max_tokens = max_tokens,
					    .sampling = &greedy,
					    .stop = &stop,
					    .stop_count = stop != NULL,
					    .ignore_end = ignore_end };
	uint32_t *tokens;
	struct generation *g;

	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_tokenize(served_vocabulary(served), prompt,
							 strlen(prompt), STOKER_TOKENIZE_ADD,
							 &tokens, &params.count, NULL),
			      0);
	params.tokens = tokens;
	generation_start(&params, &g, p);
	stoker_free(tokens);
	return g;
}

/* All of its text, to the end, which is its last piece. */
static struct piece finish(struct generation *g, char *text, size_t room)
{
	size_t length = 0;
	struct piece p;

	do {
		generation_next(g, 1000, &p);
		if (p.kind != PIECE_TEXT)
			continue;
		CU_ASSERT_FATAL(length + p.bytes < room);
		memcpy(text + length, p.text, p.bytes);
		length += p.bytes;
	} while (p.kind != PIECE_END && p.kind != PIECE_FAILED);
	text[length] = 0;
	return p;
}

/* Nothing runs or waits, and pages are given back. */
static bool is_idle(void)
{
	struct stoker_engine_stats s = { STOKER_ENGINE_STATS_INIT };

	for (int i = 0; i < 5000; i++) {
		stoker_engine_stats(served_engine(served), &s);
		if (!s.running && !s.waiting && s.pages.used == 0)
			return true;
		nanosleep(&(struct timespec){ 0, 1000000 }, 0);
	}
	return false;
}

static void test_text(void)
{
	struct problem problem;
	struct piece p;
	char text[4096], again[4096], *at;
	struct generation *g;

	open_models();
	g = start("And God said", 40, NULL, true, &problem);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	p = finish(g, text, sizeof(text));
	CU_ASSERT(p.kind == PIECE_END && p.finish == FINISH_LENGTH && !p.stop);
	CU_ASSERT(p.usage.generated == 40 && p.usage.prompt > 2 && p.timings.generated == 40);
	generation_next(g, 0, &p);
	CU_ASSERT_EQUAL(p.kind, PIECE_END);
	generation_free(&g);
	CU_ASSERT_PTR_NULL(g);

	/* up to a word in the middle of it */
	at = strchr(text + strlen(text) / 2, ' ');
	CU_ASSERT_FATAL(at && strlen(at) > 8);
	at = strndup(at, 8);
	g = start("And God said", 40, at, true, &problem);
	p = finish(g, again, sizeof(again));
	CU_ASSERT(p.kind == PIECE_END && p.finish == FINISH_STOP);
	CU_ASSERT(p.stop && !strcmp(p.stop, at));
	CU_ASSERT(strstr(text, at) == text + strlen(again));
	CU_ASSERT(!strncmp(text, again, strlen(again)));
	CU_ASSERT(p.usage.generated < 40);
	generation_free(&g);
	free(at);
	CU_ASSERT(is_idle());
	close_models();
}

static void test_refused(void)
{
	static const char *const empty[] = { "" };
	const uint32_t tokens[512] = { 1 };
	struct generation_params params = { .tokens = tokens, .count = 512 };
	struct generation *g, *full[9];
	struct problem p;

	open_models();
	params.model = served;
	CU_ASSERT(!generation_start(&params, &g, &p) && !g);
	CU_ASSERT(p.status == 400 && !strcmp(p.code, "context_length_exceeded"));
	CU_ASSERT(strstr(p.message, "512") && strstr(p.message, "512 tokens"));
	params.count = 0;
	CU_ASSERT(!generation_start(&params, &g, &p) && p.status == 400);
	params.count = 4;
	params.stop = empty;
	params.stop_count = 1;
	CU_ASSERT(!generation_start(&params, &g, &p) && p.status == 400 &&
		  !strcmp(p.param, "stop"));
	params.stop_count = 17;
	CU_ASSERT(!generation_start(&params, &g, &p) && p.status == 400);

	/* four run, four wait */
	for (int i = 0; i < 8; i++) {
		full[i] = start("And God said", 400, NULL, true, &p);
		CU_ASSERT_PTR_NOT_NULL_FATAL(full[i]);
	}
	CU_ASSERT_PTR_NULL(start("And God said", 400, NULL, true, &p));
	CU_ASSERT(p.status == 429 && p.retry_after > 0);
	for (int i = 0; i < 8; i++)
		generation_free(&full[i]);
	CU_ASSERT(is_idle());
	g = start("And God said", 4, NULL, true, &p);
	CU_ASSERT_PTR_NOT_NULL(g);
	generation_free(&g);
	close_models();
}

struct client {
	pthread_t thread;
	struct generation *g;
	char text[8192];
	struct piece last;
	long pause; /* ns until it hangs up */
};

static void *read_all(void *client)
{
	struct client *c = client;

	c->last = finish(c->g, c->text, sizeof(c->text));
	return NULL;
}

/* Many that wait at a time get what each gets alone; whoever polls for the others goes first. */
static void test_together(void)
{
	enum { CLIENTS = 8 };
	static struct client alone[CLIENTS], together[CLIENTS];
	struct problem problem;
	char prompt[64];

	options.deterministic = true;
	open_models();
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < CLIENTS; i++) {
			struct client *c = round ? &together[i] : &alone[i];

			snprintf(prompt, sizeof(prompt), "Verse %u: And", i);
			c->g = start(prompt, 10 + 20 * i, NULL, true, &problem);
			CU_ASSERT_PTR_NOT_NULL_FATAL(c->g);
			if (round)
				pthread_create(&c->thread, NULL, read_all, c);
			else
				read_all(c);
		}
	for (unsigned i = 0; i < CLIENTS; i++) {
		pthread_join(together[i].thread, NULL);
		CU_ASSERT_STRING_EQUAL(together[i].text, alone[i].text);
		CU_ASSERT_EQUAL(together[i].last.kind, PIECE_END);
		CU_ASSERT_EQUAL(together[i].last.usage.generated, 10 + 20 * i);
		generation_free(&together[i].g);
		generation_free(&alone[i].g);
	}
	close_models();
	options.deterministic = false;
}

/* Several for one client; those that have ended are left out. */
static void test_several(void)
{
	struct generation *g[3];
	unsigned pieces[3] = { 0 }, ends = 0;
	struct problem problem;
	struct piece p;
	size_t which;

	open_models();
	for (unsigned i = 0; i < 3; i++)
		g[i] = start("And God said", 5 + 5 * i, NULL, true, &problem);
	do {
		generation_next_of(g, 3, 1000, &which, &p);
		if (which == 3)
			continue;
		pieces[which] += p.kind == PIECE_TEXT;
		ends += p.kind == PIECE_END;
		if (p.kind == PIECE_END)
			CU_ASSERT_EQUAL(p.usage.generated, 5 + 5 * which);
	} while (p.kind != PIECE_NONE);
	CU_ASSERT(which == 3 && ends == 3);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(pieces[i] > 0 && pieces[i] <= 5 + 5 * i);
		generation_free(&g[i]);
	}
	close_models();
}

/* Whoever waits hears of it at once: the leader and those behind it. */
static void test_cancel(void)
{
	struct client clients[6];
	struct problem problem;
	double began;

	open_models();
	for (unsigned i = 0; i < 6; i++) {
		clients[i].g = start("And God said", 400, NULL, true, &problem);
		pthread_create(&clients[i].thread, NULL, read_all, &clients[i]);
	}
	nanosleep(&(struct timespec){ 0, 5000000 }, 0);
	began = (double)stoker_now_ns();
	for (unsigned i = 0; i < 6; i++)
		generation_cancel(clients[i].g);
	for (unsigned i = 0; i < 6; i++) {
		pthread_join(clients[i].thread, NULL);
		CU_ASSERT(clients[i].last.kind == PIECE_END);
		CU_ASSERT(clients[i].last.finish == FINISH_CANCELED);
	}
	CU_ASSERT((double)stoker_now_ns() - began < 1e9);
	CU_ASSERT(is_idle());
	for (unsigned i = 0; i < 6; i++)
		generation_free(&clients[i].g);
	close_models();
}

static void *hang_up(void *client)
{
	struct client *c = client;

	nanosleep(&(struct timespec){ 0, c->pause }, 0);
	generation_cancel(c->g);
	return NULL;
}

static void test_random_hang_ups(void)
{
	struct client clients[5], others[5];
	struct problem problem;
	struct piece p;

	open_models();
	for (unsigned round = 0; round < (SANITIZED ? 8 : 60); round++) {
		for (unsigned i = 0; i < 5; i++) {
			others[i].g = clients[i].g =
				start("And God said", 1 + random_u32() % 60, NULL, true, &problem);
			CU_ASSERT_PTR_NOT_NULL_FATAL(clients[i].g);
			pthread_create(&clients[i].thread, NULL, read_all, &clients[i]);
			others[i].pause = (long)(random_u32() % 4000000);
			if (i % 2)
				pthread_create(&others[i].thread, NULL, hang_up, &others[i]);
		}
		for (unsigned i = 0; i < 5; i++) {
			pthread_join(clients[i].thread, NULL);
			if (i % 2)
				pthread_join(others[i].thread, NULL);
			CU_ASSERT_EQUAL(clients[i].last.kind, PIECE_END);
			generation_free(&clients[i].g);
		}
		/* without a word, while it waits or runs */
		clients[0].g = start("And God said", 100, NULL, true, &problem);
		if (round % 2)
			generation_next(clients[0].g, (int)(round % 7), &p);
		generation_free(&clients[0].g);
	}
	CU_ASSERT(is_idle());
	close_models();
}

static void test_metrics(void)
{
	struct problem problem;
	struct text t = { 0 };
	struct generation *g;
	char text[1024];

	open_models();
	g = start("And God said", 7, NULL, true, &problem);
	finish(g, text, sizeof(text));
	generation_free(&g);
	CU_ASSERT(is_idle());
	metrics_request(metrics, "/v1/completions", 200, 0.2);
	metrics_request(metrics, "/v1/completions", 200, 70);
	metrics_request(metrics, NULL, 404, 0.001);
	metrics_write(metrics, models, &t);
	CU_ASSERT_FATAL(t.data && !t.failed);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		t.data, "stoker_requests_total{endpoint=\"/v1/completions\",code=\"200\"} 2\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(t.data, "stoker_requests_total{endpoint=\"other\",code=\"404\"} 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "stoker_request_seconds_bucket{le=\"0.25\"} 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "stoker_request_seconds_bucket{le=\"+Inf\"} 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "stoker_request_seconds_sum 70.201\n"));
	/* two more were to warm up */
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "\nstoker_generated_tokens_total 9\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "\nstoker_inter_token_seconds_count 6\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(t.data, "\nstoker_requests_running 0\n"));
	text_free(&t);
	close_models();
}

void add_serve_generation(void)
{
	TEST(test_text);
	TEST(test_refused);
	TEST(test_together);
	TEST(test_several);
	TEST(test_cancel);
	TEST(test_random_hang_ups);
	TEST(test_metrics);
}
