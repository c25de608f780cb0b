// SPDX-License-Identifier: MIT
/* stoker bench: speed of models, and of single operations beside the machine's limits. */
#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <stoker/unstable/store.h>

struct bench {
	struct compute_options compute;
	struct grammar_options grammar;
	const char *model, *format, *sequences;
	const char *arena, *plot, *shapes;
	struct kv_options kv;
	uint64_t prompt, decode, repeat, depth, shared, arrive, arena_bytes;
	double seconds, max_gap;
	bool cached, json;
};

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct figure {
	const char *test;
	uint64_t tokens;
	double low, median, high; /* tokens/s */
};

/* One repetition: @prompt tokens at once, or @decode tokens one by one. Returns seconds, < 0:
 * failed. */
static double measure(struct stoker_session *s, const uint32_t *tokens, uint64_t depth,
		      uint64_t count, bool single, struct stoker_error *err)
{
	double started;

	stoker_session_truncate(s, 0, NULL);
	if (depth && stoker_session_eval(s, tokens, depth, STOKER_LOGITS_NONE, err))
		return -1;
	started = now_seconds();
	if (!single)
		return stoker_session_eval(s, tokens, count, STOKER_LOGITS_LAST, err)
			       ? -1
			       : now_seconds() - started;
	for (uint64_t i = 0; i < count; i++)
		if (stoker_session_eval(s, tokens + i, 1, STOKER_LOGITS_LAST, err))
			return -1;
	return now_seconds() - started;
}

static int repeat(const struct bench *b, struct stoker_session *s, const uint32_t *tokens,
		  uint64_t count, bool single, struct figure *figure)
{
	double *rates = calloc(b->repeat, sizeof(*rates));
	struct stoker_error err;
	int status = rates ? EXIT_OK : failf("out of memory");

	for (uint64_t i = 0; i <= b->repeat && !status; i++) {
		/* other tokens each time: caches of experts shall not have seen them */
		const double seconds =
			measure(s, tokens + i * count, b->depth, count, single, &err);

		if (seconds < 0)
			status = interrupted() ? EXIT_INTERRUPTED : fail(&err);
		else if (i) /* the first one warms up */
			rates[i - 1] = (double)count / seconds;
	}
	if (!status) {
		qsort(rates, b->repeat, sizeof(*rates), ascending);
		*figure = (struct figure){ .test = single ? "decode" : "prompt",
					   .tokens = count,
					   .low = rates[0],
					   .median = rates[b->repeat / 2],
					   .high = rates[b->repeat - 1] };
	}
	free(rates);
	return status;
}

static void add_figure(struct json_object *list, const struct figure *f)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "test", json_object_new_string(f->test));
	json_object_object_add(o, "tokens", json_object_new_int64((int64_t)f->tokens));
	json_object_object_add(o, "min", json_object_new_double(f->low));
	json_object_object_add(o, "median", json_object_new_double(f->median));
	json_object_object_add(o, "max", json_object_new_double(f->high));
	json_object_array_add(list, o);
}

static int bench_model(const struct bench *b)
{
	const uint64_t most = b->prompt > b->decode ? b->prompt : b->decode;
	struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						.context = (uint32_t)(most + b->depth) };
	struct json_object *list = json_object_new_array();
	struct stoker_device *device = NULL;
	struct stoker_model *model = NULL;
	struct stoker_session *session = NULL;
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_error err;
	struct figure figure;
	const uint64_t needed = most * (b->repeat + 1) + b->depth;
	uint32_t *tokens = calloc(needed, sizeof(*tokens));
	int status = tokens ? parse_kv(&b->kv, &params) : failf("out of memory");

	if (!status)
		status = open_device(&b->compute, &device);
	if (!status)
		status = load_model(&b->compute, device, b->model, &params, &model);
	if (!status && stoker_session_create(model, &params, &session, &err))
		status = fail(&err);
	if (!status) {
		stoker_model_info(model, &info);
		cancel_on_interrupt(session);
		for (uint64_t i = 0; i < needed; i++)
			tokens[i] = (uint32_t)(i * 2654435761u % info.vocabulary);
		if (!b->json)
			printf("%s\n%s, %.1f M parameters\n", stoker_device_description(device),
			       info.architecture, 1e-6 * (double)info.parameters);
	}
	for (int single = 0; single < 2 && !status; single++) {
		const uint64_t count = single ? b->decode : b->prompt;

		if (!count)
			continue;
		status = repeat(b, session, tokens, count, single, &figure);
		if (status)
			break;
		add_figure(list, &figure);
		if (!b->json)
			printf("%s %-5llu %10.2f tokens/s (%.2f to %.2f)\n", figure.test,
			       (unsigned long long)figure.tokens, figure.median, figure.low,
			       figure.high);
	}
	if (!status && b->json) {
		struct json_object *root = json_object_new_object();

		json_object_object_add(root, "device",
				       json_object_new_string(stoker_device_description(device)));
		json_object_object_add(root, "model", json_object_new_string(b->model));
		json_object_object_add(root, "tokens_per_second", json_object_get(list));
		add_paging(root, model);
		status = print_json(stdout, root);
	}
	json_object_put(list);
	cancel_on_interrupt(NULL);
	stoker_session_free(&session);
	stoker_model_free(&model);
	stoker_device_close(&device);
	free(tokens);
	return status;
}

struct store_kind {
	const char *store, *title;
	int registered;
};

static struct json_object *reads_json(const struct store_kind *kind, const struct measure_reads *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "store", json_object_new_string(kind->store));
	json_object_object_add(o, "registered", json_object_new_boolean(kind->registered));
	json_object_object_add(o, "block_bytes", json_object_new_int64((int64_t)r->block_bytes));
	json_object_object_add(o, "depth", json_object_new_int64(r->depth));
	json_object_object_add(o, "direct", json_object_new_boolean(r->direct));
	json_object_object_add(o, "bytes_per_second", json_object_new_double(r->bytes_per_second));
	json_object_object_add(o, "median_seconds", json_object_new_double(r->median_seconds));
	json_object_object_add(o, "p99_seconds", json_object_new_double(r->p99_seconds));
	json_object_object_add(o, "cpu_seconds_per_gib",
			       json_object_new_double(r->cpu_seconds_per_gib));
	json_object_object_add(o, "memory_bytes", json_object_new_int64((int64_t)r->memory_bytes));
	json_object_object_add(o, "setup_seconds", json_object_new_double(r->setup_seconds));
	if (r->runs)
		json_object_object_add(o, "runs", json_object_new_int64(r->runs));
	return o;
}

static void print_reads(const struct store_kind *kind, const struct measure_reads *r)
{
	printf("%-17s %5llu KiB x %-2u %7.3f GB/s, median %.3f ms, 99 %% within %.3f ms, CPU "
	       "%.3f s/GiB%s\n",
	       kind->title, (unsigned long long)r->block_bytes >> 10, r->depth,
	       1e-9 * r->bytes_per_second, 1e3 * r->median_seconds, 1e3 * r->p99_seconds,
	       r->cpu_seconds_per_gib, r->direct ? "" : " (page cache)");
}

static void print_setup(const struct store_kind *kind, const struct measure_reads *r)
{
	char human[16];

	printf("%-17s %s ready in %.1f ms", kind->title, human_size(r->memory_bytes, human),
	       1e3 * r->setup_seconds);
	if (r->runs)
		printf(", %u scatter entries", r->runs);
	putchar('\n');
}

/* The module where it is as fast, but for what one measurement differs from the next. */
static void choose_store(double uring, double kmod, bool json)
{
	const char *store = kmod >= 0.97 * uring ? "kmod" : "uring";
	struct stoker_error err;

	if (stoker_driver_prefer(store, &err))
		fprintf(stderr, "stoker: %s\n", err.message);
	else if (!json)
		printf("paging will use %s\n", store);
}

/* Reads of the model's file as paging does them. */
static int bench_store(const struct bench *b)
{
	static const struct {
		uint64_t block;
		uint32_t depth;
	} cases[] = { { 128 << 10, 1 }, { 128 << 10, 32 }, { 512 << 10, 32 }, { 1 << 20, 32 } };
	static const struct store_kind kinds[] = {
		{ "uring", "uring", 0 },
		{ "uring", "uring, registered", 1 },
		{ "threads", "threads", 0 },
		{ "kmod", "kmod", 0 },
	};
	struct json_object *root = json_object_new_object(), *list = json_object_new_array();
	double best_uring = 0, best_kmod = 0; /* of 512 KiB */
	struct stoker_error err;
	int status = EXIT_OK;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds) && !status; k++) {
		struct measure_reads r = { .setup_seconds = 0 };

		if (b->compute.store && strcmp(b->compute.store, kinds[k].store))
			continue;
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases) && !status; i++) {
			r = (struct measure_reads){ .store = kinds[k].store,
						    .registered = kinds[k].registered,
						    .block_bytes = cases[i].block,
						    .depth = cases[i].depth,
						    .memory_bytes = b->arena_bytes };
			const int ret = measure_reads(b->model, &r, &err);

			if (ret == -ENOTSUP || (ret == -ENOMEM && kinds[k].registered)) {
				fprintf(stderr, "stoker: %s\n", err.message);
				break;
			}
			if (ret) {
				status = fail(&err);
				break;
			}
			if (!b->json)
				print_reads(&kinds[k], &r);
			json_object_array_add(list, reads_json(&kinds[k], &r));
			if (cases[i].block == 512 << 10) {
				double *best = strcmp(kinds[k].store, "kmod") ? &best_uring
									      : &best_kmod;

				if (strcmp(kinds[k].store, "threads") && r.bytes_per_second > *best)
					*best = r.bytes_per_second;
			}
		}
		if (!b->json && !status && r.setup_seconds > 0)
			print_setup(&kinds[k], &r);
	}
	if (best_uring > 0 && best_kmod > 0)
		choose_store(best_uring, best_kmod, b->json);
	json_object_object_add(root, "reads", list);
	if (b->json && !status)
		return print_json(stdout, root);
	json_object_put(root);
	return status;
}

static int measure_what(const struct bench *b, const char *what)
{
	static const char *const names[] = { "model",	"batch", "ops",	    "formats", "limits",
					     "shaders", "store", "grammar", "serve" };
	const struct formats_options formats = { .formats = b->format,
						 .shapes = b->shapes,
						 .prompt = (uint32_t)b->prompt,
						 .seconds = b->seconds,
						 .cached = b->cached,
						 .json = b->json };
	const struct batch_options batch = { .model = b->model,
					     .sequences = b->sequences,
					     .prompt = b->prompt,
					     .tokens = b->decode,
					     .shared = b->shared,
					     .arrive = b->arrive,
					     .repeat = b->repeat,
					     .max_gap = b->max_gap,
					     .kv = b->kv,
					     .json = b->json };
	struct guess g = { .wrong = what };

	if (!b->model &&
	    (!strcmp(what, "model") || !strcmp(what, "batch") || !strcmp(what, "store"))) {
		failf("\"bench %s\" needs a model: stoker bench %s FILE", what, what);
		return EXIT_USAGE;
	}
	if (!strcmp(what, "model"))
		return bench_model(b);
	if (!strcmp(what, "batch"))
		return bench_batch(&b->compute, &batch);
	if (!strcmp(what, "ops") && b->format && !stoker_format_by_name(b->format)) {
		failf("no format \"%s\"", b->format);
		return EXIT_USAGE;
	}
	if (!strcmp(what, "ops"))
		return bench_ops(&b->compute, b->format, b->plot, b->json);
	if (!strcmp(what, "formats"))
		return bench_formats(&b->compute, &formats);
	if (!strcmp(what, "shaders"))
		return bench_shaders(&b->compute, b->json);
	if (!strcmp(what, "limits"))
		return bench_limits(&b->compute, b->json);
	if (!strcmp(what, "store"))
		return bench_store(b);
	if (!strcmp(what, "grammar"))
		return bench_grammar(b->model, &b->grammar, b->json);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		guess_consider(&g, names[i]);
	if (g.best && g.distance)
		fprintf(stderr, "stoker: nothing to measure called \"%s\"; did you mean \"%s\"?\n",
			what, g.best);
	fputs("stoker: \"bench model FILE\", \"bench batch FILE\", \"bench store FILE\", \"bench "
	      "ops\", \"bench formats\", \"bench limits\", \"bench grammar\", \"bench "
	      "serve\" or \"bench shaders\"\n",
	      stderr);
	return EXIT_USAGE;
}

static int check_options(struct bench *b, const char *what)
{
	if ((b->kv.both || b->kv.keys || b->kv.values) && strcmp(what, "model") != 0 &&
	    strcmp(what, "batch") != 0) {
		fputs("stoker: --kv, --kv-k and --kv-v are for \"bench model\" and \"bench "
		      "batch\"\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (b->depth + (b->prompt > b->decode ? b->prompt : b->decode) > UINT32_MAX ||
	    b->prompt > UINT32_MAX || b->shared > UINT32_MAX || b->arrive > UINT32_MAX ||
	    b->shared + b->prompt + b->decode + b->arrive > UINT32_MAX) {
		fputs("stoker: too many tokens\n", stderr);
		return EXIT_USAGE;
	}
	if (!b->decode && !strcmp(what, "batch")) {
		fputs("stoker: nothing to decode: --tokens\n", stderr);
		return EXIT_USAGE;
	}
	if (!b->repeat || b->repeat > 1000 ||
	    (!b->prompt && !b->decode && strcmp(what, "formats") != 0)) {
		fputs("stoker: nothing to measure: --repeat, --prompt and --tokens\n", stderr);
		return EXIT_USAGE;
	}
	if (!(b->max_gap > 0 && b->max_gap <= 3600)) {
		fputs("stoker: --max-gap takes a number of seconds up to 3600\n", stderr);
		return EXIT_USAGE;
	}
	if (!(b->seconds > 0 && b->seconds <= 60)) {
		fputs("stoker: --seconds takes a number up to 60\n", stderr);
		return EXIT_USAGE;
	}
	b->arena_bytes = parse_size(b->arena);
	if (!b->arena_bytes) {
		failf("--arena: no size \"%s\"; " SIZES, b->arena);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static const char description[] =
	"Measures a model's speed, with one sequence or with several together, "
	"ops, matrix products in every format, how "
	"fast the device reads memory and multiplies, what the Vulkan "
	"driver compiles shaders to, how fast the drive reads a file's "
	"blocks, or what masks of a grammar take over a model's "
	"vocabulary, or 150,000 made-up words. \"bench formats\" makes a table of "
	"all formats: decoding "
	"(one row), 4 and 8 rows and a prompt, and what parts of reading and "
	"multiplying that is. \"bench serve\" measures a server, with options of its own: see "
	"stoker bench serve --help.";

int verb_bench(int argc, char **argv)
{
	struct bench b = {
		.prompt = 512,
		.decode = 128,
		.repeat = 5,
		.seconds = 0.5,
		.max_gap = 0.1,
		.arena = "64M",
		.sequences = "1,2,4,8,16",
	};
	const struct option options[] = {
		{ "model", 'm', OPTION_STRING, &b.model, "FILE",
		  "the model, or the file for \"bench store\"" },
		{ "prompt", 'p', OPTION_UINT, &b.prompt, "N",
		  "tokens of the prompt, of each for \"bench batch\", rows of one for \"bench "
		  "formats\" (512), 0: none" },
		{ "tokens", 'n', OPTION_UINT, &b.decode, "N",
		  "tokens to decode one by one (128), 0: none" },
		{ "depth", 'd', OPTION_UINT, &b.depth, "N",
		  "tokens in the context beforehand (0)" },
		{ "repeat", 'r', OPTION_UINT, &b.repeat, "N",
		  "repetitions of \"bench model\" and \"bench batch\", of which the median counts "
		  "(5)" },
		{ "sequences", 0, OPTION_STRING, &b.sequences, "N,N...",
		  "how many \"bench batch\" decodes together (1,2,4,8,16)" },
		{ "shared-prefix", 0, OPTION_UINT, &b.shared, "N",
		  "tokens that prompts of \"bench batch\" begin with, all with the same, which are "
		  "computed once (0)" },
		{ "arrive", 0, OPTION_UINT, &b.arrive, "N",
		  "a prompt of so many tokens arrives at \"bench batch\" while the others "
		  "generate, "
		  "who go on until it has been read (0: none)" },
		{ "max-gap", 0, OPTION_FLOAT, &b.max_gap, "SECONDS",
		  "between two tokens of a sequence, which \"bench batch\" keeps by reading "
		  "others' "
		  "prompts in pieces (0.1)" },
		{ "format", 0, OPTION_STRING, &b.format, "TYPE",
		  "only this format, in shapes of real models, for \"bench ops\"; only these, with "
		  "commas in between, for \"bench formats\"" },
		{ "shape", 0, OPTION_STRING, &b.shapes, "ROWSxCOLUMNS",
		  "matrices of \"bench formats\", with commas in between (4096x4096)" },
		{ "seconds", 0, OPTION_FLOAT, &b.seconds, "N",
		  "how long each figure of \"bench formats\" takes (0.5)" },
		{ "cached", 0, OPTION_FLAG, &b.cached, NULL,
		  "\"bench formats\" multiplies with the same matrix again and again; otherwise "
		  "matrices have their turns that are four times the last cache together" },
		{ "plot", 0, OPTION_STRING, &b.plot, "FILE",
		  "draw \"bench ops\" under this machine's limits (SVG)" },
		{ "arena", 0, OPTION_STRING, &b.arena, "SIZE",
		  "memory that \"bench store\" reads into (64M)" },
		KV_OPTIONS(&b.kv),
		GRAMMAR_OPTIONS(&b.grammar),
		{ "json", 0, OPTION_FLAG, &b.json, NULL, "print JSON" },
		COMPUTE_OPTIONS(&b.compute),
		{ 0 },
	};
	const struct usage usage = {
		.synopsis = "bench model|batch|ops|formats|limits|shaders|store|grammar|serve "
			    "[OPTION]... [FILE]",
		.description = description,
		.options = options,
		.operands_min = 1,
		.operands_max = 1,
		.model = &b.model,
		.model_at = 1,
		.model_optional = true,
	};
	int status;

	if (argc > 1 && !strcmp(argv[1], "serve"))
		return bench_serve(argc - 1, argv + 1);
	if (parse_options(&usage, argc, argv, &status) < 0)
		return status;
	status = check_options(&b, argv[1]);
	return status ? status : measure_what(&b, argv[1]);
}
