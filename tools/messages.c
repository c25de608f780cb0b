// SPDX-License-Identifier: MIT
/* The messages of a conversation, and files of them in OpenAI's form. */
#include "messages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

enum { MAX_BYTES = 64 << 20, MAX_DEPTH = 64, MAX_VALUES = 200000 };

static void free_message(struct message *m)
{
	free(m->role);
	free(m->content);
	free(m->reasoning);
	free(m->tool_calls);
	free(m->tool_call_id);
	free(m->name);
}

static struct message *add_empty(struct messages *m)
{
	if (m->count == m->room) {
		const size_t room = 2 * m->room + 16;
		struct message *more = realloc(m->items, room * sizeof(*more));

		if (!more)
			return NULL;
		m->items = more;
		m->room = room;
	}
	m->items[m->count] = (struct message){ .role = NULL };
	return &m->items[m->count++];
}

struct message *messages_add(struct messages *m, const char *role, const char *content,
			     const char *reasoning)
{
	struct message *new = add_empty(m);

	if (!new)
		return NULL;
	new->role = strdup(role);
	new->content = strdup(content);
	new->reasoning = reasoning ? strdup(reasoning) : NULL;
	if (new->role &&new->content && (new->reasoning || !reasoning))
		return new;
	messages_truncate(m, m->count - 1);
	return NULL;
}

void messages_truncate(struct messages *m, size_t count)
{
	while (m->count > count)
		free_message(&m->items[--m->count]);
}

size_t messages_leading(const struct messages *m)
{
	size_t n = 0;

	while (n < m->count &&
	       (!strcmp(m->items[n].role, "system") || !strcmp(m->items[n].role, "developer")))
		n++;
	return n;
}

bool messages_set_system(struct messages *m, const char *content)
{
	const size_t count = m->count, gone = messages_leading(m), has = *content != 0;
	struct message new;

	if (has && !messages_add(m, "system", content, NULL))
		return false;
	if (has)
		new = m->items[count];
	for (size_t i = 0; i < gone; i++)
		free_message(&m->items[i]);
	if (m->items)
		memmove(m->items + has, m->items + gone, (count - gone) * sizeof(*m->items));
	if (has)
		m->items[0] = new;
	m->count = count - gone + has;
	return true;
}

void messages_free(struct messages *m)
{
	messages_truncate(m, 0);
	free(m->items);
	*m = (struct messages){ .items = NULL };
}

static void add_string(struct json_object *o, const char *key, const char *value)
{
	if (value)
		json_object_object_add(o, key, json_object_new_string(value));
}

static struct json_object *to_json(const struct messages *m)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < m->count; i++) {
		const struct message *from = &m->items[i];
		struct json_object *o = json_object_new_object();

		add_string(o, "role", from->role);
		if (from->content)
			add_string(o, "content", from->content);
		else
			json_object_object_add(o, "content", NULL);
		add_string(o, "reasoning_content", from->reasoning);
		if (from->tool_calls)
			json_object_object_add(o, "tool_calls",
					       json_tokener_parse(from->tool_calls));
		add_string(o, "tool_call_id", from->tool_call_id);
		add_string(o, "name", from->name);
		json_object_array_add(list, o);
	}
	return list;
}

/* A string of an object; *ok becomes false for another type, and for one with a NUL inside. */
static char *take_string(struct json_object *o, const char *key, bool *ok)
{
	struct json_object *value;

	if (!json_object_object_get_ex(o, key, &value) || !value)
		return NULL;
	*ok = *ok && json_object_is_type(value, json_type_string) &&
	      strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
	return *ok ? strdup(json_object_get_string(value)) : NULL;
}

/* A list of parts, of which those of text are taken; others can't be. */
static char *join_parts(struct json_object *list, bool *ok)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	for (size_t i = 0; out && i < json_object_array_length(list); i++) {
		struct json_object *part = json_object_array_get_idx(list, i);
		char *type = NULL, *piece = NULL;

		*ok = *ok && json_object_is_type(part, json_type_object);
		if (*ok) {
			type = take_string(part, "type", ok);
			piece = take_string(part, "text", ok);
			*ok = *ok && type && piece && !strcmp(type, "text");
		}
		if (*ok)
			fputs(piece, out);
		free(type);
		free(piece);
	}
	if (!out || fclose(out))
		*ok = false;
	return text;
}

static bool take_message(struct messages *m, struct json_object *o)
{
	struct message *new = add_empty(m);
	struct json_object *value;
	bool ok = new &&json_object_is_type(o, json_type_object);

	if (!ok)
		return false;
	new->role = take_string(o, "role", &ok);
	if (json_object_object_get_ex(o, "content", &value) &&
	    json_object_is_type(value, json_type_array))
		new->content = join_parts(value, &ok);
	else
		new->content = take_string(o, "content", &ok);
	new->reasoning = take_string(o, "reasoning_content", &ok);
	new->tool_call_id = take_string(o, "tool_call_id", &ok);
	new->name = take_string(o, "name", &ok);
	if (json_object_object_get_ex(o, "tool_calls", &value) && value) {
		ok = ok && json_object_is_type(value, json_type_array);
		new->tool_calls = ok ? strdup(json_object_to_json_string_ext(
					       value, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE))
				     : NULL;
	}
	return ok && new->role &&*new->role && (new->content || new->tool_calls);
}

/* false: @what says what is wrong. */
static bool from_json(struct messages *m, struct json_object *root, char what[100])
{
	struct json_object *list = root;

	if (json_object_is_type(root, json_type_object) &&
	    !json_object_object_get_ex(root, "messages", &list))
		list = NULL;
	if (!json_object_is_type(list, json_type_array)) {
		snprintf(what, 100, "neither a list of messages nor an object with \"messages\"");
		return false;
	}
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!take_message(m, json_object_array_get_idx(list, i))) {
			snprintf(what, 100,
				 "message %zu isn't an object with a role and a content of text",
				 i + 1);
			return false;
		}
	return true;
}

/* The file's bytes; NULL with errno.  What isn't a regular file of moderate size isn't read. */
static char *read_regular(const char *path, size_t *bytes)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *data = NULL;
	struct stat s;
	size_t n = 0;

	if (fd < 0)
		return NULL;
	errno = EFBIG;
	if (!fstat(fd, &s) && S_ISREG(s.st_mode) && s.st_size <= MAX_BYTES)
		data = malloc((size_t)s.st_size + 1);
	else if (!S_ISREG(s.st_mode))
		errno = S_ISDIR(s.st_mode) ? EISDIR : EINVAL;
	while (data && n < (size_t)s.st_size) {
		const ssize_t got = read(fd, data + n, (size_t)s.st_size - n);

		if (got < 0 && errno != EINTR) {
			free(data);
			data = NULL;
		}
		if (!got)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	if (data)
		data[n] = 0;
	*bytes = n;
	return data;
}

/* Objects, lists and elements in JSON: what parsing it needs memory for, beside its texts. */
static size_t count_values(const char *json)
{
	bool inside = false;
	size_t n = 0;

	for (; *json; json++) {
		if (*json == '"')
			inside = !inside;
		else if (inside)
			json += *json == '\\' && json[1];
		else
			n += strchr("{[,", *json) != NULL;
	}
	return n;
}

/* A file's messages; false: @what says why not. */
static bool read_messages(struct messages *m, const char *path, char what[100])
{
	struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
	struct json_object *root = NULL;
	size_t bytes;
	char *data = tokener ? read_regular(path, &bytes) : NULL;
	bool ok = data && !memchr(data, 0, bytes);

	if (!data)
		snprintf(what, 100, "%s", strerror(errno));
	else if (!ok)
		snprintf(what, 100, "not JSON: there is a NUL in it");
	if (ok && count_values(data) > MAX_VALUES) {
		snprintf(what, 100, "JSON of %zu values, limit %d", count_values(data), MAX_VALUES);
		ok = false;
	}
	if (ok) {
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
		root = json_tokener_parse_ex(tokener, data, (int)bytes + 1);
		ok = json_tokener_get_error(tokener) == json_tokener_success;
		if (ok)
			ok = from_json(m, root, what);
		else
			snprintf(what, 100, "not JSON: %s",
				 json_tokener_error_desc(json_tokener_get_error(tokener)));
	}
	json_object_put(root);
	if (tokener)
		json_tokener_free(tokener);
	free(data);
	return ok;
}

bool messages_load(struct messages *m, const char *path)
{
	struct messages new = { .items = NULL };
	char what[100];

	if (!read_messages(&new, path, what)) {
		messages_free(&new);
		failf("%s: %s", path, what);
		return false;
	}
	messages_free(m);
	*m = new;
	return true;
}

/* Whether @path may be written: nothing is there, or another conversation. */
static bool is_ours(const char *path)
{
	struct messages there = { .items = NULL };
	struct stat s;
	char what[100];
	bool ours;

	if (stat(path, &s))
		return true;
	ours = S_ISREG(s.st_mode) && (!s.st_size || read_messages(&there, path, what));
	messages_free(&there);
	if (!ours)
		failf("%s: is there and isn't a conversation; choose another name", path);
	return ours;
}

bool messages_save(const struct messages *m, const char *path)
{
	char *real = realpath(path, NULL), *part = NULL;
	const char *target = real ? real : path;
	struct json_object *list = to_json(m);
	bool ok = false;
	FILE *out = NULL;
	int fd = -1;

	if (!is_ours(target))
		goto done;
	if (asprintf(&part, "%s.XXXXXX", target) < 0) {
		part = NULL;
		failf("out of memory");
		goto done;
	}
	fd = mkostemp(part, O_CLOEXEC); /* 0600 */
	out = fd < 0 ? NULL : fdopen(fd, "w");
	ok = out &&
	     fputs(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY |
								JSON_C_TO_STRING_SPACED |
								JSON_C_TO_STRING_NOSLASHESCAPE),
		   out) >= 0 &&
	     putc('\n', out) != EOF && !fflush(out) && !fsync(fd);
	if (out)
		ok = !fclose(out) && ok;
	else if (fd >= 0)
		close(fd);
	ok = ok && !rename(part, target);
	if (!ok) {
		failf("%s: %s", path, strerror(errno));
		if (fd >= 0)
			unlink(part);
	}
done:
	json_object_put(list);
	free(part);
	free(real);
	return ok;
}
