// SPDX-License-Identifier: MIT
/* What was probably meant by a name that doesn't exist. */
#include "tool.h"

#include <string.h>

enum { LONGEST = 32 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	const unsigned d = a < b ? a : b;

	return c < d ? c : d;
}

/* Letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
	const size_t m = strlen(a), n = strlen(b);
	unsigned d[LONGEST + 1][LONGEST + 1];

	if (m > LONGEST || n > LONGEST)
		return LONGEST;
	for (size_t i = 0; i <= m; i++)
		for (size_t j = 0; j <= n; j++) {
			if (!i || !j) {
				d[i][j] = (unsigned)(i + j);
				continue;
			}
			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1,
					d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	return d[m][n];
}

void guess_consider(struct guess *g, const char *name)
{
	const size_t length = strlen(g->wrong), other = strlen(name);
	const size_t common = length < other ? length : other;
	unsigned far = distance(g->wrong, name);

	/* one begins with the other: --temperature for --temp */
	if (common >= 3 && !strncmp(g->wrong, name, common))
		far = 1;
	if (far > (length < 5 ? 1 : length < 9 ? 2 : 3))
		return;
	if (!g->best || far < g->distance) {
		g->best = name;
		g->distance = far;
	}
}
