#include "node/swap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"

enum { TEXT_MAX = 32 * 1024 }; /* LIMIT_SWAPS lines of the longest names do not fit: a finding */

const struct swap_roots swap_roots_system = {"/proc", "/sys", stat};

/* In the order of how bad it is. */
enum judged { ENCRYPTED, UNKNOWN, CLEAR };

/* Files of the kernel say no size. False: not there, unreadable, or longer than `size`. */
static bool read_text(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t at = 0;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	while (at < size) {
		n = read(fd, ret + at, size - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	close(fd);
	if (n != 0 || at == size)
		return false;
	ret[at] = '\0';
	return true;
}

static bool path_make(char ret[PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool path_make(char ret[PATH_MAX], const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(ret, PATH_MAX, format, args);
	va_end(args);
	return n > 0 && n < PATH_MAX;
}

/* One attribute of a device, without its newline. */
static bool attribute(const char *device, const char *name, char *ret, size_t size)
{
	char path[PATH_MAX];

	if (!path_make(path, "%s/%s", device, name) || !read_text(path, ret, size))
		return false;
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static bool has(const char *device, const char *name)
{
	char path[PATH_MAX];

	return path_make(path, "%s/%s", device, name) && access(path, F_OK) == 0;
}

static enum judged worse(enum judged a, enum judged b)
{
	return a > b ? a : b;
}

static enum judged judge_number(const struct swap_roots *roots, dev_t number, unsigned depth);

/* dm-crypt; not what only checks integrity under the same prefix. */
static bool encrypts(const char *uuid)
{
	static const char *const kinds[] = {
		"LUKS", "PLAIN-", "LOOPAES-", "TCRYPT-", "BITLK-", "FVAULT2-"};

	if (strncmp(uuid, "CRYPT-", 6) != 0)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strncmp(uuid + 6, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

/* A block device, or the device of the filesystem that a file lies on. */
static enum judged judge_path(const struct swap_roots *roots, const char *path, unsigned depth)
{
	struct stat st;

	if (roots->stat(path, &st) != 0)
		return UNKNOWN;
	return judge_number(roots, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, depth);
}

static enum judged judge_device(const struct swap_roots *roots, const char *device, unsigned depth);

/* All that it lies on; CLEAR when it lies on nothing: a disk. */
static enum judged judge_slaves(const struct swap_roots *roots, const char *device, unsigned depth)
{
	char path[PATH_MAX];
	enum judged found = ENCRYPTED;
	unsigned count = 0;
	struct dirent *entry;
	DIR *dir;

	if (!path_make(path, "%s/slaves", device))
		return UNKNOWN;
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? CLEAR : UNKNOWN;
	while (found != CLEAR && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (++count > LIMIT_SWAP_DEVICES ||
			!path_make(path, "%s/class/block/%s", roots->sys, entry->d_name))
			found = worse(found, UNKNOWN);
		else
			found = worse(found, judge_device(roots, path, depth));
	}
	closedir(dir);
	return count == 0 ? CLEAR : found;
}

static enum judged judge_device(const struct swap_roots *roots, const char *device, unsigned depth)
{
	char text[PATH_MAX + 1], parent[PATH_MAX];

	if (depth == LIMIT_SWAP_DEPTH || access(device, F_OK) != 0)
		return UNKNOWN;
	if (attribute(device, "dm/uuid", text, sizeof(text)) && encrypts(text))
		return ENCRYPTED;
	if (has(device, "partition"))
		return path_make(parent, "%s/..", device) ? judge_device(roots, parent, depth + 1)
							  : UNKNOWN;
	if (attribute(device, "loop/backing_file", text, sizeof(text)))
		return judge_path(roots, text, depth + 1);
	if (has(device, "mm_stat")) { /* zram, and nothing else, counts its memory so */
		if (!attribute(device, "backing_dev", text, sizeof(text)))
			return has(device, "backing_dev") ? UNKNOWN : ENCRYPTED;
		return strcmp(text, "none") == 0 ? ENCRYPTED : judge_path(roots, text, depth + 1);
	}
	return judge_slaves(roots, device, depth + 1);
}

static enum judged judge_number(const struct swap_roots *roots, dev_t number, unsigned depth)
{
	char device[PATH_MAX];

	if (!path_make(device, "%s/dev/block/%u:%u", roots->sys, major(number), minor(number)))
		return UNKNOWN;
	return judge_device(roots, device, depth);
}

/* --- findings --- */

static char *finding_add(struct swap_report *report)
{
	return report->findings[report->count++];
}

/* Spaces, tabs, newlines and backslashes of a name are written as \ooo. */
static bool unescape(const char *text, size_t size, char ret[PATH_MAX])
{
	size_t at = 0;

	for (size_t i = 0; i < size; at++) {
		unsigned value = 0;

		if (at + 1 == PATH_MAX)
			return false;
		if (text[i] != '\\') {
			ret[at] = text[i++];
			continue;
		}
		if (size - i < 4)
			return false;
		for (size_t k = 1; k < 4; k++) {
			if (text[i + k] < '0' || text[i + k] > '7')
				return false;
			value = 8 * value + (unsigned)(text[i + k] - '0');
		}
		if (value == 0 || value > 255)
			return false;
		ret[at] = (char)value;
		i += 4;
	}
	ret[at] = '\0';
	return at > 0;
}

static void judge_area(
	const struct swap_roots *roots, const char *line, size_t size, struct swap_report *report)
{
	char name[PATH_MAX], shown[100];
	enum judged judged;

	if (!unescape(line, size, name)) {
		snprintf(finding_add(report), SWAP_FINDING_SIZE,
			"a line of %s/swaps cannot be read", roots->proc);
		return;
	}
	judged = judge_path(roots, name, 0);
	text_escape(bytes_str(name), shown, sizeof(shown));
	if (judged == CLEAR)
		snprintf(finding_add(report), SWAP_FINDING_SIZE, "swap on '%s' is not encrypted",
			shown);
	else if (judged == UNKNOWN)
		snprintf(finding_add(report), SWAP_FINDING_SIZE,
			"whether swap on '%s' is encrypted cannot be told", shown);
}

/* "Filename  Type  Size  Used  Priority", then a line for each area. */
static void judge_swaps(const struct swap_roots *roots, char *text, struct swap_report *report)
{
	size_t count = 0;

	for (char *line = text; line != NULL && *line != '\0';) {
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end = '\0';
		if (line != text && ++count > LIMIT_SWAPS) {
			snprintf(finding_add(report), SWAP_FINDING_SIZE,
				"there are more than %d areas of swap", LIMIT_SWAPS);
			return;
		}
		if (line != text)
			judge_area(roots, line, strcspn(line, " \t"), report);
		line = end == NULL ? NULL : end + 1;
	}
}

/* Where the kernel would write memory when the machine sleeps on its disk. What a program names
 * only then must be swap that is on. */
static void judge_hibernation(
	const struct swap_roots *roots, char *text, size_t size, struct swap_report *report)
{
	char path[PATH_MAX];
	unsigned device_major, device_minor;
	enum judged judged;

	if (!path_make(path, "%s/power/state", roots->sys) || !read_text(path, text, size) ||
		strstr(text, "disk") == NULL || !path_make(path, "%s/power/resume", roots->sys) ||
		!read_text(path, text, size))
		return;
	if (sscanf(text, "%u:%u", &device_major, &device_minor) != 2) {
		snprintf(finding_add(report), SWAP_FINDING_SIZE,
			"where hibernation writes to cannot be told");
		return;
	}
	if (device_major == 0 && device_minor == 0)
		return;
	judged = judge_number(roots, makedev(device_major, device_minor), 0);
	if (judged != ENCRYPTED)
		snprintf(finding_add(report), SWAP_FINDING_SIZE,
			"hibernation would write memory to device %u:%u, %s", device_major,
			device_minor,
			judged == CLEAR ? "which is not encrypted"
					: "of which it cannot be told whether it is encrypted");
}

void swap_check(const struct swap_roots *roots, struct swap_report *ret)
{
	char path[PATH_MAX], text[TEXT_MAX];

	ret->count = 0;
	if (path_make(path, "%s/swaps", roots->proc) && read_text(path, text, sizeof(text)))
		judge_swaps(roots, text, ret);
	else if (!has(roots->proc, "self") || has(roots->proc, "swaps")) /* a kernel without swap */
		snprintf(finding_add(ret), SWAP_FINDING_SIZE,
			"%s/swaps cannot be read: whether there is swap cannot be told",
			roots->proc);
	judge_hibernation(roots, text, sizeof(text), ret);
}

enum err swap_refuse(const struct swap_report *report, struct errctx *ctx)
{
	if (report->count == 0)
		return OK;
	return err_set(ctx, ERR_DENIED,
		"%s%s: what is read here could be written to that disk in clear; encrypt it or "
		"turn it off (swapoff -a), or set [lock] unencrypted_swap = allow in sauti.conf",
		report->findings[0], report->count > 1 ? ", and more" : "");
}
