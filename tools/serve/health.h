/* SPDX-License-Identifier: MIT */
/* GET /health: whether the server can answer yet, or still. */
#ifndef STOKER_SERVE_HEALTH_H
#define STOKER_SERVE_HEALTH_H

struct exchange;

void health_get(struct exchange *x);

#endif
