/* SPDX-License-Identifier: MIT */
/* The messages of a conversation, and files of them in OpenAI's form. */
#ifndef STOKER_TOOL_MESSAGES_H
#define STOKER_TOOL_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>

/* Each is NULL or a string of ours; @tool_calls is JSON. */
struct message {
	char *role, *content, *reasoning, *tool_calls, *tool_call_id, *name;
};

struct messages {
	struct message *items;
	size_t count, room;
};

/* Adds a message; NULL without memory.  @reasoning may be NULL. */
struct message *messages_add(struct messages *m, const char *role, const char *content,
			     const char *reasoning);
/* Forgets those from number @count on. */
void messages_truncate(struct messages *m, size_t count);
/* A system message comes first, in place of the one that does; "" takes it away. */
bool messages_set_system(struct messages *m, const char *content);
/* How many at the beginning say what the model is to be. */
size_t messages_leading(const struct messages *m);
void messages_free(struct messages *m);

/*
 * Writes a JSON list for its owner alone, whole or not at all.  A file that is there is replaced if
 * it is such a list.  false after a complaint.
 */
bool messages_save(const struct messages *m, const char *path);
/* Replaces @m with a file's, a list or an object with "messages"; false after a complaint. */
bool messages_load(struct messages *m, const char *path);

#endif
