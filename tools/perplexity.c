// SPDX-License-Identifier: MIT
/* stoker perplexity: how well a model predicts a text. */
#include "divergence.h"
#include "progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXT = 512 };

struct perplexity {
	struct compute_options compute;
	const char *model, *file, *pre, *base;
	struct kv_options kv;
	uint64_t context, stride;
	bool json, compares; /* the base is there */
};

struct score {
	double nats;
	uint64_t tokens, bytes;
	struct base base;
	struct divergence divergence;
};

/* All that a run needs. */
struct run {
	struct stoker_session_params params;
	struct stoker_gguf *gguf;
	struct stoker_vocabulary *vocabulary;
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *session;
	struct stoker_model_info info;
	uint32_t *tokens;
	size_t count;
	struct score score;
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
	s->bytes += stoker_vocabulary_text(v, target, 0, NULL, 0);
}

/* A row of logits for the base, or beside it; an exit status. */
static int take_row(struct score *s, const float *logits, uint32_t target)
{
	return !s->base.file  ? EXIT_OK
	       : s->base.part ? base_write(&s->base, logits)
			      : divergence_add(&s->divergence, &s->base, logits, target);
}

/* Tokens [begin, end) of the text in one context; those from @scored on count. */
static int score_window(struct stoker_session *session, const struct stoker_model_info *info,
			const struct stoker_vocabulary *v, uint32_t *window, size_t count,
			size_t scored, struct score *s)
{
	struct stoker_error err;
	int status = EXIT_OK;

	stoker_session_truncate(session, 0, NULL);
	/* position i predicts token i + 1 */
	if (scored > 1 &&
	    stoker_session_eval(session, window, scored - 1, STOKER_LOGITS_NONE, &err))
		return interrupted() ? EXIT_INTERRUPTED : fail(&err);
	for (size_t i = scored ? scored - 1 : 0, n; i + 1 < count; i += n) {
		n = count - 1 - i < 128 ? count - 1 - i : 128;
		if (stoker_session_eval(session, window + i, n, STOKER_LOGITS_ALL, &err))
			return interrupted() ? EXIT_INTERRUPTED : fail(&err);
		for (size_t row = 0; row < n && !status; row++) {
			const float *logits = stoker_session_logits(session, row);

			add_token(s, logits, info->vocabulary, window[i + row + 1], v);
			status = take_row(s, logits, window[i + row + 1]);
		}
		if (status)
			return status;
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
			tokens[begin] =
				(uint32_t)stoker_vocabulary_special(v, STOKER_SPECIAL_BEGIN);
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

static int report(const struct perplexity *p, struct score *s, double seconds)
{
	const double per_token = s->nats / (double)s->tokens;
	const double bits = s->nats / M_LN2 / (double)s->bytes;

	if (!p->json) {
		printf("perplexity %.4f, %.4f bits a byte, over %llu tokens (%llu bytes)\n",
		       exp(per_token), bits, (unsigned long long)s->tokens,
		       (unsigned long long)s->bytes);
		if (p->compares)
			divergence_print(&s->divergence);
		else if (p->base)
			printf("%s has what others are compared with now\n", p->base);
		return EXIT_OK;
	}
	struct json_object *root = json_object_new_object();

	json_object_object_add(root, "perplexity", json_object_new_double(exp(per_token)));
	json_object_object_add(root, "bits_per_byte", json_object_new_double(bits));
	json_object_object_add(root, "nats_per_token", json_object_new_double(per_token));
	json_object_object_add(root, "tokens", json_object_new_int64((int64_t)s->tokens));
	json_object_object_add(root, "bytes", json_object_new_int64((int64_t)s->bytes));
	json_object_object_add(root, "seconds", json_object_new_double(seconds));
	if (p->compares)
		divergence_to_json(&s->divergence, root);
	return print_json(stdout, root);
}

static struct stoker_model_info info_of(const struct stoker_model *model,
					const struct stoker_vocabulary *v)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	stoker_model_info(model, &info);
	/* rows that pad the model's are no tokens, and never sampled */
	if (info.vocabulary > stoker_vocabulary_size(v))
		info.vocabulary = stoker_vocabulary_size(v);
	return info;
}

/* What the options say together; opens a base that is there. */
static int check_options(struct perplexity *p, struct run *r)
{
	int status = EXIT_OK;

	p->compares = p->base && !access(p->base, F_OK);
	if (p->base && p->stride) {
		fputs("stoker: --base takes separate contexts, no --stride\n", stderr);
		return EXIT_USAGE;
	}
	if (p->compares)
		status = base_open(&r->score.base, p->base);
	if (status)
		return status;
	if (p->compares && p->context && p->context != r->score.base.context)
		return failf("%s was made with contexts of %u tokens, not %llu", p->base,
			     r->score.base.context, (unsigned long long)p->context);
	if (p->compares)
		p->context = r->score.base.context;
	if (!p->context)
		p->context = CONTEXT;
	if ((!p->file && !p->compares) || p->context < 2 || p->context > UINT32_MAX ||
	    p->stride > p->context) {
		fputs("stoker: --file, a context of at least 2 and a stride within it are "
		      "needed\n",
		      stderr);
		return EXIT_USAGE;
	}
	r->params.context = (uint32_t)p->context;
	r->params.all_logits = 1;
	return parse_kv(&p->kv, &r->params);
}

/* The text as tokens, and @r's base as one of it. */
static int take_text(const struct perplexity *p, struct run *r)
{
	struct base *b = &r->score.base;
	struct stoker_error err;
	size_t bytes, wanted;
	char *text = NULL;
	int status = EXIT_OK;

	if (p->file) {
		text = read_text(p->file, &bytes);
		if (!text)
			return EXIT_FAILED;
		if (stoker_vocabulary_tokenize(r->vocabulary, text, bytes, STOKER_TOKENIZE_ADD,
					       &r->tokens, &r->count, &err))
			status = fail(&err);
		free(text);
	}
	if (status || !p->compares)
		return status;
	if (b->vocabulary != r->info.vocabulary)
		return failf("%s is of a model whose vocabulary has %u tokens, not %u", p->base,
			     b->vocabulary, r->info.vocabulary);
	wanted = (size_t)b->chunks * b->context;
	for (size_t i = 0; p->file && i < wanted; i++)
		if (i >= r->count || b->tokens[i] != r->tokens[i])
			return failf("%s was made of another text than %s: token %zu differs",
				     p->base, p->file, i);
	free(r->tokens);
	r->tokens = b->tokens;
	r->count = wanted;
	b->tokens = NULL;
	return EXIT_OK;
}

static int begin_base(const struct perplexity *p, struct run *r)
{
	struct base *b = &r->score.base;

	if (!p->base || p->compares || r->count < p->context)
		return EXIT_OK;
	*b = (struct base){ .context = (uint32_t)p->context,
			    .vocabulary = r->info.vocabulary,
			    .chunks = (uint32_t)(r->count / p->context) };
	return base_create(b, p->base, r->tokens);
}

static int load(const struct perplexity *p, struct run *r)
{
	struct stoker_error err;
	int status;

	if (stoker_gguf_open(p->model, &r->gguf, &err))
		return fail(&err);
	status = load_vocabulary(r->gguf, p->pre, &r->vocabulary);
	if (!status)
		status = open_device(&p->compute, &r->device);
	if (!status)
		status = load_open_model(&p->compute, r->device, r->gguf, &r->params, &r->model);
	if (!status && stoker_session_create(r->model, &r->params, &r->session, &err))
		status = fail(&err);
	if (!status)
		r->info = info_of(r->model, r->vocabulary);
	return status;
}

static int measure(const struct perplexity *p, struct run *r)
{
	const double started = now_seconds();
	int status;

	cancel_on_interrupt(r->session);
	status = score_text(p, r->session, &r->info, r->vocabulary, r->tokens, r->count,
			    r->count &&
				    stoker_vocabulary_special(r->vocabulary,
							      STOKER_SPECIAL_BEGIN) == r->tokens[0],
			    &r->score);
	cancel_on_interrupt(NULL);
	if (!status && r->score.base.part)
		status = base_finish(&r->score.base);
	return status ? status : report(p, &r->score, now_seconds() - started);
}

static void end(struct run *r)
{
	stoker_session_free(&r->session);
	stoker_model_free(&r->model);
	stoker_device_close(&r->device);
	stoker_vocabulary_free(&r->vocabulary);
	stoker_gguf_close(&r->gguf);
	base_close(&r->score.base);
	divergence_free(&r->score.divergence);
	free(r->tokens);
}

int verb_perplexity(int argc, char **argv)
{
	struct perplexity p = { 0 };
	const struct option options[] = {
		MODEL_OPTION(&p.model),
		{ "file", 'f', OPTION_STRING, &p.file, "FILE", "the text, - for standard input" },
		{ "ctx", 'c', OPTION_UINT, &p.context, "N", "tokens in a context (512)" },
		{ "stride", 0, OPTION_UINT, &p.stride, "N",
		  "score every token but the first, N at a time; without it the second half of "
		  "separate "
		  "contexts" },
		{ "base", 0, OPTION_STRING, &p.base, "FILE",
		  "what the model expects of each token goes to this file; if it is there, print "
		  "how far from that it is: the KL divergence" },
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
	struct run r = { .params = { STOKER_SESSION_PARAMS_INIT },
			 .info = { STOKER_MODEL_INFO_INIT } };
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	status = check_options(&p, &r);
	if (!status)
		status = load(&p, &r);
	if (!status)
		status = take_text(&p, &r);
	if (!status)
		status = begin_base(&p, &r);
	if (!status)
		status = measure(&p, &r);
	end(&r);
	return status;
}
