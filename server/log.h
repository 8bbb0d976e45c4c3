/*
 * log: the program's own messages, one line each on standard error, for the journal. Only sautid
 * logs; libraries return errors. Never a payload, key, token or passphrase; foreign text is escaped
 * by whoever puts it in.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

enum log_level { LOG_ALARM, LOG_WARNING, LOG_INFO, LOG_DEBUG };

#include <stdbool.h>
#include <stdint.h>

void log_set_level(enum log_level level); /* what is more talkative is dropped; INFO at first */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For what others can cause as often as they like: nobody may fill the disk with it. */
struct log_gate {
	const char *what; /* "refused": of what more were left out */
	unsigned max;     /* lines a minute */
	uint64_t minute;
	unsigned count;
};
/* May one more be said? Says how many were left out, once their minute is over. */
bool log_gate(struct log_gate *gate, uint64_t now_ms);

#endif
