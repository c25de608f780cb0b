// SPDX-License-Identifier: MIT
/* stoker eval: logits, greedy continuation and expert choices of a list of tokens. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <stoker/unstable/trace.h>

struct eval {
	struct compute_options compute;
	const char *model, *tokens, *logits, *json;
	struct kv_options kv;
	uint64_t greedy, batch;
	bool single;
};

/* ids[layer][token], layers without experts left out. */
static struct json_object *read_experts(const struct stoker_session *s,
					const struct stoker_model_info *info,
					struct json_object *into, uint32_t rows)
{
	uint32_t *ids = calloc(info->experts_used + 1, sizeof(*ids));
	uint32_t at = 0;

	for (uint32_t layer = 0; ids && layer < info->layers; layer++) {
		if (!stoker_session_experts(s, layer, 0, ids))
			continue;
		if (json_object_array_length(into) <= at)
			json_object_array_add(into, json_object_new_array());
		struct json_object *of_layer = json_object_array_get_idx(into, at++);

		for (uint32_t row = 0; row < rows; row++) {
			const uint32_t n = stoker_session_experts(s, layer, row, ids);
			struct json_object *list = json_object_new_array();

			for (uint32_t i = 0; i < n; i++)
				json_object_array_add(list, json_object_new_int64(ids[i]));
			json_object_array_add(of_layer, list);
		}
	}
	free(ids);
	return into;
}

static uint32_t largest(const float *logits, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

static int evaluate(const struct eval *e, struct stoker_session *s,
		    const struct stoker_model_info *info, const uint32_t *tokens, size_t count,
		    FILE *out, struct json_object *experts, struct json_object *greedy)
{
	struct stoker_error err;
	uint32_t next = 0;
	size_t step;

	for (size_t done = 0; done < count; done += step) {
		step = e->single ? 1 : count - done < e->batch ? count - done : e->batch;
		if (stoker_session_eval(s, tokens + done, step, STOKER_LOGITS_ALL, &err))
			return interrupted() ? EXIT_INTERRUPTED : fail(&err);
		for (size_t row = 0; row < step; row++) {
			const float *logits = stoker_session_logits(s, row);

			next = largest(logits, info->vocabulary);
			if (out && fwrite(logits, sizeof(float), info->vocabulary, out) !=
					   info->vocabulary)
				return failf("%s: %s", e->logits, strerror(errno));
		}
		if (info->experts)
			read_experts(s, info, experts, (uint32_t)step);
	}
	for (uint64_t i = 0; i < e->greedy; i++) {
		json_object_array_add(greedy, json_object_new_int64(next));
		if (i + 1 == e->greedy)
			break;
		if (stoker_session_eval(s, &next, 1, STOKER_LOGITS_LAST, &err))
			return interrupted() ? EXIT_INTERRUPTED : fail(&err);
		next = largest(stoker_session_logits(s, 0), info->vocabulary);
	}
	return EXIT_OK;
}

static int write_json(const struct eval *e, struct json_object *experts, struct json_object *greedy)
{
	struct json_object *root = json_object_new_object(), *ids = json_object_new_object();
	FILE *out = e->json && strcmp(e->json, "-") ? fopen(e->json, "we") : stdout;
	int status;

	json_object_object_add(root, "greedy_next", json_object_get(greedy));
	json_object_object_add(ids, "ids", json_object_get(experts));
	if (json_object_array_length(experts))
		json_object_object_add(root, "experts", ids);
	else
		json_object_put(ids);
	if (!out) {
		json_object_put(root);
		return failf("%s: %s", e->json, strerror(errno));
	}
	status = print_json(out, root);
	if (out != stdout && fclose(out) && !status)
		status = failf("%s: %s", e->json, strerror(errno));
	return status;
}

static int run(const struct eval *e, struct stoker_model *model, const uint32_t *tokens,
	       size_t count, const struct stoker_session_params *params)
{
	struct json_object *experts = json_object_new_array(), *greedy = json_object_new_array();
	struct stoker_session *session = NULL;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_error err;
	FILE *out = NULL;
	int status = EXIT_OK;

	stoker_model_info(model, &info);
	if (stoker_session_create(model, params, &session, &err))
		status = fail(&err);
	if (!status && e->logits) {
		out = fopen(e->logits, "wbe");
		if (!out)
			status = failf("%s: %s", e->logits, strerror(errno));
	}
	if (!status) {
		cancel_on_interrupt(session);
		status = evaluate(e, session, &info, tokens, count, out, experts, greedy);
	}
	if (out && fclose(out) && !status)
		status = failf("%s: %s", e->logits, strerror(errno));
	if (!status && (e->json || e->greedy))
		status = write_json(e, experts, greedy);
	json_object_put(experts);
	json_object_put(greedy);
	cancel_on_interrupt(NULL); /* the handler knows the session */
	stoker_session_free(&session);
	return status;
}

int verb_eval(int argc, char **argv)
{
	struct eval e = { .batch = 512 };
	const struct option options[] = {
		MODEL_OPTION(&e.model),
		{ "tokens", 0, OPTION_STRING, &e.tokens, "LIST",
		  "ids: 1,2,3 or @FILE with such a list" },
		{ "logits", 0, OPTION_STRING, &e.logits, "FILE",
		  "write a row of float32 for each position" },
		{ "greedy", 0, OPTION_UINT, &e.greedy, "N",
		  "then continue with the N most likely tokens" },
		{ "json", 0, OPTION_STRING, &e.json, "FILE",
		  "write greedy_next and experts.ids there, - for stdout" },
		{ "batch", 0, OPTION_UINT, &e.batch, "N", "tokens at once (512)" },
		{ "single", 0, OPTION_FLAG, &e.single, NULL, "one token at a time" },
		KV_OPTIONS(&e.kv),
		COMPUTE_OPTIONS(&e.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "eval FILE --tokens LIST [OPTION]...",
		.description = "Computes the logits of every position of a list of tokens.",
		.options = options,
		.model = &e.model,
	};
	struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT };
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	uint32_t *tokens = NULL;
	size_t count = 0;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!e.tokens || !e.batch) {
		fprintf(stderr, "stoker: --tokens and a batch of at least 1 are needed\n");
		return EXIT_USAGE;
	}
	if (parse_kv(&e.kv, &session))
		return EXIT_USAGE;
	status = parse_tokens(e.tokens, &tokens, &count);
	if (!status && count + e.greedy > UINT32_MAX)
		status = failf("%zu and %llu tokens are too many", count,
			       (unsigned long long)e.greedy);
	session.context = (uint32_t)(count + e.greedy);
	session.batch = (uint32_t)e.batch;
	session.all_logits = e.logits != NULL;
	if (!status)
		status = open_device(&e.compute, &device);
	if (!status)
		status = load_model(&e.compute, device, e.model, &session, &model);
	if (!status)
		status = count ? run(&e, model, tokens, count, &session)
			       : failf("no tokens in %s", e.tokens);
	stoker_model_free(&model);
	stoker_device_close(&device);
	free(tokens);
	return status;
}
