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

static bool matches(const struct found_model *m, const char *name, const struct hub_name *hub)
{
	char source[210];

	if (m->unfinished)
		return false;
	if (*hub->owner) {
		snprintf(source, sizeof(source), "%s/%s", hub->owner, hub->repo);
		return m->source && !strcasecmp(m->source, source) &&
		       (!*hub->quant || names_match(m->path, hub->quant));
	}
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
