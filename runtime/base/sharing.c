// SPDX-License-Identifier: MIT
/* Whether a pool's runs are worth sharing while other programs use the CPUs, too. */
#include "base/sharing.h"

#include <sys/resource.h>

#include "base/idle.h"

enum {
	WINDOW_NS = 20000000,	    /* of runs: several time slices of the scheduler */
	ALONE_WINDOW_NS = 12000000, /* enough for each kind of run of a token */
	LOST_NS = 5000000,	    /* by sharing, more than a time slice: no need to go on */
	DOUBT_AGAIN_NS = 500000000, /* after sharing has been found better */
	ASIDE_MIN_NS = 30000000,
	ASIDE_MAX_NS = 1000000000,
	LOOK_NS = 250000000, /* between two looks for idle CPUs, where there are none */
	DOUBTS = 2,	     /* windows in a row: who has just begun is put aside, too */
	WINS = 2,	     /* one window may have been lucky */
	SWITCHES = 2,	     /* in a window: fewer are the kernel's own threads */
};

/* How long no CPU may have been idle before sharing is tried all the same: others may be nice. */
static const uint64_t FULL_NS = 8000000000;

static long involuntary_switches(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nivcsw;
}

static void enter(struct sharing *s, int state)
{
	s->state = state;
	s->spent = s->waited = s->took = s->else_took = 0;
}

/* Remembers how idle the CPUs have been until now. */
static void look(struct sharing *s, uint64_t now)
{
	s->idle = s->idle_ns();
	s->looked = now;
}

/* Whether a CPU has been idle for an eighth of the time since the last look. */
static bool some_are_idle(struct sharing *s, uint64_t now)
{
	const uint64_t idle = s->idle, looked = s->looked;

	look(s, now);
	return idle == STOKER_IDLE_UNKNOWN || s->idle == STOKER_IDLE_UNKNOWN ||
	       s->idle >= idle + (now - looked) / 8;
}

/* A trial costs up to a time slice for each of its threads. */
static void try_or_wait(struct sharing *s, uint64_t now)
{
	if (some_are_idle(s, now) || now - s->tried >= FULL_NS)
		enter(s, TRYING_SHARED);
	else
		s->until = now + MAX(s->aside, (uint64_t)LOOK_NS);
}

bool sharing_is_off(struct sharing *s, uint64_t now)
{
	if (s->state == ALONE && now >= s->until)
		try_or_wait(s, now);
	return s->state == ALONE || s->state == TRYING_ALONE;
}

static void judge(struct sharing *s, uint64_t now)
{
	if (!s->took) { /* nothing was shared of which it's known */
		enter(s, SHARING);
		return;
	}
	if (s->took > s->else_took - s->else_took / 16) {
		s->aside = MIN(MAX(2 * s->aside, (uint64_t)ASIDE_MIN_NS), (uint64_t)ASIDE_MAX_NS);
		s->until = now + s->aside;
		s->tried = now;
		look(s, now);
		s->wins = 0;
		enter(s, ALONE);
		return;
	}
	if (++s->wins < WINS) {
		enter(s, TRYING_SHARED);
		return;
	}
	s->wins = 0;
	s->aside /= 4;
	s->until = now + DOUBT_AGAIN_NS;
	enter(s, SHARING);
}

void sharing_learn(struct sharing *s, uint64_t now, uint64_t took, uint64_t waited,
		   uint64_t alone_ns)
{
	if (!s->spent)
		s->switches = involuntary_switches();
	s->spent += took;
	s->waited += waited;
	if (alone_ns) {
		s->took += took;
		s->else_took += alone_ns;
	}
	const bool lost = s->state == TRYING_SHARED && s->took > s->else_took + LOST_NS;

	if (s->state == ALONE ||
	    (!lost && s->spent < (s->state == TRYING_ALONE ? ALONE_WINDOW_NS : WINDOW_NS)))
		return;
	if (s->state == TRYING_ALONE) {
		enter(s, TRYING_SHARED);
	} else if (s->state == TRYING_SHARED) {
		judge(s, now);
	} else {
		const bool doubtful = s->waited > s->spent / 8 ||
				      involuntary_switches() - s->switches >= SWITCHES;

		s->doubts = doubtful && now >= s->until ? s->doubts + 1 : 0;
		enter(s, s->doubts < DOUBTS ? SHARING : TRYING_ALONE);
		if (s->state == TRYING_ALONE)
			s->doubts = 0;
	}
}
