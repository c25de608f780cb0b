// SPDX-License-Identifier: MIT
/*
 * What sessions promise: what is in the context when generation ends, in whatever way; what is
 * cancelled; that who comes second is told so; that nothing is released under its user.
 */
#include "unit.h"

#include <pthread.h>

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"
#define PROMPT "And God said"

enum { CONTEXT = 48, MAX_TEXT = 4096 };

enum act { NOTHING, STOP, CANCEL, MISUSE, FREE, FREE_ALL };

/* A program that generates with the demo model. */
struct app {
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_vocabulary *vocabulary;
	struct stoker_session *session;
	struct stoker_sampler *sampler;
	struct stoker_decoder *decoder;
	struct stoker_generate_result result;
	size_t prompt;
	/* what its callback was given, and does the @at-th time */
	char text[MAX_TEXT];
	size_t length;
	int calls, at;
	enum act act;
	int misuse[7];
};

static void begin_text(struct app *a)
{
	AUTO_FREE uint32_t *tokens = NULL;

	CU_ASSERT_EQUAL(stoker_session_truncate(a->session, 0, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_tokenize(a->vocabulary, PROMPT, strlen(PROMPT),
							 STOKER_TOKENIZE_ADD, &tokens, &a->prompt,
							 NULL),
			      0);
	CU_ASSERT_EQUAL(
		stoker_session_eval(a->session, tokens, a->prompt, STOKER_LOGITS_LAST, NULL), 0);
	a->length = 0;
	a->text[0] = 0;
	a->calls = a->at = 0;
	a->act = NOTHING;
}

static void open_app(struct app *a, const char *file, uint32_t context)
{
	const struct stoker_device_params device = { STOKER_DEVICE_PARAMS_INIT, .threads = 2 };
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = context };

	*a = (struct app){ .result = { STOKER_GENERATE_RESULT_INIT } };
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&device, &a->device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(a->device, file, NULL, &a->model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(file, &a->vocabulary, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(a->model, &params, &a->session, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &a->sampler, NULL), 0);
}

static void close_app(struct app *a)
{
	stoker_decoder_free(&a->decoder);
	stoker_sampler_free(&a->sampler);
	stoker_session_free(&a->session);
	stoker_vocabulary_free(&a->vocabulary);
	stoker_model_free(&a->model);
	stoker_device_close(&a->device);
}

static void misuse(struct app *a)
{
	const struct stoker_generate_params p = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 2 };
	const uint32_t token = 5;
	struct stoker_error err;

	a->misuse[0] = stoker_session_eval(a->session, &token, 1, STOKER_LOGITS_LAST, &err);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "in use"));
	a->misuse[1] =
		stoker_session_generate(a->session, a->sampler, a->vocabulary, &p, NULL, NULL);
	a->misuse[2] = stoker_session_truncate(a->session, 0, NULL);
	a->misuse[3] = stoker_session_begin(a->session) ? 0 : -EBUSY;
	a->misuse[4] = a->decoder ? stoker_decoder_reset(a->decoder) : -EBUSY;
	a->misuse[6] =
		stoker_sampler_sample(a->sampler, (const float[]){ 1, 2 }, 2, &(uint32_t){ 0 });
	a->misuse[5] = a->decoder
			       ? stoker_decoder_push(a->decoder, 5, &(const char *){ NULL }, NULL)
			       : -EBUSY;
}

static int on_text(void *context, const char *utf8, size_t bytes)
{
	struct app *a = context;

	memcpy(a->text + a->length, utf8, bytes);
	a->length += bytes;
	a->text[a->length] = 0;
	if (++a->calls != a->at)
		return 0;
	switch (a->act) {
	case NOTHING:
		break;
	case STOP:
		return 1;
	case CANCEL:
		stoker_session_cancel(a->session);
		break;
	case MISUSE:
		misuse(a);
		break;
	case FREE_ALL:
		stoker_vocabulary_free(&a->vocabulary);
		stoker_model_free(&a->model);
		stoker_device_close(&a->device);
		stoker_decoder_free(&a->decoder);
		stoker_sampler_free(&a->sampler);
		/* fall through */
	case FREE:
		stoker_session_free(&a->session);
	}
	return 0;
}

static int generate(struct app *a, uint32_t max, const char *stop)
{
	const struct stoker_generate_params p = { STOKER_GENERATE_PARAMS_INIT,
						  .max_tokens = max,
						  .stop = &stop,
						  .stop_count = stop && !a->decoder,
						  .text = on_text,
						  .user = a,
						  .decoder = a->decoder };

	return stoker_session_generate(a->session, a->sampler, a->vocabulary, &p, &a->result, NULL);
}

/* What tokens of the context say, from @first on; not their bytes that are no characters. */
static size_t spell(const struct app *a, size_t first, size_t end, char *out)
{
	size_t count, length = 0;
	const uint32_t *tokens = stoker_session_tokens(a->session, &count);

	for (size_t i = first; i < MIN(end, count); i++)
		length += stoker_vocabulary_text(a->vocabulary, tokens[i], 0, out + length,
						 MAX_TEXT - length);
	out[length] = 0;
	return length;
}

/* @gained tokens are in the context, all text passed on came from them, @held gave none. */
static void check_promise(const struct app *a, uint32_t gained, uint32_t held)
{
	const uint32_t position = stoker_session_position(a->session);
	char said[MAX_TEXT];
	size_t length;

	CU_ASSERT_EQUAL(position, a->prompt + gained);
	CU_ASSERT_EQUAL(a->result.tokens, gained);
	CU_ASSERT_EQUAL(a->result.bytes, a->length);
	CU_ASSERT_EQUAL(a->result.held, held);
	CU_ASSERT_PTR_NOT_NULL(stoker_session_logits(a->session, 0));
	length = spell(a, a->prompt, position, said);
	CU_ASSERT(length >= a->length && !memcmp(said, a->text, a->length));
	/* the last token that isn't held gave something */
	if (gained > held)
		CU_ASSERT(spell(a, a->prompt, position - held - 1, said) < a->length);
}

static void test_ends(void)
{
	struct app a;
	char whole[MAX_TEXT];

	open_app(&a, DEMO, CONTEXT);
	begin_text(&a);
	CU_ASSERT_EQUAL(generate(&a, 6, NULL), 0);
	CU_ASSERT_EQUAL(a.result.finish, STOKER_FINISH_LENGTH);
	CU_ASSERT_EQUAL(a.result.token, STOKER_NO_TOKEN);
	check_promise(&a, 6, 0);

	begin_text(&a);
	a.act = STOP;
	a.at = 3;
	CU_ASSERT_EQUAL(generate(&a, 6, NULL), 0);
	CU_ASSERT_EQUAL(a.result.finish, STOKER_FINISH_CALLER);
	check_promise(&a, 3, 0);

	begin_text(&a);
	a.act = CANCEL;
	a.at = 3;
	CU_ASSERT_EQUAL(generate(&a, 6, NULL), -ECANCELED);
	CU_ASSERT_EQUAL(a.result.finish, STOKER_FINISH_FAILED);
	check_promise(&a, 3, 0);
	/* it goes on from there */
	CU_ASSERT_EQUAL(generate(&a, 3, NULL), 0);
	CU_ASSERT_EQUAL(a.result.tokens, 3);

	begin_text(&a);
	CU_ASSERT_EQUAL(generate(&a, 0, NULL), 0);
	CU_ASSERT_EQUAL(a.result.finish, STOKER_FINISH_CONTEXT);
	CU_ASSERT_EQUAL(stoker_session_position(a.session), CONTEXT);
	check_promise(&a, (uint32_t)(CONTEXT - a.prompt), 0);
	strcpy(whole, a.text);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(generate(&a, 5, NULL), 0);
		CU_ASSERT_EQUAL(a.result.finish, STOKER_FINISH_CONTEXT);
		CU_ASSERT_EQUAL(a.result.tokens, 0);
		CU_ASSERT_EQUAL(a.result.bytes, 0);
		CU_ASSERT_STRING_EQUAL(a.text, whole);
	}
	close_app(&a);
}

/* Stop strings cut out of what is generated: at every place, of every length. */
static void test_stop_strings(void)
{
	enum { TOKENS = 12 };
	char whole[MAX_TEXT], stop[MAX_TEXT];
	size_t ends[TOKENS];
	struct app a;

	open_app(&a, DEMO, CONTEXT);
	begin_text(&a);
	CU_ASSERT_EQUAL(generate(&a, TOKENS, NULL), 0);
	strcpy(whole, a.text);
	for (size_t i = 0; i < TOKENS; i++)
		ends[i] = spell(&a, a.prompt, a.prompt + i + 1, stop);
	for (size_t begin = 0; begin < 24; begin++)
		for (size_t length = 1; length <= 16; length += 3) {
			const char *found;
			size_t shown, at, in_context = 0, giving = 0;

			snprintf(stop, sizeof(stop), "%.*s", (int)length, whole + begin);
			found = strstr(whole, stop);
			at = (size_t)(found - whole);
			/* tokens up to the one before the string is complete, or the last that
			 * shows */
			while (ends[in_context] < at + strlen(stop))
				in_context++;
			while (giving < TOKENS && (giving ? ends[giving - 1] : 0) < at)
				giving++;
			begin_text(&a);
			CU_ASSERT_EQUAL(generate(&a, TOKENS, stop), 0);
			CU_ASSERT_EQUAL(a.result.finish, STOKER_FINISH_STOP);
			shown = a.length;
			CU_ASSERT(shown == at && !memcmp(a.text, whole, at));
			in_context = MAX(in_context, giving);
			check_promise(&a, (uint32_t)in_context, (uint32_t)(in_context - giving));
			CU_ASSERT_EQUAL(a.result.token == STOKER_NO_TOKEN,
					giving && ends[giving - 1] >= at + strlen(stop));
		}
	close_app(&a);
}

/* One call for everything, or calls for a few tokens each: the same with a decoder. */
static void test_slices(void)
{
	static const char *const stops[] = { "Moses, Go", NULL };
	char whole[MAX_TEXT] = "";
	struct app a;

	open_app(&a, DEMO, CONTEXT);
	for (size_t s = 0; s < ARRAY_SIZE(stops); s++)
		for (uint32_t slice = 24; slice; slice--) {
			const struct stoker_decoder_params p = { STOKER_DECODER_PARAMS_INIT,
								 .stop = &stops[s],
								 .stop_count = stops[s] != NULL };
			const char *rest;
			size_t bytes;
			uint32_t tokens = 0;

			begin_text(&a);
			CU_ASSERT_EQUAL_FATAL(
				stoker_decoder_create(a.vocabulary, &p, &a.decoder, NULL), 0);
			do {
				CU_ASSERT_EQUAL(generate(&a, MIN(slice, 24 - tokens), NULL), 0);
				tokens += a.result.tokens;
			} while (a.result.finish == STOKER_FINISH_LENGTH && tokens < 24);
			CU_ASSERT_EQUAL(stoker_decoder_flush(a.decoder, &rest, &bytes), 0);
			if (bytes)
				on_text(&a, rest, bytes);
			if (slice == 24)
				strcpy(whole, a.text);
			CU_ASSERT_STRING_EQUAL(a.text, whole);
			CU_ASSERT_PTR_NULL(stops[s] ? strstr(a.text, stops[s]) : NULL);
			stoker_decoder_free(&a.decoder);
		}
	close_app(&a);
}

static void test_cancellation_belongs_to_a_run(void)
{
	const uint32_t tokens[3] = { 5, 6, 7 };
	uint32_t first, second;
	struct app a;

	open_app(&a, DEMO, CONTEXT);
	/* before the first run, and again once it was told */
	stoker_session_cancel(a.session);
	CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL),
			-ECANCELED);
	CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	/* too late for the run that it was for */
	stoker_session_cancel(a.session);
	first = stoker_session_begin(a.session);
	CU_ASSERT(first > 0);
	CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	second = stoker_session_begin(a.session);
	CU_ASSERT(second > 0 && second != first);
	stoker_session_cancel_run(a.session, first);
	stoker_session_cancel_run(a.session, 0);
	stoker_session_cancel_run(a.session, second + 1);
	CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	/* just before the call: kept, with logits and context */
	stoker_session_cancel_run(a.session, second);
	CU_ASSERT_EQUAL(generate(&a, 3, NULL), -ECANCELED);
	CU_ASSERT_EQUAL(a.result.tokens, 0);
	CU_ASSERT_EQUAL(stoker_session_position(a.session), 9);
	CU_ASSERT_EQUAL(generate(&a, 3, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_position(a.session), 12);
	close_app(&a);
}

/* A model that can't go back keeps what it holds when it's cancelled between batches. */
static void test_recurrent_models_keep_their_context(void)
{
	static const char *const files[] = { "lfm2moe", "qwen35moe", "llama" };
	const char *folder = vectors_folder("cancellation of recurrent models");
	const uint32_t tokens[3] = { 5, 6, 7 };

	for (size_t i = 0; folder && i < ARRAY_SIZE(files); i++) {
		struct app a;
		char path[512];
		float before;

		snprintf(path, sizeof(path), "%s/models/%s.gguf", folder, files[i]);
		open_app(&a, path, CONTEXT);
		CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL),
				0);
		before = stoker_session_logits(a.session, 0)[0];
		stoker_session_cancel(a.session);
		CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL),
				-ECANCELED);
		CU_ASSERT_EQUAL(stoker_session_position(a.session), 3);
		CU_ASSERT_EQUAL(stoker_session_truncate(a.session, 3, NULL), 0);
		CU_ASSERT(stoker_session_logits(a.session, 0) &&
			  stoker_session_logits(a.session, 0)[0] == before);
		CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL),
				0);
		CU_ASSERT_EQUAL(stoker_session_position(a.session), 6);
		close_app(&a);
	}
}

static void test_calls_inside_callbacks(void)
{
	struct app a;

	open_app(&a, DEMO, CONTEXT);
	for (int with_decoder = 0; with_decoder < 2; with_decoder++) {
		begin_text(&a);
		a.act = MISUSE;
		a.at = 2;
		if (with_decoder)
			CU_ASSERT_EQUAL_FATAL(
				stoker_decoder_create(a.vocabulary, NULL, &a.decoder, NULL), 0);
		CU_ASSERT_EQUAL(generate(&a, 6, NULL), 0);
		for (size_t i = 0; i < ARRAY_SIZE(a.misuse); i++)
			CU_ASSERT_EQUAL(a.misuse[i], -EBUSY);
		check_promise(&a, 6, 0);
	}
	close_app(&a);
}

static void test_free_inside_callbacks(void)
{
	for (enum act act = FREE; act <= FREE_ALL; act++)
		for (int with_decoder = 0; with_decoder < 2; with_decoder++) {
			struct app a;

			open_app(&a, DEMO, CONTEXT);
			if (with_decoder)
				CU_ASSERT_EQUAL_FATAL(stoker_decoder_create(a.vocabulary, NULL,
									    &a.decoder, NULL),
						      0);
			begin_text(&a);
			a.act = act;
			a.at = 2;
			CU_ASSERT_EQUAL(generate(&a, 6, NULL), -ECANCELED);
			CU_ASSERT_PTR_NULL(a.session);
			CU_ASSERT_EQUAL(a.calls, 2);
			close_app(&a);
		}
}

struct observed {
	int ret, calls;
	uint32_t position;
	bool frees;
};

static void observe(void *observer, struct stoker_session *session, uint32_t first, uint32_t rows)
{
	const uint32_t token = 5;
	struct observed *o = observer;

	o->calls++;
	o->position = first + rows;
	CU_ASSERT_EQUAL(stoker_session_position(session), first + rows);
	o->ret = stoker_session_eval(session, &token, 1, STOKER_LOGITS_LAST, NULL);
	if (o->frees)
		stoker_session_free(&session);
}

static void test_calls_inside_observers(void)
{
	const uint32_t tokens[12] = { 5, 6, 7, 5, 6, 7, 5, 6, 7, 5, 6, 7 };

	for (int frees = 0; frees < 2; frees++) {
		struct observed o = { .frees = frees };
		const struct stoker_session_params p = { STOKER_SESSION_PARAMS_INIT, .context = 16,
							 .batch = 4, .progress = observe,
							 .user = &o };
		struct stoker_session *s;
		struct app a;

		open_app(&a, DEMO, CONTEXT);
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(a.model, &p, &s, NULL), 0);
		CU_ASSERT_EQUAL(stoker_session_eval(s, tokens, 12, STOKER_LOGITS_LAST, NULL),
				frees ? -ECANCELED : 0);
		CU_ASSERT_EQUAL(o.ret, -EBUSY);
		CU_ASSERT_EQUAL(o.calls, frees ? 1 : 3);
		CU_ASSERT_EQUAL(o.position, frees ? 4 : 12);
		if (!frees)
			stoker_session_free(&s);
		close_app(&a);
	}
}

struct user {
	struct app *app;
	unsigned done, busy, others;
};

static void *use(void *argument)
{
	const uint32_t tokens[5] = { 5, 6, 7, 8, 9 };
	struct user *u = argument;

	for (int i = 0; i < 200; i++) {
		const int ret =
			stoker_session_eval(u->app->session, tokens, 5, STOKER_LOGITS_LAST, NULL);

		u->done += !ret;
		u->busy += ret == -EBUSY;
		if (ret == -ENOSPC)
			stoker_session_truncate(u->app->session, 0, NULL);
		else
			u->others += ret && ret != -EBUSY;
	}
	return NULL;
}

static void test_two_threads(void)
{
	struct user users[2];
	pthread_t threads[2];
	struct app a;

	open_app(&a, DEMO, CONTEXT);
	for (int i = 0; i < 2; i++) {
		users[i] = (struct user){ .app = &a };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, use, &users[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(users[i].others, 0);
	}
	CU_ASSERT(users[0].done + users[1].done > 0);
	CU_ASSERT_EQUAL(stoker_session_position(a.session) % 5, 0);
	close_app(&a);
}

/* What is used is kept, in whatever order things are released. */
static void test_release_in_any_order(void)
{
	const uint32_t tokens[3] = { 5, 6, 7 };
	struct app a;

	open_app(&a, DEMO, CONTEXT);
	CU_ASSERT_EQUAL_FATAL(stoker_decoder_create(a.vocabulary, NULL, &a.decoder, NULL), 0);
	stoker_device_close(&a.device);
	stoker_model_free(&a.model);
	stoker_vocabulary_free(&a.vocabulary);
	CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_decoder_push(a.decoder, 70, &(const char *){ NULL }, NULL), 0);
	close_app(&a);
}

/* A copy of the file's metadata, with one token spelled in another way, or one more or less. */
static bool write_vocabulary(const char *path, bool changed, int more)
{
	const struct stoker_gguf_key *tokens = NULL;
	struct stoker_gguf_writer *w;
	struct stoker_gguf *g;
	AUTO_FREE struct stoker_string *texts = NULL;

	if (stoker_gguf_open("tests/data/containers/plain.gguf", &g, NULL))
		return false;
	if (stoker_gguf_writer_open(path, &w, NULL)) {
		stoker_gguf_close(&g);
		return false;
	}
	for (size_t i = 0; i < stoker_gguf_key_count(g); i++) {
		const struct stoker_gguf_key *key = stoker_gguf_key(g, i);

		if (!strcmp(key->name, "tokenizer.ggml.tokens"))
			tokens = key;
		else if (strcmp(key->name, "tokenizer.ggml.token_type") &&
			 strcmp(key->name, "tokenizer.ggml.scores"))
			stoker_gguf_writer_put_key(w, g, key);
	}
	texts = calloc(tokens->count + 1, sizeof(*texts));
	stoker_gguf_strings(g, tokens, texts);
	texts[tokens->count] = (struct stoker_string){ "more", 4 };
	if (changed)
		texts[40] = (struct stoker_string){ "changed", 7 };
	stoker_gguf_writer_put_strings(w, tokens->name, texts,
				       (uint64_t)((int64_t)tokens->count + more));
	stoker_gguf_close(&g);
	return !stoker_gguf_writer_finish(&w, 1, NULL);
}

static void test_other_vocabularies(void)
{
	static const struct {
		bool changed;
		int more, ret;
		const char *says;
	} cases[] = { { false, 0, 0, "" },
		      { true, 0, -EINVAL, "292" },
		      { false, 1, -EINVAL, "293 tokens, the model's has 292" },
		      { false, -1, -EINVAL, "291 tokens, the model's has 292" } };
	const struct stoker_generate_params p = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 2 };
	const uint32_t tokens[3] = { 5, 6, 7 };
	const char *path = "build/other-vocabulary.gguf";
	struct app a;

	open_app(&a, "tests/data/containers/plain.gguf", CONTEXT);
	CU_ASSERT_EQUAL(stoker_session_eval(a.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stoker_error err = { "" };
		struct stoker_vocabulary *v;

		CU_ASSERT_FATAL(write_vocabulary(path, cases[i].changed, cases[i].more));
		CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(path, &v, &err), 0);
		CU_ASSERT_EQUAL(stoker_session_generate(a.session, a.sampler, v, &p, NULL, &err),
				cases[i].ret);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, cases[i].says));
		stoker_vocabulary_free(&v);
	}
	remove(path);
	close_app(&a);
}

void suite_promises(void)
{
	TEST(test_ends);
	TEST(test_stop_strings);
	TEST(test_slices);
	TEST(test_cancellation_belongs_to_a_run);
	TEST(test_recurrent_models_keep_their_context);
	TEST(test_calls_inside_callbacks);
	TEST(test_free_inside_callbacks);
	TEST(test_calls_inside_observers);
	TEST(test_two_threads);
	TEST(test_release_in_any_order);
	TEST(test_other_vocabularies);
}
