// SPDX-License-Identifier: MIT
/* A large stretch of a file as many reads of a store. */
#include "store/read_range.h"

#include <unistd.h>

enum { CHUNK = 1 << 20, DEPTH = 16 };

struct range {
	struct store_file file;
	uint64_t offset, bytes, next, done;
	uint8_t *dst;
};

/* The next chunk, in whole blocks: the last one reaches beyond the file's end, which is allowed. */
static void send(struct range *r, struct stoker_store *store, struct store_read *read)
{
	const uint64_t need = MIN(r->bytes - r->next, (uint64_t)CHUNK);

	*read = (struct store_read){ .file = &r->file,
				     .offset = r->offset + r->next,
				     .bytes = round_up(need, STOKER_STORE_ALIGN),
				     .need = need,
				     .dst = r->dst + r->next };
	r->next += need;
	store->ops->submit(store, &read, 1, STORE_DEMAND);
}

static int failed(const struct range *r, const struct store_read *read, struct stoker_error *err)
{
	if (read->result == -ENODATA)
		return stoker_fail(err, -EIO, "%s: ends at byte %llu, expected %llu", r->file.path,
				   (unsigned long long)(read->offset + read->done),
				   (unsigned long long)(r->offset + r->bytes));
	return stoker_fail(err, read->result, "%s: read at byte %llu: %s", r->file.path,
			   (unsigned long long)read->offset, stoker_strerror(-read->result));
}

static int read_all(struct range *r, struct stoker_store *store, stoker_progress_fn *progress,
		    void *context, struct stoker_error *err)
{
	struct store_read reads[DEPTH], *ended[DEPTH];
	unsigned under_way = 0;
	int ret = 0;

	for (; under_way < DEPTH && r->next < r->bytes; under_way++)
		send(r, store, &reads[under_way]);
	while (under_way) {
		const size_t count = store->ops->complete(store, ended, DEPTH, true);

		for (size_t i = 0; i < count; i++) {
			under_way--;
			if (ret) /* what is under way has to end */
				continue;
			if (ended[i]->result) {
				ret = failed(r, ended[i], err);
				continue;
			}
			r->done += ended[i]->need;
			if (progress && progress(context, r->done, r->bytes)) {
				ret = stoker_fail(err, -ECANCELED, "%s: reading cancelled",
						  r->file.path);
			} else if (r->next < r->bytes) {
				send(r, store, ended[i]);
				under_way++;
			}
		}
	}
	return ret;
}

int stoker_read_range(int fd, const char *path, uint64_t offset, uint64_t bytes, void *dst,
		      stoker_progress_fn *progress, void *context, struct stoker_error *err)
{
	struct range r = {
		.file = { .fd = stoker_store_reopen(fd), .plain = fd, .path = path },
		.offset = offset,
		.bytes = bytes,
		.dst = dst,
	};
	struct stoker_store *store;
	int ret;

	if (r.file.fd < 0)
		return stoker_fail(err, -errno, "%s: %s", path, stoker_strerror(errno));
	ret = stoker_store_open(NULL, &store, err);
	if (!ret) {
		ret = read_all(&r, store, progress, context, err);
		store->ops->destroy(store);
	}
	close(r.file.fd);
	return ret;
}
