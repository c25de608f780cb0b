// SPDX-License-Identifier: MIT
/* stoker quantize: a model in another tensor format. */
#include "progress.h"
#include "tool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_VALUES = 1 << 22, MAX_THREADS = 64 };

/*
 * What can be asked for: the format of most matrices, and in mixtures a better one for those that
 * matter more.  @file_type is GGUF's general.file_type.
 */
struct recipe {
	const char *name, *base, *better;
	uint32_t file_type;
};

static const struct recipe mixtures[] = {
	{ "Q4_K_M", "Q4_K", "Q6_K", 15 },
	{ "Q5_K_M", "Q5_K", "Q6_K", 17 },
};

enum { MIXTURES = sizeof(mixtures) / sizeof(*mixtures) };

static bool find_recipe(const char *name, struct recipe *r)
{
	const struct stoker_format *f = stoker_format_by_name(name);

	for (size_t i = 0; i < MIXTURES; i++)
		if (!strcasecmp(mixtures[i].name, name)) {
			*r = mixtures[i];
			return true;
		}
	if (!f || !stoker_format_can_encode(f))
		return false;
	*r = (struct recipe){ .name = stoker_format_name(f),
			      .base = stoker_format_name(f),
			      .file_type = stoker_format_file_type(f) };
	return true;
}

/* The help, which lists all that can be asked for. */
static char *describe(void)
{
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	fputs("Writes a model in another format:", f);
	for (const struct stoker_format *n = NULL; (n = stoker_format_next(n));)
		if (stoker_format_can_encode(n))
			fprintf(f, " %s", stoker_format_name(n));
	for (size_t i = 0; i < MIXTURES; i++)
		fprintf(f, " %s", mixtures[i].name);
	fputs(".\nThe _M types keep the matrices that matter most in Q6_K.", f);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static bool ends_with(const char *name, const char *end)
{
	const size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

/* Matrices that feed products; norms, routers, convolutions and biases stay as they are. */
static bool is_quantized(const struct stoker_gguf_tensor *t)
{
	return t->dimensions >= 2 && t->ne[1] > 1 && ends_with(t->name, ".weight") &&
	       !strstr(t->name, "_norm") && !strstr(t->name, "ffn_gate_inp") &&
	       !strstr(t->name, "conv") && !strstr(t->name, "rope_");
}

/* Layers at both ends and every third between get the better format, as llama.cpp's _M mixtures do.
 */
static bool is_better_layer(const char *name, uint32_t layers)
{
	unsigned i;

	if (sscanf(name, "blk.%u.", &i) != 1)
		return false;
	return i < layers / 8 || i >= 7 * layers / 8 || (i - layers / 8) % 3 == 2;
}

static const struct stoker_format *
choose(const struct recipe *r, const struct stoker_gguf_tensor *t, uint32_t layers, bool tied)
{
	const struct stoker_format *f = stoker_format_by_name(r->base);
	const bool output = !strcmp(t->name, "output.weight") ||
			    (tied && !strcmp(t->name, "token_embd.weight"));
	const bool sensitive = strstr(t->name, "attn_v.") || strstr(t->name, "attn_qkv.") ||
			       strstr(t->name, "ffn_down");

	if (!is_quantized(t))
		return t->format;
	/* the matrix that makes logits deserves six bits in every mixture below that */
	if (output && stoker_format_block_values(f) > 1 && strcmp(r->base, "Q8_0"))
		f = stoker_format_by_name("Q6_K");
	else if (r->better && sensitive && is_better_layer(t->name, layers))
		f = stoker_format_by_name(r->better);
	if (t->ne[0] % stoker_format_block_values(f))
		f = stoker_format_by_name(t->ne[0] % 32 ? "F16" : "Q8_0");
	return f;
}

/* One chunk, shared out over threads by rows. */
struct work {
	const struct stoker_format *from, *to;
	const uint8_t *src;
	uint8_t *dst;
	float *values;
	size_t begin, end; /* values */
	int failed;
};

static void *convert(void *argument)
{
	struct work *w = argument;
	const size_t n = w->end - w->begin;

	stoker_format_decode(w->from, w->src + stoker_format_bytes(w->from, w->begin),
			     w->values + w->begin, n);
	w->failed = stoker_format_encode(w->to, w->values + w->begin,
					 w->dst + stoker_format_bytes(w->to, w->begin), n);
	return NULL;
}

static int convert_chunk(const struct work *whole, size_t values, unsigned threads)
{
	struct work parts[MAX_THREADS];
	pthread_t ids[MAX_THREADS];
	bool started[MAX_THREADS] = { false };
	const size_t each = (values / threads + 511) / 256 * 256;
	size_t at = 0;
	int failed = 0;

	for (unsigned i = 0; i < threads; i++) {
		parts[i] = *whole;
		parts[i].begin = at;
		at = at + each < values && i + 1 < threads ? at + each : values;
		parts[i].end = at;
		if (i)
			started[i] = !pthread_create(&ids[i], NULL, convert, &parts[i]);
		if (i && !started[i])
			convert(&parts[i]);
	}
	convert(&parts[0]);
	for (unsigned i = 0; i < threads; i++) {
		if (started[i])
			pthread_join(ids[i], NULL);
		failed = failed ? failed : parts[i].failed;
	}
	return failed;
}

/* How far all of it is. */
struct position {
	struct progress line;
	size_t tensor, tensors;
	uint64_t done, all; /* bytes of the input */
};

static int write_tensor(const struct stoker_gguf *in, const struct stoker_gguf_tensor *t,
			const struct stoker_format *to, struct stoker_gguf_writer *out,
			unsigned threads, struct position *p, struct stoker_error *err)
{
	const uint64_t total = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
	const uint64_t chunk = total < CHUNK_VALUES ? total : CHUNK_VALUES;
	struct work w = { .from = t->format, .to = to };
	uint8_t *src = malloc(stoker_format_bytes(t->format, chunk)), *dst = malloc(4 * chunk);
	int ret = 0;

	w.values = malloc(chunk * sizeof(float));
	w.src = src;
	w.dst = dst;
	if (!src || !dst || !w.values) {
		snprintf(err->message, sizeof(err->message), "%s: out of memory", t->name);
		ret = -ENOMEM;
	}
	for (uint64_t at = 0; at < total && !ret; at += chunk) {
		const uint64_t n = total - at < chunk ? total - at : chunk;

		if (interrupted())
			ret = -ECANCELED;
		else
			ret = stoker_gguf_read(in, t, stoker_format_bytes(t->format, at), src,
					       stoker_format_bytes(t->format, n), err);
		if (ret)
			break;
		p->done += stoker_format_bytes(t->format, n);
		progress_show(&p->line, "quantizing: %3.0f %%, tensor %zu of %zu, %s",
			      100.0 * (double)p->done / (double)p->all, p->tensor, p->tensors,
			      t->name);
		if (to == t->format) {
			ret = stoker_gguf_write(out, src, stoker_format_bytes(to, n), err);
			continue;
		}
		ret = convert_chunk(&w, n, threads);
		if (ret)
			snprintf(err->message, sizeof(err->message),
				 "%s: holds values that aren't finite", t->name);
		else
			ret = stoker_gguf_write(out, dst, stoker_format_bytes(to, n), err);
	}
	free(src);
	free(dst);
	free(w.values);
	return ret;
}

static uint32_t layer_count(const struct stoker_gguf *in)
{
	uint32_t count = 0;
	unsigned i;

	for (size_t n = 0; n < stoker_gguf_tensor_count(in); n++)
		if (sscanf(stoker_gguf_tensor(in, n)->name, "blk.%u.", &i) == 1 && i >= count)
			count = i + 1;
	return count;
}

static int quantize(const struct stoker_gguf *in, struct stoker_gguf_writer *out,
		    const struct recipe *r, unsigned threads)
{
	const size_t count = stoker_gguf_tensor_count(in);
	const bool tied = !stoker_gguf_find_tensor(in, "output.weight");
	const uint32_t layers = layer_count(in);
	struct position p = { .tensors = count };
	struct stoker_error err = { "out of memory" };
	int ret = 0;

	copy_keys(in, out, true);
	stoker_gguf_put_u32(out, "general.quantization_version", 2);
	stoker_gguf_put_u32(out, "general.file_type", r->file_type);
	for (size_t i = 0; i < count; i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(in, i);

		stoker_gguf_put_tensor(out, t->name, choose(r, t, layers, tied), t->dimensions,
				       t->ne);
		p.all += t->bytes;
	}
	progress_begin(&p.line);
	for (; p.tensor < count && !ret;) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(in, p.tensor++);

		ret = write_tensor(in, t, choose(r, t, layers, tied), out, threads, &p, &err);
	}
	progress_end(&p.line);
	return ret == -ECANCELED ? EXIT_INTERRUPTED : ret ? fail(&err) : EXIT_OK;
}

int verb_quantize(int argc, char **argv)
{
	const char *model = NULL;
	uint64_t threads = 0;
	const struct option options[] = {
		MODEL_OPTION(&model),
		{ "threads", 't', OPTION_UINT, &threads, "N", "threads, 0: one for each core" },
		{ 0 },
	};
	char *help = describe();
	const struct usage usage = {
		.synopsis = "quantize [OPTION]... IN OUT TYPE",
		.description = help ? help : "",
		.options = options,
		.operands_min = 2,
		.operands_max = 2,
		.model = &model,
	};
	struct recipe recipe;
	struct stoker_gguf_writer *out = NULL;
	struct stoker_gguf *in = NULL;
	struct stoker_error err;
	int status;

	const int parsed = parse_options(&usage, argc, argv, &status);

	free(help);
	if (parsed < 0)
		return status;
	if (!find_recipe(argv[2], &recipe)) {
		fprintf(stderr, "stoker: no type \"%s\"; \"stoker quantize --help\" lists them\n",
			argv[2]);
		return EXIT_USAGE;
	}
	if (!threads)
		threads = stoker_device_threads();
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	cancel_on_interrupt(NULL);
	if (!stoker_gguf_open(model, &in, &err) && is_input(in, argv[1])) {
		stoker_gguf_close(&in);
		return failf("%s: is the input", argv[1]);
	}
	if (!in || stoker_gguf_writer_open(argv[1], &out, &err)) {
		stoker_gguf_close(&in);
		return fail(&err);
	}
	warn_of_holes(in);
	remove_on_signal(stoker_gguf_writer_part(out));
	status = quantize(in, out, &recipe, (unsigned)threads);
	remove_on_signal(NULL);
	if (stoker_gguf_writer_finish(&out, status == EXIT_OK, &err) && !status)
		status = fail(&err);
	stoker_gguf_close(&in);
	return status;
}
