// SPDX-License-Identifier: MIT
/* A loaded model with all that answering with it takes. */
#include "serve/served.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reasoning.h"
#include "serve/details.h"
#include "serve/dispatcher.h"
#include "serve/forms.h"

enum { SEQUENCES = 8, CONTEXT = 8192 };

static int no_memory(struct stoker_error *err)
{
	snprintf(err->message, sizeof(err->message), "out of memory");
	return -ENOMEM;
}

static void say(const struct served *m, const char *what)
{
	failf("%s: %s", m->name, what);
}

/* As many tokens as it was trained for, up to CONTEXT: each request may take memory for all. */
static uint32_t usual_context(const struct stoker_gguf *gguf)
{
	char *architecture = details_text(gguf, "general.architecture");
	const struct stoker_gguf_key *key;
	uint64_t trained = 0;
	char name[128];

	snprintf(name, sizeof(name), "%s.context_length", architecture ? architecture : "");
	free(architecture);
	key = stoker_gguf_find(gguf, name);
	if (!key || stoker_gguf_u64(gguf, key, 0, &trained))
		return 0;
	return trained < CONTEXT ? (uint32_t)trained : CONTEXT;
}

static void session_params(const struct models_options *o, const struct stoker_gguf *gguf,
			   struct stoker_session_params *out)
{
	*out = (struct stoker_session_params){
		STOKER_SESSION_PARAMS_INIT,
		.context = o->context ? (uint32_t)o->context : usual_context(gguf),
		.sequences = o->sequences ? (uint32_t)o->sequences : SEQUENCES,
		.deterministic = o->deterministic,
	};
	parse_kv(&o->kv, out); /* was checked when the server started */
}

static void model_params(const struct served_params *p, const struct stoker_session_params *session,
			 struct stoker_model_params *out)
{
	const struct compute_options *c = &p->options->compute;

	*out = (struct stoker_model_params){
		STOKER_MODEL_PARAMS_INIT, .progress = p->progress, .user = p->user,
		.memory = p->memory,	  .session = session,	   .store = c->store,
		.policy = c->policy,	  .prefetch = c->prefetch,
	};
	if (c->host_memory && !stoker_device_shares_memory(p->device))
		out->host_memory = parse_size(c->host_memory);
}

int served_foresee(const struct served_params *p, struct stoker_gguf **gguf,
		   struct stoker_model_outlook *outlook, struct stoker_error *err)
{
	struct stoker_session_params session;
	struct stoker_model_params params;
	int ret = stoker_gguf_open(p->path, gguf, err);

	if (ret)
		return ret;
	session_params(p->options, *gguf, &session);
	model_params(p, &session, &params);
	return stoker_model_foresee(p->device, *gguf, &params, outlook, err);
}

/* The file's templates; one that has none, or none that can be run, is talked to as most are. */
static int open_templates(struct served *m, const struct models_options *o,
			  struct stoker_error *err)
{
	static const char usual[] = "chatml";
	const char *source = stoker_template_bundled(usual);
	int ret;

	if (o->template_given) {
		if (!open_template(o->template_given, m->vocabulary, m->name, &m->template))
			return 0;
		snprintf(err->message, sizeof(err->message),
			 "the template that was given can't be used");
		return -EINVAL;
	}
	ret = stoker_template_load(m->vocabulary, "tool_use", &m->tool_template, err);
	if (ret == -ENOMEM)
		return ret;
	ret = stoker_template_load(m->vocabulary, NULL, &m->template, err);
	if (!ret || ret == -ENOMEM)
		return ret;
	say(m, ret == -ENOENT ? "the file has no chat template, chatml stands in for it"
			      : err->message);
	return stoker_template_parse(source, strlen(source), usual, &m->template, err);
}

static int find_end_of_turn(struct served *m, struct stoker_error *err)
{
	uint32_t *tokens;
	size_t count;

	m->end_token = -1;
	m->end_of_turn = end_of_turn(m->template, m->vocabulary, m->variables);
	if (!m->end_of_turn)
		return 0;
	if (splitter_knows(m->end_of_turn, true)) { /* it stands within an answer, too */
		free(m->end_of_turn);
		m->end_of_turn = NULL;
		return 0;
	}
	if (stoker_vocabulary_tokenize(m->vocabulary, m->end_of_turn, strlen(m->end_of_turn),
				       STOKER_TOKENIZE_SPECIAL, &tokens, &count, err))
		return -ENOMEM;
	if (count == 1)
		m->end_token = tokens[0];
	stoker_free(tokens);
	return 0;
}

static int choose(struct served *m, const struct models_options *o, struct stoker_error *err)
{
	struct sampling_options s = o->sampling;
	struct stoker_sampler *tried;
	int ret;

	/* lists are copied with what is said; they lead to the command line */
	if (choose_sampling(&s, m->gguf, m->vocabulary, &m->sampling)) {
		snprintf(err->message, sizeof(err->message),
			 "what is said of sampling can't be used");
		return -EINVAL;
	}
	m->sampling.params.seed = s.seed;
	if (o->sampling.breakers.count && m->sampling.params.dry_breakers)
		m->sampling.params.dry_breakers = o->sampling.breakers.items;
	ret = stoker_sampler_create(&m->sampling.params, &tried, err);
	stoker_sampler_free(&tried);
	return ret;
}

static int open_engine(struct served *m, const struct served_params *p,
		       const struct stoker_session_params *session, struct stoker_error *err)
{
	const struct models_options *o = p->options;
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT, .session = session,
						     .queue = (uint32_t)o->queue,
						     .max_gap = o->max_gap };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	int ret;

	stoker_model_info(m->model, &info);
	m->context = session->context	   ? session->context
		     : info.context < 4096 ? info.context
					   : 4096;
	ret = stoker_engine_create(m->model, &params, &m->engine, err);
	return ret ? ret : dispatcher_create(m->engine, &m->dispatcher, err);
}

static int64_t made(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (int64_t)st.st_mtime;
}

static int load(struct served *m, const struct served_params *p, struct stoker_error *err)
{
	const struct models_options *o = p->options;
	struct stoker_session_params session;
	struct stoker_model_params params;
	int ret;

	ret = stoker_gguf_open(p->path, &m->gguf, err);
	if (!ret)
		ret = stoker_vocabulary_load_named(m->gguf, o->pre, &m->vocabulary, err);
	for (size_t i = 0; !ret && stoker_vocabulary_warning(m->vocabulary, i); i++)
		say(m, stoker_vocabulary_warning(m->vocabulary, i));
	if (!ret)
		ret = open_templates(m, o, err);
	if (!ret)
		ret = find_end_of_turn(m, err);
	if (!ret)
		ret = choose(m, o, err);
	if (ret)
		return ret;
	warn_of_holes(m->gguf);
	session_params(o, m->gguf, &session);
	model_params(p, &session, &params);
	ret = stoker_model_load_gguf(p->device, m->gguf, &params, &m->model, err);
	return ret ? ret : open_engine(m, p, &session, err);
}

/* The first request shall find memory and threads that others have used before. */
static void warm_up(struct served *m)
{
	enum { TOKENS = 32 };
	const uint32_t size = stoker_vocabulary_size(m->vocabulary);
	uint32_t tokens[TOKENS];
	struct stoker_request request = { STOKER_REQUEST_INIT, .tokens = tokens, .count = TOKENS,
					  .max_tokens = 2, .ignore_end = 1 };
	struct inbox box = { .id = 0 }, *const boxes[] = { &box };
	struct token_info token;
	struct stoker_event end;

	for (uint32_t i = 0; i < TOKENS; i++)
		tokens[i] = i % size;
	if (m->context <= TOKENS + 2 || dispatcher_submit(m->dispatcher, &request, &box, NULL))
		return;
	for (enum inbox_news news = INBOX_EMPTY; news == INBOX_EMPTY || news == INBOX_TOKEN;
	     news = dispatcher_take(m->dispatcher, &box, &token, &end))
		if (news == INBOX_EMPTY)
			dispatcher_wait(m->dispatcher, boxes, 1, 1000);
	dispatcher_leave(m->dispatcher, &box);
}

int served_load(const struct served_params *p, struct served **out, struct stoker_error *err)
{
	struct served *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return no_memory(err);
	m->created = made(p->path);
	m->variables = p->options->variables;
	m->name = strdup(p->name);
	ret = m->name ? load(m, p, err) : no_memory(err);
	if (ret) {
		served_free(&m);
		return ret;
	}
	warm_up(m);
	dispatcher_measure(m->dispatcher, p->metrics);
	*out = m;
	return 0;
}

void served_free(struct served **out)
{
	struct served *m = *out;

	*out = NULL;
	dispatcher_free(&m->dispatcher);
	stoker_engine_free(&m->engine);
	forms_forget(m->vocabulary);
	stoker_grammar_free(&m->sampling.grammar);
	stoker_model_free(&m->model);
	stoker_template_free(&m->template);
	stoker_template_free(&m->tool_template);
	stoker_vocabulary_free(&m->vocabulary);
	stoker_gguf_close(&m->gguf);
	free(m->end_of_turn);
	free(m->name);
	free(m);
}

const char *served_name(const struct served *m)
{
	return m->name;
}

const struct stoker_vocabulary *served_vocabulary(const struct served *m)
{
	return m->vocabulary;
}

const struct stoker_template *served_template(const struct served *m, const char *name)
{
	return name && m->tool_template ? m->tool_template : m->template;
}

const char *served_variables(const struct served *m)
{
	return m->variables;
}

const struct stoker_gguf *served_gguf(const struct served *m)
{
	return m->gguf;
}

struct stoker_model *served_model(const struct served *m)
{
	return m->model;
}

struct stoker_engine *served_engine(const struct served *m)
{
	return m->engine;
}

const struct stoker_sampler_params *served_defaults(const struct served *m)
{
	return &m->sampling.params;
}

uint32_t served_context(const struct served *m)
{
	return m->context;
}

const char *served_end_of_turn(const struct served *m)
{
	return m->end_of_turn;
}

int64_t served_created(const struct served *m)
{
	return m->created;
}
