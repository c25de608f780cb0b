// SPDX-License-Identifier: MIT
/* The models that are on this machine: in our store, and in those of other programs. */
#include "models/found.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/names.h"
#include "models/store.h"

enum { MAX_DEPTH = 8, MAX_MODELS = 100000 };

const char *store_name(enum store_kind kind)
{
	static const char *const names[STORE_KINDS] = { "stoker", "huggingface", "ollama",
							"lmstudio", "llama.cpp" };

	return names[kind];
}

struct found_model *found_add(struct found *f, enum store_kind kind, const char *path,
			      const char *name)
{
	struct found_model *m;

	if (f->count == MAX_MODELS)
		return NULL;
	if (f->count == f->room) {
		f->room = 2 * f->room + 64;
		m = realloc(f->models, f->room * sizeof(*m));
		if (!m) {
			f->out_of_memory = true;
			return NULL;
		}
		f->models = m;
	}
	m = &f->models[f->count];
	*m = (struct found_model){ .kind = kind, .path = strdup(path), .name = strdup(name) };
	if (!m->path || !m->name) {
		free(m->path);
		free(m->name);
		f->out_of_memory = true;
		return NULL;
	}
	f->count++;
	return m;
}

/* With links to files, as the hub's cache has them; links to folders aren't followed, but @root may
 * be one: people keep models on another drive. */
void found_walk(struct found *f, const char *root,
		void (*add)(struct found *f, const char *root, const char *path))
{
	char *const paths[] = { (char *)root, NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	FTSENT *e;

	while (walk && (e = fts_read(walk))) {
		struct stat st;

		if (e->fts_info == FTS_D && e->fts_level >= MAX_DEPTH)
			fts_set(walk, e, FTS_SKIP);
		if (e->fts_info != FTS_F && e->fts_info != FTS_SL)
			continue;
		if (e->fts_level && *e->fts_name != '.' && !stat(e->fts_path, &st) &&
		    S_ISREG(st.st_mode))
			add(f, root, e->fts_path);
	}
	if (walk)
		fts_close(walk);
}

/* Bytes of all files of a split model, whose first is @path. */
static uint64_t bytes_of(const char *path)
{
	unsigned number, of = 1;
	char *part = strdup(path);
	uint64_t bytes = 0;
	struct stat st;

	if (!store_split(path, &number, &of))
		number = of = 1;
	for (unsigned i = 1; part && i <= of; i++) {
		if (of > 1) {
			char digits[8];

			snprintf(digits, sizeof(digits), "%05u", i);
			memcpy(part + strlen(part) - strlen("00001-of-00003.gguf"), digits, 5);
		}
		if (!stat(part, &st))
			bytes += (uint64_t)st.st_size;
	}
	free(part);
	return bytes;
}

/* NULL for the files behind the first of a split model, and what isn't a model. */
static struct found_model *add_file(struct found *f, enum store_kind kind, const char *path)
{
	struct found_model *m;
	unsigned number, of;
	char *stem;

	if (!store_is_gguf(path) || names_is_companion(path) ||
	    (store_split(path, &number, &of) && number != 1))
		return NULL;
	stem = names_stem(path);
	m = stem ? found_add(f, kind, path, stem) : NULL;
	free(stem);
	if (m)
		m->bytes = bytes_of(path);
	return m;
}

/* hf/OWNER/REPO/FILE, and url/HOST/FILE; "FILE.part" is one to be gone on with. */
static void add_own(struct found *f, const char *root, const char *path)
{
	const char *inside = path + strlen(root) + 1, *tail = path + strlen(path);
	struct found_model *m;
	char owner[100], repo[202];
	struct stat st;
	int end = 0;

	if (tail - path > 10 && !strcmp(tail - 5, ".part")) {
		char *whole = strndup(path, (size_t)(tail - path - 5));

		/* of a split file one is enough, the first that isn't whole */
		m = whole && store_is_gguf(whole) && !stat(path, &st)
			    ? found_add(f, STORE_OWN, path, "")
			    : NULL;
		if (m) {
			free(m->name);
			m->name = names_stem(whole);
			m->unfinished = true;
			m->bytes = (uint64_t)st.st_size;
		}
		free(whole);
	} else {
		m = add_file(f, STORE_OWN, path);
	}
	if (m && sscanf(inside, "hf/%99[^/]/%201[^/]/%n", owner, repo, &end) == 2 && end)
		m->source = store_text("%s/%s", owner, repo);
}

static void add_other(struct found *f, enum store_kind kind, const char *path)
{
	char *target = realpath(path, NULL);

	/* what several revisions share is one model */
	for (size_t i = 0; target && i < f->count; i++) {
		char *known = f->models[i].kind == kind ? realpath(f->models[i].path, NULL) : NULL;
		const bool same = known && !strcmp(known, target);

		free(known);
		if (same) {
			free(target);
			return;
		}
	}
	free(target);
	add_file(f, kind, path);
}

/* models--OWNER--REPO/snapshots/REVISION/FILE, a link to a blob */
static void add_hub(struct found *f, const char *root, const char *path)
{
	const char *inside = path + strlen(root) + 1;
	const size_t before = f->count;
	char owner[100], repo[100];
	char *dashes;

	if (strncmp(inside, "models--", 8) != 0 || !strstr(inside, "/snapshots/"))
		return;
	add_other(f, STORE_HUB, path);
	if (f->count == before || sscanf(inside, "models--%99[^/]", owner) != 1)
		return;
	dashes = strstr(owner, "--");
	if (!dashes)
		return;
	snprintf(repo, sizeof(repo), "%s", dashes + 2);
	*dashes = 0;
	f->models[before].source = store_text("%s/%s", owner, repo);
}

static void add_lm_studio(struct found *f, const char *root, const char *path)
{
	const size_t before = f->count;
	char owner[100], repo[100];
	int end = 0;

	add_other(f, STORE_LM_STUDIO, path);
	if (f->count > before &&
	    sscanf(path + strlen(root) + 1, "%99[^/]/%99[^/]/%n", owner, repo, &end) == 2 && end)
		f->models[before].source = store_text("%s/%s", owner, repo);
}

static void add_llama_cpp(struct found *f, const char *root, const char *path)
{
	(void)root;
	add_other(f, STORE_LLAMA_CPP, path);
}

/* Walks "$HOME/@below", or what a variable says. */
static void walk_home(struct found *f, const char *below,
		      void (*add)(struct found *f, const char *root, const char *path))
{
	const char *home = getenv("HOME");
	char *root = home && *home ? store_text("%s/%s", home, below) : NULL;

	if (root)
		found_walk(f, root, add);
	free(root);
}

static void add_plain(struct found *f, const char *root, const char *path)
{
	(void)root;
	add_file(f, STORE_OWN, path);
}

void found_scan_folder(struct found *f, const char *root)
{
	*f = (struct found){ 0 };
	found_walk(f, root, add_plain);
	for (size_t i = 0; i < f->count; i++)
		f->out_of_memory |= !f->models[i].name;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void scan_hub(struct found *f)
{
	const char *cache = setting("XDG_CACHE_HOME");
	char *root;

	if (setting("HF_HUB_CACHE")) {
		found_walk(f, setting("HF_HUB_CACHE"), add_hub);
		return;
	}
	root = setting("HF_HOME") ? store_text("%s/hub", setting("HF_HOME"))
	       : cache		  ? store_text("%s/huggingface/hub", cache)
				  : NULL;
	if (root)
		found_walk(f, root, add_hub);
	else
		walk_home(f, ".cache/huggingface/hub", add_hub);
	free(root);
}

static void scan_llama_cpp(struct found *f)
{
	const char *cache = setting("XDG_CACHE_HOME");
	char *root;

	if (setting("LLAMA_CACHE")) {
		found_walk(f, setting("LLAMA_CACHE"), add_llama_cpp);
		return;
	}
	root = cache ? store_text("%s/llama.cpp", cache) : NULL;
	if (root)
		found_walk(f, root, add_llama_cpp);
	else
		walk_home(f, ".cache/llama.cpp", add_llama_cpp);
	free(root);
}

static int by_name(const void *a, const void *b)
{
	const struct found_model *x = a, *y = b;
	const int names = strcmp(x->name, y->name);

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return names ? names : strcmp(x->path, y->path);
}

static void set_names(struct found *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct found_model *m = &f->models[i];

		m->full = store_text("%s/%s%s%s", store_name(m->kind), m->source ? m->source : "",
				     m->source ? "/" : "", m->name);
		f->out_of_memory |= !m->full;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(m->name, f->models[k].name))
				m->shared = f->models[k].shared = true;
	}
}

const char *found_shown(const struct found_model *m)
{
	return m->shared ? m->full : m->name;
}

void found_scan(struct found *f)
{
	char *own = store_folder();

	*f = (struct found){ 0 };
	if (own)
		found_walk(f, own, add_own);
	free(own);
	scan_hub(f);
	found_scan_ollama(f);
	walk_home(f, ".lmstudio/models", add_lm_studio);
	walk_home(f, ".cache/lm-studio/models", add_lm_studio);
	scan_llama_cpp(f);
	for (size_t i = 0; i < f->count; i++)
		f->out_of_memory |= !f->models[i].name;
	if (f->count && !f->out_of_memory) {
		qsort(f->models, f->count, sizeof(*f->models), by_name);
		set_names(f);
	}
	if (f->out_of_memory) /* half a list would be taken for all of it */
		found_free(f);
}

void found_free(struct found *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->models[i].full);
		free(f->models[i].name);
		free(f->models[i].path);
		free(f->models[i].source);
	}
	free(f->models);
	*f = (struct found){ 0 };
}
