// SPDX-License-Identifier: MIT
/* The folder that models are pulled into, and what is known of each of its files. */
#include "models/store.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "terminal.h"

enum { RECORD_LIMIT = 65536 };

int store_error(struct stoker_error *err, int ret, const char *fmt, ...)
{
	char *shown = NULL;
	va_list args;

	va_start(args, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, args);
	va_end(args);
	/* it may hold names and addresses that a server made up */
	shown = visible_text(err->message, strlen(err->message));
	for (char *c = shown; c && (c = strpbrk(c, "\n\t"));)
		*c = ' ';
	if (shown)
		snprintf(err->message, sizeof(err->message), "%s", shown);
	free(shown);
	return ret;
}

char *store_text(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	return n < 0 ? NULL : text;
}

char *store_folder(void)
{
	const char *own = getenv("STOKER_MODELS"), *data = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");

	if (own && *own)
		return strdup(own);
	if (data && *data == '/') /* the specification has relative ones ignored */
		return store_text("%s/stoker/models", data);
	return home && *home ? store_text("%s/.local/share/stoker/models", home) : NULL;
}

bool store_safe_path(const char *path)
{
	for (const char *part = path;; part += strcspn(part, "/") + 1) {
		const size_t length = strcspn(part, "/");

		/* 200 leaves room for what is put around a name within the 255 bytes that one has
		 */
		if (!length || length > 200 || *part == '.')
			return false;
		for (size_t i = 0; i < length; i++)
			if ((unsigned char)part[i] < ' ' || part[i] == 127 || part[i] == '\\')
				return false;
		if (!part[length])
			return true;
	}
}

bool store_is_gguf(const char *path)
{
	const size_t length = strlen(path);

	return length > 5 && !strcasecmp(path + length - 5, ".gguf");
}

bool store_hash(const char *text, char out[SHA256_HEX + 1])
{
	out[0] = 0;
	if (strlen(text) != SHA256_HEX || strspn(text, "0123456789abcdefABCDEF") != SHA256_HEX)
		return false;
	for (unsigned i = 0; i <= SHA256_HEX; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	return true;
}

bool store_split(const char *path, unsigned *number, unsigned *of)
{
	const size_t length = strlen(path), tail = strlen("-00001-of-00003.gguf");
	int end = 0;

	return store_is_gguf(path) && length > tail &&
	       sscanf(path + length - tail, "-%5u-of-%5u%n", number, of, &end) == 2 && end == 15 &&
	       *number >= 1 && *number <= *of;
}

int store_make_folders(const char *path, struct stoker_error *err)
{
	char *folder = strdup(path);

	if (!folder)
		return store_error(err, -ENOMEM, "out of memory");
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(folder, 0755) && errno != EEXIST) {
			const int ret = -errno;

			store_error(err, ret, "can't make the folder %s: %s", folder,
				    strerror(errno));
			free(folder);
			return ret;
		}
		*slash = '/';
	}
	free(folder);
	return 0;
}

char *store_record_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	const int folder = slash ? (int)(slash + 1 - path) : 0;

	return store_text("%.*s.%s.json", folder, path, path + folder);
}

static const char *text_of(struct json_object *root, const char *key)
{
	struct json_object *o;

	return json_object_object_get_ex(root, key, &o) && json_object_is_type(o, json_type_string)
		       ? json_object_get_string(o)
		       : "";
}

/* Stretches in order within the file's bytes, or it isn't known what is there. */
static bool load_missing(struct json_object *root, struct store_record *record)
{
	struct json_object *list;
	uint64_t before = 0;

	if (!json_object_object_get_ex(root, "missing", &list) ||
	    !json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) > MAX_SAVED)
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *pair = json_object_array_get_idx(list, i);
		int64_t at, end;

		if (!json_object_is_type(pair, json_type_array) ||
		    json_object_array_length(pair) != 2)
			return false;
		at = json_object_get_int64(json_object_array_get_idx(pair, 0));
		end = json_object_get_int64(json_object_array_get_idx(pair, 1));
		if (at < 0 || (uint64_t)at < before || end <= at || (uint64_t)end > record->bytes)
			return false;
		before = (uint64_t)end;
		spans_add(&record->missing, (uint64_t)at, (uint64_t)end);
	}
	return true;
}

static void add_missing(struct json_object *root, const struct store_record *record)
{
	struct json_object *list = json_object_new_array();
	struct span sorted[MAX_SPANS];
	const unsigned count = spans_sorted(&record->missing, sorted);

	for (unsigned i = 0; i < count; i++) {
		struct json_object *pair = json_object_new_array();

		json_object_array_add(pair, json_object_new_int64((int64_t)sorted[i].at));
		json_object_array_add(pair, json_object_new_int64((int64_t)sorted[i].end));
		json_object_array_add(list, pair);
	}
	json_object_object_add(root, "missing", list);
}

bool store_load_record(const char *path, struct store_record *record)
{
	char *name = store_record_path(path), *text = calloc(1, RECORD_LIMIT);
	struct json_object *root = NULL, *bytes;
	FILE *in = name ? fopen(name, "re") : NULL;

	*record = (struct store_record){ 0 };
	if (in && text && fread(text, 1, RECORD_LIMIT - 1, in) > 0)
		root = json_tokener_parse(text);
	if (json_object_is_type(root, json_type_object)) {
		record->url = strdup(text_of(root, "url"));
		store_hash(text_of(root, "sha256"), record->sha256);
		snprintf(record->etag, sizeof(record->etag), "%s", text_of(root, "etag"));
		if (json_object_object_get_ex(root, "bytes", &bytes) &&
		    json_object_get_int64(bytes) > 0)
			record->bytes = (uint64_t)json_object_get_int64(bytes);
		snprintf(record->commit, sizeof(record->commit), "%s", text_of(root, "commit"));
		record->in_parts = load_missing(root, record);
		if (!record->in_parts)
			record->missing = (struct spans){ 0 };
	}
	json_object_put(root);
	if (in)
		fclose(in);
	free(text);
	free(name);
	return record->url != NULL;
}

int store_save_record(const char *path, const struct store_record *record, struct stoker_error *err)
{
	char *name = store_record_path(path), *part = name ? store_text("%s.new", name) : NULL;
	struct json_object *root = json_object_new_object();
	const char *text;
	int ret = 0;
	FILE *out;

	json_object_object_add(root, "url", json_object_new_string(record->url));
	if (*record->sha256)
		json_object_object_add(root, "sha256", json_object_new_string(record->sha256));
	if (*record->etag)
		json_object_object_add(root, "etag", json_object_new_string(record->etag));
	if (*record->commit)
		json_object_object_add(root, "commit", json_object_new_string(record->commit));
	json_object_object_add(root, "bytes", json_object_new_int64((int64_t)record->bytes));
	if (record->in_parts)
		add_missing(root, record);
	text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_NOSLASHESCAPE);
	if (part)
		unlink(part); /* of a program that was killed */
	out = part && text ? fopen(part, "wxe") : NULL;
	if (!out || fputs(text, out) < 0 || fputc('\n', out) < 0 || fflush(out))
		ret = errno ? -errno : -EIO;
	if (out && fclose(out) && !ret)
		ret = -errno;
	if (!ret && rename(part, name))
		ret = -errno;
	if (ret) {
		store_error(err, ret, "can't write %s: %s", name ? name : path, strerror(-ret));
		if (part)
			unlink(part);
	}
	json_object_put(root);
	free(part);
	free(name);
	return ret;
}

bool store_same_url(const char *a, const char *b)
{
	const size_t n = strcspn(a, "?#");

	return strcspn(b, "?#") == n && !strncmp(a, b, n);
}

void store_free_record(struct store_record *record)
{
	free(record->url);
	*record = (struct store_record){ 0 };
}
