/* SPDX-License-Identifier: MIT */
/*
 * How long steps take, by the number of their rows, and what follows for the next one: how many
 * rows of prompts go with it, and how many sequences generate when experts come from the drive.
 */
#ifndef STOKER_ENGINE_PACE_H
#define STOKER_ENGINE_PACE_H

#include <stdint.h>

#include "stoker/engine.h"

enum {
	PACE_SIZES = STOKER_STEP_SIZES,
	PACE_LEAST = 16, /* rows of prompts in a step, however long they take */
	PACE_MOST = 512, /* beyond that a row hardly gets cheaper */
	PACE_SLICE = 16, /* steps after which others have their turn, or the limit is looked at */
};

struct pace {
	double row_seconds[PACE_SIZES]; /* of a row in a step of so many, 0: not known */
	double slower;	/* at least 1, at present: contexts get longer, others compute, too */
	double stalled; /* part of the time that was spent waiting for the drive */
	uint32_t limit, steps; /* sequences that generate in a step; since that changed */
};

/* Which of the sizes that is: they double, [2^(n-1) + 1, 2^n]. */
unsigned pace_size(uint32_t rows);
/* A step of @rows has taken @seconds. */
void pace_note(struct pace *p, uint32_t rows, double seconds);
/* Rows of prompts that go with @rows others in a step of up to @most that takes @seconds. */
uint32_t pace_prompt_rows(const struct pace *p, uint32_t rows, uint32_t most, double seconds);
/*
 * After a step in which only @rows sequences generated, and waited @stall seconds of @seconds for
 * experts; up to @most of them could.
 */
void pace_note_stall(struct pace *p, uint32_t rows, uint32_t most, double seconds, double stall);

#endif
