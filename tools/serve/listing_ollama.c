// SPDX-License-Identifier: MIT
/* What there is, as Ollama's clients ask for it: /api/tags, /api/ps, /api/show, /api/version. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/details.h"
#include "serve/http.h"
#include "serve/listing.h"
#include "serve/served.h"
#include "serve/server.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_time(struct json_object *o, const char *key, int64_t seconds)
{
	const time_t when = (time_t)seconds;
	struct tm parts;
	char text[40] = "1970-01-01T00:00:00Z";

	if (gmtime_r(&when, &parts))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	add_text(o, key, text);
}

static struct json_object *details_object(const struct details *d)
{
	struct json_object *o = json_object_new_object(), *families = json_object_new_array();

	add_text(o, "parent_model", "");
	add_text(o, "format", "gguf");
	add_text(o, "family", d->family);
	json_object_array_add(families, json_object_new_string(d->family));
	json_object_object_add(o, "families", families);
	add_text(o, "parameter_size", d->size);
	add_text(o, "quantization_level", d->quantization);
	return o;
}

struct list {
	struct models *models;
	struct json_object *list;
};

/* NULL when its file is gone. */
static struct json_object *add_model(const struct list *l, const struct model_entry *entry)
{
	struct json_object *o;
	struct details d;

	if (!models_details(l->models, entry, &d))
		return NULL;
	o = json_object_new_object();
	add_text(o, "name", entry->name);
	add_text(o, "model", entry->name);
	json_object_object_add(o, "size", json_object_new_int64((int64_t)entry->bytes));
	add_text(o, "digest", d.digest);
	json_object_object_add(o, "details", details_object(&d));
	json_object_array_add(l->list, o);
	return o;
}

static void add_tag(void *list, const struct model_entry *entry)
{
	struct json_object *o = add_model(list, entry);

	if (o)
		add_time(o, "modified_at", entry->created);
}

/* It stays until another one needs its memory: no time can be said, so one that is far away. */
static void add_running(void *list, const struct model_entry *entry)
{
	enum { YEAR = 365 * 24 * 3600 };
	struct json_object *o = entry->served ? add_model(list, entry) : NULL;

	if (!o)
		return;
	add_time(o, "expires_at", (int64_t)time(NULL) + YEAR);
	json_object_object_add(o, "size_vram", json_object_new_int64(0));
	json_object_object_add(o, "context_length",
			       json_object_new_int64(served_context(entry->served)));
}

static void reply_list(struct exchange *x, void (*add)(void *list, const struct model_entry *entry))
{
	struct list l = { .models = exchange_server(x)->models, .list = json_object_new_array() };
	struct json_object *o = json_object_new_object();

	models_each(l.models, add, &l);
	json_object_object_add(o, "models", l.list);
	listing_reply(x, o);
}

void listing_tags(struct exchange *x)
{
	reply_list(x, add_tag);
}

void listing_running(struct exchange *x)
{
	reply_list(x, add_running);
}

/* What Ollama's clients take for its own version: features that they look for came before. */
void listing_version(struct exchange *x)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "version", "0.12.0");
	add_text(o, "stoker", stoker_version());
	listing_reply(x, o);
}

/* The defaults of sampling, a line each, as in a Modelfile. */
static void add_parameters(struct json_object *o, const struct stoker_gguf *g)
{
	struct stoker_sampler_params s = { STOKER_SAMPLER_PARAMS_INIT };
	char text[256];

	stoker_sampler_defaults(&s);
	stoker_sampler_model_defaults(g, &s, NULL);
	snprintf(text, sizeof(text),
		 "temperature %.7g\ntop_k %u\ntop_p %.7g\nmin_p %.7g\nrepeat_penalty %.7g",
		 (double)s.temperature, s.top_k, (double)s.top_p, (double)s.min_p,
		 (double)s.repeat_penalty);
	add_text(o, "parameters", text);
}

static void add_key(struct json_object *o, const char *name, const struct stoker_gguf *g,
		    const char *key)
{
	char *text = details_text(g, key);

	if (text)
		add_text(o, name, text);
	free(text);
}

static struct json_object *capabilities(const struct details *d)
{
	const struct {
		const char *name;
		bool has;
	} all[] = { { "completion", true },
		    { "tools", d->tools },
		    { "thinking", d->thinking },
		    { "insert", d->fills },
		    { "embedding", true } };
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i].has)
			json_object_array_add(list, json_object_new_string(all[i].name));
	return list;
}

static struct json_object *show(const struct model_entry *entry, const struct details *d,
				const struct stoker_gguf *g, bool verbose)
{
	struct json_object *o = json_object_new_object(), *info;
	char line[300];

	snprintf(line, sizeof(line), "FROM %.200s\n", entry->name);
	add_text(o, "modelfile", line);
	add_parameters(o, g);
	add_text(o, "template", "");
	add_key(o, "template", g, "tokenizer.chat_template");
	add_key(o, "license", g, "general.license");
	json_object_object_add(o, "details", details_object(d));
	info = details_metadata(g, verbose);
	json_object_object_add(info, "general.parameter_count",
			       json_object_new_int64((int64_t)d->parameters));
	json_object_object_add(o, "model_info", info);
	json_object_object_add(o, "capabilities", capabilities(d));
	add_time(o, "modified_at", entry->created);
	return o;
}

static const char *text_of(struct json_object *body, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(body, key, &v) && json_object_is_type(v, json_type_string)
		       ? json_object_get_string(v)
		       : NULL;
}

void listing_show(struct exchange *x)
{
	struct json_object *body = exchange_json(x), *verbose = NULL;
	struct models *models = exchange_server(x)->models;
	const char *name = text_of(body, "model");
	struct stoker_gguf *g = NULL;
	struct model_entry entry;
	struct problem p;
	struct details d;

	name = name ? name : text_of(body, "name"); /* as older clients have it */
	json_object_object_get_ex(body, "verbose", &verbose);
	if (!name)
		problem_set(&p, 400, "model", NULL, "\"model\" has to be the name of a model");
	else if (!models_find(models, name, &entry, &p))
		;
	else if (!models_details(models, &entry, &d) || stoker_gguf_open(entry.path, &g, NULL))
		problem_set(&p, 503, "model", NULL, "%s: its file can't be read", entry.name);
	else
		listing_reply(x, show(&entry, &d, g, json_object_get_boolean(verbose)));
	if (!g)
		reply_problem(x, &p);
	stoker_gguf_close(&g);
}
