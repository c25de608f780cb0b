// SPDX-License-Identifier: MIT
/*
 * The models that a server has: which there are, those that are loaded, and who uses them.
 *
 * One at a time is loaded or unloaded, by whoever needs it, without the lock; @busy says so.
 */
#include "serve/models.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "serve/catalogue.h"
#include "serve/metrics.h"
#include "serve/served.h"
#include "serve/server.h"

struct models {
	const struct models_options *options;
	struct metrics *metrics;
	struct stoker_device *device;
	uint64_t budget;
	struct catalogue catalogue;
	pthread_t starter;
	bool has_starter;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool starting, busy, closing;
	struct models_progress progress;
};

static int show_progress(void *user, uint64_t done, uint64_t total)
{
	struct models *m = user;
	bool closing;

	pthread_mutex_lock(&m->lock);
	m->progress.done = done;
	m->progress.total = total;
	closing = m->closing;
	pthread_mutex_unlock(&m->lock);
	return closing;
}

/* The one that nobody has used for longest; false: all are in use. */
static bool unload_idle(struct models *m)
{
	struct catalogue_entry *oldest = NULL;
	struct served *served = NULL;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->catalogue.count; i++) {
		struct catalogue_entry *e = &m->catalogue.entries[i];

		if (e->served && !e->served->users &&
		    (!oldest || e->served->idle_since < oldest->served->idle_since))
			oldest = e;
	}
	if (oldest) {
		served = oldest->served;
		metrics_keep(m->metrics, served->engine, served->model);
		oldest->served = NULL;
	}
	pthread_mutex_unlock(&m->lock);
	if (served)
		served_free(&served);
	return oldest != NULL;
}

/* What is left of the budget for one more model. */
static uint64_t memory_left(struct models *m)
{
	uint64_t left = m->budget;

	if (left == STOKER_MEMORY_AUTO || left == STOKER_MEMORY_MIN || left == STOKER_MEMORY_MAX)
		return left;
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->catalogue.count; i++) {
		const struct served *s = m->catalogue.entries[i].served;

		if (s)
			left -= s->bytes < left ? s->bytes : left;
	}
	pthread_mutex_unlock(&m->lock);
	return left > STOKER_MEMORY_MIN ? left : STOKER_MEMORY_MIN + 1;
}

/* Makes room for it as far as others are idle: experts stay on the drive only when even that is not
 * enough. */
static int load(struct models *m, const struct catalogue_entry *e, struct served **out,
		struct stoker_error *err)
{
	struct served_params params = { .options = m->options,
					.device = m->device,
					.metrics = m->metrics,
					.name = e->name,
					.path = e->path,
					.progress = show_progress,
					.user = m };
	int ret;

	do {
		struct stoker_model_outlook outlook = { STOKER_MODEL_OUTLOOK_INIT };
		struct stoker_gguf *gguf = NULL;

		params.memory = memory_left(m);
		ret = served_foresee(&params, &gguf, &outlook, err);
		stoker_gguf_close(&gguf);
		if ((ret == -ENOMEM || (!ret && outlook.paged)) && unload_idle(m)) {
			ret = -ENOMEM;
			continue;
		}
		if (ret)
			return ret;
		ret = served_load(&params, out, err);
		if (!ret)
			(*out)->bytes = outlook.paged ? params.memory : outlook.whole;
		if (ret == -ENOMEM && !unload_idle(m))
			return ret;
	} while (ret == -ENOMEM);
	return ret;
}

/* Clients needn't know where files are. */
static void hide_folder(const char *path, char *message)
{
	const char *name = strrchr(path, '/');
	const size_t n = name ? (size_t)(name + 1 - path) : 0;
	char *at = message;

	while (n && (at = strstr(at, path)) != NULL)
		memmove(at, at + n, strlen(at + n) + 1);
}

static bool cannot_load(const struct catalogue_entry *e, int ret, struct stoker_error *err,
			struct problem *p)
{
	failf("%s can't be loaded: %s", e->name, err->message);
	hide_folder(e->path, err->message);
	return problem_set(p, ret == -ENOMEM || ret == -ECANCELED ? 503 : 500, "model", NULL,
			   "%s can't be loaded: %s", e->name, err->message);
}

/* With the lock, which it gives up for that time; nobody else is @busy. */
static bool load_entry(struct models *m, struct catalogue_entry *e, struct problem *p)
{
	struct served *served = NULL;
	struct stoker_error err;
	int ret;

	m->busy = true;
	pthread_mutex_unlock(&m->lock);
	ret = load(m, e, &served, &err);
	if (ret)
		cannot_load(e, ret, &err, p);
	pthread_mutex_lock(&m->lock);
	m->busy = false;
	if (!ret) {
		served->models = m;
		served->idle_since = now_seconds();
		e->served = served;
		if (!m->starting)
			m->progress.state = MODELS_READY;
	}
	pthread_cond_broadcast(&m->changed);
	return !ret;
}

static void *load_first(void *models)
{
	struct models *m = models;
	struct problem problem;

	pthread_mutex_lock(&m->lock);
	if (load_entry(m, m->catalogue.entries, &problem)) {
		m->progress.state = MODELS_READY;
	} else {
		m->progress.state = MODELS_FAILED;
		snprintf(m->progress.message, sizeof(m->progress.message), "%s", problem.message);
	}
	m->starting = false;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* What is wrong is said before anything listens, not when a model is first asked for. */
static int check(const struct models_options *o)
{
	struct stoker_session_params unused = { STOKER_SESSION_PARAMS_INIT };

	if (o->context > UINT32_MAX || o->sequences > UINT32_MAX || o->queue > UINT32_MAX) {
		failf("--context, --sequences and --queue are at most %u", UINT32_MAX);
		return EXIT_USAGE;
	}
	if (!(o->max_gap > 0 && o->max_gap <= 3600)) {
		failf("--max-gap takes a number of seconds up to 3600");
		return EXIT_USAGE;
	}
	if (o->variables && !are_variables(o->variables))
		return EXIT_USAGE;
	return parse_kv(&o->kv, &unused);
}

static int start(struct models *m)
{
	const struct models_options *o = m->options;
	/* without -m there is no telling which one is wanted */
	const bool late = o->load_late || !o->paths.count;

	m->progress.state = late ? MODELS_READY : MODELS_LOADING;
	m->starting = !late;
	if (late)
		return EXIT_OK;
	m->has_starter = !pthread_create(&m->starter, NULL, load_first, m);
	return m->has_starter ? EXIT_OK : failf("no thread to load the model");
}

int models_open(const struct models_options *options, struct metrics *metrics, struct models **out)
{
	struct models *m = calloc(1, sizeof(*m));
	int status;

	*out = NULL;
	if (!m)
		return failf("out of memory");
	m->options = options;
	m->metrics = metrics;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	status = check(options);
	if (!status && memory_budget(&options->compute, &m->budget))
		status = EXIT_USAGE;
	if (!status)
		status = catalogue_open(&options->paths, options->alias, &m->catalogue);
	if (!status)
		status = open_device(&options->compute, &m->device);
	if (!status)
		status = start(m);
	if (status)
		models_close(&m);
	*out = m;
	return status;
}

void models_stop(struct models *m)
{
	pthread_mutex_lock(&m->lock);
	m->closing = true;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

void models_close(struct models **models)
{
	struct models *m = *models;

	if (!m)
		return;
	*models = NULL;
	models_stop(m);
	if (m->has_starter)
		pthread_join(m->starter, NULL);
	for (size_t i = 0; i < m->catalogue.count; i++)
		if (m->catalogue.entries[i].served)
			served_free(&m->catalogue.entries[i].served);
	catalogue_free(&m->catalogue);
	stoker_device_close(&m->device);
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void models_progress(struct models *m, struct models_progress *out)
{
	pthread_mutex_lock(&m->lock);
	*out = m->progress;
	pthread_mutex_unlock(&m->lock);
}

static bool still_loading(const struct models *m, struct problem *p)
{
	const struct models_progress *now = &m->progress;
	const double part = now->total ? (double)now->done / (double)now->total : 0;

	return problem_set(p, 503, NULL, "loading", "the model is being loaded, %.0f %% so far",
			   100 * part);
}

static bool take(struct models *m, struct catalogue_entry *e, struct problem *p)
{
	while (!e->served) {
		if (m->closing)
			return problem_set(p, 503, NULL, NULL, "the server ends");
		if (m->starting)
			return still_loading(m, p);
		if (m->busy)
			pthread_cond_wait(&m->changed, &m->lock);
		else if (!load_entry(m, e, p))
			return false;
	}
	e->served->users++;
	return true;
}

static bool not_here(const char *name, struct problem *p)
{
	return problem_set(p, 404, "model", "model_not_found", "there is no model \"%.200s\" here",
			   name);
}

bool models_take_of(struct models *m, const char *name, struct served **out, struct problem *p)
{
	struct catalogue_entry *e = catalogue_find(&m->catalogue, name);
	bool ok;

	*out = NULL;
	if (!e)
		return not_here(name, p);
	pthread_mutex_lock(&m->lock);
	ok = take(m, e, p);
	if (ok)
		*out = e->served;
	pthread_mutex_unlock(&m->lock);
	return ok;
}

bool models_take(struct server *s, const char *name, struct served **m, struct problem *p)
{
	return models_take_of(s->models, name, m, p);
}

void models_keep(struct served *served)
{
	pthread_mutex_lock(&served->models->lock);
	served->users++;
	pthread_mutex_unlock(&served->models->lock);
}

void models_release(struct served **out)
{
	struct served *served = *out;
	struct models *m;

	*out = NULL;
	if (!served)
		return;
	m = served->models;
	pthread_mutex_lock(&m->lock);
	if (!--served->users)
		served->idle_since = now_seconds();
	pthread_mutex_unlock(&m->lock);
}

/* One that is loaded stays for the callback, without counting as used. */
static void tell(struct models *m, struct catalogue_entry *e,
		 void (*each)(void *context, const struct model_entry *entry), void *context)
{
	struct model_entry entry = {
		.name = e->name, .path = e->path, .bytes = e->bytes, .created = e->created
	};

	pthread_mutex_lock(&m->lock);
	entry.served = e->served;
	if (e->served && !e->served->users++)
		entry.idle_seconds = now_seconds() - e->served->idle_since;
	pthread_mutex_unlock(&m->lock);
	each(context, &entry);
	pthread_mutex_lock(&m->lock);
	if (entry.served)
		entry.served->users--;
	pthread_mutex_unlock(&m->lock);
}

void models_each(struct models *m, void (*each)(void *context, const struct model_entry *entry),
		 void *context)
{
	for (size_t i = 0; i < m->catalogue.count; i++)
		tell(m, &m->catalogue.entries[i], each, context);
}

bool models_find(struct models *m, const char *name, struct model_entry *entry, struct problem *p)
{
	const struct catalogue_entry *e = catalogue_find(&m->catalogue, name);

	if (!e)
		return not_here(name, p);
	*entry = (struct model_entry){
		.name = e->name, .path = e->path, .bytes = e->bytes, .created = e->created
	};
	return true;
}

bool models_details(struct models *m, const struct model_entry *of, struct details *out)
{
	struct catalogue_entry *e = catalogue_find(&m->catalogue, of->name);

	pthread_mutex_lock(&m->lock);
	*out = e->details;
	pthread_mutex_unlock(&m->lock);
	if (*out->digest)
		return true;
	if (!details_read(e->path, out))
		return false;
	pthread_mutex_lock(&m->lock);
	e->details = *out;
	pthread_mutex_unlock(&m->lock);
	return true;
}
