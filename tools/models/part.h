/* SPDX-License-Identifier: MIT */
/*
 * The unfinished file: locked, with a record of what of it is missing, hashed as its front grows;
 * it gets its name when it is right.
 */
#ifndef STOKER_TOOL_PART_H
#define STOKER_TOOL_PART_H

#include "models/hasher.h"
#include "models/store.h"

struct part {
	const char *path; /* the name that it gets */
	char *name;	  /* the one that it has until then */
	int fd;
	struct store_record record; /* with what is missing */
	struct hasher *hasher;
	double saved; /* when the record was */
};

/* "PATH.part"; a string of the heap. */
char *part_name(const char *path);
/* How much of @path is there unfinished; 0: nothing. */
uint64_t part_bytes(const char *path);

/* -EBUSY when somebody else has it.  Close it in any case. */
int part_open(struct part *p, const char *path, struct stoker_error *err);
void part_close(struct part *p);
void part_remove(struct part *p);

/* Whether it is of the file that is wanted; @sha256 may be "", @bytes 0. */
bool part_goes_on(const struct part *p, const char *url, uint64_t bytes, const char *sha256);
/* With what is there. */
int part_go_on(struct part *p, uint64_t bytes, struct stoker_error *err);
/* With nothing; @bytes may be 0. */
int part_restart(struct part *p, const char *url, uint64_t bytes, struct stoker_error *err);

/* How much is there: of all, and from its front on. */
uint64_t part_have(const struct part *p);
uint64_t part_front(const struct part *p);
uint64_t part_free_space(const struct part *p);

/* What is missing goes to the drive: now, or if that was some time ago. */
int part_save(struct part *p, struct stoker_error *err);
void part_save_sometimes(struct part *p);

/* @hex is "" or what it has to be, and then is what it is.  @tick nonzero: -ECANCELED. */
int part_check_hash(struct part *p, char hex[SHA256_HEX + 1], const char *url,
		    int (*tick)(void *context), void *context, struct stoker_error *err);
/* No file that no reader could make anything of gets into the store. */
int part_check_model(const struct part *p, const char *url, struct stoker_error *err);
int part_put_in_place(struct part *p, struct stoker_error *err);

#endif
