/*
 * Documents of the vault's on their way to a client, as fast as it takes them: 100,000 cases are
 * some 50 MB, and a client that reads slowly is not to be cut off for it. They are wiped once they
 * are sent, or the client has gone; a lock closes its connection.
 */
#include "base/alloc.h"
#include "server/control/internal.h"
#include "server/internal.h"

enum { SENT_AT_ONCE = 256 * 1024 };

struct sending {
	struct control_request *request;
	struct vault_request *done; /* whose documents go out */
	const struct vault_doc *next;
};

static void send_more(void *arg, bool gone)
{
	struct sending *s = arg;

	for (size_t sent = 0; !gone && s->next != NULL && sent < SENT_AT_ONCE;
		s->next = s->next->next) {
		control_item(s->request, buf_bytes(&s->next->json));
		sent += s->next->json.size;
	}
	if (!gone && s->next != NULL) {
		control_sent(s->request, send_more, s);
		return;
	}
	control_end(s->request, BYTES_NONE);
	vault_request_free(s->done);
	mem_free(s);
}

void answer_docs(
	struct control_request *request, struct vault_request *done, const struct vault_doc *first)
{
	struct sending *s = mem_zalloc(sizeof(*s));

	if (s == NULL)
		runtime_out_of_memory();
	*s = (struct sending){request, done, first};
	send_more(s, false);
}
