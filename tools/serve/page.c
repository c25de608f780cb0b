// SPDX-License-Identifier: MIT
/* The page for people, and the description for programs. */
#include "serve/page.h"

#include <string.h>

#include "serve/http.h"

/* What a page of ours may do: nothing but talk to us. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
			     "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
			     "frame-ancestors 'none'";

static const char *type_of(const char *name)
{
	static const struct {
		const char *end, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
		{ ".json", "application/json" },
	};
	const char *end = strrchr(name, '.');

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (end && !strcmp(end, types[i].end))
			return types[i].type;
	return "application/octet-stream";
}

const struct page_file *page_find(const char *path)
{
	const char *name = strcmp(path, "/") != 0 ? path + 1 : "index.html";

	for (size_t i = 0; *path == '/' && i < page_file_count; i++)
		if (!strcmp(page_files[i].name, name))
			return &page_files[i];
	return NULL;
}

void page_get(struct exchange *x)
{
	const struct page_file *file = page_find(exchange_path(x));
	const char *known = exchange_header(x, "If-None-Match");
	const bool same = known && strstr(known, file->tag);

	exchange_add_header(x, "ETag", file->tag);
	exchange_add_header(x, "Cache-Control", "no-cache"); /* asked for again, by its tag */
	exchange_add_header(x, "Content-Security-Policy", policy);
	exchange_add_header(x, "Referrer-Policy", "no-referrer");
	exchange_add_header(x, "Cross-Origin-Resource-Policy", "same-origin");
	reply_text(x, same ? 304 : 200, type_of(file->name), (const char *)file->data,
		   same ? 0 : file->bytes);
}
