/*
 * command: `sautid --fsck`: the check of a stopped node's directory, in a child process, and what a
 * person is told (docs/man/sautid.8). The check itself is check.h.
 */
#ifndef SERVER_FSCK_COMMAND_H
#define SERVER_FSCK_COMMAND_H

#include <stdbool.h>

/* Exit statuses of sautid. */
enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_INTEGRITY = 4,
	EXIT_PERMISSION = 5,
};

/* Before anything is opened and any thread started. 0: all is whole, maybe after a repair; 4:
 * damage was found, or entries are marked to be fetched again; 5: not permitted; 1: it could not be
 * checked. */
int fsck_main(const char *config_file, bool repair);

#endif
