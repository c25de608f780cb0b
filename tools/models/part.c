// SPDX-License-Identifier: MIT
/* The unfinished file: locked, hashed as its front grows, named when it is right. */
#include "models/part.h"

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

#include "tool.h"

/* What a killed program fetches again is no more than this time's. */
#define SAVE_SECONDS 0.2

char *part_name(const char *path)
{
	return store_text("%s.part", path);
}

uint64_t part_bytes(const char *path)
{
	char *name = part_name(path);
	struct store_record record;
	uint64_t bytes = 0;
	struct stat st;

	if (name && !stat(name, &st) && S_ISREG(st.st_mode)) {
		store_load_record(name, &record);
		bytes = record.in_parts ? record.bytes - spans_missing(&record.missing)
					: (uint64_t)st.st_size;
		store_free_record(&record);
	}
	free(name);
	return bytes;
}

int part_open(struct part *p, const char *path, struct stoker_error *err)
{
	struct stat mine, there;
	int ret;

	*p = (struct part){ .path = path, .name = part_name(path), .fd = -1 };
	ret = p->name ? store_make_folders(path, err) : store_error(err, -ENOMEM, "out of memory");
	if (ret)
		return ret;
	for (;;) {
		p->fd = open(p->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
		if (p->fd < 0)
			return store_error(err, -errno, "%s: %s", p->name, strerror(errno));
		if (flock(p->fd, LOCK_EX | LOCK_NB))
			return store_error(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "%s: %s",
					   path,
					   errno == EWOULDBLOCK ? "another program is fetching it"
								: strerror(errno));
		/* it may have got its name, or gone, before it was locked */
		if (!fstat(p->fd, &mine) && !stat(p->name, &there) && mine.st_ino == there.st_ino &&
		    mine.st_dev == there.st_dev)
			break;
		close(p->fd);
	}
	if (!S_ISREG(mine.st_mode))
		return store_error(err, -EINVAL, "%s: no regular file", p->name);
	store_load_record(p->name, &p->record);
	if (!p->record.in_parts && mine.st_size > 0)
		spans_reset(&p->record.missing, (uint64_t)mine.st_size, p->record.bytes ?: NO_END);
	return 0;
}

void part_close(struct part *p)
{
	if (p->hasher)
		hasher_finish(p->hasher, NULL);
	if (p->fd >= 0)
		close(p->fd);
	store_free_record(&p->record);
	free(p->name);
	*p = (struct part){ .fd = -1 };
}

static void remove_record(struct part *p)
{
	char *record = store_record_path(p->name);

	if (record)
		unlink(record);
	free(record);
}

void part_remove(struct part *p)
{
	remove_record(p);
	unlink(p->name);
}

bool part_goes_on(const struct part *p, const char *url, uint64_t bytes, const char *sha256)
{
	const struct store_record *r = &p->record;
	uint64_t last = r->bytes;
	struct span sorted[MAX_SPANS];
	struct stat st;
	unsigned count;

	if (fstat(p->fd, &st) || !st.st_size || (r->bytes && bytes && r->bytes != bytes) ||
	    (r->bytes && (uint64_t)st.st_size > r->bytes) ||
	    (bytes && (uint64_t)st.st_size > bytes))
		return false;
	/* all that is said to be there lies within the file */
	count = spans_sorted(&r->missing, sorted);
	if (count && sorted[count - 1].end == last)
		last = sorted[count - 1].at;
	if (r->in_parts && last > (uint64_t)st.st_size)
		return false;
	if (*sha256)
		return !strcmp(r->sha256, sha256);
	return r->url && store_same_url(r->url, url) && (*r->etag == '"' || *r->sha256);
}

static int start_hasher(struct part *p, struct stoker_error *err)
{
	p->hasher = hasher_start(p->fd);
	if (!p->hasher)
		return store_error(err, -ENOMEM, "no thread can be started");
	hasher_advance(p->hasher, part_front(p));
	return 0;
}

int part_go_on(struct part *p, uint64_t bytes, struct stoker_error *err)
{
	if (!p->record.bytes && bytes) {
		p->record.bytes = bytes;
		spans_cut(&p->record.missing, bytes);
	}
	p->record.in_parts = p->record.bytes > 0;
	return start_hasher(p, err);
}

int part_restart(struct part *p, const char *url, uint64_t bytes, struct stoker_error *err)
{
	struct store_record fresh = { .bytes = bytes, .in_parts = bytes > 0 };

	memcpy(fresh.commit, p->record.commit, sizeof(fresh.commit));
	/* what follows may be a secret: a signed address */
	fresh.url = strndup(url, strcspn(url, "?#"));
	if (!fresh.url)
		return store_error(err, -ENOMEM, "out of memory");
	if (p->hasher)
		hasher_finish(p->hasher, NULL);
	p->hasher = NULL;
	store_free_record(&p->record);
	p->record = fresh;
	spans_reset(&p->record.missing, 0, bytes ?: NO_END);
	remove_record(p); /* first: it mustn't tell of what isn't there any more */
	if (ftruncate(p->fd, 0))
		return store_error(err, -errno, "%s: %s", p->name, strerror(errno));
	return start_hasher(p, err);
}

uint64_t part_have(const struct part *p)
{
	return p->record.bytes ? p->record.bytes - spans_missing(&p->record.missing)
			       : part_front(p);
}

uint64_t part_front(const struct part *p)
{
	return spans_front(&p->record.missing, p->record.bytes ?: NO_END);
}

uint64_t part_free_space(const struct part *p)
{
	struct statvfs v;

	return fstatvfs(p->fd, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

int part_save(struct part *p, struct stoker_error *err)
{
	p->saved = now_seconds();
	return store_save_record(p->name, &p->record, err);
}

void part_save_sometimes(struct part *p)
{
	struct stoker_error ignored; /* the last one goes on to be true: it says less */

	if (p->record.in_parts && now_seconds() - p->saved > SAVE_SECONDS)
		part_save(p, &ignored);
}

int part_check_hash(struct part *p, char hex[SHA256_HEX + 1], const char *url,
		    int (*tick)(void *context), void *context, struct stoker_error *err)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	char is[SHA256_HEX + 1];
	struct hasher *h = p->hasher;
	int ret;

	hasher_end(h);
	while (hasher_done(h) < p->record.bytes) {
		if (tick(context))
			return store_error(err, -ECANCELED, "interrupted");
		nanosleep(&pause, NULL);
	}
	p->hasher = NULL;
	ret = hasher_finish(h, is);
	if (ret)
		return store_error(err, ret, "%s: can't hash it: %s", p->name, strerror(-ret));
	if (*hex && strcmp(hex, is) != 0)
		return store_error(err, -EILSEQ,
				   "%s: SHA-256 %.12s... was announced, what came has %.12s...",
				   url, hex, is);
	memcpy(hex, is, sizeof(is));
	memcpy(p->record.sha256, is, sizeof(is));
	return 0;
}

int part_check_model(const struct part *p, const char *url, struct stoker_error *err)
{
	struct stoker_gguf *gguf = NULL;
	struct stoker_error why;
	unsigned number, of;
	int ret;

	if (store_split(p->path, &number, &of))
		return 0; /* no part says much without the others */
	ret = stoker_gguf_open(p->name, &gguf, &why);
	stoker_gguf_close(&gguf);
	if (ret == -ENOTSUP)
		fprintf(stderr, "stoker: warning: %s\n", why.message);
	else if (ret)
		return store_error(err, ret, "%s gave no model: %.300s", url, why.message);
	return 0;
}

static void sync_folder(const char *path)
{
	char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
	const int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

/* It gets its name when all of it is on the drive. */
int part_put_in_place(struct part *p, struct stoker_error *err)
{
	int ret = fsync(p->fd) ? -errno : 0;

	p->record.in_parts = false;
	if (!ret) {
		ret = store_save_record(p->path, &p->record, err);
		if (ret)
			return ret;
	}
	if (!ret && rename(p->name, p->path))
		ret = -errno;
	if (ret)
		return store_error(err, ret, "%s: %s", p->path, strerror(-ret));
	remove_record(p);
	sync_folder(p->path);
	return 0;
}
