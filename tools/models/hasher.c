// SPDX-License-Identifier: MIT
/* SHA-256 of a file that is still being written, by a thread that follows the writer. */
#include "models/hasher.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "models/libraries.h"

/* It isn't woken for less than WORTH: each time costs more than hashing that little. */
enum { CHUNK = 256 << 10, WORTH = 2 << 20, BEHIND = 32 << 20 };

struct hasher {
	int fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	EVP_MD_CTX *context;
	char *buffer;
	uint64_t there, done; /* guarded by the lock, as the next two */
	bool awake, ending, unwanted;
	int failure;
};

/* The next stretch to hash; 0: there will be none. */
static uint64_t next_stretch(struct hasher *h)
{
	uint64_t bytes;

	pthread_mutex_lock(&h->lock);
	while (h->there - h->done < (h->awake ? 1 : WORTH) && !h->ending) {
		h->awake = false;
		pthread_cond_wait(&h->moved, &h->lock);
	}
	h->awake = true;
	bytes = h->unwanted ? 0 : h->there - h->done;
	pthread_mutex_unlock(&h->lock);
	return bytes < CHUNK ? bytes : CHUNK;
}

static void *follow(void *context)
{
	struct hasher *h = context;
	uint64_t bytes, at = 0, sent = 0;

	while ((bytes = next_stretch(h)) > 0) {
		const ssize_t n = pread(h->fd, h->buffer, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !libcrypto.DigestUpdate(h->context, h->buffer, (size_t)n)) {
			h->failure = n < 0 ? -errno : -EIO;
			pthread_mutex_lock(&h->lock);
			h->done = UINT64_MAX; /* nobody waits for the rest */
			pthread_mutex_unlock(&h->lock);
			break;
		}
		at += (uint64_t)n;
		if (at - sent >=
		    BEHIND) { /* on its way to the drive, so that fsync() has little to do */
			sync_file_range(h->fd, (off_t)sent, (off_t)(at - sent),
					SYNC_FILE_RANGE_WRITE);
			sent = at;
		}
		pthread_mutex_lock(&h->lock);
		h->done = at;
		pthread_mutex_unlock(&h->lock);
	}
	return NULL;
}

static void release(struct hasher *h)
{
	libcrypto.MD_CTX_free(h->context);
	pthread_cond_destroy(&h->moved);
	pthread_mutex_destroy(&h->lock);
	free(h->buffer);
	free(h);
}

int hasher_open(struct stoker_error *err)
{
	return libcrypto_load(err);
}

struct hasher *hasher_start(int fd)
{
	struct hasher *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fd = fd;
	h->buffer = malloc(CHUNK);
	h->context = libcrypto.MD_CTX_new();
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->moved, NULL);
	if (!h->buffer || !h->context ||
	    !libcrypto.DigestInit_ex(h->context, libcrypto.sha256(), NULL) ||
	    pthread_create(&h->thread, NULL, follow, h)) {
		release(h);
		return NULL;
	}
	return h;
}

void hasher_advance(struct hasher *h, uint64_t bytes)
{
	pthread_mutex_lock(&h->lock);
	h->there = bytes;
	if (!h->awake && bytes - h->done >= WORTH)
		pthread_cond_signal(&h->moved);
	pthread_mutex_unlock(&h->lock);
}

void hasher_end(struct hasher *h)
{
	pthread_mutex_lock(&h->lock);
	h->ending = true;
	pthread_cond_signal(&h->moved);
	pthread_mutex_unlock(&h->lock);
}

uint64_t hasher_done(struct hasher *h)
{
	uint64_t done;

	pthread_mutex_lock(&h->lock);
	done = h->done;
	pthread_mutex_unlock(&h->lock);
	return done;
}

int hasher_finish(struct hasher *h, char hex[SHA256_HEX + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	int ret;

	pthread_mutex_lock(&h->lock);
	h->ending = true;
	h->unwanted = !hex;
	pthread_cond_signal(&h->moved);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	ret = h->failure;
	if (!ret && hex && (!libcrypto.DigestFinal_ex(h->context, digest, &length) || length != 32))
		ret = -EIO;
	for (unsigned i = 0; !ret && hex && i < length; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	release(h);
	return ret;
}

int hasher_file(const char *path, char hex[SHA256_HEX + 1], uint64_t *bytes,
		int (*tick)(void *context, uint64_t done, uint64_t all), void *context,
		struct stoker_error *err)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct hasher *h = NULL;
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st))
		ret = -errno;
	else if (!(h = hasher_start(fd)))
		ret = -ENOMEM;
	if (h) {
		*bytes = (uint64_t)st.st_size;
		hasher_advance(h, *bytes);
		hasher_end(h);
		while (!ret && hasher_done(h) < *bytes) {
			ret = tick(context, hasher_done(h), *bytes) ? -ECANCELED : 0;
			nanosleep(&pause, NULL);
		}
		if (ret)
			hasher_finish(h, NULL);
		else
			ret = hasher_finish(h, hex);
	}
	if (ret)
		store_error(err, ret, "%s: %s", path, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}
