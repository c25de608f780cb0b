/* SPDX-License-Identifier: MIT */
/* OpenAI's newer API: what a request of /v1/responses says, as a chat. */
#ifndef STOKER_SERVE_RESPONSES_H
#define STOKER_SERVE_RESPONSES_H

#include "serve/chat.h"

/* On top of chat_begin(); false: 400. */
bool responses_read(struct json_object *body, struct chat_request *c, struct problem *p);

#endif
