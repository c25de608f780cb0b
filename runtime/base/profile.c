// SPDX-License-Identifier: MIT
/* Profiles: a growing list of events, their sums, and a file that trace viewers read. */
#include "base/profile.h"

#include <pthread.h>
#include <stdio.h>

#include "base/sized.h"

enum { EVENTS_MAX = 1 << 22 }; /* some 200 MB; more are counted, not kept */

struct event {
	const char *name, *detail;
	uint64_t begin_ns, end_ns;
	uint32_t rows; /* of a batch */
	enum profile_track track;
};

struct sample { /* of the energy counters */
	uint64_t at_ns;
	double joules[ENERGY_COUNTERS];
};

struct stoker_profile {
	pthread_mutex_t lock;
	struct event *events;
	size_t count, room;
	struct sample *samples;
	size_t sample_count, sample_room;
	uint64_t lost;
	struct energy energy;
};

static const char *const track_names[PROFILE_TRACKS] = {
	[PROFILE_SESSION] = "session", [PROFILE_HOST] = "host",	  [PROFILE_DEVICE] = "device",
	[PROFILE_PAGER] = "pager",     [PROFILE_STEPS] = "steps", [PROFILE_READS] = "reads",
};

int stoker_profile_create(struct stoker_profile **profile, struct stoker_error *err)
{
	struct stoker_profile *p;

	if (!profile)
		return stoker_fail(err, -EINVAL, "no place for the profile");
	*profile = p = calloc(1, sizeof(*p));
	if (!p)
		return stoker_fail(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&p->lock, NULL);
	energy_open(&p->energy, "/sys");
	return 0;
}

void stoker_profile_free(struct stoker_profile **profile)
{
	struct stoker_profile *p = profile ? *profile : NULL;

	if (!p)
		return;
	*profile = NULL;
	pthread_mutex_destroy(&p->lock);
	free(p->events);
	free(p->samples);
	free(p);
}

/* Room for one more of @size bytes each; false when there is none. */
static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	if (count == *room) {
		const size_t more = MAX(2 * count, (size_t)4096);
		void *bigger = more <= EVENTS_MAX ? realloc(*array, more * size) : NULL;

		if (!bigger)
			return false;
		*array = bigger;
		*room = more;
	}
	return true;
}

static void add(struct stoker_profile *p, const struct event *event)
{
	if (grow((void **)&p->events, p->count, &p->room, sizeof(*p->events)))
		p->events[p->count++] = *event;
	else
		p->lost++;
}

void profile_add(struct stoker_profile *p, enum profile_track track, const char *name,
		 const char *detail, uint64_t begin_ns, uint64_t end_ns)
{
	const struct event event = { .name = name,
				     .detail = detail ? detail : "",
				     .begin_ns = begin_ns,
				     .end_ns = MAX(begin_ns, end_ns),
				     .track = track };

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	add(p, &event);
	pthread_mutex_unlock(&p->lock);
}

uint64_t profile_begin_batch(struct stoker_profile *p)
{
	const uint64_t now = profile_now(p);

	if (!p)
		return 0;
	pthread_mutex_lock(&p->lock);
	if (!p->energy.looked_ns)
		energy_look(&p->energy, now);
	pthread_mutex_unlock(&p->lock);
	return now;
}

void profile_add_batch(struct stoker_profile *p, uint32_t rows, uint64_t begin_ns, uint64_t end_ns)
{
	const struct event event = { .name = rows == 1 ? "token" : "prompt",
				     .detail = "",
				     .begin_ns = begin_ns,
				     .end_ns = end_ns,
				     .rows = rows,
				     .track = PROFILE_SESSION };

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	add(p, &event);
	energy_look(&p->energy, end_ns);
	if (p->energy.count &&
	    grow((void **)&p->samples, p->sample_count, &p->sample_room, sizeof(*p->samples))) {
		struct sample *s = &p->samples[p->sample_count++];

		s->at_ns = end_ns;
		for (unsigned i = 0; i < p->energy.count; i++)
			s->joules[i] = p->energy.counters[i].joules;
	}
	pthread_mutex_unlock(&p->lock);
}

int stoker_profile_energy(const struct stoker_profile *p, double *joules)
{
	if (!p || !joules)
		return -EINVAL;
	return energy_total(&p->energy, joules) ? 0 : -ENODEV;
}

static int by_name(const void *a, const void *b)
{
	const struct event *x = *(const struct event *const *)a;
	const struct event *y = *(const struct event *const *)b;
	const int name = strcmp(x->name, y->name);

	if (x->track != y->track)
		return x->track < y->track ? -1 : 1;
	return name ? name : strcmp(x->detail, y->detail);
}

static int track_of(const char *name)
{
	int track = 0;

	while (track_names[track] != name)
		track++;
	return track;
}

static int by_track_and_time(const void *a, const void *b)
{
	const struct stoker_profile_total *x = a, *y = b;

	if (x->track != y->track)
		return track_of(x->track) < track_of(y->track) ? -1 : 1;
	return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : 0;
}

int stoker_profile_totals(const struct stoker_profile *p, size_t item_size,
			  struct stoker_profile_total **list, size_t *count)
{
	const struct event **sorted;
	struct stoker_profile_total *t;

	if (!p || !list || !count || !is_item_size(item_size))
		return -EINVAL;
	sorted = malloc(MAX(p->count, (size_t)1) * sizeof(*sorted));
	t = malloc(MAX(p->count, (size_t)1) * sizeof(*t));
	*list = NULL;
	*count = 0;
	if (!sorted || !t) {
		free(sorted);
		free(t);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->count; i++)
		sorted[i] = &p->events[i];
	qsort(sorted, p->count, sizeof(*sorted), by_name);
	for (size_t i = 0; i < p->count; i++) {
		const struct event *e = sorted[i];

		if (!i || by_name(&sorted[i - 1], &sorted[i]))
			t[(*count)++] = (struct stoker_profile_total){
				.track = track_names[e->track],
				.name = e->name,
				.detail = e->detail,
			};
		t[*count - 1].count++;
		t[*count - 1].seconds += 1e-9 * (double)(e->end_ns - e->begin_ns);
	}
	free(sorted);
	qsort(t, *count, sizeof(*t), by_track_and_time);
	*list = sized_list(t, *count, sizeof(*t), item_size);
	*count = *list ? *count : 0;
	return *list ? 0 : -ENOMEM;
}

/* Microseconds since @origin. */
static double micros(uint64_t ns, uint64_t origin)
{
	return 1e-3 * (double)(int64_t)(ns - origin);
}

static void write_event(FILE *f, const struct event *e, size_t number, uint64_t origin)
{
	const char *space = *e->detail ? " " : "";

	/* they overlap, which is for asynchronous events */
	if (e->track == PROFILE_READS || e->track == PROFILE_STEPS) {
		const char *track = track_names[e->track];

		fprintf(f, "{\"ph\":\"b\",\"cat\":\"%s\",\"id\":%zu,\"pid\":1,\"tid\":%d,", track,
			number, (int)e->track);
		fprintf(f, "\"name\":\"%s\",\"ts\":%.3f},\n", e->name, micros(e->begin_ns, origin));
		fprintf(f, "{\"ph\":\"e\",\"cat\":\"%s\",\"id\":%zu,\"pid\":1,\"tid\":%d,", track,
			number, (int)e->track);
		fprintf(f, "\"name\":\"%s\",\"ts\":%.3f},\n", e->name, micros(e->end_ns, origin));
		return;
	}
	fprintf(f,
		"{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"name\":\"%s%s%s\",\"ts\":%.3f,\"dur\":%.3f",
		(int)e->track, e->name, space, e->detail, micros(e->begin_ns, origin),
		1e-3 * (double)(e->end_ns - e->begin_ns));
	if (e->rows)
		fprintf(f, ",\"args\":{\"tokens\":%u}", e->rows);
	fputs("},\n", f);
}

static void write_samples(FILE *f, const struct stoker_profile *p, uint64_t origin)
{
	for (size_t i = 0; i < p->sample_count; i++) {
		const struct sample *s = &p->samples[i];

		fprintf(f, "{\"ph\":\"C\",\"pid\":1,\"name\":\"joules\",\"ts\":%.3f,\"args\":{",
			micros(s->at_ns, origin));
		for (unsigned c = 0; c < p->energy.count; c++)
			fprintf(f, "%s\"%u %s\":%.6f", c ? "," : "", c, p->energy.counters[c].name,
				s->joules[c]);
		fputs("}},\n", f);
	}
}

static void write_trace(FILE *f, const struct stoker_profile *p)
{
	uint64_t origin = UINT64_MAX;

	for (size_t i = 0; i < p->count; i++)
		origin = MIN(origin, p->events[i].begin_ns);
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", f);
	for (size_t i = 0; i < p->count; i++)
		write_event(f, &p->events[i], i, origin);
	write_samples(f, p, origin);
	for (int i = 0; i < PROFILE_TRACKS; i++) {
		fprintf(f, "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_sort_index\",", i);
		fprintf(f, "\"args\":{\"sort_index\":%d}},\n", i);
		fprintf(f, "{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",", i);
		fprintf(f, "\"args\":{\"name\":\"%s\"}}%s\n", track_names[i],
			i + 1 < PROFILE_TRACKS ? "," : "");
	}
	fprintf(f, "],\"otherData\":{\"lost\":%llu}}\n", (unsigned long long)p->lost);
}

int stoker_profile_write(const struct stoker_profile *p, const char *path, struct stoker_error *err)
{
	FILE *f;
	locale_t before;
	bool failed;

	if (!p || !path)
		return stoker_fail(err, -EINVAL, "writing a profile needs one and a path");
	f = fopen(path, "we");
	if (!f)
		return stoker_fail(err, -errno, "%s: %s", path, stoker_strerror(errno));
	before = c_locale_enter();
	write_trace(f, p);
	c_locale_leave(before);
	failed = ferror(f);
	if (fclose(f) || failed)
		return stoker_fail(err, -EIO, "%s: can't write the profile: %s", path,
				   stoker_strerror(errno));
	return 0;
}
