/*
 * bench_bare: what a catch-up is held against: the same number of entries of the same size.
 *
 *   bench_bare lmdb DIR COUNT   mdb_put, commits of 1,000
 *   bench_bare tls DIR COUNT    TLS 1.3 over loopback in writes of 16 KiB, from memory in one
 *                               process to a file in another, which syncs it at the end
 *   bench_bare through DIR COUNT SIZE LISTEN CONNECT
 *                               the same of COUNT entries of SIZE bytes, the sender listening on
 * one port and the receiver calling another: there is a link between
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib.h"

enum { COMMIT_ENTRIES = 1000, WRITE_SIZE = 16 * 1024, READ_SIZE = 64 * 1024 };

static void result(double seconds, uint64_t bytes)
{
	printf("{\"seconds\": %.9g, \"bytes\": %llu}\n", seconds, (unsigned long long)bytes);
}

static void run_lmdb(const char *path, const struct pool *pool)
{
	struct bare bare;
	double start;

	bare_open(&bare, path);
	start = now_s();
	for (size_t at = 0, n; at < pool->count; at += n) {
		n = pool->count - at < COMMIT_ENTRIES ? pool->count - at : COMMIT_ENTRIES;
		bare_commit(&bare, pool->entry + at, n);
	}
	result(now_s() - start, pool->count * ENTRY_SIZE);
	bare_close(&bare);
	directory_remove(path);
}

static void need(bool good, const char *what)
{
	if (!good)
		die("%s failed", what);
}

/* P-256 and a certificate by itself, as strong as a node's and nothing more. */
static SSL_CTX *server_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();

	need(context != NULL && key != NULL && certificate != NULL, "TLS set-up");
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	need(X509_set_pubkey(certificate, key) == 1, "certificate");
	need(X509_sign(certificate, key, EVP_sha256()) > 0, "certificate");
	need(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3");
	need(SSL_CTX_use_certificate(context, certificate) == 1, "certificate");
	need(SSL_CTX_use_PrivateKey(context, key) == 1, "key");
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

static SSL *tls_on(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	need(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "TLS set-up");
	return ssl;
}

static void serve(int listener, const uint8_t *data, size_t size)
{
	SSL_CTX *context = server_context();
	int fd = accept(listener, NULL, NULL);
	SSL *ssl;

	need(fd >= 0, "accept");
	ssl = tls_on(context, fd);
	need(SSL_accept(ssl) == 1, "handshake");
	for (size_t at = 0; at < size;) {
		size_t n = size - at < WRITE_SIZE ? size - at : WRITE_SIZE;

		need(SSL_write(ssl, data + at, (int)n) == (int)n, "send");
		at += n;
	}
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
	SSL_CTX_free(context);
}

static void fetch(const struct sockaddr_in *to, int file, size_t size)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static uint8_t room[READ_SIZE];
	size_t used = 0, got = 0;
	SSL *ssl;

	need(context != NULL && fd >= 0, "socket");
	need(connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0, "connect");
	ssl = tls_on(context, fd);
	need(SSL_connect(ssl) == 1, "handshake");
	while (got < size) {
		int n = SSL_read(ssl, room + used, (int)(sizeof(room) - used));

		need(n > 0, "receive");
		used += (size_t)n;
		got += (size_t)n;
		if (used == sizeof(room) || got == size) {
			need(write(file, room, used) == (ssize_t)used, "write");
			used = 0;
		}
	}
	need(fsync(file) == 0, "sync");
	SSL_free(ssl);
	close(fd);
	SSL_CTX_free(context);
}

/* listen_port 0: any; call_port 0: the same. */
static void run_tls(
	const char *path, const struct pool *pool, unsigned listen_port, unsigned call_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)listen_port)};
	size_t bytes = pool->count * pool->entry_size;
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), file, status, on = 1;
	char name[1024];
	double start;
	pid_t child;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	need(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
			listen(listener, 1) == 0 &&
			getsockname(listener, (struct sockaddr *)&address, &size) == 0,
		"listen");
	directory_fresh(path);
	snprintf(name, sizeof(name), "%s/copy", path);
	file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	need(file >= 0, "make the file");
	child = fork();
	need(child >= 0, "fork");
	if (child == 0) {
		serve(listener, pool->data, bytes);
		_exit(0);
	}
	if (call_port != 0)
		address.sin_port = htons((uint16_t)call_port);
	start = now_s();
	fetch(&address, file, bytes);
	result(now_s() - start, bytes);
	need(waitpid(child, &status, 0) == child && status == 0, "the sending process");
	close(file);
	close(listener);
	directory_remove(path);
}

int main(int argc, char **argv)
{
	struct pool pool;
	char path[512];
	bool through = argc == 7 && strcmp(argv[1], "through") == 0;

	if (argc != 4 && !through)
		die("usage: bench_bare lmdb|tls DIR COUNT, or through DIR COUNT SIZE LISTEN "
		    "CONNECT");
	pool_init_of(&pool, (size_t)number_of(argv[3]), through ? number_of(argv[4]) : ENTRY_SIZE);
	pool_fill(&pool, 3, 0);
	snprintf(path, sizeof(path), "%s/bare", argv[2]);
	if (strcmp(argv[1], "lmdb") == 0)
		run_lmdb(path, &pool);
	else if (strcmp(argv[1], "tls") == 0)
		run_tls(path, &pool, 0, 0);
	else if (through)
		run_tls(path, &pool, (unsigned)number_of(argv[5]), (unsigned)number_of(argv[6]));
	else
		die("'%s' is neither lmdb nor tls", argv[1]);
	pool_release(&pool);
	return 0;
}
