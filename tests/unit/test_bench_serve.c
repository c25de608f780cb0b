// SPDX-License-Identifier: MIT
/* What "stoker bench serve" makes of a server's bytes and of times. */
#include "bench/serve_figures.h"
#include "bench/serve_reply.h"

#include <errno.h>
#include <string.h>

#include "unit.h"

/* Chunks that don't care for where events end. */
static size_t write_stream(char out[2048])
{
	static const char *const chunks[] = {
		"data: {\"choices\":[{\"delta\":{\"content\":null}}]}",
		"\n\n",
		"data: {\"choices\": [{\"delta\": {\"content\": \"a\\n\"}}]}\n\n: ping\n\nda",
		"ta: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n",
		"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n",
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,"
		"\"prompt_tokens_details\":{\"cached_tokens\":5}}}\n\n",
		"data: [DONE]\n\n",
	};
	int n = sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n");

	for (size_t i = 0; i < sizeof(chunks) / sizeof(*chunks); i++)
		n += sprintf(out + n, "%zx%s\r\n%s\r\n", strlen(chunks[i]), i % 2 ? ";a=b" : "",
			     chunks[i]);
	n += sprintf(out + n, "0\r\nTrailer: x\r\n\r\n");
	return (size_t)n;
}

/* Whatever the parts are that it comes in. */
static void test_streams(void)
{
	char streamed[2048];
	const size_t all = write_stream(streamed);
	struct samples gaps = { .values = NULL };
	struct reply r = { .gaps = &gaps, .keep_text = true };

	for (size_t each = 1; each <= all; each += each < 70 ? 1 : 37) {
		size_t at = 0;

		gaps.count = 0;
		reply_begin(&r);
		for (; at < all && !r.whole; at += each) {
			const size_t n = all - at < each ? all - at : each;

			CU_ASSERT_EQUAL_FATAL(reply_take(&r, streamed + at, n, (double)at),
					      (long)n);
		}
		CU_ASSERT(r.whole && r.finished && r.keeps && r.status == 200);
		CU_ASSERT(r.pieces == 2 && r.prompt == 7 && r.generated == 2 && r.cached == 5);
		CU_ASSERT(gaps.count == 1 && r.last >= r.first);
		CU_ASSERT_STRING_EQUAL(r.text.data, "a\nb");
		CU_ASSERT_STRING_EQUAL(r.error, "");
	}
	reply_free(&r);
	samples_free(&gaps);
}

/* What follows a reply isn't taken; one without a length ends with the connection. */
static void test_ends(void)
{
	static const char sized[] = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP";
	static const char rest[] = "HTTP/1.0 200 OK\r\n\r\ndata: {\"choices\":[{\"text\":\"x\"}]}";
	static const char empty[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n"
				    "Connection: close\r\n\r\n";
	char streamed[2048];
	struct reply r = { .keep_text = true };

	write_stream(streamed);
	reply_begin(&r);
	CU_ASSERT_EQUAL(reply_take(&r, sized, sizeof(sized) - 1, 0), (long)sizeof(sized) - 5);
	CU_ASSERT(r.whole && r.keeps && !r.finished);
	CU_ASSERT_STRING_EQUAL(r.text.data, "abc");
	reply_begin(&r);
	CU_ASSERT_EQUAL(reply_take(&r, rest, sizeof(rest) - 1, 1), (long)sizeof(rest) - 1);
	CU_ASSERT(!r.whole && !r.pieces);
	CU_ASSERT(reply_closed(&r, 2));
	CU_ASSERT(r.pieces == 1 && r.first == 2 && !r.keeps);
	reply_begin(&r);
	CU_ASSERT_EQUAL(reply_take(&r, empty, sizeof(empty) - 1, 0), (long)sizeof(empty) - 1);
	CU_ASSERT(r.whole && r.status == 204 && !r.keeps);
	/* cut off in the middle of a stream */
	reply_begin(&r);
	CU_ASSERT_EQUAL(reply_take(&r, streamed, 200, 0), 200);
	CU_ASSERT(!reply_closed(&r, 1));
	reply_free(&r);
}

static void test_errors(void)
{
	static const char refused[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 46\r\n\r\n"
				      "{\"error\":{\n\"message\":\"the queue is full\"\n}}  \n";
	static const char broken[] =
		"HTTP/1.1 200 OK\r\n\r\ndata: {\"error\":{\"message\":\"no\"}}\n";
	static const char *const wrong[] = {
		"HELO\r\n",
		"HTTP/2 200\r\n",
		"HTTP/1.1 99 No\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
	};
	struct reply r = { .status = 0 };

	reply_begin(&r);
	CU_ASSERT_EQUAL(reply_take(&r, refused, sizeof(refused) - 1, 0), (long)sizeof(refused) - 1);
	CU_ASSERT(r.whole && r.status == 429);
	CU_ASSERT_STRING_EQUAL(r.error, "the queue is full");
	reply_begin(&r);
	CU_ASSERT_EQUAL(reply_take(&r, broken, sizeof(broken) - 1, 0), (long)sizeof(broken) - 1);
	CU_ASSERT_STRING_EQUAL(r.error, "no");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		reply_begin(&r);
		CU_ASSERT_EQUAL(reply_take(&r, wrong[i], strlen(wrong[i]), 0), -EPROTO);
	}
	reply_free(&r);
}

static void test_percentiles(void)
{
	struct samples s = { .values = NULL };

	CU_ASSERT_EQUAL(samples_percentile(&s, 50), 0);
	samples_add(&s, 7);
	CU_ASSERT_EQUAL(samples_percentile(&s, 0), 7);
	CU_ASSERT_EQUAL(samples_percentile(&s, 99), 7);
	s.count = 0;
	for (int i = 1000; i >= 0; i--)
		samples_add(&s, i);
	/* as numpy.percentile() has them */
	CU_ASSERT_DOUBLE_EQUAL(samples_percentile(&s, 50), 500, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(samples_percentile(&s, 99), 990, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(samples_percentile(&s, 99.95), 999.5, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(samples_percentile(&s, 100), 1000, 1e-9);
	samples_free(&s);
}

void add_bench_serve(void)
{
	TEST(test_streams);
	TEST(test_ends);
	TEST(test_errors);
	TEST(test_percentiles);
}
