#include "web/hosts.h"

#include <ctype.h>

#include "base/text.h"

/* The name of "name" or "name:port"; empty when it is neither. */
static struct bytes name_of(struct bytes header)
{
	struct bytes name = header, port;
	const uint8_t *end;
	uint64_t number;

	if (header.size > 0 && header.data[0] == '[') {
		end = memchr(header.data, ']', header.size);
		if (end == NULL)
			return BYTES_NONE;
		name.size = (size_t)(end + 1 - header.data);
	} else {
		end = header.size > 0 ? memchr(header.data, ':', header.size) : NULL;
		if (end != NULL)
			name.size = (size_t)(end - header.data);
	}
	if (name.size == header.size)
		return name;
	port = bytes_make(header.data + name.size + 1, header.size - name.size - 1);
	if (header.data[name.size] != ':' || decimal_parse(port, 65535, &number) != OK)
		return BYTES_NONE;
	return name;
}

static bool name_valid(struct bytes name)
{
	bool address = name.size > 2 && name.data[0] == '[' && name.data[name.size - 1] == ']';

	for (size_t i = 0; i < name.size; i++) {
		unsigned char c = name.data[i];
		bool bracket = i == 0 || i == name.size - 1;

		if (address ? !isxdigit(c) && c != ':' && c != '.' && !bracket
			    : !isalnum(c) && c != '-' && c != '.')
			return false;
	}
	return name.size > 0;
}

enum err hosts_add(struct hosts *hosts, const char *name, struct errctx *ctx)
{
	struct bytes text = bytes_str(name);

	if (text.size > LIMIT_WEB_HOST)
		return err_set(ctx, ERR_LIMIT, "the name of a host has more than %d characters",
			LIMIT_WEB_HOST);
	if (!name_valid(text))
		return err_set(ctx, ERR_INVALID,
			"found '%s'; allowed: a host's name or address, without a port", name);
	if (hosts->count == LIMIT_WEB_HOSTS)
		return err_set(ctx, ERR_LIMIT, "more than %d hosts", LIMIT_WEB_HOSTS);
	for (size_t i = 0; i <= text.size; i++)
		hosts->names[hosts->count][i] = (char)tolower((unsigned char)name[i]);
	hosts->count++;
	return OK;
}

void hosts_default(struct hosts *hosts)
{
	*hosts = (struct hosts){{"localhost", "127.0.0.1", "[::1]"}, 3};
}

static bool equal_fold(struct bytes text, const char *lower)
{
	for (size_t i = 0; i < text.size; i++)
		if (tolower(text.data[i]) != lower[i])
			return false;
	return true;
}

bool hosts_match(const struct hosts *hosts, struct bytes header)
{
	struct bytes name = name_of(header);

	for (size_t i = 0; i < hosts->count && name.size > 0; i++)
		if (strlen(hosts->names[i]) == name.size && equal_fold(name, hosts->names[i]))
			return true;
	return false;
}
