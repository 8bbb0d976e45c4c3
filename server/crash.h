/*
 * crash: last words. LMDB ends the process on some damage (an assertion, an address that is none, a
 * page that the disk does not give); nobody should have to guess why a node stopped.
 */
#ifndef SERVER_CRASH_H
#define SERVER_CRASH_H

/* From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT write a message that names the store's
 * directory and what to run, and end the process with exit status 4. No core file. Call again to
 * replace the names. Any thread's fault is caught; only this thread has a stack of its own for it.
 */
void crash_install(const char *store_directory, const char *config_file);

#endif
