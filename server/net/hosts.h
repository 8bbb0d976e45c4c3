/*
 * hosts: where connections come from, as parties: an IPv4 address, or the /64 of an IPv6 one, whose
 * owner has all the addresses in it (of a link-local one the whole: all neighbours share the /64).
 * And which of them are known: a member proved itself from there, or was dialled there. The last
 * LIMIT_KNOWN_HOSTS are; who is forgotten is a stranger until he has proved himself again.
 */
#ifndef SERVER_NET_HOSTS_H
#define SERVER_NET_HOSTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/limits.h"

struct host {
	uint8_t b[16]; /* IPv4 mapped into IPv6 */
};
/* Of another family: all zeros. */
void host_of(const struct sockaddr_storage *address, struct host *ret);
bool host_equal(const struct host *a, const struct host *b);

/* Zeroed: nobody is known. */
struct hosts {
	struct known_host {
		struct host host;
		uint64_t used; /* the larger, the later; 0: empty */
	} list[LIMIT_KNOWN_HOSTS];
	uint64_t uses;
};
void hosts_add(struct hosts *hosts, const struct host *host);
bool hosts_known(const struct hosts *hosts, const struct host *host);

#endif
