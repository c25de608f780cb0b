// SPDX-License-Identifier: MIT
/* Estimates of steps' times, see pace.h. */
#include "engine/pace.h"

#include "base/base.h"

unsigned pace_size(uint32_t rows)
{
	unsigned n = 0;

	while (n + 1 < PACE_SIZES && (1u << n) < rows)
		n++;
	return n;
}

void pace_note(struct pace *p, uint32_t rows, double seconds)
{
	double *usual, slower, row;

	if (!rows || !(seconds > 0))
		return;
	usual = &p->row_seconds[pace_size(rows)];
	if (!(p->slower > 0))
		p->slower = 1;
	if (!(*usual > 0)) {
		*usual = seconds / rows / p->slower;
		return;
	}
	/* a gap is seen, and a few rows less are not */
	slower = MAX(seconds / rows / *usual, 1.0);
	p->slower += (slower - p->slower) / (slower > p->slower ? 2 : 4);
	/* a first step that was slow for its size says nothing about other sizes */
	row = seconds / rows / p->slower;
	*usual += (row - *usual) / (row < *usual ? 2 : 16);
}

/* A row costs no more in a larger step; 0: nothing is known yet. */
static double row_seconds(const struct pace *p, unsigned size, unsigned *known)
{
	for (unsigned n = size + 1; n-- > 0;)
		if (p->row_seconds[n] > 0) {
			*known = n;
			return p->row_seconds[n] * p->slower;
		}
	return 0;
}

uint32_t pace_prompt_rows(const struct pace *p, uint32_t rows, uint32_t most, double seconds)
{
	const uint32_t least = PACE_LEAST;
	uint32_t fits = 0;

	for (unsigned size = pace_size(most) + 1; size-- > 0 && !fits;) {
		unsigned known = 0;
		const double row = row_seconds(p, size, &known);
		/* of a size that wasn't measured the first ones are few */
		const uint32_t end = MIN(1u << size, 2u << known);
		const double n = row > 0 ? seconds / row : 0;

		if (row > 0 && n > (double)(1u << size) / 2)
			fits = n < end ? (uint32_t)n : end;
	}
	fits = fits > rows ? (fits - rows) / PACE_LEAST * PACE_LEAST : 0;
	fits = MIN(MAX(fits, least), (uint32_t)PACE_MOST);
	return most > rows ? MIN(fits, most - rows) : 0;
}

void pace_note_stall(struct pace *p, uint32_t rows, uint32_t most, double seconds, double stall)
{
	const double share = seconds > 0 ? stall / seconds : 0;

	p->limit = p->limit ? MIN(p->limit, most) : most;
	p->stalled += (share - p->stalled) / 8;
	if (++p->steps < PACE_SLICE)
		return;
	p->steps = 0;
	if (p->stalled <= 0.5) {
		p->limit = MIN(2 * p->limit, most);
		return;
	}
	/* fewer sequences have fewer experts, which stay: whether that pays, measuring tells */
	const double many = p->row_seconds[pace_size(rows)];
	const double few = rows > 1 ? p->row_seconds[pace_size(rows) - 1] : 0;

	if (rows > 1 && !(few > 0 && few >= many))
		p->limit = 1u << (pace_size(rows) - 1);
	else if (rows == p->limit && p->row_seconds[pace_size(2 * rows)] < many)
		p->limit = MIN(2 * p->limit, most);
}
