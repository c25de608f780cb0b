// SPDX-License-Identifier: MIT
/*
 * Every public function with NULL, zero and numbers out of range: an error or nothing, see
 * stoker/error.h, and never a crash.
 */
#include "unit.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stoker/unstable/trace.h>
#include <stoker/unstable/cache.h>
#include <stoker/unstable/store.h>

#define PLAIN "tests/data/containers/plain.gguf"
#define REFUSED(call) CU_ASSERT_EQUAL(call, -EINVAL)
#define NOTHING(call) CU_ASSERT(!(call))

static void test_devices(void)
{
	struct stoker_device_info *list;
	struct stoker_device *d = NULL;
	size_t count;

	REFUSED(stoker_device_open(NULL, NULL, NULL));
	CU_ASSERT_EQUAL(
		stoker_device_open(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT,
								   .name = "" },
				   &d, NULL),
		-ENODEV);
	CU_ASSERT_EQUAL(
		stoker_device_open(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT,
								   .name = "CPU" },
				   &d, NULL),
		-ENODEV);
	REFUSED(stoker_device_open(&(struct stoker_device_params){ STOKER_DEVICE_PARAMS_INIT,
								   .threads = 1000000 },
				   &d, NULL));
	CU_ASSERT_PTR_NULL(d);
	stoker_device_close(NULL);
	stoker_device_close(&d);
	REFUSED(stoker_device_list(sizeof(*list), NULL, &count, NULL));
	REFUSED(stoker_device_list(0, &list, &count, NULL));
	REFUSED(stoker_device_list(sizeof(*list), &list, NULL, NULL));
	REFUSED(stoker_device_accepts(NULL, 0));
	CU_ASSERT_EQUAL(stoker_device_accepts(&(struct stoker_device_info){ .name = "" }, -1),
			-ENODEV);
	NOTHING(stoker_device_shares_memory(NULL));
	NOTHING(stoker_device_memory_left(NULL));
	NOTHING(stoker_device_description(NULL));
	REFUSED(stoker_device_profile(NULL, NULL, NULL));
	CU_ASSERT(stoker_device_threads() > 0);
}

static void test_models(void)
{
	struct stoker_model_outlook outlook = { STOKER_MODEL_OUTLOOK_INIT };
	static const struct stoker_model_params bad[] = {
		{ STOKER_MODEL_PARAMS_INIT, .store = "bogus" },
		{ STOKER_MODEL_PARAMS_INIT, .store = "" },
		{ STOKER_MODEL_PARAMS_INIT, .policy = "bogus" },
		{ STOKER_MODEL_PARAMS_INIT, .prefetch = "maybe" },
		{ STOKER_MODEL_PARAMS_INIT, .store = "bogus", .memory = STOKER_MEMORY_MAX },
		{ STOKER_MODEL_PARAMS_INIT, .policy = "LRU", .memory = STOKER_MEMORY_MIN },
	};
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_device *d;
	struct stoker_model *m = NULL;
	struct stoker_gguf *g;
	struct stoker_error err;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &d, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(PLAIN, &g, NULL), 0);
	REFUSED(stoker_model_load(NULL, PLAIN, NULL, &m, &err));
	REFUSED(stoker_model_load(d, NULL, NULL, &m, &err));
	REFUSED(stoker_model_load(d, PLAIN, NULL, NULL, &err));
	REFUSED(stoker_model_load_gguf(NULL, g, NULL, &m, &err));
	REFUSED(stoker_model_load_gguf(d, NULL, NULL, &m, &err));
	REFUSED(stoker_model_load_gguf(d, g, NULL, NULL, &err));
	REFUSED(stoker_model_foresee(NULL, g, NULL, &outlook, &err));
	REFUSED(stoker_model_foresee(d, NULL, NULL, &outlook, &err));
	REFUSED(stoker_model_foresee(d, g, NULL, NULL, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *name = bad[i].store	   ? bad[i].store
				   : bad[i].policy ? bad[i].policy
						   : bad[i].prefetch;

		REFUSED(stoker_model_load(d, PLAIN, &bad[i], &m, &err));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, name));
		CU_ASSERT_PTR_NULL(m);
	}
	stoker_model_free(NULL);
	stoker_model_free(&m);
	stoker_model_info(NULL, NULL);
	stoker_model_info(NULL, &info);
	CU_ASSERT_EQUAL(info.layers, 0);
	REFUSED(stoker_model_paging(NULL,
				    &(struct stoker_model_paging){ STOKER_MODEL_PAGING_INIT }));
	stoker_gguf_close(&g);
	stoker_device_close(&d);
}

struct parts {
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *session;
	struct stoker_sampler *sampler;
	struct stoker_vocabulary *vocabulary;
	struct stoker_decoder *decoder;
};

static void make_parts(struct parts *p)
{
	*p = (struct parts){ 0 };
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &p->device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(p->device, PLAIN, NULL, &p->model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(p->model, NULL, &p->session, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &p->sampler, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(PLAIN, &p->vocabulary, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_decoder_create(p->vocabulary, NULL, &p->decoder, NULL), 0);
}

static void free_parts(struct parts *p)
{
	stoker_session_free(&p->session);
	stoker_sampler_free(&p->sampler);
	stoker_decoder_free(&p->decoder);
	stoker_vocabulary_free(&p->vocabulary);
	stoker_model_free(&p->model);
	stoker_device_close(&p->device);
}

static void test_sessions(void)
{
	static const struct stoker_session_params bad[] = {
		{ STOKER_SESSION_PARAMS_INIT, .context = UINT32_MAX },
		{ STOKER_SESSION_PARAMS_INIT, .context = 16, .kv = (enum stoker_kv_type)99 },
		{ STOKER_SESSION_PARAMS_INIT, .context = 16, .kv_keys = (enum stoker_kv_type)99 },
		{ STOKER_SESSION_PARAMS_INIT, .context = 16, .kv_values = (enum stoker_kv_type)6 },
	};
	const uint32_t tokens[3] = { 5, 6, 7 }, outside[1] = { UINT32_MAX };
	struct stoker_session *s;
	uint64_t cache, scratch;
	uint32_t ids[64];
	struct parts p;
	size_t count = 7;

	make_parts(&p);
	REFUSED(stoker_session_create(NULL, NULL, &s, NULL));
	REFUSED(stoker_session_create(p.model, NULL, NULL, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		REFUSED(stoker_session_create(p.model, &bad[i], &s, NULL));
		CU_ASSERT_PTR_NULL(s);
	}
	stoker_session_free(NULL);
	REFUSED(stoker_session_eval(NULL, tokens, 3, STOKER_LOGITS_LAST, NULL));
	REFUSED(stoker_session_eval(p.session, NULL, 3, STOKER_LOGITS_LAST, NULL));
	REFUSED(stoker_session_eval(p.session, tokens, 0, STOKER_LOGITS_LAST, NULL));
	REFUSED(stoker_session_eval(p.session, tokens, 3, (enum stoker_logits)77, NULL));
	REFUSED(stoker_session_eval(p.session, outside, 1, STOKER_LOGITS_LAST, NULL));
	CU_ASSERT_EQUAL(stoker_session_eval(p.session, tokens, SIZE_MAX, STOKER_LOGITS_LAST, NULL),
			-ENOSPC);
	NOTHING(stoker_session_logits(NULL, 0));
	NOTHING(stoker_session_logits(p.session, SIZE_MAX));
	NOTHING(stoker_session_position(NULL));
	NOTHING(stoker_session_context(NULL));
	NOTHING(stoker_session_tokens(NULL, &count));
	CU_ASSERT_EQUAL(count, 0);
	stoker_session_tokens(p.session, NULL);
	stoker_session_bytes(NULL, &cache, &scratch);
	stoker_session_bytes(p.session, NULL, NULL);
	REFUSED(stoker_session_truncate(NULL, 0, NULL));
	REFUSED(stoker_session_truncate(p.session, UINT32_MAX, NULL));
	NOTHING(stoker_session_experts(NULL, 0, 0, ids));
	NOTHING(stoker_session_experts(p.session, UINT32_MAX, 0, ids));
	NOTHING(stoker_session_experts(p.session, 0, UINT32_MAX, ids));
	NOTHING(stoker_session_experts(p.session, 0, 0, NULL));
	NOTHING(stoker_session_predicted(NULL, 0, 1, 0, ids));
	NOTHING(stoker_session_predicted(p.session, 0, UINT32_MAX, 0, ids));
	NOTHING(stoker_session_begin(NULL));
	stoker_session_cancel(NULL);
	stoker_session_cancel_run(NULL, 1);
	CU_ASSERT_EQUAL(stoker_session_eval(p.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_truncate(p.session, 3, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(stoker_session_logits(p.session, 0));
	free_parts(&p);
}

static void test_generation(void)
{
	static const char *const stops[] = { "x", NULL, "" };
	static char long_stop[300];
	const char *const too_long = long_stop;
	const struct stoker_generate_params good = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 1 };
	const uint32_t tokens[3] = { 5, 6, 7 };
	struct stoker_generate_params bad[5];
	struct stoker_generate_result r = { STOKER_GENERATE_RESULT_INIT };
	struct stoker_vocabulary *other;
	struct parts p;

	memset(long_stop, 'x', sizeof(long_stop) - 1);
	make_parts(&p);
	bad[0] = (struct stoker_generate_params){ STOKER_GENERATE_PARAMS_INIT, .stop_count = 1 };
	bad[1] = (struct stoker_generate_params){ STOKER_GENERATE_PARAMS_INIT, .stop_count = 2,
						  .stop = stops };
	bad[2] = (struct stoker_generate_params){ STOKER_GENERATE_PARAMS_INIT, .stop_count = 1,
						  .stop = stops + 2 };
	bad[3] = (struct stoker_generate_params){ STOKER_GENERATE_PARAMS_INIT, .stop_count = 1,
						  .stop = &too_long };
	bad[4] = (struct stoker_generate_params){ STOKER_GENERATE_PARAMS_INIT, .stop_count = 1,
						  .stop = stops, .decoder = p.decoder };
	REFUSED(stoker_session_generate(p.session, p.sampler, p.vocabulary, &good, &r, NULL));
	CU_ASSERT_EQUAL(stoker_session_eval(p.session, tokens, 3, STOKER_LOGITS_LAST, NULL), 0);
	REFUSED(stoker_session_generate(NULL, p.sampler, p.vocabulary, &good, &r, NULL));
	REFUSED(stoker_session_generate(p.session, NULL, p.vocabulary, &good, &r, NULL));
	REFUSED(stoker_session_generate(p.session, p.sampler, p.vocabulary, NULL, NULL, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		REFUSED(stoker_session_generate(p.session, p.sampler, p.vocabulary, &bad[i], &r,
						NULL));
		CU_ASSERT_EQUAL(r.finish, STOKER_FINISH_FAILED);
		CU_ASSERT_EQUAL(r.tokens, 0);
	}
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(PLAIN, &other, NULL), 0);
	bad[0] = (struct stoker_generate_params){ STOKER_GENERATE_PARAMS_INIT,
						  .decoder = p.decoder };
	REFUSED(stoker_session_generate(p.session, p.sampler, other, &bad[0], &r, NULL));
	stoker_vocabulary_free(&other);
	CU_ASSERT_EQUAL(
		stoker_session_generate(p.session, p.sampler, p.vocabulary, &good, NULL, NULL), 0);
	free_parts(&p);
}

static void test_decoders(void)
{
	static const char *const stops[] = { NULL };
	const struct stoker_decoder_params no_list = { STOKER_DECODER_PARAMS_INIT,
						       .stop_count = 1 },
					   no_text = { STOKER_DECODER_PARAMS_INIT, .stop = stops,
						       .stop_count = 1 };
	struct stoker_decoder *d;
	const char *utf8;
	struct parts p;

	make_parts(&p);
	REFUSED(stoker_decoder_create(NULL, NULL, &d, NULL));
	REFUSED(stoker_decoder_create(p.vocabulary, NULL, NULL, NULL));
	REFUSED(stoker_decoder_create(p.vocabulary, &no_list, &d, NULL));
	REFUSED(stoker_decoder_create(p.vocabulary, &no_text, &d, NULL));
	CU_ASSERT_PTR_NULL(d);
	stoker_decoder_free(NULL);
	REFUSED(stoker_decoder_push(NULL, 5, &utf8, NULL));
	REFUSED(stoker_decoder_push(p.decoder, 5, NULL, NULL));
	REFUSED(stoker_decoder_push(p.decoder, UINT32_MAX, &utf8, NULL));
	CU_ASSERT_STRING_EQUAL(utf8, "");
	REFUSED(stoker_decoder_flush(NULL, &utf8, NULL));
	REFUSED(stoker_decoder_flush(p.decoder, NULL, NULL));
	REFUSED(stoker_decoder_reset(NULL));
	NOTHING(stoker_decoder_held(NULL));
	free_parts(&p);
}

static void test_samplers(void)
{
	const float logits[2] = { 1, 2 };
	uint8_t stages[STOKER_STAGES_MAX];
	struct stoker_sampler_params params = { STOKER_SAMPLER_PARAMS_INIT };
	struct stoker_sampler *s;
	uint32_t token;
	struct parts p;

	make_parts(&p);
	REFUSED(stoker_sampler_create(NULL, NULL, NULL));
	stoker_sampler_free(NULL);
	REFUSED(stoker_sampler_sample(NULL, logits, 2, &token));
	REFUSED(stoker_sampler_sample(p.sampler, NULL, 2, &token));
	REFUSED(stoker_sampler_sample(p.sampler, logits, 0, &token));
	REFUSED(stoker_sampler_sample(p.sampler, logits, 2, NULL));
	stoker_sampler_accept(NULL, 5);
	stoker_sampler_accept(p.sampler, UINT32_MAX);
	stoker_sampler_begin(NULL, &token, 1);
	stoker_sampler_begin(p.sampler, NULL, 1);
	stoker_sampler_begin(p.sampler, NULL, 0);
	stoker_sampler_reset(NULL);
	REFUSED(stoker_sampler_clone(NULL, &s, NULL));
	REFUSED(stoker_sampler_clone(p.sampler, NULL, NULL));
	NOTHING(stoker_sampler_reasoning(NULL));
	stoker_sampler_defaults(NULL);
	REFUSED(stoker_sampler_model_defaults(NULL, &params, NULL));
	REFUSED(stoker_sampler_order(NULL, stages, NULL));
	REFUSED(stoker_sampler_order("top_k", NULL, NULL));
	REFUSED(stoker_sampler_order("", stages, NULL));
	free_parts(&p);
}

static void test_vocabularies(void)
{
	struct stoker_vocabulary *v;
	uint32_t *tokens;
	size_t count;
	char text[8];
	struct parts p;

	make_parts(&p);
	REFUSED(stoker_vocabulary_load(NULL, &v, NULL));
	REFUSED(stoker_vocabulary_load(PLAIN, NULL, NULL));
	REFUSED(stoker_vocabulary_load_gguf(NULL, &v, NULL));
	REFUSED(stoker_vocabulary_load_named(NULL, "gpt-2", &v, NULL));
	stoker_vocabulary_free(NULL);
	NOTHING(stoker_vocabulary_size(NULL));
	CU_ASSERT_EQUAL(stoker_vocabulary_special(NULL, STOKER_SPECIAL_BEGIN), -1);
	CU_ASSERT_EQUAL(stoker_vocabulary_find(NULL, "a", 1), -1);
	REFUSED(stoker_model_vocabulary(NULL, NULL, NULL));
	CU_ASSERT_PTR_NULL(stoker_model_gguf(NULL));
	NOTHING(stoker_vocabulary_is_end(NULL, 0));
	NOTHING(stoker_vocabulary_is_end(p.vocabulary, UINT32_MAX));
	NOTHING(stoker_vocabulary_warning(NULL, 0));
	NOTHING(stoker_vocabulary_warning(p.vocabulary, SIZE_MAX));
	REFUSED(stoker_vocabulary_tokenize(NULL, "x", 1, 0, &tokens, &count, NULL));
	REFUSED(stoker_vocabulary_tokenize(p.vocabulary, NULL, 1, 0, &tokens, &count, NULL));
	REFUSED(stoker_vocabulary_tokenize(p.vocabulary, "x", 1, 0, NULL, &count, NULL));
	REFUSED(stoker_vocabulary_tokenize(p.vocabulary, "x", 1, 0, &tokens, NULL, NULL));
	REFUSED(stoker_vocabulary_tokenize(p.vocabulary, "x", SIZE_MAX, 0, &tokens, &count, NULL));
	CU_ASSERT_EQUAL(stoker_vocabulary_tokenize(p.vocabulary, NULL, 0, UINT32_MAX, &tokens,
						   &count, NULL),
			0);
	free(tokens);
	NOTHING(stoker_vocabulary_text(NULL, 5, 1, text, sizeof(text)));
	NOTHING(stoker_vocabulary_text(p.vocabulary, UINT32_MAX, 1, text, sizeof(text)));
	CU_ASSERT_EQUAL(stoker_vocabulary_text(p.vocabulary, 77, 1, NULL, 8), 1);
	CU_ASSERT_EQUAL(stoker_vocabulary_text(p.vocabulary, 77, 1, text, 0), 1);
	free_parts(&p);
}

static void test_templates(void)
{
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT, .count = 0 },
					   no_list = { STOKER_TEMPLATE_INPUT_INIT, .count = 1 };
	const struct stoker_prompt no_text = { STOKER_PROMPT_INIT, .bytes = 1 },
				   no_spans = { STOKER_PROMPT_INIT, .span_count = 1 };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_template *t;
	uint32_t *tokens;
	struct parts p;
	size_t count;

	make_parts(&p);
	REFUSED(stoker_template_load(NULL, NULL, &t, NULL));
	REFUSED(stoker_template_load(p.vocabulary, NULL, NULL, NULL));
	REFUSED(stoker_template_parse(NULL, 1, "x", &t, NULL));
	REFUSED(stoker_template_parse("x", 1, "x", NULL, NULL));
	CU_ASSERT_EQUAL_FATAL(stoker_template_parse("x", 1, NULL, &t, NULL), 0);
	NOTHING(stoker_template_bundled(NULL));
	NOTHING(stoker_template_bundled(""));
	NOTHING(stoker_template_bundled_name(SIZE_MAX));
	NOTHING(stoker_template_source(NULL));
	REFUSED(stoker_template_render(NULL, NULL, &input, &prompt, NULL));
	REFUSED(stoker_template_render(t, NULL, NULL, &prompt, NULL));
	REFUSED(stoker_template_render(t, NULL, &input, NULL, NULL));
	REFUSED(stoker_template_render(t, NULL, &no_list, &prompt, NULL));
	CU_ASSERT_EQUAL(stoker_template_render(t, NULL, &input, &prompt, NULL), 0);
	REFUSED(stoker_prompt_tokenize(NULL, &prompt, &tokens, &count, NULL));
	REFUSED(stoker_prompt_tokenize(p.vocabulary, NULL, &tokens, &count, NULL));
	REFUSED(stoker_prompt_tokenize(p.vocabulary, &prompt, NULL, &count, NULL));
	REFUSED(stoker_prompt_tokenize(p.vocabulary, &prompt, &tokens, NULL, NULL));
	REFUSED(stoker_prompt_tokenize(p.vocabulary, &no_text, &tokens, &count, NULL));
	REFUSED(stoker_prompt_tokenize(p.vocabulary, &no_spans, &tokens, &count, NULL));
	stoker_prompt_free(NULL);
	stoker_prompt_free(&prompt);
	stoker_template_free(NULL);
	stoker_template_free(&t);
	free_parts(&p);
}

static void test_formats(void)
{
	const struct stoker_format *f = stoker_format_by_name("f32");
	float value = 1;

	NOTHING(stoker_format_by_name(NULL));
	NOTHING(stoker_format_by_name(""));
	NOTHING(stoker_format_by_id(UINT32_MAX));
	NOTHING(stoker_format_name(NULL));
	CU_ASSERT_EQUAL(stoker_format_id(NULL), UINT32_MAX);
	NOTHING(stoker_format_file_type(NULL));
	NOTHING(stoker_format_block_values(NULL));
	NOTHING(stoker_format_can_encode(NULL));
	NOTHING(stoker_format_bytes(NULL, 32));
	stoker_format_decode(NULL, &value, &value, 1);
	stoker_format_decode(f, NULL, &value, 1);
	stoker_format_decode(f, &value, NULL, 1);
	REFUSED(stoker_format_encode(NULL, &value, &value, 1));
	REFUSED(stoker_format_encode(f, NULL, &value, 1));
	REFUSED(stoker_format_encode(f, &value, NULL, 1));
	CU_ASSERT_EQUAL(stoker_format_encode(f, NULL, NULL, 0), 0);
	REFUSED(stoker_format_encode_rows(NULL, &value, NULL, 1, 1, &value));
	REFUSED(stoker_format_encode_rows(f, NULL, NULL, 1, 1, &value));
	REFUSED(stoker_format_encode_rows(f, &value, NULL, 1, 1, NULL));
	CU_ASSERT_EQUAL(stoker_format_encode_rows(f, NULL, NULL, 0, 1, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(stoker_format_next(NULL));
}

static void test_containers(void)
{
	struct stoker_string s[1];
	struct stoker_gguf *g;
	const struct stoker_gguf_key *key;
	uint64_t u, bytes;
	int64_t i;
	double d;
	int fd;

	REFUSED(stoker_gguf_open(NULL, &g, NULL));
	REFUSED(stoker_gguf_open(PLAIN, NULL, NULL));
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_open(PLAIN, &g, NULL), 0);
	key = stoker_gguf_key(g, 0);
	stoker_gguf_close(NULL);
	NOTHING(stoker_gguf_version(NULL));
	NOTHING(stoker_gguf_file_count(NULL));
	NOTHING(stoker_gguf_file(NULL, 0, &fd, &bytes));
	NOTHING(stoker_gguf_file(g, UINT32_MAX, &fd, &bytes));
	NOTHING(stoker_gguf_key_count(NULL));
	NOTHING(stoker_gguf_key(NULL, 0));
	NOTHING(stoker_gguf_key(g, SIZE_MAX));
	NOTHING(stoker_gguf_find(NULL, "general.name"));
	NOTHING(stoker_gguf_find(g, NULL));
	REFUSED(stoker_gguf_u64(g, NULL, 0, &u));
	REFUSED(stoker_gguf_u64(g, key, 0, NULL));
	REFUSED(stoker_gguf_i64(g, NULL, 0, &i));
	REFUSED(stoker_gguf_i64(g, key, 0, NULL));
	REFUSED(stoker_gguf_f64(g, NULL, 0, &d));
	REFUSED(stoker_gguf_f64(g, key, 0, NULL));
	REFUSED(stoker_gguf_string(g, NULL, s));
	REFUSED(stoker_gguf_string(g, key, NULL));
	REFUSED(stoker_gguf_strings(g, NULL, s));
	REFUSED(stoker_gguf_strings(g, stoker_gguf_find(g, "tokenizer.ggml.tokens"), NULL));
	NOTHING(stoker_gguf_tensor_count(NULL));
	NOTHING(stoker_gguf_tensor(NULL, 0));
	NOTHING(stoker_gguf_tensor(g, SIZE_MAX));
	NOTHING(stoker_gguf_find_tensor(NULL, "output.weight"));
	NOTHING(stoker_gguf_find_tensor(g, NULL));
	NOTHING(stoker_gguf_find_hole(NULL, &bytes));
	REFUSED(stoker_gguf_read(NULL, stoker_gguf_tensor(g, 0), 0, &u, 1, NULL));
	REFUSED(stoker_gguf_read(g, NULL, 0, &u, 1, NULL));
	REFUSED(stoker_gguf_read(g, stoker_gguf_tensor(g, 0), 0, NULL, 1, NULL));
	CU_ASSERT_EQUAL(stoker_gguf_read(g, stoker_gguf_tensor(g, 0), UINT64_MAX, &u, 1, NULL),
			-ERANGE);
	stoker_gguf_close(&g);
}

/* What a caller does wrong while writing is told in the end. */
static void test_writers(void)
{
	static const char path[] = "build/misuse.gguf";
	const struct stoker_format *f32 = stoker_format_by_name("f32");
	const uint64_t ne[1] = { 4 };
	const float values[4] = { 0 };
	struct stoker_gguf_writer *w = NULL;

	REFUSED(stoker_gguf_writer_open(NULL, &w, NULL));
	REFUSED(stoker_gguf_writer_open(path, NULL, NULL));
	stoker_gguf_writer_put_u32(NULL, "x", 1);
	stoker_gguf_writer_put_f32(NULL, "x", 1);
	stoker_gguf_writer_put_bool(NULL, "x", 1);
	stoker_gguf_writer_put_string(NULL, "x", "y");
	stoker_gguf_writer_put_strings(NULL, "x", NULL, 0);
	stoker_gguf_writer_put_i32s(NULL, "x", NULL, 0);
	stoker_gguf_writer_put_f32s(NULL, "x", NULL, 0);
	stoker_gguf_writer_put_key(NULL, NULL, NULL);
	stoker_gguf_writer_put_alignment(NULL, 32);
	stoker_gguf_writer_put_tensor(NULL, "x", f32, 1, ne);
	REFUSED(stoker_gguf_writer_write(NULL, values, 16, NULL));
	NOTHING(stoker_gguf_writer_part(NULL));
	REFUSED(stoker_gguf_writer_measure(NULL));
	CU_ASSERT_EQUAL(stoker_gguf_writer_head(NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(NULL, 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 1, NULL), 0);
	for (int mistake = 0; mistake <= 12; mistake++) {
		CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &w, NULL), 0);
		stoker_gguf_writer_put_u32(w, mistake == 1 ? NULL : "a", 1);
		stoker_gguf_writer_put_f32(w, mistake == 2 ? NULL : "b", 1);
		stoker_gguf_writer_put_bool(w, mistake == 3 ? NULL : "c", 1);
		stoker_gguf_writer_put_string(w, "d", mistake == 4 ? NULL : "x");
		stoker_gguf_writer_put_strings(w, "e", NULL, mistake == 5);
		stoker_gguf_writer_put_i32s(w, "f", NULL, mistake == 6);
		stoker_gguf_writer_put_f32s(w, "g", NULL, mistake == 7);
		if (mistake == 8)
			stoker_gguf_writer_put_key(w, NULL, NULL);
		stoker_gguf_writer_put_tensor(w, mistake == 9 ? NULL : "t",
					      mistake == 10 ? NULL : f32, mistake == 11 ? 9 : 1,
					      mistake == 12 ? NULL : ne);
		CU_ASSERT_EQUAL(stoker_gguf_writer_write(w, values, sizeof(values), NULL),
				mistake ? -EINVAL : 0);
		CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&w, 1, NULL), mistake ? -EINVAL : 0);
		CU_ASSERT_EQUAL(access(path, F_OK) == 0, !mistake);
		remove(path);
	}
}

static void test_others(void)
{
	struct stoker_profile *p;
	struct stoker_profile_total *list;
	double joules;
	size_t count;
	int fd;

	REFUSED(stoker_profile_create(NULL, NULL));
	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&p, NULL), 0);
	REFUSED(stoker_profile_totals(NULL, sizeof(*list), &list, &count));
	REFUSED(stoker_profile_totals(p, sizeof(*list), NULL, &count));
	REFUSED(stoker_profile_totals(p, 0, &list, &count));
	REFUSED(stoker_profile_totals(p, sizeof(*list), &list, NULL));
	REFUSED(stoker_profile_energy(NULL, &joules));
	REFUSED(stoker_profile_energy(p, NULL));
	REFUSED(stoker_profile_write(NULL, "build/misuse.json", NULL));
	REFUSED(stoker_profile_write(p, NULL, NULL));
	stoker_profile_free(NULL);
	stoker_profile_free(&p);
	NOTHING(stoker_cache_path(NULL));
	NOTHING(stoker_cache_read(NULL, 10, &count));
	NOTHING(stoker_cache_read("build/no-such-file", 10, NULL));
	CU_ASSERT(stoker_cache_write(NULL, "x", 1, NULL) < 0);
	REFUSED(stoker_cache_write("build/misuse", NULL, 1, NULL));
	REFUSED(stoker_driver_arena(4096, NULL, NULL));
	CU_ASSERT(stoker_driver_arena(0, &fd, NULL) < 0);
	REFUSED(stoker_driver_prefer(NULL, NULL));
	REFUSED(stoker_driver_prefer("threads", NULL));
}

/* As a user who may have no more threads: the default takes what there is. */
static int open_limited(void)
{
	const struct stoker_device_params two = { STOKER_DEVICE_PARAMS_INIT, .threads = 2 };
	const struct rlimit one = { 1, 1 };
	struct stoker_device *d;

	if (getuid() == 0 && setuid(65534))
		return 77;
	if (setrlimit(RLIMIT_NPROC, &one) || stoker_device_open(&two, &d, NULL) != -EAGAIN)
		return 77; /* the limit isn't kept here */
	if (stoker_device_open(NULL, &d, NULL))
		return 1;
	stoker_device_close(&d);
	return 0;
}

static void test_limited_threads(void)
{
	const pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(open_limited());
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip("limits on threads", "they aren't kept here");
	else
		CU_ASSERT_EQUAL(status, 0);
}

static void test_versions(void)
{
	CU_ASSERT_EQUAL(stoker_api_version(), STOKER_API_VERSION);
	CU_ASSERT_STRING_EQUAL(stoker_version(), STOKER_VERSION);
	stoker_free(NULL);
}

void suite_misuse(void)
{
	TEST(test_versions);
	TEST(test_devices);
	TEST(test_models);
	TEST(test_sessions);
	TEST(test_generation);
	TEST(test_decoders);
	TEST(test_samplers);
	TEST(test_vocabularies);
	TEST(test_templates);
	TEST(test_formats);
	TEST(test_containers);
	TEST(test_writers);
	TEST(test_others);
	TEST(test_limited_threads);
}
