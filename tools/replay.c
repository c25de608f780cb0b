// SPDX-License-Identifier: MIT
/*
 * stoker replay: what a routing trace says about paging.  Each expert that a token uses is one
 * access to a cache that all layers share, as in the pager.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

enum { STEPS = 10 };

/* One cache size and what each policy makes of it: hits in parts of all accesses. */
struct point {
	uint32_t slots;
	double lru, frequency, belady;
};

/*
 * How well @size fixed experts serve a run of @length tokens: the part of its accesses that the
 * most used ones of that run have, as a mean over runs and layers (arXiv:2505.16056 calls it SRP
 * for as many experts as a token uses, and SCH for a cache's).
 */
static double run_coverage(const struct trace *t, uint32_t length, uint32_t size, uint32_t *uses)
{
	const uint32_t all = t->layers * t->experts;
	double covered = 0;
	size_t total = 0;

	for (size_t i = 0; i < t->count;) {
		const uint32_t run = t->token[i] / length;

		memset(uses, 0, all * sizeof(*uses));
		for (; i < t->count && t->token[i] / length == run; i++, total++)
			uses[t->access[i]]++;
		for (uint32_t l = 0; l < t->layers; l++)
			for (uint32_t k = 0; k < size; k++) {
				uint32_t best = l * t->experts;

				for (uint32_t e = best; e < (l + 1) * t->experts; e++)
					best = uses[e] > uses[best] ? e : best;
				covered += uses[best];
				uses[best] = 0;
			}
	}
	return covered / (double)total;
}

static double hit_rate(const struct trace *t, enum trace_policy policy, uint32_t slots)
{
	return (double)trace_simulate(t, policy, slots, NULL) / (double)t->count;
}

static int plot(const char *path, const struct point *points, int count)
{
	static const char *const color[] = { "#0072b2", "#e69f00", "#009e73" };
	static const char *const name[] = { "LRU", "frequency and recency", "Belady's optimum" };
	FILE *f = fopen(path, "wxe");
	const bool is_new = f != NULL;

	if (!f && errno == EEXIST)
		f = fopen(path, "we");
	if (!f)
		return failf("%s: %s", path, strerror(errno));
	fputs("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 420\" "
	      "font-family=\"sans-serif\" "
	      "font-size=\"13\">\n<rect width=\"640\" height=\"420\" fill=\"white\"/>\n",
	      f);
	for (int i = 0; i <= 10; i += 2)
		fprintf(f,
			"<path d=\"M60 %d H600\" stroke=\"#ddd\"/><text x=\"52\" y=\"%d\" "
			"text-anchor=\"end\">%d %%</text>\n<text x=\"%d\" y=\"380\" "
			"text-anchor=\"middle\">%d %%</text>\n",
			360 - 32 * i, 364 - 32 * i, 10 * i, 60 + 54 * i, 10 * i);
	for (int p = 0; p < 3; p++) {
		fprintf(f,
			"<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"60,360",
			color[p]);
		for (int i = 0; i < count; i++) {
			const double hit = p == 0   ? points[i].lru
					   : p == 1 ? points[i].frequency
						    : points[i].belady;

			fprintf(f, " %.1f,%.1f", 60 + 540.0 * (i + 1) / count, 360 - 320 * hit);
		}
		fprintf(f, "\"/>\n<text x=\"420\" y=\"%d\" fill=\"%s\">%s</text>\n", 290 + 20 * p,
			color[p], name[p]);
	}
	fputs("<text x=\"330\" y=\"404\" text-anchor=\"middle\">experts in memory</text>\n<text "
	      "x=\"60\" "
	      "y=\"24\">hit rate</text>\n</svg>\n",
	      f);
	if (ferror(f) | fclose(f)) {
		const int why = errno;

		if (is_new)
			remove(path);
		return failf("%s: %s", path, strerror(why));
	}
	return EXIT_OK;
}

static double megabytes(const struct trace *t, double hit_rate)
{
	return (1 - hit_rate) * (double)t->count / (double)t->tokens * (double)t->expert_bytes /
	       1048576;
}

static void print_points(const struct trace *t, const struct point *points, double rate)
{
	printf("%zu tokens, %u layers of %u experts, %u used; an expert has %.2f MiB\n"
	       "in memory   slots      LRU  frequency  optimum   read a token (LRU), time at %.1f "
	       "GB/s\n",
	       t->tokens, t->layers, t->experts, t->used, (double)t->expert_bytes / 1048576, rate);
	for (int i = 0; i < STEPS; i++)
		printf("%7d %% %9u %6.1f %%  %7.1f %% %6.1f %%  %10.2f MiB  %8.2f ms\n",
		       10 * (i + 1), points[i].slots, 100 * points[i].lru,
		       100 * points[i].frequency, 100 * points[i].belady,
		       megabytes(t, points[i].lru), megabytes(t, points[i].lru) * 1.048576 / rate);
}

/* Of the experts used, those that the layer's router chose @distance layers before. */
static double recall_at(const struct trace *t, int distance)
{
	return (double)t->right[distance] / (double)t->asked[distance];
}

static int report(const struct trace *t, double rate, bool json, const char *svg)
{
	static const uint32_t lengths[] = { 4, 16, 64 };
	const uint32_t all = t->layers * t->experts;
	uint32_t *uses = malloc(all * sizeof(*uses));
	struct point points[STEPS];
	double coverage[3][2];
	int status = uses ? EXIT_OK : failf("out of memory");

	for (int i = 0; i < STEPS && !status; i++) {
		points[i].slots = (uint32_t)((uint64_t)all * (uint64_t)(i + 1) / STEPS);
		points[i].lru = hit_rate(t, TRACE_LRU, points[i].slots);
		points[i].frequency = hit_rate(t, TRACE_FREQUENCY, points[i].slots);
		points[i].belady = hit_rate(t, TRACE_BELADY, points[i].slots);
		if (points[i].lru < 0 || points[i].frequency < 0 || points[i].belady < 0)
			status = failf("out of memory");
	}
	if (!status) {
		for (int i = 0; i < 3; i++) {
			coverage[i][0] = run_coverage(t, lengths[i], t->used, uses);
			coverage[i][1] = run_coverage(
				t, lengths[i], 2 * t->used < t->experts ? 2 * t->used : t->experts,
				uses);
		}
		if (svg)
			status = plot(svg, points, STEPS);
	}
	if (!status && json) {
		struct json_object *root = json_object_new_object(),
				   *list = json_object_new_array();
		struct json_object *runs = json_object_new_array(),
				   *recall = json_object_new_array();

		for (int d = 1; d <= PREDICTED_LAYERS && t->asked[d]; d++)
			json_object_array_add(recall, json_object_new_double(recall_at(t, d)));

		for (int i = 0; i < STEPS; i++) {
			struct json_object *o = json_object_new_object();

			json_object_object_add(o, "slots", json_object_new_int64(points[i].slots));
			json_object_object_add(o, "lru", json_object_new_double(points[i].lru));
			json_object_object_add(o, "frequency",
					       json_object_new_double(points[i].frequency));
			json_object_object_add(o, "belady",
					       json_object_new_double(points[i].belady));
			json_object_object_add(
				o, "bytes_a_token",
				json_object_new_double(megabytes(t, points[i].lru) * 1048576));
			json_object_array_add(list, o);
		}
		for (int i = 0; i < 3; i++) {
			struct json_object *o = json_object_new_object();

			json_object_object_add(o, "tokens", json_object_new_int64(lengths[i]));
			json_object_object_add(o, "srp", json_object_new_double(coverage[i][0]));
			json_object_object_add(o, "sch", json_object_new_double(coverage[i][1]));
			json_object_array_add(runs, o);
		}
		json_object_object_add(root, "tokens", json_object_new_int64((int64_t)t->tokens));
		json_object_object_add(root, "caches", list);
		json_object_object_add(root, "recall", recall);
		json_object_object_add(root, "runs", runs);
		status = print_json(stdout, root);
	} else if (!status) {
		print_points(t, points, rate);
		for (int i = 0; i < 3; i++)
			printf("runs of %2u tokens: the best %u experts of a layer cover %.1f %% "
			       "(SRP), "
			       "the best %u %.1f %% (SCH)\n",
			       lengths[i], t->used, 100 * coverage[i][0], 2 * t->used,
			       100 * coverage[i][1]);
		for (int d = 1; d <= PREDICTED_LAYERS && t->asked[d]; d++)
			printf("asked %d layer%s ahead, routers predict %.1f %% of the experts\n",
			       d, d > 1 ? "s" : "", 100 * recall_at(t, d));
	}
	free(uses);
	return status;
}

int verb_replay(int argc, char **argv)
{
	struct trace trace = { 0 };
	const char *svg = NULL;
	double rate = 2;
	bool json = false;
	const struct option options[] = {
		{ "rate", 0, OPTION_FLOAT, &rate, "GB/S", "what the drive reads a second (2)" },
		{ "plot", 0, OPTION_STRING, &svg, "FILE", "draw hit rates over cache sizes (SVG)" },
		{ "json", 0, OPTION_FLAG, &json, NULL, "print JSON" },
		{ 0 },
	};
	const struct usage usage = {
		"replay [OPTION]... TRACE",
		"Shows how often experts would be in memory for several cache sizes "
		"and policies, from a trace that \"stoker run --trace\" wrote.",
		options, 1, 1
	};
	int status;

	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	if (!(rate > 0)) {
		fputs("stoker: --rate has to be above 0\n", stderr);
		return EXIT_USAGE;
	}
	status = trace_read(argv[1], &trace);
	if (!status)
		status = report(&trace, rate, json, svg);
	trace_free(&trace);
	return status;
}
