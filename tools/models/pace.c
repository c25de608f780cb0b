// SPDX-License-Identifier: MIT
/*
 * How many connections a download has.  Where each of them is held back by the server or by the way
 * to it, more bring more; where one fills the line or this machine, others are only in its way.
 */
#include "models/download.h"
#include "tool.h"

/* What is tried has two windows to show what it's worth: more connections have to bring more, fewer
 * have to bring about as much. */
#define WINDOW_SECONDS 1.0
#define WORTH_IT 1.15
#define AS_MUCH 0.95
#define PAUSE_SECONDS 20.0
enum { TRIAL_WINDOWS = 2, REMEMBERED = 10 };

static void measure_again(struct pool *p, double now)
{
	p->pace.since = now;
	p->pace.from = p->received;
}

/* Twice or half as many, if there may be. */
static void try_another(struct pool *p)
{
	struct pace *c = &p->pace;
	const unsigned most = p->all->connections, half = c->allowed / 2;
	const unsigned other = c->fewer ? (half ? half : 1)
					: (c->allowed < most / 2 ? 2 * c->allowed : most);

	if (other == c->allowed) {
		c->fewer = !c->fewer;
		return;
	}
	c->before = c->allowed;
	c->earlier = c->mean;
	c->allowed = other;
	c->trial = true;
	c->windows = 0;
	pthread_cond_broadcast(&p->moved);
}

static void judge(struct pool *p, double now)
{
	struct pace *c = &p->pace;
	const bool pays = c->mean >= (c->fewer ? AS_MUCH : WORTH_IT) * c->earlier;

	c->trial = false;
	if (pays && !c->fewer)
		return; /* even more may pay at once */
	if (!pays) {
		c->allowed = c->before;
		c->mean = c->earlier;
		c->windows = REMEMBERED;
		c->fewer = !c->fewer;
		pthread_cond_broadcast(&p->moved);
	}
	c->not_before = now + PAUSE_SECONDS;
}

void pace_adapt(struct pool *p)
{
	struct pace *c = &p->pace;
	const double now = now_seconds();
	double rate;

	if (c->since <= 0 && p->received)
		measure_again(p, now);
	if (c->since <= 0 || now - c->since < WINDOW_SECONDS)
		return;
	rate = (double)(p->received - c->from) / (now - c->since);
	measure_again(p, now);
	if (rate <= 0)
		return; /* it stands still, or a server asked to wait: that says nothing */
	c->windows += c->windows < REMEMBERED;
	c->mean = c->windows == 1 ? rate : c->mean + (rate - c->mean) / c->windows;
	if (c->trial && c->windows == TRIAL_WINDOWS)
		judge(p, now);
	if (!c->trial && now >= c->not_before && !p->all->all_at_once)
		try_another(p);
}
