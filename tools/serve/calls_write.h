/* SPDX-License-Identifier: MIT */
/* Calls as a family of models writes them, where its template doesn't do it. */
#ifndef STOKER_SERVE_CALLS_WRITE_H
#define STOKER_SERVE_CALLS_WRITE_H

struct call_family;
struct json_object;
struct text;

/* @calls: a list in OpenAI's form; arguments as an object or as its text. */
void write_calls(struct text *out, const struct call_family *f, struct json_object *calls);

/* JSON on one line as templates have it, with a blank behind each comma and colon. */
void write_json(struct text *out, struct json_object *o);

#endif
