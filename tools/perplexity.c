// SPDX-License-Identifier: MIT
/* stoker perplexity: how well a model predicts a text. */
#include "progress.h"
#include "tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct perplexity {
	struct compute_options compute;
	const char *model, *file, *pre;
	struct kv_options kv;
	uint64_t context, stride;
	bool json;
};

struct score {
	double nats;
	uint64_t tokens, bytes;
};

/* Adds -log p(target) for a row of logits. */
static void add_token(struct score *s, const float *logits, uint32_t count, uint32_t target,
		      const struct stoker_vocabulary *v)
{
	float top = logits[0];
	double sum = 0;

	for (uint32_t i = 1; i < count; i++)
		top = logits[i] > top ? logits[i] : top;
	for (uint32_t i = 0; i < count; i++)
		sum += exp((double)(logits[i] - top));
	s->nats += log(sum) - (double)(logits[target] - top);
	s->tokens++;
	s->bytes += stoker_token_text(v, target, 0, NULL, 0);
}

/* Tokens [begin, end) of the text in one context; those from @scored on count. */
static int score_window(struct stoker_session *session, const struct stoker_model_info *info,
			const struct stoker_vocabulary *v, uint32_t *window, size_t count,
			size_t scored, struct score *s)
{
	struct stoker_error err;

	stoker_session_truncate(session, 0);
	/* position i predicts token i + 1 */
	if (scored > 1 &&
	    stoker_session_eval(session, window, scored - 1, STOKER_LOGITS_NONE, &err))
		return interrupted() ? EXIT_INTERRUPTED : fail(&err);
	for (size_t i = scored ? scored - 1 : 0, n; i + 1 < count; i += n) {
		n = count - 1 - i < 128 ? count - 1 - i : 128;
		if (stoker_session_eval(session, window + i, n, STOKER_LOGITS_ALL, &err))
			return interrupted() ? EXIT_INTERRUPTED : fail(&err);
		for (size_t row = 0; row < n; row++)
			add_token(s, stoker_session_logits(session, row), info->vocabulary,
				  window[i + row + 1], v);
	}
	return EXIT_OK;
}

/*
 * Without a stride: separate contexts, the second half of each counts, and the first token of each
 * is the one that begins a text where the file asks for it.  With a stride: every token after the
 * first counts, with at least context - stride tokens before it once there are so many.
 */
static int score_text(const struct perplexity *p, struct stoker_session *session,
		      const struct stoker_model_info *info, const struct stoker_vocabulary *v,
		      uint32_t *tokens, size_t count, bool begins, struct score *s)
{
	const size_t context = p->context, step = p->stride ? p->stride : context;
	struct progress line;
	int status = EXIT_OK;

	progress_begin(&line);
	if (!p->stride && count < context)
		return failf(
			"%s: %zu tokens, one context needs %zu; --stride takes any text of two",
			p->file, count, context);
	for (size_t at = 0; at + 1 < count && !status; at += step) {
		/* the window ends where its last scored token is */
		const size_t end = at + step < count ? at + step : count;
		const size_t begin = !p->stride ? at : end > context ? end - context : 0;
		const size_t scored = !p->stride ? context / 2 + 1 : at > begin ? at - begin : 1;
		const uint32_t first = tokens[begin];

		if (!p->stride && end - begin < context)
			break;
		if (!p->stride && begins)
			tokens[begin] = (uint32_t)stoker_vocabulary_bos(v);
		status = score_window(session, info, v, tokens + begin, end - begin, scored, s);
		tokens[begin] = first;
		progress_show(&line, "%zu of %zu tokens, perplexity %.4f", end, count,
			      exp(s->nats / (double)s->tokens));
	}
	progress_end(&line);
	if (!status && !s->tokens)
		status = failf("%s: too short: %zu tokens", p->file, count);
	return status;
}

static int report(const struct perplexity *p, const struct score *s, double seconds)
{
	const double per_token = s->nats / (double)s->tokens;
	const double bits = s->nats / M_LN2 / (double)s->bytes;

	if (!p->json) {
		printf("perplexity %.4f, %.4f bits a byte, over %llu tokens (%llu bytes)\n",
		       exp(per_token), bits, (unsigned long long)s->tokens,
		       (unsigned long long)s->bytes);
		return EXIT_OK;
	}
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "perplexity", json_object_new_double(exp(per_token)));
	json_object_object_add(root, "bits_per_byte", json_object_new_double(bits));
	json_object_object_add(root, "nats_per_token", json_object_new_double(per_token));
	json_object_object_add(root, "tokens", json_object_new_int64((int64_t)s->tokens));
	json_object_object_add(root, "bytes", json_object_new_int64((int64_t)s->bytes));
	json_object_object_add(root, "seconds", json_object_new_double(seconds));
	return print_json(stdout, root);
}

static struct stoker_model_info info_of(const struct stoker_model *model,
					const struct stoker_vocabulary *v)
{
	struct stoker_model_info info;

	stoker_model_info(model, &info);
	/* rows that pad the model's are no tokens, and never sampled */
	if (info.vocabulary > stoker_vocabulary_size(v))
		info.vocabulary = stoker_vocabulary_size(v);
	return info;
}

int verb_perplexity(int argc, char **argv)
{
	struct perplexity p = { .context = 512 };
	const struct option options[] = {
		MODEL_OPTION(&p.model),
		{ "file", 'f', OPTION_STRING, &p.file, "FILE", "the text, - for standard input" },
		{ "ctx", 'c', OPTION_UINT, &p.context, "N", "tokens in a context (512)" },
		{ "stride", 0, OPTION_UINT, &p.stride, "N",
		  "score every token but the first, N at a time; without it the second half of "
		  "separate "
		  "contexts" },
		KV_OPTIONS(&p.kv),
		VOCABULARY_OPTION(&p.pre),
		{ "json", 0, OPTION_FLAG, &p.json, NULL, "print JSON" },
		COMPUTE_OPTIONS(&p.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "perplexity FILE -f TEXT [OPTION]...",
		.description = "Prints a model's perplexity and bits a byte on a text.",
		.options = options,
		.model = &p.model,
	};
	struct stoker_session_params params = { 0 };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_session *session = NULL;
	struct stoker_gguf *gguf = NULL;
	struct stoker_vocabulary *v = NULL;
	struct stoker_model_info info;
	struct stoker_error err;
	struct score s = { 0 };
	uint32_t *tokens = NULL;
	size_t bytes, count = 0;
	char *text = NULL;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!p.file || p.context < 2 || p.stride > p.context) {
		fputs("stoker: --file, a context of at least 2 and a stride within it are "
		      "needed\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (parse_kv(&p.kv, &params))
		return EXIT_USAGE;
	params.context = (uint32_t)p.context;
	params.all_logits = 1;
	if (stoker_gguf_open(p.model, &gguf, &err))
		return fail(&err);
	status = load_vocabulary(gguf, p.pre, &v);
	if (!status) {
		text = read_text(p.file, &bytes);
		status = text ? open_device(&p.compute, &device) : EXIT_FAILED;
	}
	if (!status)
		status = load_open_model(&p.compute, device, gguf, &params, &model);
	if (!status && stoker_session_create(model, &params, &session, &err))
		status = fail(&err);
	if (!status && stoker_tokenize(v, text, bytes, STOKER_TOKENIZE_ADD, &tokens, &count, &err))
		status = fail(&err);
	if (!status) {
		const double started = now_seconds();

		info = info_of(model, v);
		cancel_on_interrupt(session);
		status = score_text(&p, session, &info, v, tokens, count,
				    count && stoker_vocabulary_bos(v) == tokens[0], &s);
		if (!status)
			status = report(&p, &s, now_seconds() - started);
	}
	cancel_on_interrupt(NULL);
	stoker_session_free(&session);
	stoker_model_free(&model);
	stoker_device_close(&device);
	stoker_vocabulary_free(&v);
	stoker_gguf_close(&gguf);
	free(tokens);
	free(text);
	return status;
}
