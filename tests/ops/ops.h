/* SPDX-License-Identifier: MIT */
/* What the files of the ops suite share: a device, and memory that it sees. */
#ifndef STOKER_TEST_OPS_H
#define STOKER_TEST_OPS_H

#include "device/device.h"
#include "reference.h"
#include "unit.h"

extern struct stoker_device *device;
extern const struct stoker_device_ops *ops;
extern size_t pool_used; /* 0 begins anew */

/* Floats that live until then, zeros, random ones, one number; where the device sees them. */
float *room(size_t n);
float *zeros(size_t n);
float *noise(size_t n);
uint32_t *number(uint32_t value);
/* Of @rows rows of one sequence, from @position on; of that with these pages. */
stoker_address places_at(uint32_t position, uint32_t rows);
stoker_address places_in(stoker_address pages, uint32_t position, uint32_t rows);
double *doubles(size_t n);
double *doubles_of(const float *values, size_t n);
stoker_address at(const void *p);

/* Matrices in random blocks, and their values; laid out as the device wants them or @as_in_files.
 */
extern bool as_in_files;
struct stoker_weight weights(const struct stoker_format *f, uint32_t in, uint32_t out,
			     uint32_t count, double *values);
/* The same of such blocks; they stay with the test. */
struct stoker_weight weights_of(const struct stoker_format *f, uint8_t *blocks, uint32_t in,
				uint32_t out, uint32_t count, double *values);
/* The same for the reference; without biases and scales. */
struct matrix plain(const struct stoker_weight *w, const double *values);

/* Room for q8 of rows; 0 where the device takes none. */
stoker_address q8_room(uint32_t rows, uint32_t width);

/* carry(to_device) before begin(), submit(), carry(from_device). */
void carry(int (*copy)(void));
/* Whether the device takes this process's pointers as addresses. */
bool memory_is_shared(void);
int to_device(void);
int from_device(void);
void submit(void);

/* The op @name of the device, by itself. */
#define RUN(name, op)                                         \
	do {                                                  \
		carry(to_device);                             \
		CU_ASSERT_EQUAL(ops->begin(device, NULL), 0); \
		device_##name(device, &(op));                 \
		submit();                                     \
		carry(from_device);                           \
	} while (0)

/* The largest difference, relative to the largest wanted value. */
double off_by(const float *got, const double *wanted, size_t n);
/* Each value, with a limit to the difference; to the relative one of values above 1. */
void check_each(const float *got, const double *wanted, size_t n, double limit);
void check_each_by_size(const float *got, const double *wanted, size_t n, double limit);
/* All of them by off_by(); @what is said of those that aren't. */
void check(const char *what, const float *got, const double *wanted, size_t n, double limit);

/* Calls @test with each device and variant open; with the device @name, which has @threads. */
extern unsigned threads;
void run_all_sets(void (*test)(bool exact));
void run_on(const char *name, bool exact, void (*test)(bool exact));

void add_attention(void);
void add_attention_formats(void);
void add_experts(void);
void add_gather(void);
void add_memory(void);
void add_norms_and_rope(void);
void add_products(void);
void add_recurrence(void);
void add_sequences(void);
void add_small(void);

#endif
