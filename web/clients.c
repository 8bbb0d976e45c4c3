#include "web/clients.h"

#include <sys/socket.h>

#include "base/alloc.h"

void clients_init(struct clients *clients)
{
	*clients = (struct clients){0};
	pthread_mutex_init(&clients->mutex, NULL);
}

void clients_release(struct clients *clients)
{
	pthread_mutex_destroy(&clients->mutex);
}

struct client *clients_add(struct clients *clients, int fd, uint64_t end_ms)
{
	struct client *client = mem_zalloc(sizeof(*client));

	if (client == NULL)
		return NULL;
	client->fd = fd;
	client->end_ms = end_ms;
	pthread_mutex_lock(&clients->mutex);
	client->next = clients->first;
	client->link = &clients->first;
	if (client->next != NULL)
		client->next->link = &client->next;
	clients->first = client;
	pthread_mutex_unlock(&clients->mutex);
	return client;
}

void clients_remove(struct clients *clients, struct client *client)
{
	if (client == NULL)
		return;
	pthread_mutex_lock(&clients->mutex);
	*client->link = client->next;
	if (client->next != NULL)
		client->next->link = client->link;
	pthread_mutex_unlock(&clients->mutex);
	mem_free(client);
}

void clients_until(struct clients *clients, struct client *client, uint64_t end_ms)
{
	if (client == NULL)
		return;
	pthread_mutex_lock(&clients->mutex);
	client->end_ms = end_ms;
	pthread_mutex_unlock(&clients->mutex);
}

size_t clients_sweep(struct clients *clients, uint64_t now_ms)
{
	size_t count = 0;

	/* Under the mutex the descriptor is still that connection's: see clients_remove. */
	pthread_mutex_lock(&clients->mutex);
	for (struct client *client = clients->first; client != NULL; client = client->next) {
		if (now_ms < client->end_ms)
			continue;
		shutdown(client->fd, SHUT_RDWR);
		client->end_ms = UINT64_MAX;
		count++;
	}
	pthread_mutex_unlock(&clients->mutex);
	return count;
}
