// SPDX-License-Identifier: MIT
/*
 * The models of a repository on the hub, by its interface: api/models/OWNER/REPO/revision/REVISION
 * tells the commit, and .../tree/COMMIT its files.
 */
#include "models/hub.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"

/* A list of zeros takes thirty times its length in memory once it's parsed. */
enum { PAGE_LIMIT = 4 << 20, MAX_PAGES = 100, MAX_FILES = 100000, TRIES = 5, LONGEST_WAIT = 300 };

struct page {
	char *data;
	size_t bytes;
	const char *url;
};

static int begin_page(void *context, const struct http_reply *r, struct stoker_error *err)
{
	(void)context, (void)r, (void)err;
	return 0;
}

static int take_page(void *context, const char *data, size_t bytes, struct stoker_error *err)
{
	struct page *p = context;
	char *more;

	if (bytes > PAGE_LIMIT - p->bytes)
		return store_error(err, -EFBIG, "%s: a list longer than %d bytes", p->url,
				   PAGE_LIMIT);
	more = realloc(p->data, p->bytes + bytes + 1);
	if (!more)
		return store_error(err, -ENOMEM, "out of memory");
	memcpy(more + p->bytes, data, bytes);
	p->data = more;
	p->bytes += bytes;
	p->data[p->bytes] = 0;
	return 0;
}

/* The sum of sizes that somebody else made up. */
static uint64_t add_sizes(uint64_t a, uint64_t b)
{
	return a < INT64_MAX - b ? a + b : INT64_MAX;
}

static int64_t number_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_int64(value) : -1;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(o, key, &value) ? json_object_get_string(value) : NULL;
}

/* A row of the list: only model files count. */
static int add_file(struct hub_list *list, struct json_object *row, const struct hub_name *name,
		    struct stoker_error *err)
{
	const char *type = text_of(row, "type"), *path = text_of(row, "path"), *hash = NULL;
	int64_t bytes = number_of(row, "size");
	struct hub_file *more;
	struct json_object *lfs;

	if (!type || strcmp(type, "file") != 0 || !path || !store_is_gguf(path))
		return 0;
	if (!store_safe_path(path))
		return store_error(err, -EPERM, "hf:%s/%s: the name \"%s\" is refused", name->owner,
				   name->repo, path);
	if (json_object_object_get_ex(row, "lfs", &lfs) &&
	    json_object_is_type(lfs, json_type_object)) {
		hash = text_of(lfs, "oid");
		if (number_of(lfs, "size") > 0)
			bytes = number_of(lfs, "size");
	}
	if (bytes <= 0)
		return store_error(err, -EINVAL, "hf:%s/%s: %s has no size", name->owner,
				   name->repo, path);
	if (list->file_count == MAX_FILES)
		return store_error(err, -EFBIG, "hf:%s/%s: more than %d files", name->owner,
				   name->repo, MAX_FILES);
	more = realloc(list->files, (list->file_count + 1) * sizeof(*more));
	if (!more)
		return store_error(err, -ENOMEM, "out of memory");
	list->files = more;
	more[list->file_count] =
		(struct hub_file){ .path = strdup(path), .bytes = (uint64_t)bytes };
	if (hash)
		store_hash(hash + (strncmp(hash, "sha256:", 7) ? 0 : 7),
			   more[list->file_count].sha256);
	return more[list->file_count++].path ? 0 : store_error(err, -ENOMEM, "out of memory");
}

static int parse_page(struct hub_list *list, const struct page *p, const struct hub_name *name,
		      struct stoker_error *err)
{
	struct json_object *root = p->data ? json_tokener_parse(p->data) : NULL;
	int ret = 0;

	if (!json_object_is_type(root, json_type_array))
		ret = store_error(err, -EINVAL, "%s: no list of files", p->url);
	for (size_t i = 0; !ret && i < json_object_array_length(root); i++)
		ret = add_file(list, json_object_array_get_idx(root, i), name, err);
	json_object_put(root);
	return ret;
}

static int pause_for(struct http *h, int64_t seconds, struct stoker_error *err)
{
	const double until = now_seconds() + (double)seconds;
	const struct timespec pause = { .tv_nsec = 50000000 };

	while (now_seconds() < until) {
		if (h->tick && h->tick(h->context))
			return store_error(err, -ECANCELED, "interrupted");
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int refused(struct http *h, const struct hub_name *name, long status,
		   struct stoker_error *err)
{
	const bool hidden = status == 401 || status == 403 || status == 404;

	return store_error(
		err, -ENOENT, "hf:%s/%s%s%s: the hub says %ld%s", name->owner, name->repo,
		*name->revision ? "@" : "", name->revision, status,
		!hidden ? ""
		: h->token
			? ": there is no such repository or revision, or the token doesn't open it"
			: ": there is no such repository or revision, or it wants a token "
			  "(HF_TOKEN or --token-file)");
}

/* Fetches @url, more than once if the hub is busy; the next page's address is in @next. */
static int get_page(struct http *h, const char *url, const struct hub_name *name, struct page *p,
		    char **next, struct stoker_error *err)
{
	struct http_reply reply;
	int ret = -EAGAIN;

	*next = NULL;
	for (unsigned tries = 0; ret == -EAGAIN && tries < TRIES; tries++) {
		const struct http_request q = {
			.url = url, .begin = begin_page, .data = take_page, .context = p
		};
		int64_t wait;

		p->bytes = 0;
		ret = http_get(h, &q, &reply, err);
		if (!ret && (reply.status == 429 || reply.status >= 500))
			ret = store_error(err, -EAGAIN, "hf:%s/%s: the hub says %ld, it's busy",
					  name->owner, name->repo, reply.status);
		else if (!ret && reply.status != 200)
			ret = refused(h, name, reply.status, err);
		wait = reply.retry_after ? reply.retry_after : 1 << tries;
		if (!ret) {
			*next = reply.next;
			reply.next = NULL;
		}
		http_free_reply(&reply);
		if (ret == -EAGAIN && wait > LONGEST_WAIT)
			return -EBUSY;
		if (ret == -EAGAIN && tries + 1 < TRIES && pause_for(h, wait, err))
			return -ECANCELED;
	}
	return ret;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

/* Files in order, split ones stand side by side. */
static int group(struct hub_list *list, struct stoker_error *err)
{
	if (list->file_count)
		qsort(list->files, list->file_count, sizeof(*list->files), by_path);
	list->models = calloc(list->file_count + 1, sizeof(*list->models));
	if (!list->models)
		return store_error(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->file_count;) {
		const char *path = list->files[i].path;
		struct hub_model *m = &list->models[list->model_count];
		unsigned number, of, n, parts = 1;
		const size_t same = strlen(path) - strlen("00001-of-00003.gguf");

		*m = (struct hub_model){ .first = i, .count = 1, .bytes = list->files[i].bytes };
		m->whole = true;
		if (store_split(path, &number, &of)) {
			while (i + m->count < list->file_count &&
			       store_split(list->files[i + m->count].path, &n, &parts) &&
			       parts == of && n == number + m->count &&
			       !strncmp(path, list->files[i + m->count].path, same))
				m->bytes = add_sizes(m->bytes, list->files[i + m->count++].bytes);
			m->whole = number == 1 && m->count == of;
		}
		i += m->count;
		if (names_is_companion(path))
			continue;
		m->stem = names_stem(path);
		if (!m->stem)
			return store_error(err, -ENOMEM, "out of memory");
		list->model_count++;
	}
	return 0;
}

/* A slash within a part of a path. */
static char *escape_revision(const char *revision)
{
	char *out = strdup("");

	for (; out && *revision; revision++) {
		char *more = *revision == '/' ? store_text("%s%%2F", out)
					      : store_text("%s%c", out, *revision);

		free(out);
		out = more;
	}
	return out;
}

/* A branch may move while its files are fetched: all of them are of the commit that it is now. */
static int find_commit(struct http *h, const struct hub_name *name, char commit[COMMIT_MAX],
		       struct stoker_error *err)
{
	char *revision = escape_revision(*name->revision ? name->revision : "main"),
	     *url = revision ? store_text("%s/api/models/%s/%s/revision/%s", h->hub, name->owner,
					  name->repo, revision)
			     : NULL,
	     *next = NULL;
	struct page page = { .url = url };
	struct json_object *root = NULL;
	const char *sha;
	int ret = url ? get_page(h, url, name, &page, &next, err)
		      : store_error(err, -ENOMEM, "out of memory");

	if (!ret && page.data)
		root = json_tokener_parse(page.data);
	sha = json_object_is_type(root, json_type_object) ? text_of(root, "sha") : NULL;
	*commit = 0;
	if (sha && strlen(sha) >= 40 && strlen(sha) < COMMIT_MAX &&
	    strspn(sha, "0123456789abcdef") == strlen(sha))
		snprintf(commit, COMMIT_MAX, "%s", sha);
	else if (!ret)
		ret = store_error(err, -EINVAL, "%s: doesn't tell the commit", url);
	json_object_put(root);
	free(page.data);
	free(next);
	free(url);
	free(revision);
	return ret;
}

int hub_list(struct http *h, const struct hub_name *name, struct hub_list *list,
	     struct stoker_error *err)
{
	char *url = NULL;
	int ret;

	*list = (struct hub_list){ 0 };
	ret = find_commit(h, name, list->commit, err);
	if (!ret) {
		url = store_text("%s/api/models/%s/%s/tree/%s?recursive=1", h->hub, name->owner,
				 name->repo, list->commit);
		ret = url ? 0 : store_error(err, -ENOMEM, "out of memory");
	}
	for (unsigned pages = 0; !ret && url; pages++) {
		struct page page = { .url = url };
		char *next = NULL;

		ret = get_page(h, url, name, &page, &next, err);
		if (!ret)
			ret = parse_page(list, &page, name, err);
		free(page.data);
		if (!ret && next && (pages == MAX_PAGES || !http_same_origin(next, h->hub)))
			ret = store_error(err, -EPERM, "%s: goes on at %s; that is refused", url,
					  next);
		free(url);
		url = next;
	}
	free(url);
	if (!ret)
		ret = group(list, err);
	if (!ret && !list->model_count)
		ret = store_error(err, -ENOENT, "hf:%s/%s: has no GGUF files", name->owner,
				  name->repo);
	if (ret)
		hub_free(list);
	return ret;
}

void hub_free(struct hub_list *list)
{
	for (size_t i = 0; i < list->file_count; i++)
		free(list->files[i].path);
	for (size_t i = 0; i < list->model_count; i++)
		free(list->models[i].stem);
	free(list->files);
	free(list->models);
	*list = (struct hub_list){ 0 };
}

char *hub_url(const struct http *h, const struct hub_name *name, const char *commit,
	      const char *path)
{
	char *escaped = http_escape_path(path), *url = NULL;

	if (escaped)
		url = store_text("%s/%s/%s/resolve/%s/%s", h->hub, name->owner, name->repo, commit,
				 escaped);
	free(escaped);
	return url;
}
