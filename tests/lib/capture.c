/* capture: for LD_PRELOAD. Whatever goes into a TLS connection is also appended, in clear, to a
 * file of its own in the directory $CAPTURE_DIR: what somebody would have who recorded all traffic
 * and broke TLS later. */
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONNECTIONS = 1024 };

static struct {
	SSL *ssl;
	int file;
} connections[CONNECTIONS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned made;

static int file_new(void)
{
	char path[4096];
	const char *directory = getenv("CAPTURE_DIR");

	if (directory == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/%ld-%u.capture", directory, (long)getpid(), made++);
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
}

static int file_of(SSL *ssl)
{
	int free = -1;

	for (int i = 0; i < CONNECTIONS; i++) {
		if (connections[i].ssl == ssl)
			return connections[i].file;
		if (connections[i].ssl == NULL && free < 0)
			free = i;
	}
	if (free < 0)
		abort();
	connections[free].ssl = ssl;
	connections[free].file = file_new();
	return connections[free].file;
}

int SSL_write_ex(SSL *ssl, const void *data, size_t size, size_t *written)
{
	static int (*real)(SSL *, const void *, size_t, size_t *);
	int done;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "SSL_write_ex");
	done = real(ssl, data, size, written);
	pthread_mutex_lock(&lock);
	if (done == 1) {
		int file = file_of(ssl);

		if (file >= 0 && write(file, data, *written) != (ssize_t)*written)
			abort(); /* a capture with a hole proves nothing */
	}
	pthread_mutex_unlock(&lock);
	return done;
}

void SSL_free(SSL *ssl)
{
	static void (*real)(SSL *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "SSL_free");
	pthread_mutex_lock(&lock);
	for (int i = 0; ssl != NULL && i < CONNECTIONS; i++) {
		if (connections[i].ssl != ssl)
			continue;
		if (connections[i].file >= 0)
			close(connections[i].file);
		connections[i].ssl = NULL;
	}
	pthread_mutex_unlock(&lock);
	real(ssl);
}
