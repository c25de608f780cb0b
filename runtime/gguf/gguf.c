// SPDX-License-Identifier: MIT
/*
 * Open containers: their files, their tensors.  Each file's head (metadata and tensor table) is in
 * one buffer; keys and tensors point into it.
 */
#include "gguf/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 1024 };

/* @fd: less than 0: @path is opened; otherwise it's a name for messages. */
static int open_file(struct file *file, const char *path, int fd, struct stoker_error *err)
{
	struct stat st;

	file->fd = -1;
	file->path = strdup(path);
	if (!file->path)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	file->fd = fd < 0 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) /* pipes don't block */
			  : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (file->fd < 0 || fstat(file->fd, &st))
		return gguf_refuse_path(path, 0, errno, err);
	if (!S_ISREG(st.st_mode))
		return gguf_refuse_path(path, st.st_mode, 0, err);
	file->bytes = (uint64_t)st.st_size;
	file->opened = file_state_of(&st);
	return 0;
}

/* The path of file @index of @count, or NULL when @first isn't named like a first file. */
static char *split_path(const char *first, uint32_t index, uint32_t count)
{
	const size_t length = strlen(first);
	char expected[32], *path = NULL;

	snprintf(expected, sizeof(expected), "-00001-of-%05u.gguf", count);
	const size_t suffix = strlen(expected);

	if (length < suffix || strcmp(first + length - suffix, expected) ||
	    asprintf(&path, "%.*s-%05u-of-%05u.gguf", (int)(length - suffix), first, index + 1,
		     count) < 0)
		return NULL;
	return path;
}

/* A number of the keys from @first on; false: it isn't there. */
static bool number_from(const struct stoker_gguf *g, size_t first, const char *name,
			uint64_t *number)
{
	for (size_t i = first; i < g->key_count; i++)
		if (!strcmp(g->keys[i].public.name, name))
			return stoker_gguf_u64(g, &g->keys[i].public, 0, number) == 0;
	return false;
}

/* That a part belongs to the first one, as far as it says so. */
static int check_part(const struct stoker_gguf *g, size_t first_key, struct stoker_error *err)
{
	static const char *const same[] = { "split.count", "split.tensors.count" };
	const char *path = g->files[g->file_count - 1].path;
	uint64_t all, own;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		if (number_from(g, 0, same[i], &all) && number_from(g, first_key, same[i], &own) &&
		    own != all)
			return stoker_fail(err, -EINVAL,
					   "%s: %s is %llu, the first part's is %llu: a part of "
					   "another model",
					   path, same[i], (unsigned long long)own,
					   (unsigned long long)all);
	return 0;
}

/* Whether another container follows in the same file, as "cat" puts parts together. */
static bool is_joined(const struct stoker_gguf *g)
{
	const struct file *f = g->files;
	char magic[4];

	return f->end && pread(f->fd, magic, 4, (off_t)f->end) == 4 && !memcmp(magic, "GGUF", 4);
}

static int open_part(struct stoker_gguf *g, uint32_t i, uint32_t count, struct stoker_error *err)
{
	AUTO_FREE char *path = split_path(g->files[0].path, i, count);
	const size_t first_key = g->key_count;
	int ret;

	if (!path && is_joined(g))
		return stoker_fail(err, -EINVAL,
				   "%s: parts of a model put together in one file, which have to "
				   "stay apart (or be merged by a program that knows GGUF)",
				   g->files[0].path);
	if (!path)
		return stoker_fail(err, -EINVAL,
				   "%s: first of %u files but not named ...-00001-of-%05u.gguf",
				   g->files[0].path, count, count);
	g->file_count = i + 1;
	g->files[i].fd = -1;
	ret = open_file(&g->files[i], path, -1, err);
	if (ret == -ENOENT)
		stoker_fail(err, ret, "%s: No such file or directory, part %u of %u of %s", path,
			    i + 1, count, g->files[0].path);
	if (!ret)
		ret = gguf_parse_file(g, &g->files[i], err);
	return ret ? ret : check_part(g, first_key, err);
}

static int open_splits(struct stoker_gguf *g, uint32_t count, struct stoker_error *err)
{
	struct file *files = realloc(g->files, count * sizeof(*files));
	uint64_t tensors;
	int ret = 0;

	if (!files)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", g->files[0].path);
	memset(files + 1, 0, (count - 1) * sizeof(*files));
	g->files = files;
	for (uint32_t i = 1; i < count && !ret; i++)
		ret = open_part(g, i, count, err);
	if (!ret && number_from(g, 0, "split.tensors.count", &tensors) &&
	    tensors != g->tensor_count)
		ret = stoker_fail(err, -EINVAL,
				  "%s: its %u parts hold %zu tensors, split.tensors.count is %llu: "
				  "a part is damaged or of another model",
				  files[0].path, count, g->tensor_count,
				  (unsigned long long)tensors);
	return ret;
}

static int by_key(const void *a, const void *b)
{
	const struct key *x = *(const struct key *const *)a, *y = *(const struct key *const *)b;
	const int order = strcmp(x->public.name, y->public.name);

	return order ? order : x < y ? -1 : x > y;
}

static int by_tensor(const void *a, const void *b)
{
	const struct stoker_gguf_tensor *x = *(const struct stoker_gguf_tensor *const *)a;
	const struct stoker_gguf_tensor *y = *(const struct stoker_gguf_tensor *const *)b;

	return strcmp(x->name, y->name);
}

static int sort_names(struct stoker_gguf *g, struct stoker_error *err)
{
	g->sorted_keys = calloc(g->key_count + 1, sizeof(*g->sorted_keys));
	g->sorted_tensors = calloc(g->tensor_count + 1, sizeof(*g->sorted_tensors));
	if (!g->sorted_keys || !g->sorted_tensors)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", g->files[0].path);
	for (size_t i = 0; i < g->key_count; i++)
		g->sorted_keys[i] = &g->keys[i];
	for (size_t i = 0; i < g->tensor_count; i++)
		g->sorted_tensors[i] = &g->tensors[i];
	qsort(g->sorted_keys, g->key_count, sizeof(*g->sorted_keys), by_key);
	qsort(g->sorted_tensors, g->tensor_count, sizeof(*g->sorted_tensors), by_tensor);
	return 0;
}

/* Of how many files the one that is open is the first. */
static int find_parts(const struct stoker_gguf *g, uint32_t *parts, struct stoker_error *err)
{
	const char *path = g->files[0].path;
	const struct stoker_gguf_key *key = stoker_gguf_find(g, "split.count");
	uint64_t split = 0, number = 0, tensors = 0;

	*parts = 1;
	if (key && stoker_gguf_u64(g, key, 0, &split))
		split = UINT64_MAX;
	if (split > MAX_FILES)
		return stoker_fail(err, -EINVAL, "%s: split.count is %llu, limit %d", path,
				   (unsigned long long)split, MAX_FILES);
	/* whole, with keys that were left when its parts were merged */
	if (split <= 1 ||
	    (number_from(g, 0, "split.tensors.count", &tensors) && tensors == g->tensor_count))
		return 0;
	if (number_from(g, 0, "split.no", &number) && number)
		return stoker_fail(err, -EINVAL,
				   "%s: this is file %llu of a split model, open the first one",
				   path, (unsigned long long)number + 1);
	*parts = (uint32_t)split;
	return 0;
}

static int open_container(const char *path, int fd, struct stoker_gguf **out,
			  struct stoker_error *err)
{
	struct stoker_gguf *g;
	uint32_t parts;
	int ret;

	g = calloc(1, sizeof(*g));
	if (g)
		g->files = calloc(1, sizeof(*g->files));
	if (!g || !g->files) {
		free(g);
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	}
	g->owners = 1;
	g->file_count = 1;
	ret = open_file(g->files, path, fd, err);
	if (!ret)
		ret = gguf_parse_file(g, g->files, err);
	if (ret)
		goto err_close;
	ret = find_parts(g, &parts, err);
	if (!ret && parts > 1)
		ret = fd < 0 ? open_splits(g, parts, err)
			     : stoker_fail(err, -ENOTSUP,
					   "%s: the first of %u files of a model, which are found "
					   "by its path alone",
					   path, parts);
	if (!ret)
		ret = sort_names(g, err);
	if (ret)
		goto err_close;
	*out = g;
	return 0;
err_close:
	stoker_gguf_close(&g);
	return ret;
}

int stoker_gguf_open(const char *path, struct stoker_gguf **gguf, struct stoker_error *err)
{
	if (gguf)
		*gguf = NULL;
	if (!path || !gguf)
		return stoker_fail(err, -EINVAL,
				   "opening a container needs its path and a place for it");
	return open_container(path, -1, gguf, err);
}

int stoker_gguf_open_fd(int fd, struct stoker_gguf **gguf, struct stoker_error *err)
{
	char name[32];

	if (gguf)
		*gguf = NULL;
	if (!gguf)
		return stoker_fail(err, -EINVAL, "opening a container needs a place for it");
	if (fd < 0)
		return stoker_fail(err, -EBADF, "descriptor %d: %s", fd, stoker_strerror(EBADF));
	snprintf(name, sizeof(name), "descriptor %d", fd);
	return open_container(name, fd, gguf, err);
}

struct stoker_gguf *gguf_share(struct stoker_gguf *g)
{
	atomic_fetch_add(&g->owners, 1);
	return g;
}

void stoker_gguf_close(struct stoker_gguf **gguf)
{
	struct stoker_gguf *g = gguf ? *gguf : NULL;

	if (!g)
		return;
	*gguf = NULL;
	if (atomic_fetch_sub(&g->owners, 1) > 1)
		return;
	for (uint32_t i = 0; i < g->file_count; i++) {
		if (g->files[i].fd >= 0)
			close(g->files[i].fd);
		free(g->files[i].path);
		free(g->files[i].head);
	}
	free(g->sorted_keys);
	free(g->keys);
	for (size_t i = 0; i < g->name_count; i++)
		free(g->names[i]);
	free(g->names);
	free(g->sorted_tensors);
	free(g->tensors);
	free(g->files);
	free(g);
}

uint32_t stoker_gguf_version(const struct stoker_gguf *gguf)
{
	return gguf ? gguf->version : 0;
}

uint32_t stoker_gguf_file_count(const struct stoker_gguf *gguf)
{
	return gguf ? gguf->file_count : 0;
}

const char *stoker_gguf_file(const struct stoker_gguf *gguf, uint32_t index, int *fd,
			     uint64_t *bytes)
{
	if (!gguf || index >= gguf->file_count)
		return NULL;
	if (fd)
		*fd = gguf->files[index].fd;
	if (bytes)
		*bytes = gguf->files[index].bytes;
	return gguf->files[index].path;
}

const struct file_state *gguf_file_state(const struct stoker_gguf *gguf, uint32_t file)
{
	return &gguf->files[file].opened;
}

int gguf_check_unchanged(const struct stoker_gguf *gguf, uint32_t file, struct stoker_error *err)
{
	const struct file *f = &gguf->files[file];

	if (!file_has_changed(f->fd, &f->opened))
		return 0;
	return stoker_fail(err, -EIO, "%s: the file has changed since it was opened", f->path);
}

uint64_t stoker_gguf_data(const struct stoker_gguf *gguf, uint32_t file)
{
	return gguf->files[file].data;
}

size_t stoker_gguf_tensor_count(const struct stoker_gguf *gguf)
{
	return gguf ? gguf->tensor_count : 0;
}

const struct stoker_gguf_tensor *stoker_gguf_tensor(const struct stoker_gguf *gguf, size_t index)
{
	return gguf && index < gguf->tensor_count ? &gguf->tensors[index] : NULL;
}

size_t gguf_tensor_index(const struct stoker_gguf *gguf, const struct stoker_gguf_tensor *tensor)
{
	return (size_t)(tensor - gguf->tensors);
}

const struct stoker_gguf_tensor *stoker_gguf_find_tensor(const struct stoker_gguf *gguf,
							 const char *name)
{
	const struct stoker_gguf_tensor wanted = { .name = name }, *key = &wanted;
	const struct stoker_gguf_tensor **found;

	if (!gguf || !name)
		return NULL;
	found = bsearch(&key, gguf->sorted_tensors, gguf->tensor_count,
			sizeof(*gguf->sorted_tensors), by_tensor);

	return found ? *found : NULL;
}

int stoker_gguf_read(const struct stoker_gguf *gguf, const struct stoker_gguf_tensor *tensor,
		     uint64_t offset, void *dst, size_t bytes, struct stoker_error *err)
{
	const struct file *file;
	size_t done = 0;

	if (!gguf || !tensor || (!dst && bytes))
		return stoker_fail(err, -EINVAL, "reading needs a container, a tensor and a place");
	file = &gguf->files[tensor->file];
	if (bytes > tensor->bytes || offset > tensor->bytes - bytes)
		return stoker_fail(err, -ERANGE, "%s: tensor %s: %zu bytes at %llu, it has %llu",
				   file->path, tensor->name, bytes, (unsigned long long)offset,
				   (unsigned long long)tensor->bytes);
	while (done < bytes) {
		const ssize_t got = pread(file->fd, (char *)dst + done, bytes - done,
					  (off_t)(tensor->offset + offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return stoker_fail(err, got ? -errno : -EIO, "%s: tensor %s: %s",
					   file->path, tensor->name,
					   got ? stoker_strerror(errno) : "file became shorter");
		done += (size_t)got;
	}
	return gguf_check_unchanged(gguf, tensor->file, err);
}
