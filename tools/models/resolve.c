// SPDX-License-Identifier: MIT
/* From the name of a model to its file, for every verb that takes one. */
#include "models/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "models/store.h"
#include "tool.h"

static bool is_address(const char *text)
{
	return !strncasecmp(text, "https://", 8) || !strncasecmp(text, "http://", 7);
}

static bool is_from(const struct found_model *m, const char *url)
{
	struct store_record record;
	bool same;

	if (m->kind != STORE_OWN)
		return false;
	same = store_load_record(m->path, &record) && store_same_url(record.url, url);
	store_free_record(&record);
	return same;
}

/* Whether it is the commit that @revision says, or begins like it. */
static bool is_commit(const struct found_model *m, const char *revision)
{
	const char *snapshot = m->kind == STORE_HUB ? strstr(m->path, "/snapshots/") : NULL;
	const size_t length = strlen(revision);
	struct store_record record = { 0 };
	bool is;

	if (length < 7 || strspn(revision, "0123456789abcdef") != length)
		return false;
	if (m->kind == STORE_OWN)
		store_load_record(m->path, &record);
	is = !strncmp(record.commit, revision, length) ||
	     (snapshot && !strncmp(snapshot + strlen("/snapshots/"), revision, length));
	store_free_record(&record);
	return is;
}

static bool is_of(const struct found_model *m, const struct hub_name *hub)
{
	struct hub_name plain = *hub;
	char source[HUB_SOURCE_MAX];

	names_source(hub, source);
	if (m->source && !strcasecmp(m->source, source))
		return true;
	*plain.revision = 0;
	names_source(&plain, source);
	return *hub->revision && m->source && !strcasecmp(m->source, source) &&
	       is_commit(m, hub->revision);
}

static bool matches(const struct found_model *m, const char *name, const struct hub_name *hub)
{
	if (m->unfinished)
		return false;
	if (*hub->owner)
		return is_of(m, hub) && (!*hub->quant || names_match(m->path, hub->quant));
	if (is_address(name))
		return is_from(m, name);
	return !strcmp(m->name, name) || !strcmp(m->full, name);
}

const struct found_model *resolve_find(const struct found *f, const char *name,
				       const struct found_model **others)
{
	const struct found_model *best = NULL;
	struct hub_name hub = { 0 };

	*others = NULL;
	if (names_is_hub(name) && !names_parse_hub(name, &hub))
		return NULL;
	for (size_t i = 0; i < f->count; i++) {
		const struct found_model *m = &f->models[i];

		if (!matches(m, name, &hub))
			continue;
		/* with several of a repository here, a plain name ends as the shortest does */
		if (!best ||
		    (*hub.quant && strlen(m->path) < strlen(best->path) && m->kind == best->kind))
			best = m;
		else if (m->kind == best->kind)
			*others = m;
	}
	if (*hub.quant)
		*others = NULL;
	return best;
}

static int not_here(const char *name)
{
	struct hub_name hub;

	if (names_is_hub(name) && !names_parse_hub(name, &hub))
		return failf("\"%s\" is no name of a model on the hub: hf:OWNER/REPO or "
			     "hf:OWNER/REPO:QUANT",
			     name);
	return failf("%s%s isn't on this machine; \"stoker pull %s\" fetches it",
		     is_address(name) ? "what is at the address " : "", name, name);
}

int resolve_model(const char **model)
{
	static char *kept; /* of the one model that a run of the program is about */
	const struct found_model *m, *other;
	const char *name = *model;
	int status = EXIT_OK;
	struct found f;

	if (!access(name, F_OK) || !*name || *name == '/' || *name == '.')
		return EXIT_OK;
	found_scan(&f);
	m = resolve_find(&f, name, &other);
	if (m && other)
		status =
			failf("%s could be %s or %s; name one of them", name, m->full, other->full);
	else if (m && (free(kept), kept = strdup(m->path)))
		*model = kept;
	else if (names_is_hub(name) || is_address(name))
		status = not_here(name);
	found_free(&f);
	return status;
}
