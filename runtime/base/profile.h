/* SPDX-License-Identifier: MIT */
/* Events of a profile, and energy counters. */
#ifndef STOKER_BASE_PROFILE_H
#define STOKER_BASE_PROFILE_H

#include "base/base.h"
#include "stoker/profile.h"

enum profile_track {
	PROFILE_SESSION,
	PROFILE_HOST,
	PROFILE_DEVICE,
	PROFILE_PAGER,
	PROFILE_STEPS,
	PROFILE_READS,
	PROFILE_TRACKS,
};

/* Nothing with @p NULL.  @name and @detail (may be NULL) outlive the profile; times as
 * stoker_now_ns(). */
void profile_add(struct stoker_profile *p, enum profile_track track, const char *name,
		 const char *detail, uint64_t begin_ns, uint64_t end_ns);

/* The time where it's needed for profile_add(). */
static inline uint64_t profile_now(const struct stoker_profile *p)
{
	return p ? stoker_now_ns() : 0;
}

/* The time when a batch begins; energy counts from the first one on. */
uint64_t profile_begin_batch(struct stoker_profile *p);
/* A batch of @rows tokens; reads the energy counters, too. */
void profile_add_batch(struct stoker_profile *p, uint32_t rows, uint64_t begin_ns, uint64_t end_ns);

enum { ENERGY_COUNTERS = 16 };

struct energy_counter {
	char name[48], path[160];
	bool package;	/* the sum of all packages is what the processor takes */
	bool power;	/* shows watts, not joules */
	uint64_t range; /* where it begins anew, in microjoules */
	uint64_t last;
	double joules; /* since the first look */
};

/* What a machine counts, under /sys or a folder like it. */
struct energy {
	struct energy_counter counters[ENERGY_COUNTERS];
	unsigned count;
	uint64_t looked_ns; /* 0: not yet */
};

void energy_open(struct energy *e, const char *sys);
/* Adds what was taken since the last look. */
void energy_look(struct energy *e, uint64_t now_ns);
/* In joules; false when there are no counters. */
bool energy_total(const struct energy *e, double *joules);

#endif
