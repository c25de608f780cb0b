/* SPDX-License-Identifier: MIT */
/* What there is and how it is doing: GET /v1/models, /props, /slots, /metrics. */
#ifndef STOKER_SERVE_LISTING_H
#define STOKER_SERVE_LISTING_H

struct exchange;
struct json_object;

void listing_models(struct exchange *x);
void listing_model(struct exchange *x); /* what is behind the path is its name */
void listing_props(struct exchange *x);
void listing_slots(struct exchange *x);
void listing_metrics(struct exchange *x);

/* Ollama's: /api/tags, /api/ps, /api/show, /api/version */
void listing_tags(struct exchange *x);
void listing_running(struct exchange *x);
void listing_show(struct exchange *x);
void listing_version(struct exchange *x);

/* As reply_json(), for what may have a file's texts and numbers in it. */
void listing_reply(struct exchange *x, struct json_object *o);

#endif
