// SPDX-License-Identifier: MIT
/* stoker list: the models on this machine. */
#include <stdlib.h>
#include <string.h>

#include "models/found.h"
#include "models/outlook.h"
#include "terminal.h"
#include "tool.h"

struct row {
	const struct found_model *model;
	struct outlook outlook;
};

static void verdict(const struct row *r, char *out, size_t room)
{
	const struct outlook *o = &r->outlook;

	if (r->model->unfinished)
		snprintf(out, room, "unfinished: \"stoker pull\" goes on with it");
	else if (!o->runs)
		snprintf(out, room, "no: %s", o->why.message);
	else if (o->rate > 0)
		snprintf(out, room, "yes, %.1f tokens/s%s", o->rate,
			 o->paged ? ", experts from the drive" : "");
	else
		snprintf(out, room, o->paged ? "yes, experts from the drive" : "yes");
}

static void print_rows(const struct row *rows, size_t count)
{
	size_t width = 4;

	for (size_t i = 0; i < count; i++) {
		const size_t length = strlen(found_shown(rows[i].model));

		width = length > width ? length : width;
	}
	if (count)
		printf("%-*s  %10s  %-8s  %-12s  %-11s  %s\n", (int)width, "NAME", "SIZE", "FORMAT",
		       "ARCHITECTURE", "STORE", "RUNS");
	for (size_t i = 0; i < count; i++) {
		const struct outlook *o = &rows[i].outlook;
		char size[16], runs[600], *line;

		verdict(&rows[i], runs, sizeof(runs));
		if (asprintf(&line, "%-*s  %10s  %-8s  %-12s  %-11s  %s", (int)width,
			     found_shown(rows[i].model), human_size(rows[i].model->bytes, size),
			     *o->format ? o->format : "-", *o->architecture ? o->architecture : "-",
			     store_name(rows[i].model->kind), runs) < 0)
			continue;
		/* names are other people's: on one line, and without what a terminal obeys */
		for (char *c = line; (c = strpbrk(c, "\n\t"));)
			*c = ' ';
		put_visible(stdout, line, strlen(line));
		putchar('\n');
		free(line);
	}
}

static void add_string(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text && *text ? json_object_new_string(text) : NULL);
}

static int print_rows_json(const struct row *rows, size_t count)
{
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < count; i++) {
		const struct found_model *m = rows[i].model;
		const struct outlook *k = &rows[i].outlook;
		struct json_object *o = json_object_new_object();

		add_string(o, "name", found_shown(m));
		add_string(o, "full_name", m->full);
		add_string(o, "path", m->path);
		add_string(o, "store", store_name(m->kind));
		add_string(o, "source", m->source);
		json_object_object_add(o, "bytes", json_object_new_int64((int64_t)m->bytes));
		add_string(o, "format", k->format);
		add_string(o, "architecture", k->architecture);
		json_object_object_add(o, "finished", json_object_new_boolean(!m->unfinished));
		json_object_object_add(o, "runs", json_object_new_boolean(k->runs));
		json_object_object_add(o, "paged", json_object_new_boolean(k->paged));
		json_object_object_add(o, "tokens_per_second",
				       k->rate > 0 ? json_object_new_double(k->rate) : NULL);
		add_string(o, "why_not", k->runs || m->unfinished ? NULL : k->why.message);
		json_object_array_add(list, o);
	}
	json_object_object_add(root, "models", list);
	return print_json(stdout, root);
}

int verb_list(int argc, char **argv)
{
	struct compute_options compute = { 0 };
	bool json = false;
	const struct option options[] = {
		{ "device", 0, OPTION_STRING, &compute.device, "NAME",
		  "whether they run on this device (cpu)" },
		{ "json", 0, OPTION_FLAG, &json, NULL, "print JSON" },
		{ 0 },
	};
	const struct usage usage = {
		"list [--device NAME] [--json]",
		"Shows the models on this machine: those that \"stoker pull\" fetched, and those "
		"of "
		"Hugging Face's cache, Ollama, LM Studio and llama.cpp, which are used where they "
		"are. Every verb that takes a FILE takes their names.",
		options, 0, 0
	};
	struct stoker_device *device = NULL;
	struct row *rows = NULL;
	struct found f;
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	found_scan(&f);
	if (f.out_of_memory)
		return failf("out of memory");
	rows = calloc(f.count + 1, sizeof(*rows));
	status = !rows	   ? failf("out of memory")
		 : f.count ? open_device(&compute, &device)
			   : EXIT_OK;
	for (size_t i = 0; !status && i < f.count; i++) {
		rows[i].model = &f.models[i];
		if (!f.models[i].unfinished)
			outlook_of(device, f.models[i].path, &rows[i].outlook);
	}
	if (!status && json)
		status = print_rows_json(rows, f.count);
	else if (!status)
		print_rows(rows, f.count);
	if (!status && !json && !f.count)
		fputs("stoker: no models yet; \"stoker pull hf:OWNER/REPO\" fetches one\n", stderr);
	stoker_device_close(&device);
	free(rows);
	found_free(&f);
	return status;
}
