/* SPDX-License-Identifier: MIT */
/**
 * stoker/log.h - what the library does otherwise than one would expect, and doesn't fail for.
 *
 * It reads with another mechanism where one isn't to be had, keeps experts on the drive where
 * memory isn't enough, and so on: results are the same, speed isn't.  A program that wants to know
 * says so when it opens a device (struct stoker_device_params); the library prints nothing itself.
 */
#ifndef STOKER_LOG_H
#define STOKER_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/** enum stoker_log_level - how much somebody wants to know it */
enum stoker_log_level {
	STOKER_LOG_WARNING = 1, /* something is missing, and it'll be slower */
	STOKER_LOG_INFO,	/* what was chosen */
};

/**
 * stoker_log - is told one sentence
 * @user: struct stoker_device_params' log_user
 * @message: NUL-terminated UTF-8 without a line's end, valid until it returns
 *
 * Comes from the thread that made a call on the device, or on a model or session there, while that
 * call goes on; several calls may come at a time.  It makes no calls on these itself.
 */
typedef void (*stoker_log)(void *user, enum stoker_log_level level, const char *message);

#ifdef __cplusplus
}
#endif

#endif
