// SPDX-License-Identifier: MIT
/* Reference logits, greedy texts and expert choices of every architecture. */
#include "unit.h"

#include <dirent.h>

#include <stoker/unstable/trace.h>

struct reference {
	struct json_object *json;
	float *logits;
	uint32_t vocabulary, count, prompt[256];
};

static struct json_object *get(struct json_object *o, const char *name)
{
	struct json_object *found = NULL;

	json_object_object_get_ex(o, name, &found);
	return found;
}

static double number(struct json_object *o, const char *outer, const char *name)
{
	return json_object_get_double(get(outer ? get(o, outer) : o, name));
}

/* Expert sets are equal, except where the reference says that the choice is close. */
static unsigned wrong_experts(const struct reference *r, const struct stoker_session *s)
{
	struct json_object *experts = get(r->json, "experts"), *layers = get(experts, "layers");
	struct json_object *ids = get(experts, "ids"), *ties = get(experts, "near_ties");
	unsigned wrong = 0;

	for (size_t n = 0; experts && n < json_object_array_length(layers); n++)
		for (uint32_t t = 0; t < r->count; t++) {
			const uint32_t layer =
				(uint32_t)json_object_get_int(json_object_array_get_idx(layers, n));
			struct json_object *wanted =
				json_object_array_get_idx(json_object_array_get_idx(ids, n), t);
			uint32_t got[64];
			const uint32_t used = stoker_session_experts(s, layer, t, got);
			bool same = used == json_object_array_length(wanted), tie = false;

			for (size_t i = 0; i < json_object_array_length(wanted); i++) {
				bool found = false;

				for (uint32_t k = 0; k < used; k++)
					found = found ||
						(int)got[k] == json_object_get_int(
								       json_object_array_get_idx(
									       wanted, i));
				same = same && found;
			}
			for (size_t i = 0; i < json_object_array_length(ties); i++) {
				struct json_object *tied = json_object_array_get_idx(ties, i);

				tie = tie ||
				      (json_object_get_int(json_object_array_get_idx(tied, 0)) ==
					       (int)layer &&
				       json_object_get_int(json_object_array_get_idx(tied, 1)) ==
					       (int)t);
			}
			wrong += !same && !tie;
		}
	return wrong;
}

static uint32_t largest(const float *x, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

static unsigned wrong_greedy(const struct reference *r, struct stoker_session *s, uint32_t next)
{
	struct json_object *wanted = get(r->json, "greedy_next");
	unsigned wrong = 0;

	for (size_t i = 0; i < json_object_array_length(wanted); i++) {
		wrong += (int)next != json_object_get_int(json_object_array_get_idx(wanted, i));
		if (stoker_session_eval(s, &next, 1, STOKER_LOGITS_LAST, NULL))
			return 99;
		next = largest(stoker_session_logits(s, 0), r->vocabulary);
	}
	return wrong;
}

struct difference {
	double worst, square;
	unsigned same_top;
};

static void compare(const struct reference *r, const float *row, uint32_t at, struct difference *d)
{
	const float *wanted = r->logits + (size_t)at * r->vocabulary;

	for (uint32_t i = 0; i < r->vocabulary; i++) {
		const double e = fabs((double)row[i] - (double)wanted[i]);

		d->worst = e <= d->worst ? d->worst : e;
		d->square += e * e;
	}
	d->same_top += largest(row, r->vocabulary) == largest(wanted, r->vocabulary);
}

/* The prompt at once, or a token at a time; then 16 greedy tokens. */
static void check_exact(const struct reference *r, struct stoker_model *model, bool single,
			const char *name)
{
	const double limit = number(r->json, "tolerance", "logits_abs");
	struct difference d = { 0 };
	struct stoker_session *s;
	unsigned experts = 0, greedy;
	uint32_t next = 0;

	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, NULL, &s, NULL), 0);
	for (uint32_t i = 0; i < r->count; i += single ? 1 : r->count) {
		const uint32_t n = single ? 1 : r->count;

		CU_ASSERT_EQUAL_FATAL(
			stoker_session_eval(s, r->prompt + i, n, STOKER_LOGITS_ALL, NULL), 0);
		for (uint32_t row = 0; row < n; row++)
			compare(r, stoker_session_logits(s, row), i + row, &d);
		next = largest(stoker_session_logits(s, n - 1), r->vocabulary);
		if (!single)
			experts = wrong_experts(r, s);
	}
	greedy = wrong_greedy(r, s, next);
	if (!(d.worst <= limit) || experts || greedy) {
		printf("\n    %s%s: logits off by %.2e (limit %.2e), %u expert sets and %u greedy "
		       "tokens wrong",
		       name, single ? " token by token" : "", d.worst, limit, experts, greedy);
		CU_FAIL("reference not met");
	}
	stoker_session_free(&s);
}

/* 8-bit activations: rms at most twice that of the reference's own such path, which is about 2 % of
 * the spread where a file doesn't say. */
static void check_fast(const struct reference *r, const char *file, const char *name,
		       const char *on)
{
	struct json_object *native = get(r->json, "native_low_precision_path");
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = on,
						     .threads = 2 };
	/* Vulkan devices take 8-bit activations for single tokens */
	const uint32_t step = strcmp(on, "cpu") ? 1 : r->count;
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *s;
	struct difference d = { 0 };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, file, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, NULL, &s, NULL), 0);
	for (uint32_t i = 0; i < r->count; i += step) {
		CU_ASSERT_EQUAL(
			stoker_session_eval(s, r->prompt + i, step, STOKER_LOGITS_ALL, NULL), 0);
		for (uint32_t row = 0; row < step; row++)
			compare(r, stoker_session_logits(s, row), i + row, &d);
	}
	const double rms = sqrt(d.square / r->count / r->vocabulary);
	const double limit = native ? 2 * json_object_get_double(get(native, "rms_diff"))
				    : 2 * 0.02 * number(r->json, NULL, "logit_std");
	const bool top = 10 * d.same_top >= 9 * r->count;

	if (!(rms <= fmax(limit, 0.01)) || !top) {
		printf("\n    %s: fast path rms %.4f (limit %.4f), same top token at %u of %u",
		       name, rms, limit, d.same_top, r->count);
		CU_FAIL("fast path too coarse");
	}
	stoker_session_free(&s);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

static void check_tokenizer(const struct reference *r, const char *file, const char *name)
{
	struct json_object *cases = get(r->json, "tokenize");
	struct stoker_vocabulary *v;

	if (!cases)
		return;
	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(file, &v, NULL), 0);
	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i), *text = get(c, "text");
		struct json_object *wanted = get(c, "tokens");
		const unsigned flags = (json_object_get_boolean(get(c, "add_special"))
						? STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_ADD_END
						: 0) |
				       (json_object_get_boolean(get(c, "parse_special"))
						? STOKER_TOKENIZE_SPECIAL
						: 0);
		uint32_t *tokens = NULL;
		size_t count = 0;
		bool same;

		CU_ASSERT_EQUAL_FATAL(
			stoker_vocabulary_tokenize(v, json_object_get_string(text),
						   (size_t)json_object_get_string_len(text), flags,
						   &tokens, &count, NULL),
			0);
		same = count == json_object_array_length(wanted);
		for (size_t t = 0; same && t < count; t++)
			same = (int)tokens[t] ==
			       json_object_get_int(json_object_array_get_idx(wanted, t));
		if (!same) {
			printf("\n    %s: text %zu tokenized wrongly", name, i);
			CU_FAIL("wrong tokens");
		}
		free(tokens);
	}
	stoker_vocabulary_free(&v);
}

static void check_model(const char *folder, const char *name, const char *on)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = on,
						     .threads = 2, .exact = 1 };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct reference r = { 0 };
	struct stoker_error err = { "" };
	char path[1024];
	size_t bytes;

	snprintf(path, sizeof(path), "%s/%s.json", folder, name);
	r.json = json_object_from_file(path);
	snprintf(path, sizeof(path), "%s/%s.logits.f32", folder, name);
	r.logits = load_file(path, &bytes);
	CU_ASSERT_FATAL(r.json && r.logits);
	r.vocabulary = (uint32_t)number(r.json, NULL, "n_vocab");
	r.count = (uint32_t)number(r.json, NULL, "n_prompt");
	for (uint32_t i = 0; i < r.count; i++)
		r.prompt[i] = (uint32_t)json_object_get_int(
			json_object_array_get_idx(get(r.json, "prompt_tokens"), i));
	snprintf(path, sizeof(path), "%s/%s.gguf", folder, name);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, &err), 0);
	if (stoker_model_load(device, path, NULL, &model, &err)) {
		printf("\n    %s: %s", name, err.message);
		CU_FAIL("doesn't load");
	} else {
		check_exact(&r, model, false, name);
		check_exact(&r, model, true, name);
		check_fast(&r, path, name, on);
		if (!strcmp(on, "cpu"))
			check_tokenizer(&r, path, name);
	}
	stoker_model_free(&model);
	stoker_device_close(&device);
	json_object_put(r.json);
	free(r.logits);
}

static unsigned check_folder(const char *kind, const char *on)
{
	const char *vectors = vectors_folder(kind);
	char folder[512];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	if (!vectors)
		return 0;
	snprintf(folder, sizeof(folder), "%s/%s", vectors, kind);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		char *end = strstr(entry->d_name, ".json");

		if (!end)
			continue;
		*end = 0;
		check_model(folder, entry->d_name, on);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

static void test_models(void)
{
	const unsigned count = check_folder("models", "cpu");

	CU_ASSERT(count == 0 || count == 14);
}

static void test_quantized(void)
{
	const unsigned count = check_folder("quantized", "cpu");

	CU_ASSERT(count == 0 || count == 8);
}

static void test_models_on_vulkan(void)
{
	const unsigned count = vulkan_is_here() ? check_folder("models", "vulkan") : 0;

	CU_ASSERT(count == 0 || count == 14);
}

static void test_quantized_on_vulkan(void)
{
	const unsigned count = vulkan_is_here() ? check_folder("quantized", "vulkan") : 0;

	CU_ASSERT(count == 0 || count == 8);
}

void suite_vectors(void)
{
	TEST(test_models);
	TEST(test_quantized);
	TEST(test_models_on_vulkan);
	TEST(test_quantized_on_vulkan);
}
