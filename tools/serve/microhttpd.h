/* SPDX-License-Identifier: MIT */
/* libmicrohttpd, which only the server needs. */
#ifndef STOKER_SERVE_MICROHTTPD_H
#define STOKER_SERVE_MICROHTTPD_H

#include <microhttpd.h>

#include "library.h"

/* All are in 0.9.75 already. */
#define MICROHTTPD_FUNCTIONS(X)                                      \
	X(start, MHD_start_daemon)                                   \
	X(stop, MHD_stop_daemon)                                     \
	X(add_connection, MHD_add_connection)                        \
	X(connection_info, MHD_get_connection_info)                  \
	X(set_connection_option, MHD_set_connection_option)          \
	X(each_value, MHD_get_connection_values)                     \
	X(lookup, MHD_lookup_connection_value)                       \
	X(queue, MHD_queue_response)                                 \
	X(response_from_buffer, MHD_create_response_from_buffer)     \
	X(response_from_callback, MHD_create_response_from_callback) \
	X(add_header, MHD_add_response_header)                       \
	X(destroy_response, MHD_destroy_response)

struct microhttpd {
	MICROHTTPD_FUNCTIONS(LIBRARY_MEMBER)
};

/* NULL until it is loaded. */
extern struct microhttpd microhttpd;

int microhttpd_load(struct stoker_error *err);

#endif
