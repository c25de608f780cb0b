// SPDX-License-Identifier: MIT
/* What there is and how it is doing: GET /v1/models, /props, /slots, /metrics. */
#include "serve/listing.h"

#include <stdlib.h>
#include <string.h>

#include "serve/dispatcher.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/served.h"
#include "serve/server.h"

void listing_reply(struct exchange *x, struct json_object *o)
{
	char *text = clean_json(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	struct problem p;

	if (text) {
		reply_text(x, 200, "application/json", text, strlen(text));
	} else {
		problem_set(&p, 503, NULL, NULL, "out of memory");
		reply_problem(x, &p);
	}
	free(text);
	json_object_put(o);
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static void add_number(struct json_object *o, const char *key, uint64_t number)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)number));
}

/* As llama-server has it. */
static struct json_object *meta(const struct served *m)
{
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct json_object *o = json_object_new_object();

	stoker_model_info(served_model(m), &info);
	add_number(o, "n_vocab", stoker_vocabulary_size(served_vocabulary(m)));
	add_number(o, "n_ctx", served_context(m));
	add_number(o, "n_ctx_train", info.context);
	add_number(o, "n_embd", info.embedding);
	add_number(o, "n_params", info.parameters);
	add_number(o, "size", info.bytes);
	return o;
}

static struct json_object *model(const struct model_entry *entry)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "id", entry->name);
	add_text(o, "object", "model");
	add_number(o, "created", (uint64_t)entry->created);
	add_text(o, "owned_by", "stoker");
	if (entry->served)
		json_object_object_add(o, "meta", meta(entry->served));
	return o;
}

static void add_model(void *list, const struct model_entry *entry)
{
	json_object_array_add(list, model(entry));
}

void listing_models(struct exchange *x)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	models_each(exchange_server(x)->models, add_model, list);
	add_text(o, "object", "list");
	json_object_object_add(o, "data", list);
	listing_reply(x, o);
}

void listing_model(struct exchange *x)
{
	struct model_entry entry;
	struct problem p;

	if (models_find(exchange_server(x)->models, exchange_rest(x), &entry, &p))
		listing_reply(x, model(&entry));
	else
		reply_problem(x, &p);
}

static void add_token(struct json_object *o, const char *key, const struct served *m,
		      enum stoker_special which)
{
	const int64_t token = stoker_vocabulary_special(served_vocabulary(m), which);
	struct text t = { 0 };

	if (token >= 0)
		token_text(m, (uint32_t)token, &t);
	text_add(&t, "", 0);
	add_text(o, key, t.data ? t.data : "");
	text_free(&t);
}

static struct json_object *sampling(const struct served *m)
{
	const struct stoker_sampler_params *s = served_defaults(m);
	struct json_object *o = json_object_new_object();
	const struct {
		const char *name;
		double value;
	} numbers[] = {
		{ "temperature", (double)s->temperature },
		{ "top_p", (double)s->top_p },
		{ "min_p", (double)s->min_p },
		{ "typ_p", (double)s->typical_p },
		{ "top_n_sigma", (double)s->top_n_sigma },
		{ "xtc_probability", (double)s->xtc_probability },
		{ "xtc_threshold", (double)s->xtc_threshold },
		{ "repeat_penalty", (double)s->repeat_penalty },
		{ "presence_penalty", (double)s->presence_penalty },
		{ "frequency_penalty", (double)s->frequency_penalty },
		{ "dry_multiplier", (double)s->dry_multiplier },
		{ "dry_base", (double)s->dry_base },
		{ "mirostat_tau", (double)s->mirostat_tau },
		{ "mirostat_eta", (double)s->mirostat_eta },
	};
	char digits[32];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		snprintf(digits, sizeof(digits), "%.7g", numbers[i].value);
		json_object_object_add(o, numbers[i].name,
				       json_object_new_double_s(numbers[i].value, digits));
	}
	add_number(o, "top_k", s->top_k);
	add_number(o, "repeat_last_n", s->repeat_last);
	add_number(o, "mirostat", s->mirostat);
	return o;
}

static struct json_object *props(const struct served *m)
{
	struct json_object *o = json_object_new_object(), *settings = json_object_new_object();
	struct json_object *modalities = json_object_new_object();
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	char build[64];

	stoker_engine_stats(served_engine(m), &stats);
	add_number(settings, "n_ctx", served_context(m));
	json_object_object_add(settings, "params", sampling(m));
	json_object_object_add(o, "default_generation_settings", settings);
	add_number(o, "total_slots", stats.sequences);
	add_text(o, "model_alias", served_name(m));
	add_text(o, "chat_template", stoker_template_source(served_template(m, NULL)));
	if (served_template(m, "tool_use") != served_template(m, NULL))
		add_text(o, "chat_template_tool_use",
			 stoker_template_source(served_template(m, "tool_use")));
	add_token(o, "bos_token", m, STOKER_SPECIAL_BEGIN);
	add_token(o, "eos_token", m, STOKER_SPECIAL_END);
	json_object_object_add(modalities, "vision", json_object_new_boolean(0));
	json_object_object_add(modalities, "audio", json_object_new_boolean(0));
	json_object_object_add(o, "modalities", modalities);
	snprintf(build, sizeof(build), "stoker-%s", stoker_version());
	add_text(o, "build_info", build);
	return o;
}

void listing_props(struct exchange *x)
{
	struct served *m;
	struct problem p;

	if (!models_take(exchange_server(x), exchange_query(x, "model"), &m, &p)) {
		reply_problem(x, &p);
		return;
	}
	listing_reply(x, props(m));
	models_release(&m);
}

/* Those of a model that work, and then those that don't; nothing of what they work on. */
struct slots {
	struct json_object *list;
	const struct served *model;
	uint64_t all, here;
};

static struct json_object *add_slot(struct slots *s, bool works)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "id", s->all++);
	add_text(o, "model", served_name(s->model));
	add_number(o, "n_ctx", served_context(s->model));
	json_object_object_add(o, "is_processing", json_object_new_boolean(works));
	json_object_array_add(s->list, o);
	s->here++;
	return o;
}

static void add_request(void *slots, const struct inbox *box)
{
	struct json_object *o = add_slot(slots, true);

	add_number(o, "id_task", box->id);
	add_number(o, "n_prompt_tokens", box->prompt);
	add_number(o, "n_decoded", box->told);
}

static void add_slots(void *slots, const struct model_entry *entry)
{
	struct stoker_engine_stats stats = { STOKER_ENGINE_STATS_INIT };
	struct slots *s = slots;

	if (!entry->served)
		return;
	s->model = entry->served;
	s->here = 0;
	stoker_engine_stats(served_engine(entry->served), &stats);
	dispatcher_each(entry->served->dispatcher, add_request, s);
	while (s->here < stats.sequences)
		add_slot(s, false);
}

void listing_slots(struct exchange *x)
{
	struct slots s = { .list = json_object_new_array() };

	models_each(exchange_server(x)->models, add_slots, &s);
	listing_reply(x, s.list);
}

void listing_metrics(struct exchange *x)
{
	struct text t = { 0 };
	struct problem p;

	metrics_write(exchange_server(x)->metrics, exchange_server(x)->models, &t);
	if (t.failed) {
		problem_set(&p, 503, NULL, NULL, "out of memory");
		reply_problem(x, &p);
	} else {
		reply_text(x, 200, METRICS_TYPE, t.data, t.bytes);
	}
	text_free(&t);
}
