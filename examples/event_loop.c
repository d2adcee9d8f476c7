/* event_loop.c - tracing in a program that is one poll(2) loop: no thread is made, the loop waits
   for the library's descriptors beside its own and gives it its turns, and a request's span lives
   from its first callback to its last. The program is its own client: it sends an echo server three
   requests, and each takes its trace along in a header.

   cc -I. examples/event_loop.c -o build/examples/event_loop -pthread &&
       build/examples/event_loop */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PEERS = 16, MAX_OTHERS = 8, NUM_REQUESTS = 3 };

/* One end of a connection, and the request on it. */
typedef struct peer {
    int fd; /* -1: free */
    short events;
    bool (*ready_fn)(struct peer *peer); /* false: finished */
    hotel_span span;
    hotel_context parent;
    char text[256];
} peer;

static peer peers[MAX_PEERS];
static int num_answers;

/* ---- The loop ------------------------------------------------------------------------------- */

static peer *add_peer(int fd, short events, bool (*ready_fn)(peer *)) {
    for (int i = 0; i < MAX_PEERS; i++) {
        if (peers[i].fd >= 0) continue;
        memset(&peers[i], 0, sizeof peers[i]);
        peers[i].fd = fd;
        peers[i].events = events;
        peers[i].ready_fn = ready_fn;
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        return &peers[i];
    }
    (void)close(fd);
    return NULL;
}

static void remove_peer(peer *p) {
    hotel_end(&p->span);
    hotel_context_release(&p->parent);
    (void)close(p->fd);
    p->fd = -1;
}

static bool wait_for(peer *p, short events, bool (*ready_fn)(peer *)) {
    p->events = events;
    p->ready_fn = ready_fn;
    return true;
}

static bool turn_loop(void) {
    struct pollfd fds[MAX_PEERS + MAX_OTHERS];
    for (int i = 0; i < MAX_PEERS; i++) {
        fds[i].fd = peers[i].fd; // poll passes over negative ones
        fds[i].events = peers[i].events;
        fds[i].revents = 0;
    }

    hotel_descriptor others[MAX_OTHERS];
    uint32_t wait_ms;
    size_t num_others = hotel_get_descriptors(others, MAX_OTHERS, &wait_ms);
    if (num_others > MAX_OTHERS) num_others = MAX_OTHERS;
    for (size_t i = 0; i < num_others; i++) {
        fds[MAX_PEERS + i].fd = others[i].fd;
        fds[MAX_PEERS + i].events = others[i].events;
    }

    int timeout = wait_ms < 60000 ? (int)wait_ms : 60000;
    if (poll(fds, MAX_PEERS + num_others, timeout) < 0 && errno != EINTR) return false;
    for (int i = 0; i < MAX_PEERS; i++) {
        if (fds[i].revents != 0 && !peers[i].ready_fn(&peers[i])) remove_peer(&peers[i]);
    }
    return hotel_poll(0) == HOTEL_OK; // the library's turn: does what is due, never waits
}

/* ---- Messages: text that ends in an empty line ---------------------------------------------- */

static bool send_text(peer *p) {
    size_t size = strlen(p->text);
    if (send(p->fd, p->text, size, MSG_NOSIGNAL) == (ptrdiff_t)size) return true;
    hotel_set_status(&p->span, HOTEL_STATUS_ERROR, "connection lost");
    return false;
}

/* Appends what has arrived. *complete tells whether that was all of the message. */
static bool receive_text(peer *p, bool *complete) {
    size_t size = strlen(p->text);
    ptrdiff_t received = recv(p->fd, p->text + size, sizeof p->text - 1 - size, 0);
    if (received <= 0) {
        hotel_set_status(&p->span, HOTEL_STATUS_ERROR, "connection lost");
        return false;
    }
    p->text[size + (size_t)received] = '\0';
    *complete = strstr(p->text, "\n\n") != NULL;
    return true;
}

/* ---- The server ----------------------------------------------------------------------------- */

static bool server_send(peer *p) {
    (void)send_text(p);
    return false;
}

static bool server_receive(peer *p) {
    bool complete;
    if (!receive_text(p, &complete)) return false;
    if (!complete) return true;

    char traceparent[HOTEL_TRACEPARENT_SIZE] = "";
    char text[100] = "";
    (void)sscanf(p->text, "traceparent: %55s text: %99[^\n]", traceparent, text);
    p->parent = hotel_extract(traceparent, NULL);
    p->span = hotel_start_in(&p->parent, "echo.handle", HOTEL_SERVER);
    hotel_set_str(&p->span, "echo.text", text);

    (void)snprintf(p->text, sizeof p->text, "%s\n\n", text);
    return wait_for(p, POLLOUT, server_send);
}

static bool server_accept(peer *listener) {
    int fd = accept(listener->fd, NULL, NULL);
    if (fd >= 0) (void)add_peer(fd, POLLIN, server_receive);
    return true;
}

static bool start_server(struct sockaddr_in *address) {
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)address, size) != 0) return false;
    if (listen(fd, NUM_REQUESTS) != 0) return false;
    if (getsockname(fd, (struct sockaddr *)address, &size) != 0) return false;
    return add_peer(fd, POLLIN, server_accept) != NULL;
}

/* ---- The client ----------------------------------------------------------------------------- */

static bool client_receive(peer *p) {
    bool complete;
    if (!receive_text(p, &complete)) return false;
    if (!complete) return true;
    num_answers++;
    return false;
}

static bool client_send(peer *p) {
    if (!send_text(p)) return false;
    p->text[0] = '\0'; // the answer goes where the request was
    return wait_for(p, POLLIN, client_receive);
}

static bool start_request(const struct sockaddr_in *server, int number) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    peer *p = fd >= 0 ? add_peer(fd, POLLOUT, client_send) : NULL;
    if (!p) return false;
    p->span = hotel_start_as("echo.call", HOTEL_CLIENT);
    hotel_set_int(&p->span, "echo.number", number);

    char traceparent[HOTEL_TRACEPARENT_SIZE];
    (void)hotel_traceparent(&p->span, traceparent);
    (void)snprintf(p->text, sizeof p->text, "traceparent: %s\ntext: message %d\n\n", traceparent,
                   number);
    return connect(fd, (const struct sockaddr *)server, sizeof *server) == 0 ||
           errno == EINPROGRESS;
}

int main(void) {
    hotel_init(&(hotel_config){
        .service_name = "event-loop",
        .no_threads = true,
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    for (int i = 0; i < MAX_PEERS; i++) peers[i].fd = -1;

    struct sockaddr_in server;
    bool running = start_server(&server);
    for (int i = 0; running && i < NUM_REQUESTS; i++) running = start_request(&server, i);
    for (int i = 0; running && num_answers < NUM_REQUESTS && i < 100; i++) running = turn_loop();
    for (int i = 0; i < MAX_PEERS; i++) {
        if (peers[i].fd >= 0) remove_peer(&peers[i]);
    }
    if (num_answers < NUM_REQUESTS) fprintf(stderr, "event_loop: %d answers\n", num_answers);

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "event_loop: spans not delivered: %s\n", hotel_result_text(result));
    return num_answers == NUM_REQUESTS && result == HOTEL_OK ? 0 : 1;
}
