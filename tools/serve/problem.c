// SPDX-License-Identifier: MIT
/* What is wrong with a request, and how each dialect says it. */
#include "serve/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Anthropic has names of its own for some of them. */
static const struct {
	unsigned status;
	const char *type, *anthropic;
} types[] = {
	{ 400, "invalid_request_error", "invalid_request_error" },
	{ 401, "authentication_error", "authentication_error" },
	{ 403, "permission_error", "permission_error" },
	{ 404, "not_found_error", "not_found_error" },
	{ 405, "invalid_request_error", "invalid_request_error" },
	{ 408, "timeout_error", "timeout_error" },
	{ 413, "request_too_large", "request_too_large" },
	{ 429, "rate_limit_error", "rate_limit_error" },
	{ 431, "invalid_request_error", "invalid_request_error" },
	{ 501, "not_supported_error", "invalid_request_error" },
	{ 503, "service_unavailable", "overloaded_error" },
	{ 500, "server_error", "api_error" }, /* and all others */
};
enum { TYPES = sizeof(types) / sizeof(*types) };

static size_t find_type(unsigned status)
{
	size_t i = 0;

	while (i < TYPES - 1 && types[i].status != status)
		i++;
	return i;
}

bool problem_set(struct problem *p, unsigned status, const char *param, const char *code,
		 const char *fmt, ...)
{
	va_list args;

	*p = (struct problem){
		.status = status,
		.type = types[find_type(status)].type,
		.param = param,
		.code = code,
		.retry_after = status == 429 || status == 503 ? 1 : 0,
	};
	va_start(args, fmt);
	vsnprintf(p->message, sizeof(p->message), fmt, args);
	va_end(args);
	return false;
}

void problem_write(const struct problem *p, enum dialect dialect, struct text *out)
{
	switch (dialect) {
	case DIALECT_OLLAMA:
		text_puts(out, "{\"error\":");
		text_json_string(out, p->message);
		text_puts(out, "}");
		break;
	case DIALECT_ANTHROPIC:
		text_puts(out, "{\"type\":\"error\",\"error\":{\"type\":");
		text_json_string(out, types[find_type(p->status)].anthropic);
		text_puts(out, ",\"message\":");
		text_json_string(out, p->message);
		text_puts(out, "}}");
		break;
	case DIALECT_OPENAI:
		text_puts(out, "{\"error\":{\"message\":");
		text_json_string(out, p->message);
		text_puts(out, ",\"type\":");
		text_json_string(out, p->type);
		text_puts(out, ",\"param\":");
		text_json_string(out, p->param);
		text_puts(out, ",\"code\":");
		text_json_string(out, p->code);
		text_puts(out, "}}");
		break;
	}
}
