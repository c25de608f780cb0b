// SPDX-License-Identifier: MIT
/* Reading importance matrices and finding a model's tensors in them. */
#include "quantize/importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

void importance_free(struct importance *importance)
{
	for (size_t i = 0; i < importance->count; i++) {
		free(importance->entries[i].name);
		free(importance->entries[i].values);
	}
	free(importance->entries);
	free(importance->dataset);
	*importance = (struct importance){ 0 };
}

struct importance_entry *importance_add(struct importance *importance, const char *path,
					const char *name, size_t length, uint64_t columns,
					uint64_t matrices)
{
	struct importance_entry *more = importance->entries, *e;

	/* a power of two is full */
	if (!(importance->count & (importance->count - 1)))
		more = realloc(more,
			       (importance->count ? 2 * importance->count : 1) * sizeof(*more));
	if (!more) {
		failf("%s: out of memory", path);
		return NULL;
	}
	importance->entries = more;
	e = &more[importance->count];
	*e = (struct importance_entry){ .name = strndup(name, length),
					.columns = columns,
					.matrices = matrices,
					.values = calloc(columns * matrices, sizeof(float)) };
	importance->count++;
	if (e->name && e->values)
		return e;
	failf("%s: out of memory", path);
	return NULL;
}

static void fill_ones(float *values, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		values[i] = 1;
}

static bool is_zero(const float *values, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (values[i] > 0)
			return false;
	return true;
}

void importance_mean(struct importance_entry *e, const float *counts, uint64_t count)
{
	double all = 0;

	for (uint64_t k = 0; k < e->matrices; k++)
		all += (double)counts[count == 1 ? 0 : k];
	for (uint64_t c = 0; c < e->columns && all > 0; c++) {
		double sum = 0;

		for (uint64_t k = 0; k < e->matrices; k++)
			sum += (double)e->values[k * e->columns + c];
		for (uint64_t k = 0; k < e->matrices; k++) {
			const double seen = (double)counts[count == 1 ? 0 : k];
			const double missing = seen < IMPORTANCE_TOKENS && e->matrices > 1
						       ? IMPORTANCE_TOKENS - seen
						       : 0;
			float *value = &e->values[k * e->columns + c];

			*value = (float)(((double)*value + missing * sum / all) / (seen + missing));
		}
	}
	for (uint64_t k = 0; k < e->matrices; k++)
		if (!(all > 0) || is_zero(e->values + k * e->columns, e->columns))
			fill_ones(e->values + k * e->columns, e->columns);
}

static int read_floats(const struct stoker_gguf *in, const struct stoker_gguf_tensor *t,
		       float *values)
{
	struct stoker_error err;

	if (stoker_gguf_read(in, t, 0, values, t->bytes, &err))
		return fail(&err);
	for (uint64_t i = 0; i < t->bytes / sizeof(float); i++)
		if (!isfinite(values[i]) || values[i] < 0)
			return failf("%s: %s: value %llu is %g",
				     stoker_gguf_file(in, 0, NULL, NULL), t->name,
				     (unsigned long long)i, (double)values[i]);
	return EXIT_OK;
}

/* "NAME.in_sum2" and "NAME.counts" */
static int read_entry(const struct stoker_gguf *in, const struct stoker_gguf_tensor *sums,
		      size_t length, struct importance *importance)
{
	const char *path = stoker_gguf_file(in, 0, NULL, NULL);
	const struct stoker_format *f32 = stoker_format_by_name("F32");
	const struct stoker_gguf_tensor *counts = NULL;
	struct importance_entry *e;
	char name[256];
	float *seen;
	int status = EXIT_OK;

	snprintf(name, sizeof(name), "%.*s.counts", (int)length, sums->name);
	if (strlen(name) == length + strlen(".counts"))
		counts = stoker_gguf_find_tensor(in, name);
	if (!counts || sums->format != f32 || counts->format != f32)
		return failf("%s: %s needs %s beside it, both F32", path, sums->name, name);

	const uint64_t values = sums->bytes / sizeof(float), rows = counts->bytes / sizeof(float);
	const uint64_t matrices = rows > 1 ? rows : values / sums->ne[0];

	if (values % matrices || (rows > 1 && sums->ne[0] != values / rows))
		return failf("%s: %s has %llu values in rows of %llu, %s %llu counts", path,
			     sums->name, (unsigned long long)values,
			     (unsigned long long)sums->ne[0], name, (unsigned long long)rows);
	e = importance_add(importance, path, sums->name, length, values / matrices, matrices);
	if (!e)
		return EXIT_FAILED;
	seen = malloc(counts->bytes);
	if (!seen)
		return failf("%s: out of memory", path);
	status = read_floats(in, sums, e->values);
	if (!status)
		status = read_floats(in, counts, seen);
	if (!status)
		importance_mean(e, seen, rows);
	free(seen);
	return status;
}

static void read_keys(const struct stoker_gguf *in, struct importance *importance)
{
	const struct stoker_gguf_key *chunks = stoker_gguf_find(in, "imatrix.chunk_count"),
				     *texts = stoker_gguf_find(in, "imatrix.datasets");
	struct stoker_string *strings;
	uint64_t value;

	if (chunks && !stoker_gguf_u64(in, chunks, 0, &value) && value <= UINT32_MAX)
		importance->chunks = (uint32_t)value;
	if (!texts || texts->type != STOKER_GGUF_ARRAY || !texts->count)
		return;
	strings = calloc(texts->count, sizeof(*strings));
	if (strings && !stoker_gguf_strings(in, texts, strings))
		importance->dataset = strndup(strings[0].data, strings[0].length);
	free(strings);
}

static int read_container(const char *path, struct importance *importance)
{
	static const char end[] = ".in_sum2";
	const size_t tail = sizeof(end) - 1;
	struct stoker_gguf *in;
	struct stoker_error err;
	int status = EXIT_OK;

	if (stoker_gguf_open(path, &in, &err))
		return fail(&err);
	for (size_t i = 0; i < stoker_gguf_tensor_count(in) && !status; i++) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(in, i);
		const size_t length = strlen(t->name);

		if (length > tail && !strcmp(t->name + length - tail, end))
			status = read_entry(in, t, length - tail, importance);
	}
	if (!status && !importance->count)
		status = failf("%s: not an importance matrix: it has no tensors NAME%s", path, end);
	read_keys(in, importance);
	stoker_gguf_close(&in);
	return status;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct importance_entry *)a)->name,
		      ((const struct importance_entry *)b)->name);
}

int importance_read(const char *path, struct importance *importance)
{
	char magic[4] = "";
	FILE *f = fopen(path, "rbe");
	int status;

	*importance = (struct importance){ 0 };
	/* what can't be opened gets its complaint below */
	const bool is_container = !f || fread(magic, 1, sizeof(magic), f) != sizeof(magic) ||
				  !memcmp(magic, "GGUF", sizeof(magic));

	if (f)
		fclose(f);
	status = is_container ? read_container(path, importance)
			      : importance_read_data(path, importance);
	if (!status)
		qsort(importance->entries, importance->count, sizeof(*importance->entries),
		      by_name);
	return status;
}

static const struct importance_entry *find(const struct importance *importance, const char *name)
{
	const struct importance_entry key = { .name = (char *)name };

	return bsearch(&key, importance->entries, importance->count, sizeof(key), by_name);
}

/* Of experts that are tensors of their own, blk.0.ffn_up.3.weight, it may be in blk.0.ffn_up_exps.
 */
static const struct importance_entry *find_packed(const struct importance *importance,
						  const char *name, unsigned *expert)
{
	char together[256], kind[64];
	unsigned layer;
	int end = 0;

	if (sscanf(name, "blk.%u.%63[a-z_].%u.weight%n", &layer, kind, expert, &end) != 3 || !end ||
	    name[end])
		return NULL;
	snprintf(together, sizeof(together), "blk.%u.%s_exps.weight", layer, kind);
	return find(importance, together);
}

/* Whether it was found; *status is what it is when it's of another model. */
static bool apply_to(const struct importance *importance, const char *path, struct planned *t,
		     int *status)
{
	const uint64_t *ne = t->tensor->ne, matrices = ne[2] * ne[3];
	const struct importance_entry *e = find(importance, t->tensor->name);
	unsigned expert = 0;
	bool packed = false;

	if (!e) {
		e = find_packed(importance, t->tensor->name, &expert);
		packed = e;
	}
	if (!e)
		return false;
	/* the old form doesn't say how many matrices there are */
	const uint64_t values = e->columns * e->matrices;
	const bool fits = packed ? values % ne[0] == 0 && expert < values / ne[0]
				 : values == ne[0] * matrices;

	if (!fits) {
		*status = failf("%s is of another model: %s has %llu values there, %llu here", path,
				t->tensor->name, (unsigned long long)values,
				(unsigned long long)(ne[0] * matrices));
		return false;
	}
	t->importance = e->values + expert * ne[0];
	return true;
}

int importance_apply(const struct importance *importance, const char *path, struct plan *p)
{
	const char *missing = NULL;
	size_t found = 0, lacking = 0;
	int status = EXIT_OK;

	for (size_t i = 0; i < p->count && !status; i++) {
		struct planned *t = &p->tensors[i];

		if (!t->quantized)
			continue;
		if (apply_to(importance, path, t, &status)) {
			found++;
		} else if (t->kind != KIND_OUTPUT && t->kind != KIND_EMBEDDING) {
			lacking++;
			missing = missing ? missing : t->tensor->name;
		}
	}
	if (!status && !found)
		return failf("%s is of another model: it has no %s", path,
			     missing ? missing : "matrix of this one");
	if (!status && lacking)
		fprintf(stderr, "stoker: %s lacks %zu matrices of the model, %s for one\n", path,
			lacking, missing);
	p->has_importance = true;
	return status;
}

void importance_put_keys(const struct importance *importance, const char *path,
			 struct stoker_gguf_writer *out)
{
	stoker_gguf_writer_put_string(out, "quantize.imatrix.file", file_name(path));
	if (importance->dataset)
		stoker_gguf_writer_put_string(out, "quantize.imatrix.dataset", importance->dataset);
	stoker_gguf_writer_put_u32(out, "quantize.imatrix.entries_count",
				   (uint32_t)importance->count);
	if (importance->chunks)
		stoker_gguf_writer_put_u32(out, "quantize.imatrix.chunks_count",
					   importance->chunks);
}
