// SPDX-License-Identifier: MIT
/* One file into the store: gone on with where it was left, checked, and named only when it's right.
 */
#include "models/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "models/hasher.h"
#include "tool.h"

enum { MAX_TRIES = 5, LONGEST_WAIT = 300 };

struct job {
	struct http *h;
	struct fetch *f;
	struct store_record record;
	char *part;
	int fd;
	uint64_t have;
	struct hasher *hasher;
	bool restarted, given_bytes, given_hash; /* what the caller knew */
};

char *fetch_part(const char *path)
{
	return store_text("%s.part", path);
}

/* The unfinished file, which nobody else has. */
static int open_part(struct job *j, struct stoker_error *err)
{
	struct stat mine, there;

	for (;;) {
		j->fd = open(j->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (j->fd < 0)
			return store_error(err, -errno, "%s: %s", j->part, strerror(errno));
		if (flock(j->fd, LOCK_EX | LOCK_NB))
			return store_error(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "%s: %s",
					   j->f->path,
					   errno == EWOULDBLOCK ? "another program is fetching it"
								: strerror(errno));
		/* it may have got its name, or gone, before it was locked */
		if (!fstat(j->fd, &mine) && !stat(j->part, &there) && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev)
			break;
		close(j->fd);
	}
	if (!S_ISREG(mine.st_mode))
		return store_error(err, -EINVAL, "%s: no regular file", j->part);
	j->have = (uint64_t)mine.st_size;
	return 0;
}

static int restart(struct job *j, struct stoker_error *err)
{
	if (j->hasher)
		hasher_finish(j->hasher, NULL);
	j->have = 0;
	if (ftruncate(j->fd, 0) || lseek(j->fd, 0, SEEK_SET)) {
		j->hasher = NULL;
		return store_error(err, -errno, "%s: %s", j->part, strerror(errno));
	}
	j->hasher = hasher_start(j->fd);
	return j->hasher ? 0 : store_error(err, -ENOMEM, "no thread can be started");
}

/* Whether what is there is of the file that is wanted. */
static bool goes_on(const struct job *j)
{
	const struct store_record *r = &j->record;

	if (!j->have || (j->f->bytes && j->have > j->f->bytes))
		return false;
	if (*j->f->sha256)
		return !strcmp(r->sha256, j->f->sha256);
	return r->url && store_same_url(r->url, j->f->url) && (*r->etag == '"' || *r->sha256);
}

static int resume(struct job *j, struct stoker_error *err)
{
	j->given_bytes = j->f->bytes > 0;
	j->given_hash = *j->f->sha256 != 0;
	store_load_record(j->part, &j->record);
	if (!goes_on(j)) {
		store_free_record(&j->record);
		/* what follows may be a secret: a signed address */
		j->record.url = strndup(j->f->url, strcspn(j->f->url, "?#"));
		if (!j->record.url)
			return store_error(err, -ENOMEM, "out of memory");
		return restart(j, err);
	}
	if (!j->f->bytes)
		j->f->bytes = j->record.bytes;
	if (!*j->f->sha256)
		memcpy(j->f->sha256, j->record.sha256, sizeof(j->f->sha256));
	if (lseek(j->fd, (off_t)j->have, SEEK_SET) < 0)
		return store_error(err, -errno, "%s: %s", j->part, strerror(errno));
	j->hasher = hasher_start(j->fd);
	if (!j->hasher)
		return store_error(err, -ENOMEM, "no thread can be started");
	hasher_advance(j->hasher, j->have);
	j->f->resumed = j->have;
	return 0;
}

static uint64_t free_space(const struct job *j)
{
	struct statvfs v;

	return fstatvfs(j->fd, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

static int too_full(const struct job *j, uint64_t wanted, struct stoker_error *err)
{
	char more[16], left[16];

	if (!wanted) /* nobody said how much there is */
		return store_error(err, -ENOSPC, "%s: no space left after %s", j->f->path,
				   human_size(j->have, more));
	return store_error(err, -ENOSPC, "%s: it takes %s more, the drive has %s left", j->f->path,
			   human_size(wanted, more), human_size(free_space(j), left));
}

/* How much the server says there is: what was announced before has to agree. */
static int agree_on_size(struct job *j, const struct http_reply *r, struct stoker_error *err)
{
	struct fetch *f = j->f;
	const uint64_t all = r->status == 206 ? r->total : r->has_length ? r->length : 0;

	if (!f->bytes)
		f->bytes = r->linked_bytes;
	if (f->bytes && all && all != f->bytes)
		return store_error(err, -EINVAL,
				   "%s: %llu bytes were announced, the server now has %llu", f->url,
				   (unsigned long long)f->bytes, (unsigned long long)all);
	if (!f->bytes)
		f->bytes = all;
	if (f->bytes && f->bytes - j->have > free_space(j))
		return too_full(j, f->bytes - j->have, err);
	return 0;
}

static int begin(void *context, const struct http_reply *r, struct stoker_error *err)
{
	struct job *j = context;
	int ret = 0;

	if (r->status == 206 && (!r->has_range || r->first != j->have))
		return store_error(err, -EINVAL, "%s: asked for byte %llu on, got byte %llu on",
				   j->f->url, (unsigned long long)j->have,
				   (unsigned long long)(r->has_range ? r->first : 0));
	if (r->status == 200 && j->have) /* no ranges here, or it isn't the file that it was */
		ret = restart(j, err);
	if (r->status == 200 && !j->given_bytes)
		j->f->bytes = 0;
	if (r->status == 200 && !j->given_hash)
		j->f->sha256[0] = 0;
	if (*j->f->sha256 && *r->linked_hash && strcmp(j->f->sha256, r->linked_hash) != 0)
		return store_error(
			err, -EINVAL,
			"%s: SHA-256 %.12s... was announced, the server now has %.12s...",
			j->f->url, j->f->sha256, r->linked_hash);
	if (*r->linked_hash)
		memcpy(j->f->sha256, r->linked_hash, sizeof(j->f->sha256));
	if (!ret)
		ret = agree_on_size(j, r, err);
	if (ret)
		return ret;
	memcpy(j->record.sha256, j->f->sha256, sizeof(j->record.sha256));
	memcpy(j->record.etag, r->etag, sizeof(j->record.etag));
	j->record.bytes = j->f->bytes;
	return store_save_record(j->part, &j->record, err);
}

static int take(void *context, const char *data, size_t bytes, struct stoker_error *err)
{
	struct job *j = context;

	if (j->f->bytes && bytes > j->f->bytes - j->have)
		return store_error(err, -EINVAL,
				   "%s: %llu bytes were announced, the server sends more",
				   j->f->url, (unsigned long long)j->f->bytes);
	while (bytes) {
		const ssize_t n = write(j->fd, data, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOSPC)
			return too_full(j, j->f->bytes ? j->f->bytes - j->have : 0, err);
		if (n <= 0)
			return store_error(err, n ? -errno : -EIO, "%s: can't write it: %s",
					   j->part, strerror(n ? errno : EIO));
		data += n;
		bytes -= (size_t)n;
		j->have += (uint64_t)n;
		j->f->received += (uint64_t)n;
	}
	j->f->got = j->have;
	hasher_advance(j->hasher, j->have);
	return 0;
}

static int wait_seconds(struct job *j, int64_t seconds, struct stoker_error *err)
{
	const double until = now_seconds() + (double)seconds;
	const struct timespec pause = { .tv_nsec = 50000000 };

	while (now_seconds() < until) {
		if (j->h->tick && j->h->tick(j->h->context))
			return store_error(err, -ECANCELED, "interrupted");
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* What a status other than success means: -EAGAIN when another try may help. */
static int explain(struct job *j, const struct http_reply *r, struct stoker_error *err)
{
	const bool later = r->status == 429 || r->status == 408 || r->status >= 500;

	if (later && r->retry_after > LONGEST_WAIT)
		return store_error(err, -EBUSY, "%s: the server says %ld and to wait %lld seconds",
				   j->f->url, r->status, (long long)r->retry_after);
	if (r->status == 416 && !j->restarted) {
		j->restarted = true;
		return restart(j, err) ? -EIO : store_error(err, -EAGAIN, "no such range");
	}
	return store_error(err, later ? -EAGAIN : -ENOENT, "%s: the server says %ld%s", j->f->url,
			   r->status,
			   r->status == 401 || r->status == 403
				   ? j->h->token ? ", the token doesn't open it"
						 : ", it wants a token: HF_TOKEN or --token-file"
			   : r->status == 404 ? ", there is no such file"
			   : later	      ? ", it's busy"
					      : "");
}

static int download(struct job *j, struct stoker_error *err)
{
	struct http_reply reply = { 0 };
	unsigned tries = 0;
	int ret = 0;

	while (!j->f->bytes || j->have < j->f->bytes) {
		const struct http_request q = {
			j->f->url, j->have, j->record.etag, begin, take, j
		};
		const uint64_t before = j->f->received;
		int64_t pause = 0;

		ret = http_get(j->h, &q, &reply, err);
		if (!ret && reply.status != 200 && reply.status != 206)
			ret = explain(j, &reply, err);
		else if (!ret && j->f->bytes && j->have < j->f->bytes)
			ret = store_error(err, -EAGAIN, "%s: it ended after %llu of %llu bytes",
					  j->f->url, (unsigned long long)j->have,
					  (unsigned long long)j->f->bytes);
		pause = reply.retry_after;
		http_free_reply(&reply);
		if (ret != -EAGAIN)
			break;
		tries = j->f->received > before ? 0 : tries + 1;
		if (tries == MAX_TRIES)
			break;
		if (!pause && tries)
			pause = 1 << (tries - 1);
		ret = wait_seconds(j, pause, err);
		if (ret)
			break;
	}
	return ret;
}

/* A file that no reader could make anything of doesn't get into the store. */
static int check_model(const struct job *j, struct stoker_error *err)
{
	struct stoker_gguf *gguf = NULL;
	struct stoker_error why;
	unsigned number, of;
	int ret;

	if (store_split(j->f->path, &number, &of))
		return 0; /* no part says much without the others */
	ret = stoker_gguf_open(j->part, &gguf, &why);
	stoker_gguf_close(&gguf);
	if (ret == -ENOTSUP)
		fprintf(stderr, "stoker: warning: %s\n", why.message);
	else if (ret)
		return store_error(err, ret, "%s gave no model: %.300s", j->f->url, why.message);
	return 0;
}

static int check_hash(struct job *j, struct stoker_error *err)
{
	char hex[SHA256_HEX + 1];
	struct hasher *h = j->hasher;
	int ret;

	while (hasher_done(h) < j->have) {
		const struct timespec pause = { .tv_nsec = 5000000 };

		if (j->h->tick && j->h->tick(j->h->context))
			return store_error(err, -ECANCELED, "interrupted");
		nanosleep(&pause, NULL);
	}
	j->hasher = NULL;
	ret = hasher_finish(h, hex);
	if (ret)
		return store_error(err, ret, "%s: can't hash it: %s", j->part, strerror(-ret));
	if (*j->f->sha256 && strcmp(hex, j->f->sha256) != 0)
		return store_error(err, -EILSEQ,
				   "%s: SHA-256 %.12s... was announced, what came has %.12s...",
				   j->f->url, j->f->sha256, hex);
	memcpy(j->f->sha256, hex, sizeof(hex));
	return 0;
}

/* It gets its name when all of it is on the drive. */
static int put_in_place(struct job *j, struct stoker_error *err)
{
	char *folder = strdup(j->f->path), *record = store_record_path(j->part);
	int fd = -1, ret = folder ? 0 : -ENOMEM;

	memcpy(j->record.sha256, j->f->sha256, sizeof(j->record.sha256));
	j->record.bytes = j->have;
	if (!ret && fsync(j->fd))
		ret = -errno;
	if (!ret) {
		ret = store_save_record(j->f->path, &j->record, err);
		if (ret)
			goto out;
	}
	if (!ret && rename(j->part, j->f->path))
		ret = -errno;
	if (ret)
		store_error(err, ret, "%s: %s", j->f->path, strerror(-ret));
	if (!ret) {
		if (record)
			unlink(record);
		*strrchr(folder, '/') = 0;
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			fsync(fd);
	}
	if (fd >= 0)
		close(fd);
out:
	free(record);
	free(folder);
	return ret;
}

static void remove_part(struct job *j)
{
	char *record = store_record_path(j->part);

	unlink(j->part);
	if (record)
		unlink(record);
	free(record);
}

static int fetch_once(struct job *j, struct stoker_error *err)
{
	int ret = download(j, err);
	bool wrong = ret == -EINVAL;

	if (!ret) {
		ret = check_hash(j, err);
		if (ret == -EILSEQ && j->f->resumed) { /* what was there before may be to blame */
			j->f->resumed = 0;
			if (restart(j, err))
				return -EIO;
			return fetch_once(j, err);
		}
		if (!ret)
			ret = check_model(j, err);
		wrong = ret == -EILSEQ || ret == -EINVAL;
	}
	if (!ret)
		ret = put_in_place(j, err);
	if (ret && (wrong || !j->have))
		remove_part(j);
	return ret;
}

int fetch_file(struct http *h, struct fetch *f, struct stoker_error *err)
{
	struct job j = { .h = h, .f = f, .fd = -1, .part = fetch_part(f->path) };
	int ret = j.part ? store_make_folders(f->path, err) : -ENOMEM;

	f->received = f->resumed = f->got = 0;
	if (!ret)
		ret = open_part(&j, err);
	if (!ret)
		ret = resume(&j, err);
	if (!ret) {
		f->got = j.have;
		ret = fetch_once(&j, err);
	}
	if (j.hasher)
		hasher_finish(j.hasher, NULL);
	if (j.fd >= 0)
		close(j.fd);
	store_free_record(&j.record);
	free(j.part);
	return ret;
}

int fetch_hash(const char *path, char hex[SHA256_HEX + 1], uint64_t *bytes,
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
