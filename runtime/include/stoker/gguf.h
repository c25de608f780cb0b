/* SPDX-License-Identifier: MIT */
/**
 * stoker/gguf.h - reading and writing GGUF containers (versions 2 and 3, little-endian).
 *
 * An open container holds metadata and the tensor table; tensor data stays in the file.  A model
 * split over several files is opened by its first one, "NAME-00001-of-0000N.gguf".  Everything is
 * bounds-checked on opening: offsets, sizes and strings got from here can be trusted.
 *
 * Thread-safety: an open container is constant and may be shared by threads, and by the models and
 * vocabularies that are made from it: the last one to let go of it closes its files.  A writer
 * belongs to one thread.
 */
#ifndef STOKER_GGUF_H
#define STOKER_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/format.h"

#ifdef __cplusplus
extern "C" {
#endif

enum stoker_gguf_type {
	STOKER_GGUF_U8,
	STOKER_GGUF_I8,
	STOKER_GGUF_U16,
	STOKER_GGUF_I16,
	STOKER_GGUF_U32,
	STOKER_GGUF_I32,
	STOKER_GGUF_F32,
	STOKER_GGUF_BOOL,
	STOKER_GGUF_STRING,
	STOKER_GGUF_ARRAY,
	STOKER_GGUF_U64,
	STOKER_GGUF_I64,
	STOKER_GGUF_F64,
};

/**
 * struct stoker_string - bytes inside an open container
 * @data: not NUL-terminated, may hold any byte
 * @length: in bytes
 */
struct stoker_string {
	const char *data;
	size_t length;
};

/**
 * struct stoker_gguf_key - one metadata entry
 * @name: NUL-terminated
 * @type: of the value
 * @element_type: of an array's elements, otherwise @type
 * @count: elements of an array, otherwise 1
 */
struct stoker_gguf_key {
	const char *name;
	enum stoker_gguf_type type, element_type;
	uint64_t count;
};

/**
 * struct stoker_gguf_tensor - one row of the tensor table
 * @name: NUL-terminated
 * @format: how values are stored
 * @dimensions: 1 to 4
 * @ne: values along each dimension, the contiguous one first; 1 beyond @dimensions
 * @file: index of the file that holds the data, see stoker_gguf_file()
 * @offset: of the data in that file, in bytes
 * @bytes: size of the data
 */
struct stoker_gguf_tensor {
	const char *name;
	const struct stoker_format *format;
	uint32_t dimensions;
	uint64_t ne[4];
	uint32_t file;
	uint64_t offset, bytes;
};

struct stoker_gguf;

/**
 * stoker_gguf_open() - open a container and check it
 * @path: the file, or the first file of a split model
 * @gguf: receives the container; close it with stoker_gguf_close()
 * @err: receives a sentence on failure, may be NULL
 *
 * Return: 0; -errno of the file system, -EISDIR for a folder; -EINVAL for a malformed file or one
 * of another kind, -ENOTSUP for an unsupported version or tensor format; -ENOMEM.
 */
STOKER_API int stoker_gguf_open(const char *path, struct stoker_gguf **gguf,
				struct stoker_error *err);

/**
 * stoker_gguf_open_fd() - the same from a file that the caller has opened
 * @fd: for reading, a regular file; stays the caller's, who may close it at once
 * @gguf: receives the container; close it with stoker_gguf_close()
 *
 * A split model is opened by the path of its first file instead.
 *
 * Return: as stoker_gguf_open(); -EBADF; -ENOTSUP for a file of a split model.
 */
STOKER_API int stoker_gguf_open_fd(int fd, struct stoker_gguf **gguf, struct stoker_error *err);

/**
 * stoker_gguf_close() - release a container and clear the pointer; NULL is fine
 *
 * Nothing that came from the container is used by the caller any more.  Models and vocabularies
 * made from it keep it open for as long as they need it, so it is closed at any time once the calls
 * that made them have returned, and may be while they are in use or freed on other threads.
 */
STOKER_API void stoker_gguf_close(struct stoker_gguf **gguf);

/** stoker_gguf_version() - of the container format, 2 or 3. */
STOKER_API uint32_t stoker_gguf_version(const struct stoker_gguf *gguf);

/** stoker_gguf_file_count() - 1, or the number of files of a split model. */
STOKER_API uint32_t stoker_gguf_file_count(const struct stoker_gguf *gguf);

/**
 * stoker_gguf_file() - one of the files
 * @gguf: the container
 * @index: below stoker_gguf_file_count()
 * @fd: receives a descriptor open for reading, owned by the container; may be NULL
 * @bytes: receives the file's size; may be NULL
 *
 * Return: its path, NULL beyond the last one.
 */
STOKER_API const char *stoker_gguf_file(const struct stoker_gguf *gguf, uint32_t index, int *fd,
					uint64_t *bytes);

/** stoker_gguf_key_count() - number of metadata entries. */
STOKER_API size_t stoker_gguf_key_count(const struct stoker_gguf *gguf);

/** stoker_gguf_key() - entry @index in file order, NULL from stoker_gguf_key_count() on. */
STOKER_API const struct stoker_gguf_key *stoker_gguf_key(const struct stoker_gguf *gguf,
							 size_t index);

/** stoker_gguf_find() - the entry called @name, or NULL. */
STOKER_API const struct stoker_gguf_key *stoker_gguf_find(const struct stoker_gguf *gguf,
							  const char *name);

/**
 * stoker_gguf_u64() - an integer of any width, or a boolean
 * @key: entry of this container
 * @index: element of an array, 0 for a scalar
 * @value: receives it
 *
 * Return: 0; -EINVAL for another type or a negative number; -ERANGE beyond the array.
 */
STOKER_API int stoker_gguf_u64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
			       uint64_t index, uint64_t *value);

/** stoker_gguf_i64() - likewise, signed. */
STOKER_API int stoker_gguf_i64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
			       uint64_t index, int64_t *value);

/** stoker_gguf_f64() - a float of either width, or an integer. */
STOKER_API int stoker_gguf_f64(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
			       uint64_t index, double *value);

/** stoker_gguf_string() - a string scalar. Return: 0 or -EINVAL. */
STOKER_API int stoker_gguf_string(const struct stoker_gguf *gguf, const struct stoker_gguf_key *key,
				  struct stoker_string *value);

/**
 * stoker_gguf_strings() - an array of strings
 * @key: entry of this container
 * @strings: room for key->count strings, filled in
 *
 * Return: 0 or -EINVAL.
 */
STOKER_API int stoker_gguf_strings(const struct stoker_gguf *gguf,
				   const struct stoker_gguf_key *key,
				   struct stoker_string *strings);

/** stoker_gguf_tensor_count() - rows of the tensor table, over all files. */
STOKER_API size_t stoker_gguf_tensor_count(const struct stoker_gguf *gguf);

/** stoker_gguf_tensor() - row @index, NULL from stoker_gguf_tensor_count() on. */
STOKER_API const struct stoker_gguf_tensor *stoker_gguf_tensor(const struct stoker_gguf *gguf,
							       size_t index);

/** stoker_gguf_find_tensor() - the tensor called @name, or NULL. */
STOKER_API const struct stoker_gguf_tensor *stoker_gguf_find_tensor(const struct stoker_gguf *gguf,
								    const char *name);

/**
 * stoker_gguf_read() - read a part of a tensor's data, synchronously
 * @tensor: row of this container
 * @offset: into the tensor's data, in bytes
 * @dst: receives @bytes
 * @err: may be NULL
 *
 * Return: 0, -ERANGE beyond the tensor, -EIO when the file has become shorter or otherwise changed
 * since it was opened, or -errno.
 */
STOKER_API int stoker_gguf_read(const struct stoker_gguf *gguf,
				const struct stoker_gguf_tensor *tensor, uint64_t offset, void *dst,
				size_t bytes, struct stoker_error *err);

/**
 * stoker_gguf_find_hole() - tensors that the file holds no data of
 * @bytes: receives how much of all tensors lies in holes of sparse files; may be NULL
 *
 * A program that fetches a file may make it as long as it will be at first.  What has not arrived
 * reads as zeros then, which is data like any other; only the file system knows.
 *
 * Return: the first tensor of which more than half is a hole; NULL: there is none, or the file
 * system can't tell.
 */
STOKER_API const struct stoker_gguf_tensor *stoker_gguf_find_hole(const struct stoker_gguf *gguf,
								  uint64_t *bytes);

struct stoker_gguf_writer;

/**
 * stoker_gguf_writer_open() - start a version 3 container
 * @path: the finished file's name, new or of a regular file; until stoker_gguf_writer_finish() the
 *	data is in "PATH.XXXXXX.part", with other letters
 * @writer: receives the writer
 *
 * Order: metadata and tensor rows first, then the data of all tensors in the order of the rows.
 *
 * Return: 0, -EINVAL when @path is a device or a folder, or -errno.
 */
STOKER_API int stoker_gguf_writer_open(const char *path, struct stoker_gguf_writer **writer,
				       struct stoker_error *err);

/**
 * stoker_gguf_writer_part() - where the data is until stoker_gguf_writer_finish()
 *
 * A program that is about to end without that call removes this file.
 *
 * Return: the path, which lives as long as the writer.
 */
STOKER_API const char *stoker_gguf_writer_part(const struct stoker_gguf_writer *w);

/**
 * stoker_gguf_writer_measure() - a writer without a file, which takes metadata and tensor rows
 * @writer: receives it; ended with stoker_gguf_writer_finish()
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
STOKER_API int stoker_gguf_writer_measure(struct stoker_gguf_writer **writer);

/**
 * stoker_gguf_writer_head() - where in the file the first tensor's data begins
 *
 * Metadata and rows that are added later move it.
 *
 * Return: bytes, a multiple of the alignment; 0: something that was added failed.
 */
STOKER_API uint64_t stoker_gguf_writer_head(const struct stoker_gguf_writer *w);

/** stoker_gguf_writer_put_u32() - add a metadata entry; failures are kept for
 * stoker_gguf_writer_finish().
 */
STOKER_API void stoker_gguf_writer_put_u32(struct stoker_gguf_writer *w, const char *key,
					   uint32_t value);
/** stoker_gguf_writer_put_f32() - likewise. */
STOKER_API void stoker_gguf_writer_put_f32(struct stoker_gguf_writer *w, const char *key,
					   float value);
/** stoker_gguf_writer_put_bool() - likewise. */
STOKER_API void stoker_gguf_writer_put_bool(struct stoker_gguf_writer *w, const char *key,
					    int value);
/** stoker_gguf_writer_put_string() - likewise; @value is NUL-terminated. */
STOKER_API void stoker_gguf_writer_put_string(struct stoker_gguf_writer *w, const char *key,
					      const char *value);
/** stoker_gguf_writer_put_strings() - likewise, an array of @count strings. */
STOKER_API void stoker_gguf_writer_put_strings(struct stoker_gguf_writer *w, const char *key,
					       const struct stoker_string *values, uint64_t count);
/** stoker_gguf_writer_put_i32s() - likewise, an array of @count integers. */
STOKER_API void stoker_gguf_writer_put_i32s(struct stoker_gguf_writer *w, const char *key,
					    const int32_t *values, uint64_t count);
/** stoker_gguf_writer_put_f32s() - likewise, an array of @count floats. */
STOKER_API void stoker_gguf_writer_put_f32s(struct stoker_gguf_writer *w, const char *key,
					    const float *values, uint64_t count);
/** stoker_gguf_writer_put_key() - copy entry @key of container @from unchanged. */
STOKER_API void stoker_gguf_writer_put_key(struct stoker_gguf_writer *w,
					   const struct stoker_gguf *from,
					   const struct stoker_gguf_key *key);
/**
 * stoker_gguf_writer_put_alignment() - begin each tensor's data at a multiple of @bytes, a power of
 * two from 32, the default, to 4096; before the first row
 */
STOKER_API void stoker_gguf_writer_put_alignment(struct stoker_gguf_writer *w, uint32_t bytes);
/** stoker_gguf_writer_put_tensor() - add a row to the tensor table. */
STOKER_API void stoker_gguf_writer_put_tensor(struct stoker_gguf_writer *w, const char *name,
					      const struct stoker_format *format,
					      uint32_t dimensions, const uint64_t *ne);

/**
 * stoker_gguf_writer_write() - append tensor data
 * @data: the next @bytes of the current tensor; a call may not cross into the next tensor
 *
 * Return: 0, -EINVAL beyond the tensor, or -errno (-ENOSPC ...).
 */
STOKER_API int stoker_gguf_writer_write(struct stoker_gguf_writer *w, const void *data,
					size_t bytes, struct stoker_error *err);

/**
 * stoker_gguf_writer_finish() - give the complete file its name, or remove it
 * @writer: closed and cleared in any case
 * @keep: zero abandons the file
 *
 * Return: 0; -EINVAL when data is missing; -errno of an earlier or of this call.
 */
STOKER_API int stoker_gguf_writer_finish(struct stoker_gguf_writer **writer, int keep,
					 struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
