// SPDX-License-Identifier: MIT
/* The table of what can be asked. */
#include "serve/routes.h"

#include <string.h>

#include "serve/anthropic.h"
#include "serve/embeddings.h"
#include "serve/health.h"
#include "serve/listing.h"
#include "serve/native.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/page.h"

static const struct route routes[] = {
	{ "GET", "/health", DIALECT_OPENAI, ROUTE_NO_KEY, health_get },
	{ "GET", "/v1/health", DIALECT_OPENAI, ROUTE_NO_KEY, health_get },
	{ "GET", "/v1/models", DIALECT_OPENAI, 0, listing_models },
	{ "GET", "/v1/models/", DIALECT_OPENAI, 0, listing_model },
	{ "GET", "/metrics", DIALECT_OPENAI, 0, listing_metrics },
	{ "GET", "/props", DIALECT_OPENAI, 0, listing_props },
	{ "GET", "/slots", DIALECT_OPENAI, 0, listing_slots },
	{ "GET", "/api/tags", DIALECT_OLLAMA, 0, listing_tags },
	{ "GET", "/api/ps", DIALECT_OLLAMA, 0, listing_running },
	{ "GET", "/api/version", DIALECT_OLLAMA, 0, listing_version },
	{ "POST", "/api/show", DIALECT_OLLAMA, 0, listing_show },
	{ "POST", "/v1/chat/completions", DIALECT_OPENAI, 0, openai_chat_post },
	{ "POST", "/v1/completions", DIALECT_OPENAI, 0, openai_completions_post },
	{ "POST", "/v1/responses", DIALECT_OPENAI, 0, openai_responses_post },
	{ "POST", "/v1/embeddings", DIALECT_OPENAI, 0, embeddings_post },
	{ "POST", "/v1/messages", DIALECT_ANTHROPIC, 0, anthropic_messages },
	{ "POST", "/v1/messages/count_tokens", DIALECT_ANTHROPIC, 0, anthropic_count_tokens },
	{ "POST", "/api/chat", DIALECT_OLLAMA, 0, ollama_chat },
	{ "POST", "/api/generate", DIALECT_OLLAMA, 0, ollama_generate },
	{ "POST", "/api/embed", DIALECT_OLLAMA, 0, ollama_embed },
	{ "POST", "/api/embeddings", DIALECT_OLLAMA, 0, ollama_embeddings },
	{ "POST", "/api/pull", DIALECT_OLLAMA, 0, ollama_refused },
	{ "POST", "/api/push", DIALECT_OLLAMA, 0, ollama_refused },
	{ "POST", "/api/create", DIALECT_OLLAMA, 0, ollama_refused },
	{ "POST", "/api/copy", DIALECT_OLLAMA, 0, ollama_refused },
	{ "DELETE", "/api/delete", DIALECT_OLLAMA, 0, ollama_refused },
	{ "POST", "/completion", DIALECT_OPENAI, 0, native_completion },
	{ "POST", "/completions", DIALECT_OPENAI, 0, native_completion },
	{ "POST", "/infill", DIALECT_OPENAI, 0, native_fill },
	{ "POST", "/tokenize", DIALECT_OPENAI, 0, native_tokenize },
	{ "POST", "/detokenize", DIALECT_OPENAI, 0, native_detokenize },
	{ "POST", "/apply-template", DIALECT_OPENAI, 0, native_apply_template },
};
/* "/", and a path for each of its files */
static const struct route page = { "GET", "/", DIALECT_OPENAI, ROUTE_NO_KEY, page_get };
enum { ROUTES = sizeof(routes) / sizeof(*routes) };

static enum dialect dialect_of(const char *path)
{
	if (!strncmp(path, "/api/", 5))
		return DIALECT_OLLAMA;
	if (!strncmp(path, "/v1/messages", 12))
		return DIALECT_ANTHROPIC;
	return DIALECT_OPENAI;
}

static bool has_path(const struct route *r, const char *path)
{
	const size_t length = strlen(r->path);

	if (length > 1 && r->path[length - 1] == '/')
		return !strncmp(path, r->path, length) && path[length];
	return !strcmp(path, r->path);
}

struct found_route route_find(const char *method, const char *path)
{
	struct found_route found = { .dialect = dialect_of(path), .rest = "" };

	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (size_t i = 0; i < ROUTES; i++) {
		const struct route *r = &routes[i];
		const size_t length = strlen(r->path);

		if (!has_path(r, path))
			continue;
		found.allowed = r->method;
		if (strcmp(r->method, method) != 0)
			continue;
		found.route = r;
		found.dialect = r->dialect;
		found.rest = length > 1 && r->path[length - 1] == '/' ? path + length : "";
		return found;
	}
	if (page_find(path)) {
		found.allowed = page.method;
		found.route = !strcmp(method, page.method) ? &page : NULL;
	}
	return found;
}
