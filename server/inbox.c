#include "server/inbox.h"

#include <string.h>

bool inbox_takes(const struct inbox_row *rows, size_t count, size_t coming, const char *sender)
{
	size_t of_sender = coming;

	for (size_t i = 0; i < count; i++)
		of_sender += strcmp(rows[i].sender, sender) == 0;
	return count + coming < LIMIT_MAIL_INBOX && of_sender < LIMIT_MAIL_INBOX_SENDER;
}

bool outbox_takes(size_t count, bool again)
{
	return count < LIMIT_MAIL_COPIES + (again ? 1 : 0);
}
