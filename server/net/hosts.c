#include "server/net/hosts.h"

#include <netinet/in.h>
#include <string.h>

void host_of(const struct sockaddr_storage *address, struct host *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;

	*ret = (struct host){{0}};
	if (address->ss_family == AF_INET) {
		memcpy(ret->b, mapped, sizeof(mapped));
		memcpy(ret->b + 12, &in->sin_addr, 4);
	} else if (address->ss_family == AF_INET6) {
		memcpy(ret->b, &in6->sin6_addr, 16);
		if (memcmp(ret->b, mapped, sizeof(mapped)) != 0 &&
			!IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
			memset(ret->b + 8, 0, 8);
	}
}

bool host_equal(const struct host *a, const struct host *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool hosts_known(const struct hosts *hosts, const struct host *host)
{
	for (size_t i = 0; i < LIMIT_KNOWN_HOSTS; i++)
		if (hosts->list[i].used != 0 && host_equal(&hosts->list[i].host, host))
			return true;
	return false;
}

void hosts_add(struct hosts *hosts, const struct host *host)
{
	struct known_host *place = &hosts->list[0];

	for (size_t i = 0; i < LIMIT_KNOWN_HOSTS; i++) {
		struct known_host *at = &hosts->list[i];

		if (at->used != 0 && host_equal(&at->host, host)) {
			place = at;
			break;
		}
		if (at->used < place->used)
			place = at;
	}
	place->host = *host;
	place->used = ++hosts->uses;
}
