// SPDX-License-Identifier: MIT
/* What tells a container from all others: its files' heads, and how some of its tensors begin. */
#include <unistd.h>

#include "gguf/gguf.h"

enum {
	CHUNK_BYTES = 1 << 16,
	SAMPLES = 64, /* tensors, and bytes of each: models may differ in their weights only */
	SAMPLE_BYTES = 256,
};

/* Two hashes that have nothing in common: no two models of the world share both by chance. */
static void add(uint64_t hash[2], const uint8_t *at, size_t bytes)
{
	for (size_t n; bytes; bytes -= n, at += n) {
		uint64_t word = 0;

		n = MIN(bytes, sizeof(word));
		memcpy(&word, at, n);
		hash[0] = (hash[0] ^ word) * 0x9e3779b97f4a7c15u;
		hash[0] ^= hash[0] >> 32;
		hash[1] = (hash[1] + word) * 0xd6e8feb86659fd93u;
		hash[1] ^= hash[1] >> 29;
	}
}

static int add_head(const struct stoker_gguf *g, uint32_t file, uint8_t *chunk, uint64_t hash[2],
		    struct stoker_error *err)
{
	const uint64_t end = stoker_gguf_data(g, file);
	uint64_t bytes;
	int fd;
	const char *path = stoker_gguf_file(g, file, &fd, &bytes);

	add(hash, (const uint8_t *)&bytes, sizeof(bytes));
	for (uint64_t at = 0; at < end;) {
		const ssize_t got =
			pread(fd, chunk, (size_t)MIN(end - at, (uint64_t)CHUNK_BYTES), (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return stoker_fail(err, got ? -errno : -EIO, "%s: %s", path,
					   got ? stoker_strerror(errno) : "file became shorter");
		add(hash, chunk, (size_t)got);
		at += (uint64_t)got;
	}
	return gguf_check_unchanged(g, file, err);
}

int gguf_identity(const struct stoker_gguf *g, uint64_t hash[2], struct stoker_error *err)
{
	const size_t tensors = stoker_gguf_tensor_count(g), step = tensors / SAMPLES + 1;
	uint8_t *chunk = malloc(CHUNK_BYTES);
	int ret = chunk ? 0 : stoker_fail(err, -ENOMEM, "out of memory");

	hash[0] = hash[1] = 0;
	for (uint32_t i = 0; i < stoker_gguf_file_count(g) && !ret; i++)
		ret = add_head(g, i, chunk, hash, err);
	for (size_t i = 0; i < tensors && !ret; i += step) {
		const struct stoker_gguf_tensor *t = stoker_gguf_tensor(g, i);
		const size_t bytes = (size_t)MIN(t->bytes, (uint64_t)SAMPLE_BYTES);

		ret = stoker_gguf_read(g, t, 0, chunk, bytes, err);
		if (!ret)
			add(hash, chunk, bytes);
	}
	free(chunk);
	return ret;
}
