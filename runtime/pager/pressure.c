// SPDX-License-Identifier: MIT
/*
 * Pressure on the machine's memory: while programs wait for it and hardly any is available, slots
 * are given back, an eighth a second; when that hasn't been so for a while, they come back.
 * Programs that wait because of limits of their own (cgroups) don't count.
 */
#include <stdio.h>

#include "pager/internal.h"

enum { CALM = 30 }; /* looks without pressure until slots come back */

/* Of the last ten seconds those in which something waited for memory, in percent. */
static double pressure_in(const char *path)
{
	const locale_t before = c_locale_enter();
	FILE *f = fopen(path, "re");
	double some = 0;

	if (f) {
		if (fscanf(f, "some avg10=%lf", &some) != 1)
			some = 0;
		fclose(f);
	}
	c_locale_leave(before);
	return some;
}

/* Of the machine's memory, in parts of one. */
static double available_in(const char *path)
{
	const locale_t before = c_locale_enter();
	FILE *f = fopen(path, "re");
	double total = 0, available = 0, value;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemTotal: %lf", &value) == 1)
			total = value;
		else if (sscanf(line, "MemAvailable: %lf", &value) == 1)
			available = value;
	}
	if (f)
		fclose(f);
	c_locale_leave(before);
	return total > 0 ? available / total : 1;
}

static void give_back(struct stoker_pager *p, struct slot_class *c, uint32_t count)
{
	struct slot *s;

	while (count-- && c->count > MIN(p->least, c->experts) &&
	       (s = p->policy->victim(c, slot_is_free))) {
		forget_slot(s);
		unlink_slot(c, s);
		s->newer = c->away;
		c->away = s;
		c->count--;
		p->stats.slots--;
		p->stats.slot_bytes -= c->slot_bytes;
		p->device->ops->discard(p->device, s->memory, c->slot_bytes);
	}
}

static void take_back(struct stoker_pager *p, struct slot_class *c, uint32_t count)
{
	while (count-- && c->away) {
		struct slot *s = c->away;

		c->away = s->newer;
		s->newer = NULL;
		make_oldest(c, s);
		c->count++;
		p->stats.slots++;
		p->stats.slot_bytes += c->slot_bytes;
	}
}

void mind_pressure(struct stoker_pager *p)
{
	const uint64_t now = stoker_now_ns();
	bool is_short;

	/* pinned memory can't be given back */
	if (!p->device->ops->discard || p->store->ops->arena_create || now < p->next_look)
		return;
	p->next_look = now + p->look_ns;
	is_short = pressure_in(p->pressure) > 10 && available_in(p->meminfo) < 0.1;
	p->calm = is_short ? 0 : p->calm + 1;
	for (uint32_t i = 0; i < p->class_count; i++) {
		struct slot_class *c = &p->classes[i];

		if (is_short)
			give_back(p, c, MAX(c->count / 8, 1u));
		else if (p->calm >= CALM)
			take_back(p, c, MAX(c->count / 8, 1u));
	}
	if (p->calm >= CALM)
		p->calm = 0;
}
