/*
 * tlog_path: the files of one log in the C2SP tlog-tiles layout, by name: "tile/<level>/<N>" and
 * "tile/entries/<N>", where a file with fewer than 256 hashes or entries is called "<N>.p/<width>".
 * N is written in groups of three digits, all but the last behind an x: 1234067 is x001/x234/067.
 *
 * Names are relative to the log's own directory, whose path is the origin. Pure.
 */
#ifndef REPLICATION_LOG_TLOG_PATH_H
#define REPLICATION_LOG_TLOG_PATH_H

#include "replication/log/tiles.h"

enum { TLOG_PATH_SIZE = 64 }; /* room for any path and its terminator */

enum tlog_kind { TLOG_TILE, TLOG_ENTRIES };
struct tlog_file {
	enum tlog_kind kind;
	struct tile_id id; /* of entries: level 0 */
	unsigned width;    /* 1 to TILE_WIDTH, which is a full file */
};

/* Writes the path and its terminator. The file must be one that a log of at most LIMIT_LOG_SIZE
 * entries has. */
void tlog_path_format(const struct tlog_file *file, char ret[TLOG_PATH_SIZE]);

/* The one way only to write a path; anything else is ERR_MALFORMED. */
enum err tlog_path_parse(struct bytes path, struct tlog_file *ret) MUST_USE;

/* Every file of a tree of `size` leaves, each once: the bundles of entries by index, then the tiles
 * of level 0, then of level 1, and so on. */
struct tlog_files {
	uint64_t size;
	struct tlog_file next;
};
void tlog_files_init(struct tlog_files *files, uint64_t size);
bool tlog_files_next(struct tlog_files *files, struct tlog_file *ret); /* false at the end */

#endif
