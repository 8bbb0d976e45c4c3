/* What a proxy answers, and the words of sauti.conf about links: an answer is judged the same
 * however it is cut; a schedule that is taken is written back as one that says the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "node/bandwidth.h"
#include "node/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(struct bytes data)
{
	struct errctx ctx = {""};
	size_t used = 0;
	enum err whole = proxy_response(data, &used, &ctx);

	assert(whole != OK || (used <= data.size && used <= LIMIT_HTTP_HEADER));
	for (size_t n = 0; n < data.size && n < 64; n++) {
		size_t ignored;
		enum err part = proxy_response(bytes_make(data.data, n), &ignored, NULL);

		assert(part == ERR_AGAIN || part == whole);
	}
}

static void schedule(const char *text)
{
	struct rate_hours hours = {0}, again = {0};
	struct buf out;

	if (bandwidth_schedule(text, &hours, NULL) != OK)
		return;
	buf_init(&out, 4096);
	bandwidth_write_schedule(&out, &hours);
	buf_put(&out, bytes_make("", 1));
	assert(out.err == OK);
	enum err err = bandwidth_schedule((const char *)out.data, &again, NULL);

	assert(err == OK && memcmp(&hours, &again, sizeof(hours)) == 0);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes credentials;
	uint64_t rate;
	int16_t zone;
	char *text = malloc(size + 1);

	assert(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	answer(bytes_make(data, size));
	schedule(text);
	(void)!bandwidth_rate(text, &rate, NULL);
	(void)!bandwidth_zone(text, &zone, NULL);
	if (proxy_credentials(bytes_make(data, size), &credentials, NULL) == OK)
		assert(credentials.size <= LIMIT_PROXY_CREDENTIALS);
	free(text);
	return 0;
}
