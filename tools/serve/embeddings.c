// SPDX-License-Identifier: MIT
/* Texts as vectors, with a session of its own on a model. */
#include "serve/embeddings.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pooling.h"
#include "serve/field.h"
#include "serve/openai.h"

enum { TEXTS_MAX = 2048 };

/* A session takes memory of its own: one at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool no_memory(struct problem *p)
{
	return problem_set(p, 500, NULL, NULL, "out of memory");
}

/* --- what is to be embedded ---------------------------------------------------------------------
 */

static uint32_t longest_text(const struct served *m)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	stoker_model_info(served_model(m), &info);
	return info.context;
}

static bool take_tokens(const struct served *m, const char *name, struct json_object *list,
			struct embedded_text *t, struct problem *p)
{
	const size_t count = json_object_array_length(list);
	int64_t token;

	t->tokens = malloc((count + 1) * sizeof(*t->tokens));
	if (!t->tokens)
		return no_memory(p);
	for (; t->count < count; t->count++) {
		if (!value_int(p, name, json_object_array_get_idx(list, t->count), 0,
			       stoker_vocabulary_size(served_vocabulary(m)) - 1, &token))
			return false;
		t->tokens[t->count] = (uint32_t)token;
	}
	return true;
}

static bool take_string(const struct served *m, const char *name, struct json_object *string,
			struct embedded_text *t, struct problem *p)
{
	struct stoker_error err;
	const int ret = stoker_vocabulary_tokenize(served_vocabulary(m),
						   json_object_get_string(string),
						   (size_t)json_object_get_string_len(string),
						   STOKER_TOKENIZE_ADD | STOKER_TOKENIZE_ADD_END,
						   &t->tokens, &t->count, &err);

	if (ret == -ENOMEM)
		return no_memory(p);
	return !ret || problem_set(p, 400, name, NULL, "%s: %s", name, err.message);
}

static bool take_input(const struct served *m, const char *name, struct json_object *input,
		       bool cut, struct embeddings *e, struct problem *p)
{
	struct embedded_text *t = &e->texts[e->count++];
	const uint32_t most = longest_text(m);
	bool ok;

	if (json_object_is_type(input, json_type_array))
		ok = take_tokens(m, name, input, t, p);
	else if (json_object_is_type(input, json_type_string))
		ok = take_string(m, name, input, t, p);
	else
		ok = value_wrong(p, name, input, "a string or a list of tokens");
	if (!ok)
		return false;
	if (cut && t->count > most)
		t->count = most;
	if (!t->count ||
	    (json_object_is_type(input, json_type_string) && !json_object_get_string_len(input)))
		return problem_set(p, 400, name, NULL, "%s has an empty text, number %zu", name,
				   e->count);
	if (t->count > most)
		return problem_set(p, 400, name, "context_length_exceeded",
				   "%s has a text of %zu tokens, the model's context is %u", name,
				   t->count, most);
	e->tokens += t->count;
	return true;
}

bool embeddings_read(const struct served *m, const char *name, struct json_object *input, bool cut,
		     struct embeddings *e, struct problem *p)
{
	const bool list = json_object_is_type(input, json_type_array);
	const size_t length = list ? json_object_array_length(input) : 1;
	const bool many = list &&
			  !json_object_is_type(json_object_array_get_idx(input, 0), json_type_int);
	const size_t count = many ? length : 1;
	bool ok = true;

	*e = (struct embeddings){ .texts = NULL };
	if (!input)
		return problem_set(p, 400, name, NULL, "%s is missing", name);
	if (!length || count > TEXTS_MAX)
		return problem_set(p, 400, name, NULL, "%s has %zu texts, limits 1 and %d", name,
				   length ? count : 0, TEXTS_MAX);
	e->texts = calloc(count, sizeof(*e->texts));
	if (!e->texts)
		return no_memory(p);
	for (size_t i = 0; i < count && ok; i++)
		ok = take_input(m, name, many ? json_object_array_get_idx(input, i) : input, cut, e,
				p);
	if (!ok)
		embeddings_free(e);
	return ok;
}

void embeddings_free(struct embeddings *e)
{
	for (size_t i = 0; i < e->count; i++)
		stoker_free(e->texts[i].tokens);
	free(e->texts);
	free(e->vectors);
	*e = (struct embeddings){ .texts = NULL };
}

/* --- computing ----------------------------------------------------------------------------------
 */

static void cancel(void *session)
{
	stoker_session_cancel(session);
}

static int compute_all(struct exchange *x, struct stoker_session *s, struct embeddings *e,
		       struct stoker_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < e->count && !ret; i++) {
		const struct embedded_text *t = &e->texts[i];

		if (exchange_gone(x))
			return -ECANCELED;
		ret = stoker_session_truncate(s, 0, err);
		if (!ret)
			ret = stoker_session_eval(s, t->tokens, t->count, STOKER_LOGITS_NONE, err);
		if (!ret)
			ret = stoker_session_embedding(s, 1, e->vectors + i * e->width, err);
	}
	return ret;
}

static bool tell(int ret, const struct stoker_error *err, struct problem *p)
{
	if (ret == -ECANCELED)
		return problem_set(p, 503, NULL, NULL, "the request was canceled");
	if (ret == -ENOMEM)
		return problem_set(p, 503, NULL, NULL, "%s", err->message);
	if (ret == -EINVAL || ret == -ENOTSUP)
		return problem_set(p, 400, NULL, NULL, "%s", err->message);
	return !ret || problem_set(p, 500, NULL, NULL, "%s", err->message);
}

static bool compute(struct exchange *x, const struct served *m, struct embeddings *e,
		    struct problem *p)
{
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						.pooling = file_pooling(served_gguf(m)) };
	struct stoker_session *s;
	struct stoker_error err;
	int ret;

	for (size_t i = 0; i < e->count; i++)
		if (e->texts[i].count > params.context)
			params.context = (uint32_t)e->texts[i].count;
	ret = stoker_session_create(served_model(m), &params, &s, &err);
	if (ret)
		return tell(ret, &err, p);
	exchange_watch(x, cancel, s);
	ret = compute_all(x, s, e, &err);
	exchange_watch(x, NULL, NULL);
	stoker_session_free(&s);
	return tell(ret, &err, p);
}

bool embeddings_compute(struct exchange *x, const struct served *m, struct embeddings *e,
			struct problem *p)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	bool ok;

	stoker_model_info(served_model(m), &info);
	e->width = info.embedding;
	e->vectors = calloc(e->count * e->width, sizeof(*e->vectors));
	if (!e->vectors)
		return no_memory(p);
	pthread_mutex_lock(&lock);
	ok = compute(x, m, e, p);
	pthread_mutex_unlock(&lock);
	exchange_tokens(x, e->tokens, 0);
	return ok;
}

/* --- POST /v1/embeddings ------------------------------------------------------------------------
 */

/* 32-bit floats, least significant byte first. */
static void write_base64(const float *vector, size_t count, struct text *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const size_t bytes = count * sizeof(*vector);

	text_puts(out, "\"");
	for (size_t i = 0; i < bytes; i += 3) {
		uint32_t three = 0;
		char four[4];

		for (size_t k = 0; k < 3; k++) {
			uint32_t bits = 0;

			if (i + k < bytes)
				memcpy(&bits, &vector[(i + k) / 4], sizeof(bits));
			three = three << 8 | (bits >> 8 * ((i + k) % 4) & 0xff);
		}
		for (size_t k = 0; k < 4; k++)
			four[k] = i + k > bytes ? '=' : digits[three >> (18 - 6 * k) & 63];
		text_add(out, four, sizeof(four));
	}
	text_puts(out, "\"");
}

static void write_numbers(const float *vector, size_t count, struct text *out)
{
	text_puts(out, "[");
	for (size_t i = 0; i < count; i++)
		text_printf(out, i ? ",%.9g" : "%.9g", (double)vector[i]);
	text_puts(out, "]");
}

static void write_embeddings(const struct served *m, const struct embeddings *e, bool base64,
			     struct text *out)
{
	text_puts(out, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; i < e->count; i++) {
		const float *vector = e->vectors + i * e->width;

		text_printf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":",
			    i ? "," : "", i);
		if (base64)
			write_base64(vector, e->width, out);
		else
			write_numbers(vector, e->width, out);
		text_puts(out, "}");
	}
	text_puts(out, "],\"model\":");
	text_json_string(out, served_name(m));
	text_printf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
		    (unsigned long long)e->tokens, (unsigned long long)e->tokens);
}

/* What the request says beside its texts. */
static bool read_options(const struct served *m, struct json_object *body, bool *base64,
			 struct problem *p)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	const char *format = "float", *user = NULL;
	int64_t dimensions;

	stoker_model_info(served_model(m), &info);
	dimensions = info.embedding;
	if (!field_text(body, "encoding_format", &format, p) ||
	    !field_text(body, "user", &user, p) ||
	    !field_int(body, "dimensions", 1, INT32_MAX, &dimensions, p))
		return false;
	*base64 = !strcmp(format, "base64");
	if (!*base64 && strcmp(format, "float") != 0)
		return problem_set(p, 400, "encoding_format", NULL,
				   "encoding_format is \"%.32s\"; there are float and base64",
				   format);
	return dimensions == info.embedding ||
	       problem_set(p, 400, "dimensions", NULL,
			   "dimensions is %lld, this model's vectors have %u and aren't cut",
			   (long long)dimensions, info.embedding);
}

void embeddings_post(struct exchange *x)
{
	struct json_object *body = exchange_json(x);
	struct embeddings e = { .texts = NULL };
	struct problem p = { .status = 0 };
	struct text out = { .data = NULL };
	struct served *m;
	bool base64;

	if (!openai_model(x, &m))
		return;
	if (read_options(m, body, &base64, &p) &&
	    embeddings_read(m, "input", field_of(body, "input"), false, &e, &p) &&
	    embeddings_compute(x, m, &e, &p)) {
		write_embeddings(m, &e, base64, &out);
		if (out.failed)
			no_memory(&p);
	}
	if (p.status)
		reply_problem(x, &p);
	else
		reply_text(x, 200, "application/json", out.data, out.bytes);
	text_free(&out);
	embeddings_free(&e);
	models_release(&m);
}
