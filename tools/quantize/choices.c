// SPDX-License-Identifier: MIT
/* stoker quantize: what the command line says of single tensors, as regular expressions of names.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "quantize/quantize.h"

#include <pcre2.h>
#include <string.h>

/* "REGEX" or "REGEX=TYPE", the first @length bytes being the expression. */
struct choice {
	const char *option, *text;
	size_t length;
	const struct stoker_format *format; /* NULL: as it is */
};

static int complain(const struct choice *c, const char *what)
{
	fprintf(stderr, "stoker: --%s %s: %s\n", c->option, c->text, what);
	return EXIT_USAGE;
}

static pcre2_code *compile(const struct choice *c)
{
	PCRE2_UCHAR message[120];
	PCRE2_SIZE at;
	int code;
	pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)c->text, c->length, 0, &code, &at, NULL);

	if (!compiled) {
		pcre2_get_error_message(code, message, sizeof(message));
		complain(c, (const char *)message);
	}
	return compiled;
}

/* All matrices whose names it matches and that no choice before it took. */
static int apply(struct plan *p, const struct choice *c)
{
	pcre2_code *compiled = compile(c);
	pcre2_match_data *match;
	size_t matches = 0;
	int found = 0;

	if (!compiled)
		return EXIT_USAGE;
	match = pcre2_match_data_create(1, NULL);
	for (size_t i = 0; match && i < p->count && found >= PCRE2_ERROR_NOMATCH; i++) {
		struct planned *t = &p->tensors[i];
		const char *name = t->tensor->name;

		if (!t->quantized)
			continue;
		found = pcre2_match(compiled, (PCRE2_SPTR)name, strlen(name), 0, 0, match, NULL);
		if (found < 0)
			continue;
		matches++;
		if (t->forced)
			continue;
		t->forced = true;
		t->to = c->format ? c->format : t->tensor->format;
	}
	pcre2_code_free(compiled);
	if (!match)
		return failf("out of memory");
	pcre2_match_data_free(match);
	if (found < PCRE2_ERROR_NOMATCH)
		return complain(c, "takes too long to match");
	return matches ? EXIT_OK : complain(c, "no matrix of the model has such a name");
}

static int parse_type(struct choice *c)
{
	const char *type = strrchr(c->text, '=');

	if (!type)
		return complain(c, "REGEX=TYPE is needed");
	c->length = (size_t)(type - c->text);
	c->format = stoker_format_by_name(type + 1);
	if (!c->format || !stoker_format_can_encode(c->format))
		return complain(c, "there is no such type of tensors to write");
	return EXIT_OK;
}

int plan_force(struct plan *p, const struct string_list *types, const struct string_list *keep)
{
	int status = EXIT_OK;

	for (size_t i = 0; i < keep->count && !status; i++) {
		const struct choice c = { .option = "keep",
					  .text = keep->items[i],
					  .length = strlen(keep->items[i]) };

		status = apply(p, &c);
	}
	for (size_t i = 0; i < types->count && !status; i++) {
		struct choice c = { .option = "tensor", .text = types->items[i] };

		status = parse_type(&c);
		if (!status)
			status = apply(p, &c);
	}
	return status;
}
