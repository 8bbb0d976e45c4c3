/* A file for a client, as fast as it reads it. */
#include "server/control/internal.h"

enum { CHUNK = 256 * 1024 };

static void give_more(void *arg, bool gone)
{
	struct giving *giving = arg;
	size_t left = giving->file.size - giving->sent, size = left < CHUNK ? left : CHUNK;

	if (gone || left == 0) {
		control_end(giving->request, BYTES_NONE);
		giving->done(giving->arg);
		return;
	}
	control_data(giving->request, bytes_make(giving->file.data + giving->sent, size));
	giving->sent += size;
	control_sent(giving->request, give_more, giving);
}

void give_file(struct giving *giving)
{
	give_more(giving, false);
}
