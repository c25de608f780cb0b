// SPDX-License-Identifier: MIT
/*
 * Energy counters: RAPL's (powercap: microjoules, beginning anew at a range of their own) and those
 * of hwmon (energyN_input in microjoules, powerN_average or powerN_input in microwatts).  Most
 * kernels let only root read RAPL; what can't be read isn't there.
 */
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "base/profile.h"

static bool read_number(const char *path, uint64_t *value)
{
	FILE *f = fopen(path, "re");
	unsigned long long number;
	bool good;

	if (!f)
		return false;
	good = fscanf(f, "%llu", &number) == 1;
	fclose(f);
	*value = good ? number : 0;
	return good;
}

/* The first word of @file in the folder of @beside. */
static void read_word(const char *beside, const char *file, char *word, size_t bytes)
{
	char path[200], format[16];
	const char *end = strrchr(beside, '/');
	FILE *f;

	*word = 0;
	snprintf(path, sizeof(path), "%.*s/%s", (int)(end - beside), beside, file);
	f = fopen(path, "re");
	if (!f)
		return;
	snprintf(format, sizeof(format), "%%%zus", bytes - 1);
	if (fscanf(f, format, word) != 1)
		*word = 0;
	fclose(f);
}

/* Whether the counter's folder has one that says the same in a better way. */
static bool is_second(const char *path)
{
	const char *end = strrchr(path, '/');
	char other[200];

	if (strncmp(end, "/power", 6))
		return false;
	snprintf(other, sizeof(other), "%.*s/energy1_input", (int)(end - path), path);
	if (!access(other, R_OK))
		return true;
	snprintf(other, sizeof(other), "%.*s%.*s_average", (int)(end - path), path,
		 (int)strcspn(end, "_"), end);
	return strcmp(other, path) && !access(other, R_OK);
}

static void add_counters(struct energy *e, const char *sys, const char *pattern, bool rapl,
			 bool power)
{
	char path[200], range[200];
	glob_t found;

	snprintf(path, sizeof(path), "%s/%s", sys, pattern);
	if (glob(path, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc && e->count < ENERGY_COUNTERS; i++) {
		struct energy_counter *c = &e->counters[e->count];

		if (strlen(found.gl_pathv[i]) >= sizeof(c->path) || is_second(found.gl_pathv[i]))
			continue;
		*c = (struct energy_counter){ .power = power };
		strcpy(c->path, found.gl_pathv[i]);
		if (!read_number(c->path, &c->last))
			continue;
		read_word(c->path, "name", c->name, sizeof(c->name));
		c->package = rapl && !strncmp(c->name, "package", 7);
		if (rapl) {
			const char *end = strrchr(c->path, '/');

			snprintf(range, sizeof(range), "%.*s/max_energy_range_uj",
				 (int)(end - c->path), c->path);
			read_number(range, &c->range);
		}
		e->count++;
	}
	globfree(&found);
}

void energy_open(struct energy *e, const char *sys)
{
	*e = (struct energy){ .count = 0 };
	add_counters(e, sys, "class/powercap/intel-rapl:*/energy_uj", true, false);
	add_counters(e, sys, "class/hwmon/hwmon*/energy*_input", false, false);
	add_counters(e, sys, "class/hwmon/hwmon*/power*_average", false, true);
	add_counters(e, sys, "class/hwmon/hwmon*/power*_input", false, true);
}

void energy_look(struct energy *e, uint64_t now_ns)
{
	for (unsigned i = 0; i < e->count; i++) {
		struct energy_counter *c = &e->counters[i];
		uint64_t now;

		if (!read_number(c->path, &now))
			continue;
		if (e->looked_ns && c->power)
			c->joules += 1e-15 * (double)now * (double)(now_ns - e->looked_ns);
		else if (e->looked_ns && now >= c->last)
			c->joules += 1e-6 * (double)(now - c->last);
		else if (e->looked_ns && c->range > c->last)
			c->joules += 1e-6 * (double)(now + c->range - c->last);
		c->last = now;
	}
	e->looked_ns = now_ns;
}

bool energy_total(const struct energy *e, double *joules)
{
	bool packages = false;

	*joules = 0;
	for (unsigned i = 0; i < e->count; i++)
		packages |= e->counters[i].package;
	for (unsigned i = 0; i < e->count; i++)
		if (!packages || e->counters[i].package)
			*joules += e->counters[i].joules;
	return e->count > 0;
}
