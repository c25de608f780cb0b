/* SPDX-License-Identifier: MIT */
/*
 * The connections that are open: how many, from where, what each is doing and since when, and who
 * is to be told when its client hangs up.  libmicrohttpd serves each in a thread of its own; here
 * is what it can't do: see that a client is gone while a reply is being made, end what takes too
 * long whatever trickles in, and make room.
 */
#ifndef STOKER_SERVE_CONNECTIONS_H
#define STOKER_SERVE_CONNECTIONS_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	CONNECTIONS_MOST = 64,
	CONNECTIONS_OF_ADDRESS = 16,
	/* of 127.0.0.1 or ::1, which programs and proxies share */
	CONNECTIONS_OF_THIS_MACHINE = 48,
	/* those that were told to end, and haven't yet */
	CONNECTIONS_ENDING = 64,
};

enum phase {
	PHASE_NONE,    /* the place is free */
	PHASE_OPENING, /* on its way to its thread */
	PHASE_HEADER,  /* nothing was asked yet */
	PHASE_IDLE,    /* something was answered */
	PHASE_BODY,
	PHASE_REPLY,
};

struct connection {
	struct connections *all;
	int fd;
	enum phase phase;
	double since; /* when the phase began */
	uint32_t number;
	bool ended;   /* was told to end */
	bool hung_up; /* since the request's end was read */
	bool calling; /* @gone, at the moment */
	void (*gone)(void *context);
	void *context;
	struct in6_addr address; /* IPv4 mapped */
	bool local;		 /* a Unix socket: no address */
};

struct connections {
	pthread_mutex_t lock;
	pthread_cond_t called, changed;
	struct connection items[CONNECTIONS_MOST + CONNECTIONS_ENDING];
	uint32_t numbers;
	int epoll, wake;
	bool draining, ending;
	pthread_t watcher;
	bool watched;
};

/* 0 or -errno. */
int connections_create(struct connections *all);
/* After all have been closed. */
void connections_destroy(struct connections *all);

/* Connections may come in faster than threads begin and end: waits until one more is welcome. */
void connections_await_place(struct connections *all, int most_ms);
/*
 * A place for a connection that was just accepted; makes room by ending the one that has been idle
 * for longest.  false: there is none.
 */
bool connections_open(struct connections *all, int fd, const struct sockaddr *address);
/* It has its thread now.  NULL: nobody knows it. */
struct connection *connections_started(struct connections *all, int fd);
void connection_closed(struct connection *c);

/* A whole reply that says 503 or 408, for who isn't let in; bytes of it. */
size_t connection_refusal(unsigned status, char *out, size_t room);

/* A request's head was read; false: the connection is being ended, nothing is to be done any more.
 */
bool connection_asked(struct connection *c);
/* All of the request was read: from here on the client is watched. */
void connection_replying(struct connection *c);
void connection_answered(struct connection *c);

/* exchange_watch() and exchange_gone() */
void connection_watch(struct connection *c, void (*gone)(void *context), void *context);
bool connection_gone(struct connection *c);

/* Those that wait for a request are closed, and nothing new is accepted. */
void connections_drain(struct connections *all);
bool connections_draining(struct connections *all);
/* Requests that are being answered, or read. */
unsigned connections_busy(struct connections *all);
/* All clients count as gone. */
void connections_end(struct connections *all);

#endif
