// SPDX-License-Identifier: MIT
/*
 * How many connections a download has.  Where each of them is held back by the server or by the way
 * to it, more bring more; where one fills the line or this machine, others are only in its way.
 */
#include "models/download.h"
#include "tool.h"

/* A trial is right with what brings more than chance does. */
#define WINDOW_SECONDS 1.0
#define WORTH_IT 1.15
#define PAUSE_SECONDS 20.0

static void measure_again(struct pool *p, double now)
{
	p->pace.since = now;
	p->pace.from = p->received;
}

/* Twice as many, if there may be more. */
static void try_more(struct pool *p)
{
	struct pace *c = &p->pace;
	const unsigned most = p->all->connections;

	c->before = c->allowed;
	c->trial = c->allowed < most;
	c->allowed = c->allowed < most / 2 ? 2 * c->allowed : most;
	pthread_cond_broadcast(&p->moved);
}

void pace_adapt(struct pool *p)
{
	struct pace *c = &p->pace;
	const double now = now_seconds();
	double rate;

	if (!c->since && p->received)
		measure_again(p, now);
	if (!c->since || now - c->since < WINDOW_SECONDS)
		return;
	rate = (double)(p->received - c->from) / (now - c->since);
	measure_again(p, now);
	if (c->trial && rate < WORTH_IT * c->rate) {
		c->allowed = c->before;
		c->trial = false;
		c->not_before = now + PAUSE_SECONDS;
		return;
	}
	c->rate = rate;
	c->trial = false;
	if (now >= c->not_before)
		try_more(p);
}
