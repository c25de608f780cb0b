/* SPDX-License-Identifier: MIT */
/**
 * stoker/state.h - what a session or a sequence holds, saved and restored.
 *
 * A state is what would take long to compute again: the context's tokens, their keys and values,
 * and what recurrent layers know, at the end and at checkpoints before it.  It belongs to the model
 * file it was made with and to the type of the cache; the size of the context may be another one,
 * as far as it fits.  Logits aren't part of it: the last token is evaluated again, or another one.
 *
 * States have a version, the byte order of the machine, and a checksum for each block.  What they
 * say is checked before memory is taken, and a damaged one is refused whole.  They are as secret as
 * the text that is in them, and nothing keeps somebody from making one up: restore those only that
 * come from where you would take text from.
 *
 * Threads, fork: as for what is saved.
 */
#ifndef STOKER_STATE_H
#define STOKER_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/batch.h"
#include "stoker/error.h"
#include "stoker/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * stoker_state_write - takes the next @bytes of a state, of 1 MiB at most
 *
 * Return: 0, or a negative errno value, which ends the saving.
 */
typedef int (*stoker_state_write)(void *user, const void *data, size_t bytes);

/**
 * stoker_state_read - gives the next @bytes of a state, of 1 MiB at most, all of them
 *
 * Return: 0, or a negative errno value, which ends the restoring; -ENODATA where there are fewer.
 */
typedef int (*stoker_state_read)(void *user, void *data, size_t bytes);

/**
 * stoker_session_save() - the context as a state
 * @write: is called with one part after the other; it may read from the session, see
 *	stoker/session.h
 * @user: is given to it
 *
 * Return: 0; what @write returned; -EBUSY; -ENOMEM; -EIO when the model's file has changed.
 */
STOKER_API int stoker_session_save(struct stoker_session *session, stoker_state_write write,
				   void *user, struct stoker_error *err);

/**
 * stoker_session_restore() - a state as the context of a session that has none
 * @read: is called for one part after the other
 * @user: is given to it
 * @bytes: that the state has, UINT64_MAX where that isn't known
 *
 * Return: 0; -EINVAL for what isn't a state, is damaged or of another model, and when the context
 * isn't empty; -ENOTSUP for another version, byte order or type of cache, and for a state that
 * lacks what layers with windows have in this session; -ENOSPC when it doesn't fit; what @read
 * returned; -EBUSY; -ENOMEM.  After a failure the context is empty.
 */
STOKER_API int stoker_session_restore(struct stoker_session *session, stoker_state_read read,
				      void *user, uint64_t bytes, struct stoker_error *err);

/**
 * stoker_session_save_file() - into a file
 *
 * It is written without a name, readable for its owner only, and gets its name when all of it is
 * on the drive: whatever happens, @path is what it was or what it shall be, and a process that is
 * killed while it writes leaves nothing else; one that is killed between a file's two names, in
 * the moment before @path is replaced, leaves the whole file under another one.  Where the file
 * system has no files without names (O_TMPFILE) it has another one beside @path until then.  A
 * symbolic link stays one; what isn't a regular file isn't replaced.
 *
 * Return: as stoker_session_save(), or what the system said; -EINVAL for what isn't a regular file.
 */
STOKER_API int stoker_session_save_file(struct stoker_session *session, const char *path,
					struct stoker_error *err);

/** stoker_session_restore_file() - from a file. Return: as stoker_session_restore(); -ENOENT. */
STOKER_API int stoker_session_restore_file(struct stoker_session *session, const char *path,
					   struct stoker_error *err);

/** stoker_sequence_save() - as stoker_session_save(). */
STOKER_API int stoker_sequence_save(struct stoker_sequence *sequence, stoker_state_write write,
				    void *user, struct stoker_error *err);

/** stoker_sequence_restore() - as stoker_session_restore(). */
STOKER_API int stoker_sequence_restore(struct stoker_sequence *sequence, stoker_state_read read,
				       void *user, uint64_t bytes, struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
