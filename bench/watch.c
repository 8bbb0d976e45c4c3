/*
 * bench_watch: how long a node takes to catch up.
 *
 *   bench_watch PORT SOCKET ORIGIN SIZE
 *
 * The clock starts when a TCP connection to PORT of loopback is established, seen in /proc/net/tcp,
 * and stops when the node behind the control socket holds SIZE entries of the log, durable, under a
 * signed checkpoint of that size. Both are polled: every 0.2 ms and every 2 ms.
 */
#include <stdio.h>
#include <time.h>

#include "lib.h"
#include "node.h"

enum { GIVE_UP_S = 300, TCP_ESTABLISHED_STATE = 1 };

static void pause_us(long us)
{
	nanosleep(&(struct timespec){0, us * 1000}, NULL);
}

static bool connected(unsigned port)
{
	FILE *file = fopen("/proc/net/tcp", "re");
	char line[512];
	bool found = false;

	if (file == NULL)
		die("no /proc/net/tcp");
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		unsigned local, state;

		found = sscanf(line, " %*u: %*x:%x %*x:%*x %x", &local, &state) == 2 &&
			local == port && state == TCP_ESTABLISHED_STATE;
	}
	fclose(file);
	return found;
}

static double wait_connected(unsigned port)
{
	double end = now_s() + GIVE_UP_S;

	while (!connected(port)) {
		if (now_s() > end)
			die("nobody connects to port %u", port);
		pause_us(200);
	}
	return now_s();
}

int main(int argc, char **argv)
{
	struct control *control;
	double start, end;
	uint64_t size, held = 0;

	if (argc != 5)
		die("usage: bench_watch PORT SOCKET ORIGIN SIZE");
	size = number_of(argv[4]);
	start = wait_connected((unsigned)number_of(argv[1]));
	control = node_connect(argv[2]);
	end = start + GIVE_UP_S;
	while (held < size) {
		json_t *log = node_log(control, argv[3]);

		held = node_number(log, "checkpoint_size");
		json_decref(log);
		if (now_s() > end)
			die("after %d s it holds %llu of %llu", GIVE_UP_S, (unsigned long long)held,
				(unsigned long long)size);
		if (held < size)
			pause_us(2000);
	}
	printf("{\"seconds\": %.9g}\n", now_s() - start);
	control_close(control);
	return 0;
}
