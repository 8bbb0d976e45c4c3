/*
 * ini: a strict reader of INI text, driven by tables.
 *
 *   # a comment: a whole line; blank lines are fine
 *   [section]            or  [section argument]
 *   key = value          up to the end of the line, white space around it removed
 *
 * Refused, each as "FILE:LINE: .." with what was found and what is allowed: unknown sections and
 * keys, a section or a key given twice, a key before any section, a missing or superfluous
 * argument, an empty value, control characters, text that is not UTF-8. There is no quoting, no
 * continuation line and no comment behind a value.
 *
 * Pure: text in, calls out. Errors are ERR_INVALID (and what the tables' functions return).
 */
#ifndef NODE_INI_H
#define NODE_INI_H

#include "base/bytes.h"
#include "base/err.h"

struct ini_key {
	const char *name;
	/* Parses value (a C string, not empty) into what `object` points to, at offset. The reason
	 * of an error goes into ctx without place and key: both are put before it. */
	enum err (*set)(
		void *object, const struct ini_key *key, const char *value, struct errctx *ctx);
	size_t offset;     /* of the field in the object, for the functions' use */
	uint64_t min, max; /* likewise */
};

struct ini_section {
	const char *name;
	const char *argument; /* what it is, for messages ("NAME"); NULL: the section has none */
	/* Called at the section's head: gives the object of its keys. Repeated sections never get
	 * here. argument is "" when the section has none. NULL: the object is `arg`. */
	enum err (*open)(void *arg, const char *argument, unsigned line, void **ret_object,
		struct errctx *ctx);
	const struct ini_key *keys;
	size_t key_count; /* at most 64 */
};

/* file: for messages. arg: handed to open. */
enum err ini_parse(struct bytes text, const char *file, const struct ini_section *sections,
	size_t section_count, void *arg, struct errctx *ctx) MUST_USE;

#endif
