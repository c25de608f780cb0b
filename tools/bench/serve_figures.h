/* SPDX-License-Identifier: MIT */
/* What a load's requests took: percentiles of times, tokens a second, gaps. */
#ifndef STOKER_TOOL_BENCH_SERVE_FIGURES_H
#define STOKER_TOOL_BENCH_SERVE_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

struct samples {
	double *values;
	size_t count, room;
};

/* Without memory it is dropped. */
void samples_add(struct samples *s, double value);
/* Sorts them.  0 when there are none; between two neighbours in proportion, as numpy has it. */
double samples_percentile(struct samples *s, double percent);
void samples_free(struct samples *s);

/*
 * Of one load with so many clients, in seconds.  As vLLM's benchmark has them: TTFT until the first
 * token, TPOT = (latency - TTFT) / (tokens - 1), ITL between one piece and the next, E2EL the whole
 * request.
 */
struct figures {
	const char *load;
	char note[160]; /* what else is to be said */
	unsigned clients;
	uint64_t requests;		 /* answered */
	uint64_t failed, refused, gone;	 /* refused: 429 and 503; gone: we hung up */
	uint64_t good;			 /* within what is asked of TTFT and TPOT */
	uint64_t prompt, cached, tokens; /* read, those of them that were kept, generated */
	double seconds;
	double server_seconds; /* of the processor, < 0: it isn't known */
	struct samples ttft, tpot, itl, e2el;
};

struct json_object *figures_json(struct figures *f);
void figures_print_head(void);
void figures_print(struct figures *f);
void figures_free(struct figures *f);

#endif
