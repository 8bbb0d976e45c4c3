/*
 * age: encryption to a key by the program of that name (age-encryption.org), where it is installed.
 * It is started without a shell and without an environment; what is to be encrypted goes to it
 * through a pipe, and what it makes straight into a file.
 */
#ifndef CLI_AGE_H
#define CLI_AGE_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"

/* A recipient of its own kind, age1.. with 62 characters: others may start programs. And a program
 * that takes it: it is tried with nothing. ERR_INVALID; ERR_NOTFOUND: no such program. */
enum err age_check(const char *recipient, struct errctx *ctx) MUST_USE;

/* Encrypts to the recipient, into an open file. ERR_INVALID: the program refused. */
enum err age_encrypt(
	const char *recipient, struct bytes plain, int to, struct errctx *ctx) MUST_USE;

#endif
