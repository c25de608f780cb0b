/* SPDX-License-Identifier: MIT */
/* What can be asked: a table of methods, paths and who answers. */
#ifndef STOKER_SERVE_ROUTES_H
#define STOKER_SERVE_ROUTES_H

#include "serve/http.h"

enum {
	ROUTE_NO_KEY = 1, /* without an API key, too */
};

struct route {
	const char *method; /* GET is HEAD, too.  A POST has an object of JSON. */
	const char *path;   /* with a "/" at the end: whatever comes behind it */
	enum dialect dialect;
	unsigned flags;
	void (*handle)(struct exchange *x);
};

struct found_route {
	const struct route *route; /* NULL: there is none for this */
	enum dialect dialect;	   /* of the path's neighbours when there is none */
	const char *rest;	   /* into @path */
	const char *allowed;	   /* the method that this path has instead */
};

struct found_route route_find(const char *method, const char *path);

#endif
