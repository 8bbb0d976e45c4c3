/*
 * clients: the connections that are open, each with a moment at which it must have got on. The
 * time-out of libmicrohttpd starts anew with every byte: a client that sends or takes one byte now
 * and then would stay for ever. So each stage has an end: the head, the body, the answer.
 *
 * A connection whose time is over is shut down, which its own thread then notices. Any thread.
 */
#ifndef WEB_CLIENTS_H
#define WEB_CLIENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
	struct client *next, **link;
	int fd;
	uint64_t end_ms;
};

struct clients {
	pthread_mutex_t mutex;
	struct client *first;
};

void clients_init(struct clients *clients);
void clients_release(struct clients *clients);

/* NULL: no memory. */
struct client *clients_add(struct clients *clients, int fd, uint64_t end_ms);
/* Before its descriptor is closed. NULL is fine. */
void clients_remove(struct clients *clients, struct client *client);
void clients_until(struct clients *clients, struct client *client, uint64_t end_ms);
/* Shuts down those whose end has passed; how many. */
size_t clients_sweep(struct clients *clients, uint64_t now_ms);

#endif
