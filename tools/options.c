// SPDX-License-Identifier: MIT
/* Command-line options of the verbs. */
#include "tool.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void print_help(const struct usage *u)
{
	printf("Usage: stoker %s\n\n%s\n\nOptions:\n", u->synopsis, u->description);
	for (const struct option *o = u->options; o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
			 o->argument ? " " : "", o->argument ? o->argument : "");
		/* help2man wants two blanks or a new line between them */
		if (strlen(left) < 26)
			printf("  %-26s %s\n", left, o->help);
		else
			printf("  %s\n%29s%s\n", left, "", o->help);
	}
	printf("  %-26s %s\n", "-h, --help", "print this");
}

/* An unknown option, and the one that was probably meant. */
static int complain_of_option(const struct usage *u, const char *argument)
{
	char name[40], meant[64] = "";
	struct guess g = { .wrong = name };

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument + 1, "=") + 1, argument);
	for (const char *c = argument; *c == '-' && g.wrong < name + 2; c++)
		g.wrong++;
	for (const struct option *o = u->options; o->name && !strncmp(argument, "--", 2); o++)
		guess_consider(&g, o->name);
	if (g.best)
		snprintf(meant, sizeof(meant), "; did you mean --%s?", g.best);
	fprintf(stderr, "stoker: unknown option %s%s\nUsage: stoker %s\n", argument, meant,
		u->synopsis);
	return EXIT_USAGE;
}

static int complain(const struct usage *u, const char *what, const char *about)
{
	fprintf(stderr, "stoker: %s%s\nUsage: stoker %s\n", what, about, u->synopsis);
	return EXIT_USAGE;
}

bool parse_number(const char *text, double *value)
{
	const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	double number;
	char *end;

	if (!c)
		return false;
	errno = 0;
	number = strtod_l(text, &end, c);
	freelocale(c);
	/* what is too small to be told from 0 is 0 */
	if (end == text || *end || !isfinite(number))
		return false;
	*value = number;
	return true;
}

static bool set_value(const struct option *o, const char *text)
{
	struct string_list *list = o->value;
	char *end;

	errno = 0;
	switch (o->kind) {
	case OPTION_FLAG:
		*(bool *)o->value = true;
		return true;
	case OPTION_STRING:
		*(const char **)o->value = text;
		return true;
	case OPTION_UINT:
		*(uint64_t *)o->value = strtoull(text, &end, 10);
		return !errno && end != text && !*end && *text != '-' &&
		       *(uint64_t *)o->value <= UINT32_MAX;
	case OPTION_FLOAT:
		return parse_number(text, o->value);
	case OPTION_LIST:
		if (list->count == sizeof(list->items) / sizeof(*list->items))
			return false;
		list->items[list->count++] = text;
		return true;
	}
	return false;
}

static const struct option *find_option(const struct usage *u, const char *argument,
					const char **value)
{
	for (const struct option *o = u->options; o->name; o++) {
		const size_t n = strlen(o->name);

		*value = NULL;
		if (!strncmp(argument, "--", 2) && !strncmp(argument + 2, o->name, n)) {
			if (argument[2 + n] == 0)
				return o;
			if (argument[2 + n] == '=') {
				*value = argument + n + 3;
				return o;
			}
		} else if (argument[1] == o->letter && o->letter) {
			if (argument[2])
				*value = argument + 2;
			return o;
		}
	}
	return NULL;
}

/* Takes the model out of the operands, if it's one of them. */
static int take_model(const struct usage *u, char **argv, int *operands, int *status)
{
	const int at = (int)u->model_at + 1;
	const bool given = *u->model != NULL;

	if (given && (size_t)*operands <= u->operands_max)
		return 0;
	if (*operands < at) {
		if (given || u->model_optional)
			return 0;
		*status = complain(u, "a model is needed, ", "FILE as a word or with -m");
		return -1;
	}
	if (given && strcmp(*u->model, argv[at]) != 0) {
		*status = complain(u, "there is a model with -m already, what is this: ", argv[at]);
		return -1;
	}
	*u->model = argv[at];
	memmove(&argv[at], &argv[at + 1], (size_t)(*operands - at) * sizeof(*argv));
	--*operands;
	return 0;
}

int parse_options(const struct usage *u, int argc, char **argv, int *status)
{
	int operands = 0;
	bool only_operands = false;

	for (int i = 1; i < argc; i++) {
		const struct option *o;
		const char *value;

		if (only_operands || argv[i][0] != '-' || !argv[i][1]) {
			argv[++operands] = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			only_operands = true;
			continue;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_help(u);
			*status = EXIT_OK;
			return -1;
		}
		o = find_option(u, argv[i], &value);
		if (!o || (o->kind == OPTION_FLAG && value)) {
			*status = o ? complain(u, "no value goes with ", argv[i])
				    : complain_of_option(u, argv[i]);
			return -1;
		}
		if (o->kind != OPTION_FLAG && !value) {
			if (i + 1 == argc) {
				*status = complain(u, "a value has to follow ", argv[i]);
				return -1;
			}
			value = argv[++i];
		}
		if (!set_value(o, value)) {
			fprintf(stderr, "stoker: --%s takes %s, not \"%s\"\n", o->name,
				o->kind == OPTION_UINT	  ? "a number from 0 to 4294967295"
				: o->kind == OPTION_FLOAT ? "a number"
							  : "no more values",
				value);
			*status = EXIT_USAGE;
			return -1;
		}
	}
	if (u->model && take_model(u, argv, &operands, status))
		return -1;
	if (u->model && *u->model) {
		*status = resolve_model(u->model);
		if (*status)
			return -1;
	}
	if ((size_t)operands < u->operands_min || (size_t)operands > u->operands_max) {
		*status = complain(u,
				   (size_t)operands < u->operands_min ? "something is missing"
								      : "there is too much: ",
				   (size_t)operands < u->operands_min ? "" : argv[operands]);
		return -1;
	}
	return operands;
}
